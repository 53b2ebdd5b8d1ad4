//! The graph of conditions: equal parts are one node.

use rustc_hash::{FxHashMap, FxHashSet};

use super::matcher::Tests;
use super::{Root, Slots};
use crate::check::Cond;

/// A node by its number.
pub(crate) type NodeId = u32;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    False,
    True,
    /// A test by its number.
    Test(u32),
    Not(NodeId),
    And(Box<[NodeId]>),
    Or(Box<[NodeId]>),
}

/// All nodes.
#[derive(Debug)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    shared: Vec<bool>,
    by_node: FxHashMap<Node, NodeId>,
}

impl Default for Graph {
    fn default() -> Self {
        let mut graph = Self { nodes: Vec::new(), shared: Vec::new(), by_node: FxHashMap::default() };
        graph.intern(Node::False);
        graph.intern(Node::True);
        graph
    }
}

impl Graph {
    pub const FALSE: NodeId = 0;
    pub const TRUE: NodeId = 1;

    #[inline]
    pub fn get(&self, node: NodeId) -> &Node {
        &self.nodes[node as usize]
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether a node hangs in more than one place, so that its result is worth keeping.
    #[inline]
    pub fn is_shared(&self, node: NodeId) -> bool {
        self.shared[node as usize]
    }

    pub fn intern(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.by_node.get(&node) {
            return *id;
        }
        let id = self.nodes.len() as NodeId;
        self.nodes.push(node.clone());
        self.by_node.insert(node, id);
        id
    }

    /// Adds a condition, in the order in which it is written.
    pub fn add(&mut self, cond: &Cond, tests: &mut Tests, slots: &mut Slots) -> NodeId {
        match cond {
            Cond::Atom(atom) => {
                let test = tests.of(atom, slots);
                self.intern(Node::Test(test))
            }
            Cond::Not(inner) => {
                let inner = self.add(inner, tests, slots);
                self.not(inner)
            }
            Cond::And(parts) => {
                let parts = parts.iter().map(|p| self.add(p, tests, slots)).collect();
                self.and(parts)
            }
            Cond::Or(parts) => {
                let parts = parts.iter().map(|p| self.add(p, tests, slots)).collect();
                self.or(parts)
            }
        }
    }

    pub fn not(&mut self, inner: NodeId) -> NodeId {
        match self.get(inner) {
            Node::False => Self::TRUE,
            Node::True => Self::FALSE,
            Node::Not(inner) => *inner,
            _ => self.intern(Node::Not(inner)),
        }
    }

    pub fn and(&mut self, parts: Vec<NodeId>) -> NodeId {
        match simplify(parts, Self::TRUE, Self::FALSE) {
            Ok(parts) => self.intern(Node::And(parts.into())),
            Err(one) => one,
        }
    }

    pub fn or(&mut self, parts: Vec<NodeId>) -> NodeId {
        match simplify(parts, Self::FALSE, Self::TRUE) {
            Ok(parts) => self.intern(Node::Or(parts.into())),
            Err(one) => one,
        }
    }

    /// Finds the nodes that several parents share.
    pub fn mark_shared(&mut self, roots: &[Vec<Root>]) {
        let mut parents = vec![0u8; self.nodes.len()];
        let mut seen = vec![false; self.nodes.len()];
        let mut open: Vec<NodeId> = Vec::new();
        for types in roots {
            // Per event type: two roots of one type that share a node evaluate it twice.
            let mut here: Vec<NodeId> = types.iter().map(|r| r.node).collect();
            here.sort_unstable();
            for pair in here.windows(2).filter(|pair| pair[0] == pair[1]) {
                parents[pair[0] as usize] = 2;
            }
            open.extend(here);
        }
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node as usize], true) {
                continue;
            }
            let children: &[NodeId] = match &self.nodes[node as usize] {
                Node::And(parts) | Node::Or(parts) => parts,
                Node::Not(inner) => std::slice::from_ref(inner),
                _ => &[],
            };
            for child in children {
                let count = &mut parents[*child as usize];
                *count = count.saturating_add(1);
                open.push(*child);
            }
        }
        self.shared = parents.iter().map(|p| *p > 1).collect();
    }
}

/// Without the neutral and double parts; `Err` is the one node that is left, or that decides.
fn simplify(parts: Vec<NodeId>, neutral: NodeId, deciding: NodeId) -> Result<Vec<NodeId>, NodeId> {
    if parts.contains(&deciding) {
        return Err(deciding);
    }
    let mut kept: Vec<NodeId> = Vec::with_capacity(parts.len());
    let mut seen: FxHashSet<NodeId> = FxHashSet::default();
    kept.extend(parts.into_iter().filter(|part| *part != neutral && seen.insert(*part)));
    match kept.as_slice() {
        [] => Err(neutral),
        [one] => Err(*one),
        _ => Ok(kept),
    }
}
