//! Events in, matches out.

mod render;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::compile::{NodeId, Program, Root};
use crate::correlate::{Admission, Correlation, CorrelationStats, Key, Limits, RuleState, Suppressed};
use crate::eval::{CacheState, Memo, Run};
use crate::facts::Facts;
use crate::resolve::{NoResolver, Resolver};
use crate::rule::{Detection, Rule};
use crate::set::PolicySet;
use crate::value::Value;

/// Which of several rules that match the same event fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleMatching {
    /// All.
    #[default]
    All,
    /// The first in the order of the files, as in Falco.
    First,
}

/// A rule that matched.
#[derive(Debug, Clone)]
pub struct Match<'s> {
    /// The rule.
    pub rule: &'s Rule,
    /// Its position in [`PolicySet::rules`].
    pub rule_index: usize,
    /// When the (last) event happened, nanoseconds since 1970.
    pub time: u64,
    /// The text of the alert.
    pub output: String,
    /// The values in the text, by name, in order.
    pub output_fields: Vec<(String, Json)>,
    /// The events before it that it speaks of: for `threshold`, `sequence` and the summaries of `throttle`.
    ///
    /// A summary was not made by the event being evaluated; do not act on that event's process for it.
    pub correlation: Option<Correlation>,
}

/// What is kept between events for its memory only.
#[derive(Debug)]
struct Memory {
    memo: Memo,
    cache: CacheState,
}

impl Memory {
    fn for_program(program: &Program) -> Self {
        Self { memo: Memo::for_program(program), cache: CacheState::for_program(program) }
    }

    fn run<'p, 'a, 'm, F: Facts>(
        &'m mut self,
        program: &'p Program,
        facts: &'a F,
        event: u64,
        resolver: &'p dyn Resolver,
    ) -> Run<'p, 'a, 'm, F> {
        Run { program, facts, cache: self.cache.begin(event), memo: &mut self.memo, event, resolver }
    }
}

/// Evaluates events against a set of policies.
#[derive(Debug)]
pub struct Evaluator {
    set: Arc<PolicySet>,
    matching: RuleMatching,
    resolver: Arc<dyn Resolver>,
    memory: Memory,
    /// The same for the further names of an event's file, as many as there ever were.
    others: Vec<Memory>,
    events: u64,
    states: Vec<RuleState>,
    /// The rules that have a throttle.
    throttled: Vec<u32>,
    /// When the next throttle window ends; `u64::MAX` if none is open.
    deadline: u64,
}

impl Evaluator {
    /// An evaluator for a set, with all rules that match firing, and no host name resolved.
    pub fn new(set: Arc<PolicySet>) -> Self {
        Self::with_limits(set, Limits::default())
    }

    /// The same with other bounds for what a rule may remember.
    pub fn with_limits(set: Arc<PolicySet>, limits: Limits) -> Self {
        let throttled = (0..).zip(set.rules()).filter(|(_, r)| r.throttle.is_some()).map(|(i, _)| i);
        Self {
            memory: Memory::for_program(&set.program),
            others: Vec::new(),
            states: set.rules().iter().map(|rule| RuleState::for_rule(rule, limits)).collect(),
            throttled: throttled.collect(),
            set,
            matching: RuleMatching::All,
            resolver: Arc::new(NoResolver),
            events: 0,
            deadline: u64::MAX,
        }
    }

    /// The same with another rule about which of several matches fire.
    pub fn with_matching(mut self, matching: RuleMatching) -> Self {
        self.matching = matching;
        self
    }

    /// The same with host names resolved.
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The set.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// What the rules with memory hold and had to forget: the position of the rule, and its figures.
    pub fn correlation_stats(&self) -> impl Iterator<Item = (usize, CorrelationStats)> {
        self.states.iter().enumerate().filter_map(|(i, state)| Some((i, state.stats()?)))
    }

    /// Evaluates an event and hands over each match; before it, the summaries that are due by then.
    pub fn evaluate<F: Facts>(&mut self, facts: &F, on_match: impl FnMut(Match<'_>)) {
        self.evaluate_names(facts, &[], on_match);
    }

    /// The same for an event whose file has several names: `others` is the event under the further ones. A rule matches
    /// the event, once, if it matches it under any name; its text is that of the first that it matches under.
    pub fn evaluate_names<F: Facts>(&mut self, facts: &F, others: &[F], mut on_match: impl FnMut(Match<'_>)) {
        if self.deadline <= facts.time() {
            self.advance(facts.time(), &mut on_match);
        }
        let roots = &self.set.program.roots[facts.event_type().index()];
        if roots.is_empty() {
            return;
        }
        self.events += 1;
        let program = &self.set.program;
        while self.others.len() < others.len() {
            self.others.push(Memory::for_program(program));
        }
        let mut names = Names {
            first: self.memory.run(program, facts, self.events, &*self.resolver),
            others: self
                .others
                .iter_mut()
                .zip(others)
                .map(|(memory, facts)| memory.run(program, facts, self.events, &*self.resolver))
                .collect(),
        };
        // A condition that does not say so is not about programs that could not be started.
        let failed_exec = facts.is_failed_exec();
        let mut roots = roots.iter();
        while let Some(root) = roots.next() {
            if failed_exec && !root.asks_for_result {
                continue;
            }
            let Some(name) = names.holds(root.node) else { continue };
            let rule = &self.set.rules()[root.rule as usize];
            let state = &mut self.states[root.rule as usize];
            let fires = match &rule.detection {
                Detection::Single(_) => Some(None),
                Detection::Threshold(_) => threshold(names.run(name), state, root.rule).map(Some),
                Detection::Sequence(_) => {
                    sequence(&mut names, name, state, rule, *root, &mut roots).map(Some)
                }
            };
            let Some(correlation) = fires else { continue };
            raise(names.run(name), rule, root.rule, state, correlation, &mut on_match);
            if let Some(deadline) = state.throttle.as_ref().and_then(|t| t.next_deadline()) {
                self.deadline = self.deadline.min(deadline);
            }
            if self.matching == RuleMatching::First {
                break;
            }
        }
        let Names { first, others } = names;
        let others: Vec<CacheState> = others.into_iter().map(|run| run.cache.into_state()).collect();
        self.memory.cache = first.cache.into_state();
        for (memory, cache) in self.others.iter_mut().zip(others) {
            memory.cache = cache;
        }
    }

    /// Whether anything depends on this event and on facts that are awaited ([`Facts::is_awaited`]): some condition
    /// holds, or will, or may. No rule remembers that it was asked.
    pub(crate) fn concerns<F: Facts>(&mut self, facts: &F) -> bool {
        let roots = &self.set.program.roots[facts.event_type().index()];
        if roots.is_empty() {
            return false;
        }
        self.events += 1;
        let mut run = self.memory.run(&self.set.program, facts, self.events, &*self.resolver);
        let concerned = roots.iter().any(|root| run.holds_regardless(root.node) != Some(false));
        self.memory.cache = run.cache.into_state();
        concerned
    }

    /// Hands over the summaries that are due at `time` (nanoseconds since 1970), when there may be no event to bring
    /// the time. A replay that calls it at other times gives the same summaries, possibly later.
    pub fn advance(&mut self, time: u64, mut on_match: impl FnMut(Match<'_>)) {
        if self.deadline > time {
            return;
        }
        self.deadline = u64::MAX;
        for index in &self.throttled {
            let index = *index as usize;
            let Some(throttle) = &mut self.states[index].throttle else { continue };
            while let Some(held) = throttle.due(time) {
                on_match(summary(&self.set.rules()[index], index, held));
            }
            self.deadline = self.deadline.min(throttle.next_deadline().unwrap_or(u64::MAX));
        }
    }

    /// Hands over everything held back, at the end of a stream.
    pub fn finish(mut self, on_match: impl FnMut(Match<'_>)) {
        self.advance(u64::MAX, on_match);
    }
}

/// The values of slots as a key.
fn key<F: Facts>(run: &mut Run<'_, '_, '_, F>, slots: &[u32]) -> Key {
    let ranges: Vec<_> = slots.iter().map(|slot| run.cache.read(run.program, run.facts, *slot)).collect();
    Key::new(ranges.iter().map(|range| run.cache.values(*range)))
}

/// An event counts towards a threshold.
fn threshold<F: Facts>(
    run: &mut Run<'_, '_, '_, F>,
    state: &mut RuleState,
    rule: u32,
) -> Option<Correlation> {
    let slots = &run.program.rules[rule as usize];
    let value = match slots.distinct {
        None => None,
        Some(slot) => {
            let range = run.cache.read(run.program, run.facts, slot);
            // An event without the value that is counted does not count.
            Some(hash(run.cache.values(range))?)
        }
    };
    let key = key(run, &slots.by);
    state.threshold.as_mut()?.hit(key, run.facts.time(), value)
}

fn hash(values: &[Value<'_>]) -> Option<u64> {
    if values.is_empty() {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    Key::new(std::iter::once(values)).hash(&mut hasher);
    Some(hasher.finish())
}

/// An event is one or more steps of a sequence: `first`, which holds under `name`, and others among the roots that
/// follow.
fn sequence<F: Facts>(
    names: &mut Names<'_, '_, '_, F>,
    name: usize,
    state: &mut RuleState,
    rule: &Rule,
    first: Root,
    roots: &mut std::slice::Iter<'_, Root>,
) -> Option<Correlation> {
    let mut steps = vec![(first.step as usize, name)];
    while let Some(next) = roots.as_slice().first().filter(|next| next.rule == first.rule) {
        roots.next();
        if !next.asks_for_result && names.first.facts.is_failed_exec() {
            continue;
        }
        if let Some(name) = names.holds(next.node) {
            steps.push((next.step as usize, name));
        }
    }
    let Detection::Sequence(sequence) = &rule.detection else { return None };
    let state = state.sequence.as_mut()?;
    // The last step first, so that the event is not its own successor.
    steps.into_iter().rev().find_map(|(step, name)| {
        let run = names.run(name);
        let key = key(run, &run.program.rules[first.rule as usize].steps[step]);
        let facts = run.facts;
        state.advance(key, facts.time(), step, || render::step(facts, &sequence.steps[step].name))
    })
}

/// An event under each name of its file.
struct Names<'p, 'a, 'm, F: Facts> {
    first: Run<'p, 'a, 'm, F>,
    others: Vec<Run<'p, 'a, 'm, F>>,
}

impl<'p, 'a, 'm, F: Facts> Names<'p, 'a, 'm, F> {
    /// The first name under which a condition holds.
    #[inline]
    fn holds(&mut self, node: NodeId) -> Option<usize> {
        if self.first.holds(node) {
            return Some(0);
        }
        self.others.iter_mut().position(|run| run.holds(node)).map(|at| at + 1)
    }

    fn run(&mut self, name: usize) -> &mut Run<'p, 'a, 'm, F> {
        match name.checked_sub(1).and_then(|at| self.others.get_mut(at)) {
            Some(run) => run,
            None => &mut self.first,
        }
    }
}

/// Raises an alert, unless the rule's throttle holds it back.
fn raise<F: Facts>(
    run: &mut Run<'_, '_, '_, F>,
    rule: &Rule,
    index: u32,
    state: &mut RuleState,
    correlation: Option<Correlation>,
    on_match: &mut impl FnMut(Match<'_>),
) {
    let rule_index = index as usize;
    let time = run.facts.time();
    let Some(throttle) = &mut state.throttle else {
        let (output, output_fields) = render::output(run, rule, rule_index);
        on_match(Match { rule, rule_index, time, output, output_fields, correlation });
        return;
    };
    let key = key(run, &run.program.rules[rule_index].throttle);
    match throttle.admit(&key, time) {
        Admission::Now(gone) => {
            if let Some(held) = gone {
                on_match(summary(rule, rule_index, held));
            }
            let (output, output_fields) = render::output(run, rule, rule_index);
            on_match(Match { rule, rule_index, time, output, output_fields, correlation });
        }
        Admission::Held => {
            let (output, output_fields) = render::output(run, rule, rule_index);
            throttle.hold(&key, time, output, output_fields);
        }
    }
}

/// The alert for those held back: the last of them, with their number.
fn summary(rule: &Rule, rule_index: usize, held: Suppressed) -> Match<'_> {
    let correlation = Some(held.correlation());
    let alerts = if held.count == 1 { "alert" } else { "alerts" };
    let output = format!("{} ({} more {alerts} like this)", held.output, held.count);
    Match { rule, rule_index, time: held.last, output, output_fields: held.output_fields, correlation }
}
