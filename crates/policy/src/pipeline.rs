//! Records in, alerts out: what the engine of the agent does, and what a replay does, in the same code.
//!
//! The pipeline keeps the [`State`] of the node up to date, evaluates the policies on each event and makes alerts of
//! the matches. Whatever it has to ask the outside world goes through [`Outside`], so that a recording of the answers
//! gives the same alerts again.

mod finding;
mod lookup;
mod summary;

use std::sync::Arc;

use vedette_event::{
    Body, Clock, Process, ProcessKey, Record, State, UserNames, View,
    alert::{Alert, GapInfo, GapLog, Node},
};

use crate::resolve::{NoResolver, Resolver};
use crate::{Correlation, Evaluator, LiveFacts, Match, PolicySet, RuleMatching};
use summary::LastAlerts;

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

    /// Puts other policies in place, or none. What the old ones held back is told first.
    pub fn set_policies(&mut self, set: Option<Arc<PolicySet>>, mut on_alert: impl FnMut(Raised<'_>)) {
        if let Some(old) = self.evaluator.take() {
            old.finish(|matched| self.output.matched(matched, None, &mut on_alert));
        }
        self.output.last.clear();
        self.evaluator = set.map(|set| {
            Evaluator::new(set).with_matching(self.matching).with_resolver(Arc::clone(&self.resolver))
        });
    }

    /// Tells the summaries that are due at `now`, nanoseconds since 1970.
    pub fn advance(&mut self, now: u64, mut on_alert: impl FnMut(Raised<'_>)) {
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
        let applied = self.state.apply(record);
        if let Body::Gap(gap) = &record.body {
            self.output.gaps.note(record, self.clock);
            return Outcome::Gap(gap.total);
        }
        let Some(mut id) = applied.process else { return Outcome::State };
        if applied.incomplete {
            id = lookup::process(&mut self.state, outside, id);
        }
        self.number += 1;
        let Some(process) = self.state.processes.get(id) else { return Outcome::State };
        let view = View {
            record,
            number: self.number,
            process,
            id,
            state: &self.state,
            clock: self.clock,
            hostname: &self.node.name,
            names: outside.names(),
        };
        if let (Some(facts), Some(evaluator)) = (LiveFacts::new(view), &mut self.evaluator) {
            // Most have one name, and then this is no memory.
            let others: Vec<LiveFacts<'_>> = facts.further_names().collect();
            evaluator.evaluate_names(&facts, &others, |matched| {
                self.output.matched(matched, Some((&view, &self.node)), &mut on_alert)
            });
        }
        Outcome::Event
    }
}
