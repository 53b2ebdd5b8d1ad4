//! Records in, alerts out: what the engine of the agent does, and what a replay does, in the same code.
//!
//! The pipeline keeps the [`State`] of the node up to date, evaluates the policies on each event and makes alerts of
//! the matches. Whatever it has to ask the outside world goes through [`Outside`], so that a recording of the answers
//! gives the same alerts again.
//!
//! What is found out about containers comes in on its own ([`Pipeline::container`], [`Pipeline::pod`]). Between
//! [`Knowledge::Pending`] and what follows it, events that need the answer wait.

mod finding;
mod hold;
mod lookup;
mod summary;

use std::sync::Arc;

use vedette_event::{
    Body, Clock, Knowledge, Metadata, Pod, Process, ProcessId, ProcessKey, Record, State, UserNames, View,
    alert::{Alert, GapInfo, GapLog, Node},
    decode,
};

use crate::resolve::{NoResolver, Resolver};
use crate::{Correlation, Evaluator, LiveFacts, Match, PolicySet, RuleMatching};
use hold::Hold;
use summary::LastAlerts;

pub use hold::HoldStats;

/// What the records do not tell.
pub trait Outside {
    /// Looks up a process, and returns what [`State::complete`] takes; `None` when it has gone.
    fn process(&mut self, key: ProcessKey) -> Option<Process>;

    /// The names of users and groups.
    fn names(&self) -> &dyn UserNames;
}

/// What a record was, for who keeps the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An event of a process, held against the policies.
    Event,
    /// A change of state without a process, or of one that is not known.
    State,
    /// So many records were lost.
    Gap(u32),
}

/// An alert, and what is not in it about its rule.
#[derive(Debug)]
pub struct Raised<'p> {
    /// The rule.
    pub rule: &'p crate::Rule,
    /// Its position in [`PolicySet::rules`].
    pub rule_index: usize,
    /// Whether it is the summary of a throttle: it tells of alerts that were held back.
    pub is_summary: bool,
    /// The alert.
    pub alert: Arc<Alert>,
}

/// The pipeline.
#[derive(Debug)]
pub struct Pipeline {
    /// Processes and control groups.
    pub state: State,
    node: Node,
    clock: Clock,
    matching: RuleMatching,
    resolver: Arc<dyn Resolver>,
    evaluator: Option<Evaluator>,
    output: Output,
    hold: Hold,
    number: u64,
}

/// The way out.
#[derive(Debug, Default)]
struct Output {
    /// Losses that no alert has told yet.
    gaps: GapLog,
    last: LastAlerts,
    matches: u64,
}

impl Output {
    /// A rule matched; `event` is the event and its node, where there is one.
    fn matched(
        &mut self,
        matched: Match<'_>,
        event: Option<(&View<'_>, &Node)>,
        on_alert: &mut impl FnMut(Raised<'_>),
    ) {
        self.matches += 1;
        let (rule, rule_index) = (matched.rule, matched.rule_index);
        let is_summary = matches!(matched.correlation, Some(Correlation::Summary { .. }));
        let finding = finding::of(matched);
        let alert = match event {
            Some((view, node)) if !is_summary => Some(Alert::new(view, finding, node)),
            _ => self.last.summary(rule_index, finding),
        };
        let Some(mut alert) = alert else { return };
        alert.gaps = self.gaps.take();
        let alert = Arc::new(alert);
        if rule.throttle.is_some() && !is_summary {
            self.last.note(rule_index, &alert);
        }
        on_alert(Raised { rule, rule_index, is_summary, alert });
    }
}

impl Pipeline {
    /// A pipeline without policies.
    pub fn new(state: State, clock: Clock, node: Node, matching: RuleMatching) -> Self {
        Self {
            state,
            clock,
            matching,
            node,
            resolver: Arc::new(NoResolver),
            evaluator: None,
            output: Output::default(),
            hold: Hold::default(),
            number: 0,
        }
    }

    /// The same with host names in rules resolved. To be called before the policies are set.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// From the clock of the records to the wall clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Number of the last event.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Matches so far, summaries of throttles included.
    pub fn matches(&self) -> u64 {
        self.output.matches
    }

    /// Losses that no alert has told yet.
    pub fn untold_gaps(&self) -> &[GapInfo] {
        self.output.gaps.rows()
    }

    /// The same, which count as told from now on.
    pub fn take_gaps(&mut self) -> Vec<GapInfo> {
        self.output.gaps.take()
    }

    /// Goes on with another state, as a snapshot describes it. What rules remember stays.
    pub fn restore(&mut self, state: State, number: u64, gaps: Vec<GapInfo>) {
        self.state = state;
        self.number = number;
        self.output.gaps = GapLog::default();
        gaps.into_iter().for_each(|gap| self.output.gaps.add(gap));
    }

    /// Goes on with the records of another run or node.
    pub fn change_node(&mut self, node: Node, clock: Clock) {
        self.node = node;
        self.clock = clock;
    }

    /// Takes note of a loss; the next alert tells it.
    pub fn note_gap(&mut self, gap: GapInfo) {
        self.output.gaps.add(gap);
    }

    /// Figures about events that wait.
    pub fn hold_stats(&self) -> HoldStats {
        self.hold.stats
    }

    /// Number of events that wait for what is not known yet about their container.
    pub fn waiting(&self) -> usize {
        self.hold.len()
    }

    /// Puts other policies in place, or none. What the old ones held back is told first. Events that wait are evaluated
    /// with the new ones; [`Self::stop_waiting`] lets the old ones have them.
    pub fn set_policies(&mut self, set: Option<Arc<PolicySet>>, mut on_alert: impl FnMut(Raised<'_>)) {
        if let Some(old) = self.evaluator.take() {
            old.finish(|matched| self.output.matched(matched, None, &mut on_alert));
        }
        self.output.last.clear();
        self.evaluator = set.map(|set| {
            Evaluator::new(set).with_matching(self.matching).with_resolver(Arc::clone(&self.resolver))
        });
    }

    /// Tells the summaries that are due at `now`, nanoseconds since 1970, and forgets what ended long before.
    pub fn advance(&mut self, now: u64, mut on_alert: impl FnMut(Raised<'_>)) {
        self.state.prune(self.clock.boottime(now));
        if let Some(evaluator) = &mut self.evaluator {
            evaluator.advance(now, |matched| self.output.matched(matched, None, &mut on_alert));
        }
    }

    /// Takes a record in, and hands over the alerts that it makes.
    pub fn record(
        &mut self,
        record: &Record<'_>,
        outside: &mut impl Outside,
        mut on_alert: impl FnMut(Raised<'_>),
    ) -> Outcome {
        let id = match self.take_in(record, outside) {
            Ok(id) => id,
            Err(outcome) => return outcome,
        };
        if self.must_wait(record, id, outside.names(), &mut on_alert) {
            return Outcome::Event;
        }
        let Self { state, evaluator, output, node, .. } = self;
        let place = Place { state, id, number: self.number, clock: self.clock };
        match place.view(record, node, outside.names()) {
            Some(view) => evaluate(evaluator, output, node, &view, &mut on_alert),
            None => return Outcome::State,
        }
        Outcome::Event
    }

    /// Takes a record in, and shows the event that it is, if it is one, instead of holding it against the policies.
    pub fn observe(
        &mut self,
        record: &Record<'_>,
        outside: &mut impl Outside,
        on_event: impl FnOnce(&LiveFacts<'_>),
    ) -> Outcome {
        let id = match self.take_in(record, outside) {
            Ok(id) => id,
            Err(outcome) => return outcome,
        };
        let place = Place { state: &self.state, id, number: self.number, clock: self.clock };
        match place.view(record, &self.node, outside.names()).and_then(LiveFacts::new) {
            Some(facts) => {
                on_event(&facts);
                Outcome::Event
            }
            None => Outcome::State,
        }
    }

    /// Brings the state up to date. `Err` where the record is no event of a process.
    fn take_in(&mut self, record: &Record<'_>, outside: &mut impl Outside) -> Result<ProcessId, Outcome> {
        let applied = self.state.apply(record);
        if let Body::Gap(gap) = &record.body {
            self.output.gaps.note(record, self.clock);
            return Err(Outcome::Gap(gap.total));
        }
        let mut id = applied.process.ok_or(Outcome::State)?;
        if applied.incomplete {
            id = lookup::process(&mut self.state, outside, id);
        }
        self.number += 1;
        Ok(id)
    }

    /// Whether nothing is to be done about an event now: it waits for the metadata of its container, or needs none
    /// because no rule cares about it, whatever the metadata.
    fn must_wait(
        &mut self,
        record: &Record<'_>,
        id: ProcessId,
        names: &dyn UserNames,
        on_alert: &mut impl FnMut(Raised<'_>),
    ) -> bool {
        let Self { state, evaluator: Some(evaluator), hold, node, .. } = self else { return false };
        if state.cgroups.pending() == 0 {
            return false;
        }
        let place = Place { state, id, number: self.number, clock: self.clock };
        let Some(view) = place.view(record, node, names) else { return false };
        let pending = view.container().filter(|c| c.knowledge == Knowledge::Pending);
        let Some(container) = pending.filter(|_| !record.bytes.is_empty()) else { return false };
        let Some(facts) = LiveFacts::new(view) else { return false };
        if !evaluator.concerns(&facts) && !facts.further_names().any(|facts| evaluator.concerns(&facts)) {
            return true;
        }
        let excerpt = state.excerpt(id, view.cgroup());
        if excerpt.is_some_and(|excerpt| hold.keep(&container.id, record, self.number, excerpt)) {
            return true;
        }
        // It goes without, and those before it go before it.
        let container = container.id.clone();
        self.release(&container, names, on_alert);
        false
    }

    /// Somebody has found out something about a container, or has asked, or has given up. Events that wait for it are
    /// evaluated, unless it is still pending. Returns false where no group of that container is known.
    pub fn container(
        &mut self,
        id: &str,
        knowledge: Knowledge,
        metadata: Metadata,
        names: &dyn UserNames,
        mut on_alert: impl FnMut(Raised<'_>),
    ) -> bool {
        let known = self.state.cgroups.describe(id, |container| {
            container.knowledge = knowledge;
            container.metadata = metadata;
        });
        if knowledge != Knowledge::Pending {
            self.release(id, names, &mut on_alert);
        }
        known
    }

    /// The API server has told something about a pod, or that it is gone.
    pub fn pod(&mut self, uid: &str, pod: Option<Pod>) {
        self.state.cgroups.set_pod(uid, pod);
    }

    /// Evaluates the events that wait although nobody is asked about their container any more.
    pub fn settle(&mut self, names: &dyn UserNames, mut on_alert: impl FnMut(Raised<'_>)) {
        for id in self.hold.containers() {
            let pending =
                self.state.cgroups.container(&id).is_some_and(|c| c.knowledge == Knowledge::Pending);
            if !pending {
                self.release(&id, names, &mut on_alert);
            }
        }
    }

    /// Evaluates all events that wait with what is known.
    pub fn stop_waiting(&mut self, names: &dyn UserNames, mut on_alert: impl FnMut(Raised<'_>)) {
        for id in self.hold.containers() {
            self.release(&id, names, &mut on_alert);
        }
    }

    fn release(&mut self, id: &str, names: &dyn UserNames, on_alert: &mut impl FnMut(Raised<'_>)) {
        let container = self.state.cgroups.container(id).cloned();
        let complete = container.as_ref().is_some_and(|c| c.knowledge == Knowledge::Known);
        for mut held in self.hold.take(id) {
            self.hold.stats.gave_up += u64::from(!complete);
            if let Some(container) = &container {
                held.excerpt.learn(container);
            }
            let Self { evaluator, output, node, .. } = self;
            let place = Place {
                state: &held.excerpt.state,
                id: held.excerpt.id,
                number: held.number,
                clock: self.clock,
            };
            // It was decoded before.
            let Ok(record) = decode(&held.bytes) else { continue };
            if let Some(view) = place.view(&record, node, names) {
                evaluate(evaluator, output, node, &view, on_alert);
            }
        }
    }
}

/// Where and as which event a record is looked at.
#[derive(Clone, Copy)]
struct Place<'a> {
    state: &'a State,
    id: ProcessId,
    number: u64,
    clock: Clock,
}

impl<'a> Place<'a> {
    fn view(self, record: &'a Record<'a>, node: &'a Node, names: &'a dyn UserNames) -> Option<View<'a>> {
        let Self { state, id, number, clock } = self;
        let process = state.processes.get(id)?;
        Some(View { record, number, process, id, state, clock, hostname: &node.name, names })
    }
}

fn evaluate(
    evaluator: &mut Option<Evaluator>,
    output: &mut Output,
    node: &Node,
    view: &View<'_>,
    on_alert: &mut impl FnMut(Raised<'_>),
) {
    if let (Some(facts), Some(evaluator)) = (LiveFacts::new(*view), evaluator) {
        // Most files have one name, and then this is no memory.
        let others: Vec<LiveFacts<'_>> = facts.further_names().collect();
        evaluator
            .evaluate_names(&facts, &others, |matched| output.matched(matched, Some((view, node)), on_alert));
    }
}
