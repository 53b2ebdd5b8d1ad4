//! A condition for one event type: what the type decides is folded away, and the rest is put in order of cost.
//!
//! Comparisons have no effect but their result, so the parts of an `and` or `or` can be evaluated in any order.

use rustc_hash::FxHashMap;

use super::graph::{Graph, Node, NodeId};
use super::matcher::{Matcher, TestSpec};
use crate::check::NumberOp;
use crate::event_type::EventType;
use crate::field::{FieldArg, FieldId, FieldName};
use crate::term::Term;
use crate::value::Value;

/// Folds conditions for one event type.
pub(super) struct Folder<'g> {
    graph: &'g mut Graph,
    tests: &'g [TestSpec],
    costs: &'g [u32],
    event_type: EventType,
    folded: FxHashMap<NodeId, NodeId>,
    node_costs: FxHashMap<NodeId, u32>,
}

impl<'g> Folder<'g> {
    pub fn new(graph: &'g mut Graph, tests: &'g [TestSpec], costs: &'g [u32], event_type: EventType) -> Self {
        Self {
            graph,
            tests,
            costs,
            event_type,
            folded: FxHashMap::default(),
            node_costs: FxHashMap::default(),
        }
    }

    /// What is left of a condition.
    pub fn fold(&mut self, node: NodeId) -> NodeId {
        if let Some(folded) = self.folded.get(&node) {
            return *folded;
        }
        let folded = match self.graph.get(node).clone() {
            Node::False | Node::True => node,
            Node::Test(test) => match decided(&self.tests[test as usize], self.event_type) {
                Some(true) => Graph::TRUE,
                Some(false) => Graph::FALSE,
                None => node,
            },
            Node::Not(inner) => {
                let inner = self.fold(inner);
                self.graph.not(inner)
            }
            Node::And(parts) => {
                let parts = self.fold_parts(&parts, Graph::FALSE);
                self.graph.and(parts)
            }
            Node::Or(parts) => {
                let parts = self.fold_parts(&parts, Graph::TRUE);
                self.graph.or(parts)
            }
        };
        self.folded.insert(node, folded);
        folded
    }

    fn fold_parts(&mut self, parts: &[NodeId], deciding: NodeId) -> Vec<NodeId> {
        let mut folded = Vec::with_capacity(parts.len());
        for part in parts {
            let part = self.fold(*part);
            folded.push(part);
            if part == deciding {
                return folded;
            }
        }
        let costs: Vec<u32> = folded.iter().map(|p| self.cost(*p)).collect();
        let mut order: Vec<usize> = (0..folded.len()).collect();
        order.sort_by_key(|i| costs[*i]);
        order.into_iter().map(|i| folded[i]).collect()
    }

    fn cost(&mut self, node: NodeId) -> u32 {
        if let Some(cost) = self.node_costs.get(&node) {
            return *cost;
        }
        let cost = match self.graph.get(node).clone() {
            Node::False | Node::True => 0,
            Node::Test(test) => self.costs[test as usize],
            Node::Not(inner) => self.cost(inner),
            // The later parts are reached less often.
            Node::And(parts) | Node::Or(parts) => {
                parts.iter().enumerate().map(|(i, p)| self.cost(*p) / (i as u32 + 1).min(4)).sum::<u32>() + 1
            }
        };
        self.node_costs.insert(node, cost);
        cost
    }
}

/// The result of a test, if the event type alone decides it.
fn decided(test: &TestSpec, event_type: EventType) -> Option<bool> {
    let Term::Field(FieldName { id, arg }) = &test.term else { return None };
    let value = match id {
        FieldId::EvtType | FieldId::SyscallType => Value::str(event_type.name()),
        FieldId::EvtCategory => Value::str(event_type.category().as_str()),
        FieldId::EvtSource => Value::str("syscall"),
        FieldId::EvtDir => Value::str("<"),
        FieldId::EvtCount | FieldId::EvtCountExit => Value::Uint(1),
        FieldId::EvtTypeIs => {
            let FieldArg::Key(key) = arg else { return None };
            Value::Uint(u64::from(**key == *event_type.name()))
        }
        FieldId::EvtNum => return decided_number(test),
        _ => return None,
    };
    match test.matcher {
        Matcher::NumberField(..) | Matcher::TextField(..) | Matcher::InField(..) | Matcher::Host { .. } => {
            None
        }
        _ => Some(test.holds(std::slice::from_ref(&value))),
    }
}

/// Event numbers count from 1, so `evt.num = 0` never holds (people write it to mean "never"), `evt.num >= 0` always.
fn decided_number(test: &TestSpec) -> Option<bool> {
    let Matcher::Number(op, number) = test.matcher else { return None };
    let plain = match op {
        NumberOp::Eq if number < 1 => Some(false),
        NumberOp::Lt if number <= 1 => Some(false),
        NumberOp::Le if number < 1 => Some(false),
        NumberOp::Gt if number < 1 => Some(true),
        NumberOp::Ge if number <= 1 => Some(true),
        _ => None,
    };
    plain.map(|holds| holds != test.negated)
}
