//! Events in, matches out.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::eval::{CacheState, Memo, Run};
use crate::facts::Facts;
use crate::output::{self, OutputPart};
use crate::resolve::{NoResolver, Resolver};
use crate::rule::{Detection, Rule};
use crate::set::PolicySet;

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
    /// When the event happened, nanoseconds since 1970.
    pub time: u64,
    /// The text of the alert.
    pub output: String,
    /// The values in the text, by name, in order.
    pub output_fields: Vec<(String, Json)>,
}

/// Evaluates events against a set of policies.
#[derive(Debug)]
pub struct Evaluator {
    set: Arc<PolicySet>,
    matching: RuleMatching,
    resolver: Arc<dyn Resolver>,
    memo: Memo,
    cache: CacheState,
    events: u64,
}

impl Evaluator {
    /// An evaluator for a set, with all rules that match firing, and no host name resolved.
    pub fn new(set: Arc<PolicySet>) -> Self {
        let memo = Memo::for_program(&set.program);
        let cache = CacheState::for_program(&set.program);
        Self { memo, cache, set, matching: RuleMatching::All, resolver: Arc::new(NoResolver), events: 0 }
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

    /// Evaluates an event and hands over each match.
    pub fn evaluate<F: Facts>(&mut self, facts: &F, mut on_match: impl FnMut(Match<'_>)) {
        let roots = &self.set.program.roots[facts.event_type().index()];
        if roots.is_empty() {
            return;
        }
        self.events += 1;
        let mut run = Run {
            program: &self.set.program,
            facts,
            cache: self.cache.begin(self.events),
            memo: &mut self.memo,
            event: self.events,
            resolver: &*self.resolver,
        };
        for root in roots {
            if !run.holds(root.node) {
                continue;
            }
            let rule = &self.set.rules()[root.rule as usize];
            if matches!(rule.detection, Detection::Single(_)) {
                on_match(render(&mut run, rule, root.rule as usize));
            }
            if self.matching == RuleMatching::First {
                break;
            }
        }
        self.cache = run.cache.into_state();
    }
}

/// The match with its text.
fn render<'s, F: Facts>(run: &mut Run<'_, '_, '_, F>, rule: &'s Rule, rule_index: usize) -> Match<'s> {
    let slots = &run.program.rules[rule_index].output;
    let mut text = String::new();
    let mut fields: Vec<(String, Json)> = Vec::with_capacity(slots.len());
    let mut slots = slots.iter();
    for part in &rule.output.parts {
        match part {
            OutputPart::Text(part) => text.push_str(part),
            OutputPart::Value { name, width, .. } => {
                let Some(slot) = slots.next() else { continue };
                let range = run.cache.read(run.program, run.facts, *slot);
                let values = run.cache.values(range);
                match width {
                    None => output::write_values(&mut text, values),
                    Some(width) => {
                        let mut value = String::new();
                        output::write_values(&mut value, values);
                        text.push_str(&output::fit(&value, *width));
                    }
                }
                if !fields.iter().any(|(n, _)| n == name) {
                    fields.push((name.clone(), output::to_json(values)));
                }
            }
        }
    }
    Match { rule, rule_index, time: run.facts.time(), output: text, output_fields: fields }
}
