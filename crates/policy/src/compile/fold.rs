//! A condition for one event type: what the type decides is folded away, and the rest is put in order of cost.
//!
//! Comparisons have no effect but their result, so the parts of an `and` or `or` can be evaluated in any order. The
//! cheapest order on average is by cost over the chance to decide: in an `and`, a part that is usually false comes
//! early, and a tuned exception (`not (…)`, usually true) late.

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
    event_type: EventType,
    folded: FxHashMap<NodeId, NodeId>,
    estimates: FxHashMap<NodeId, Estimate>,
}

impl<'g> Folder<'g> {
    pub fn new(graph: &'g mut Graph, tests: &'g [TestSpec], event_type: EventType) -> Self {
        Self { graph, tests, event_type, folded: FxHashMap::default(), estimates: FxHashMap::default() }
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
        let rank = |estimate: Estimate| {
            let decides = if deciding == Graph::FALSE { 1.0 - estimate.holds } else { estimate.holds };
            estimate.cost / decides.max(0.001)
        };
        let mut ranked: Vec<_> = folded.iter().map(|p| (rank(self.estimate(*p)), *p)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.into_iter().map(|(_, part)| part).collect()
    }

    fn estimate(&mut self, node: NodeId) -> Estimate {
        if let Some(estimate) = self.estimates.get(&node) {
            return *estimate;
        }
        let estimate = match self.graph.get(node).clone() {
            Node::False => Estimate { cost: 0.0, holds: 0.0 },
            Node::True => Estimate { cost: 0.0, holds: 1.0 },
            Node::Test(test) => {
                let test = &self.tests[test as usize];
                Estimate { cost: test.cost as f32, holds: test.chance() }
            }
            Node::Not(inner) => {
                let inner = self.estimate(inner);
                Estimate { holds: 1.0 - inner.holds, ..inner }
            }
            Node::And(parts) => self.sequence(&parts, |holds| holds),
            Node::Or(parts) => {
                let none = self.sequence(&parts, |holds| 1.0 - holds);
                Estimate { holds: 1.0 - none.holds, ..none }
            }
        };
        self.estimates.insert(node, estimate);
        estimate
    }

    /// Parts evaluated in order for as long as `goes_on` says (as a chance), each for a little more than its own cost.
    fn sequence(&mut self, parts: &[NodeId], goes_on: impl Fn(f32) -> f32) -> Estimate {
        let mut all = Estimate { cost: 1.0, holds: 1.0 };
        for part in parts {
            let part = self.estimate(*part);
            all.cost += part.cost * all.holds;
            all.holds *= goes_on(part.holds);
        }
        all
    }
}

/// What a part costs on average, and the chance that it holds.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    cost: f32,
    holds: f32,
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
