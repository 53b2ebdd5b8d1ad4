//! Running the program on an event.

mod cache;
mod transform;

pub(crate) use cache::{Cache, CacheState};

use crate::compile::{Graph, Matcher, Node, NodeId, Program, Slot, SlotArg};
use crate::facts::Facts;
use crate::resolve::Resolver;

/// What is known of nodes and tests for the current event; kept between events for its memory only.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// For each node, twice the number of the event for which its result is known, plus the result.
    results: Vec<u64>,
}

impl Memo {
    pub fn for_program(program: &Program) -> Self {
        Self { results: vec![0; program.graph.len()] }
    }
}

/// One event being evaluated.
pub(crate) struct Run<'p, 'a, 'm, F: Facts> {
    pub program: &'p Program,
    pub facts: &'a F,
    pub cache: Cache<'a>,
    pub memo: &'m mut Memo,
    /// Number of the event, from 1.
    pub event: u64,
    pub resolver: &'p dyn Resolver,
}

impl<F: Facts> Run<'_, '_, '_, F> {
    /// Whether a condition holds.
    #[inline]
    pub fn holds(&mut self, node: NodeId) -> bool {
        let program = self.program;
        if !program.graph.is_shared(node) {
            return self.decide(&program.graph, node);
        }
        let known = self.memo.results[node as usize];
        if known >> 1 == self.event {
            return known & 1 != 0;
        }
        let holds = self.decide(&program.graph, node);
        self.memo.results[node as usize] = self.event << 1 | u64::from(holds);
        holds
    }

    fn decide(&mut self, graph: &Graph, node: NodeId) -> bool {
        match graph.get(node) {
            Node::False => false,
            Node::True => true,
            Node::Not(inner) => !self.holds(*inner),
            Node::And(parts) => parts.iter().all(|part| self.holds(*part)),
            Node::Or(parts) => parts.iter().any(|part| self.holds(*part)),
            Node::Test(test) => self.test(*test),
        }
    }

    /// Whether a condition holds whatever the facts that are awaited will be; `None` where that depends on them.
    pub fn holds_regardless(&mut self, node: NodeId) -> Option<bool> {
        let program = self.program;
        // Of `and` and `or`, one part may decide while others are open.
        let mut joined = |parts: &[NodeId], deciding: bool| {
            let mut open = false;
            for part in parts {
                match self.holds_regardless(*part) {
                    Some(holds) if holds == deciding => return Some(deciding),
                    Some(_) => {}
                    None => open = true,
                }
            }
            (!open).then_some(!deciding)
        };
        match program.graph.get(node) {
            Node::False => Some(false),
            Node::True => Some(true),
            Node::And(parts) => joined(parts, false),
            Node::Or(parts) => joined(parts, true),
            Node::Not(inner) => self.holds_regardless(*inner).map(|holds| !holds),
            Node::Test(test) => {
                let spec = &program.tests[*test as usize];
                let awaited = self.is_awaited(spec.slot)
                    || spec.matcher.other_slot().is_some_and(|other| self.is_awaited(other));
                (!awaited).then(|| self.test(*test))
            }
        }
    }

    fn is_awaited(&self, slot: u32) -> bool {
        match self.program.slots.get(slot) {
            Slot::One(field) | Slot::Many(field) => self.facts.is_awaited(field.id),
            Slot::Call { args, .. } => args.iter().any(|arg| match arg {
                SlotArg::Slot(inner) => self.is_awaited(*inner),
                SlotArg::Literal(_) => false,
            }),
        }
    }

    fn test(&mut self, test: u32) -> bool {
        let test = &self.program.tests[test as usize];
        let values = self.cache.read(self.program, self.facts, test.slot);
        match &test.matcher {
            Matcher::Host { address, .. } => {
                let address = self.cache.read(self.program, self.facts, *address);
                let (names, addresses) = (self.cache.values(values), self.cache.values(address));
                test.holds_for_host(names, addresses, |host, ip| self.resolver.is_host(host, ip))
            }
            Matcher::NumberField(_, other) | Matcher::TextField(_, other) | Matcher::InField(other) => {
                let other = self.cache.read(self.program, self.facts, *other);
                let others = self.cache.values(other);
                test.holds_with(self.cache.values(values), |v| {
                    !others.is_empty() && test.matcher.passes_against(v, others)
                        || others.is_empty() && test.negated
                })
            }
            _ => test.holds(self.cache.values(values)),
        }
    }
}
