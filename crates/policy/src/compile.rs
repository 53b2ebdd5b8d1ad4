//! Checked rules to a program: one graph of tests that all rules share, specialised for each event type.
//!
//! Equal comparisons and equal sub-conditions become one node, whatever rules they come from, and are decided at most
//! once per event. For each event type, everything that the type decides (`evt.type in (…)` above all) is folded away;
//! what is left of a rule is its root for that type, and a rule of which nothing is left is not evaluated at all.

mod fold;
mod glob;
mod graph;
mod matcher;
mod merge;
mod net;
mod text;

pub(crate) use glob::Glob;
pub(crate) use graph::{Graph, Node, NodeId};
pub(crate) use matcher::{Matcher, TestSpec};

use rustc_hash::FxHashMap;

use crate::event_type::EventType;
use crate::field::{FieldName, Multiplicity};
use crate::output::OutputPart;
use crate::rule::Rule;
use crate::syntax::ast::Function;
use crate::term::{Term, TermArg};

/// A value that is read, or computed, at most once per event.
#[derive(Debug)]
pub(crate) enum Slot {
    /// The one value of a field.
    One(FieldName),
    /// All values of a field.
    Many(FieldName),
    /// A transformer.
    Call { function: Function, args: Vec<SlotArg>, index: Option<String> },
}

/// An argument of a transformer.
#[derive(Debug)]
pub(crate) enum SlotArg {
    Slot(u32),
    Literal(Vec<u8>),
}

/// All slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    by_term: FxHashMap<Term, u32>,
}

impl Slots {
    /// The slot of a term.
    pub fn of(&mut self, term: &Term) -> u32 {
        if let Some(slot) = self.by_term.get(term) {
            return *slot;
        }
        let slot = match term {
            Term::Field(field) if term.multiplicity() == Multiplicity::One => Slot::One(field.clone()),
            Term::Field(field) => Slot::Many(field.clone()),
            Term::Call { function, args, index } => {
                let args = args.iter().map(|arg| match arg {
                    TermArg::Term(term) => SlotArg::Slot(self.of(term)),
                    TermArg::Literal(bytes) => SlotArg::Literal(bytes.clone()),
                });
                Slot::Call { function: *function, args: args.collect(), index: index.clone() }
            }
        };
        self.slots.push(slot);
        let number = (self.slots.len() - 1) as u32;
        self.by_term.insert(term.clone(), number);
        number
    }

    #[inline]
    pub fn get(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }
}

/// A condition of a rule, as evaluated for one event type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Root {
    /// The rule.
    pub rule: u32,
    /// The step, if it is a sequence; else 0.
    pub step: u32,
    /// What is left of the condition.
    pub node: NodeId,
    /// Whether the condition says anything about the result of the call.
    pub asks_for_result: bool,
}

/// What a rule reads when it matches.
#[derive(Debug, Default)]
pub(crate) struct RuleSlots {
    /// One for each part of the output that is a value.
    pub output: Vec<u32>,
    /// The keys of its threshold.
    pub by: Vec<u32>,
    /// The keys of each step of its sequence.
    pub steps: Vec<Vec<u32>>,
    /// The value that its threshold counts.
    pub distinct: Option<u32>,
    /// The keys of its throttle.
    pub throttle: Vec<u32>,
}

/// The program.
#[derive(Debug)]
pub(crate) struct Program {
    pub graph: Graph,
    pub tests: Vec<TestSpec>,
    pub slots: Slots,
    /// For each event type, the conditions to evaluate, in the order of the rules.
    pub roots: Vec<Vec<Root>>,
    /// For each rule, what it reads when it matches.
    pub rules: Vec<RuleSlots>,
}

/// Compiles rules. Those that are off get no root.
pub(crate) fn compile(rules: &[Rule]) -> Program {
    let mut slots = Slots::default();
    let mut graph = Graph::default();
    let mut tests = matcher::Tests::default();
    let mut whole = Vec::new();
    for (index, rule) in rules.iter().enumerate().filter(|(_, r)| r.is_active()) {
        for (step, condition) in rule.conditions().into_iter().enumerate() {
            let node = graph.add(&merge::merged(&condition.cond), &mut tests, &mut slots);
            let asks_for_result = condition.asks_for_result();
            whole.push(Root { rule: index as u32, step: step as u32, node, asks_for_result });
        }
    }
    let tests = tests.into_specs();
    let roots = EventType::ALL
        .iter()
        .map(|event_type| {
            let mut folded = fold::Folder::new(&mut graph, &tests, *event_type);
            let specialised = whole.iter().map(|root| Root { node: folded.fold(root.node), ..*root });
            specialised.filter(|root| root.node != Graph::FALSE).collect()
        })
        .collect::<Vec<Vec<Root>>>();
    graph.mark_shared(&roots);
    let rules = rules.iter().map(|rule| rule_slots(rule, &mut slots)).collect();
    Program { graph, tests, slots, roots, rules }
}

fn rule_slots(rule: &Rule, slots: &mut Slots) -> RuleSlots {
    use crate::rule::Detection;
    let output = rule.output.parts.iter().filter_map(|part| match part {
        OutputPart::Value { term, .. } => Some(slots.of(term)),
        OutputPart::Text(_) => None,
    });
    let mut read = RuleSlots { output: output.collect(), ..RuleSlots::default() };
    let keys = match &rule.detection {
        Detection::Single(_) => &[][..],
        Detection::Threshold(threshold) => {
            read.distinct = threshold.distinct.as_ref().map(|t| slots.of(t));
            &threshold.by
        }
        Detection::Sequence(sequence) => {
            let steps = sequence.steps.iter();
            read.steps = steps.map(|step| step.by.iter().map(|t| slots.of(t)).collect()).collect();
            &[][..]
        }
    };
    read.by = keys.iter().map(|t| slots.of(t)).collect();
    read.throttle = rule.throttle.iter().flat_map(|t| &t.by).map(|t| slots.of(t)).collect();
    read
}
