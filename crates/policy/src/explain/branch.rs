//! A condition as branches: a disjunction of conjunctions, bounded.

use std::sync::Arc;

use crate::check::{Atom, Cond, Test, TextOp};
use crate::event_type::{EventType, EventTypes};
use crate::field::FieldId;
use crate::term::Term;

/// How many branches a condition may have. A part with more stands as one literal that nobody decides.
pub const MAX_BRANCHES: usize = 256;
/// How many comparisons a branch may have.
const MAX_LITERALS: usize = 128;

/// A conjunction.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The event types for which it can hold.
    pub event_types: EventTypes,
    /// What must hold besides.
    pub literals: Vec<Literal>,
}

/// A part of a branch.
#[derive(Debug, Clone)]
pub enum Literal {
    /// A comparison that must hold, or fail. Without a value it fails.
    Atom {
        /// The comparison.
        atom: Arc<Atom>,
        /// Whether it must hold.
        holds: bool,
    },
    /// A part that was too large: only the whole condition says whether it holds.
    Opaque {
        /// What it is.
        text: String,
    },
}

impl Literal {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Atom { atom: a, holds: x }, Self::Atom { atom: b, holds: y }) => {
                x == y && a.text == b.text
            }
            (Self::Opaque { text: a }, Self::Opaque { text: b }) => a == b,
            _ => false,
        }
    }

    fn contradicts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Atom { atom: a, holds: x }, Self::Atom { atom: b, holds: y }) => {
                x != y && a.text == b.text
            }
            _ => false,
        }
    }
}

/// The branches of a condition, and whether some part of it was too large for them.
///
/// Every event for which the condition holds fulfils one of the branches; without opaque literals, and only then, the
/// converse is true as well.
pub fn branches(cond: &Cond) -> (Vec<Branch>, bool) {
    let mut truncated = false;
    let branches = expand(cond, true, &mut truncated);
    (branches, truncated)
}

fn always() -> Branch {
    Branch { event_types: EventTypes::all(), literals: Vec::new() }
}

fn expand(cond: &Cond, holds: bool, truncated: &mut bool) -> Vec<Branch> {
    match (cond, holds) {
        (Cond::Not(inner), _) => expand(inner, !holds, truncated),
        (Cond::And(parts), true) | (Cond::Or(parts), false) => conjunction(parts, holds, truncated),
        (Cond::Or(parts), true) | (Cond::And(parts), false) => {
            let mut all: Vec<Branch> = Vec::new();
            for part in parts {
                for branch in expand(part, holds, truncated) {
                    merge(&mut all, branch);
                }
                if all.len() > MAX_BRANCHES {
                    all = opaque(&all, truncated);
                }
            }
            all
        }
        (Cond::Atom(atom), _) => match event_types_of(atom) {
            Some(types) => {
                let event_types = if holds { types } else { types.complement() };
                if event_types.is_empty() { Vec::new() } else { vec![Branch { event_types, ..always() }] }
            }
            None => {
                let literals = vec![Literal::Atom { atom: Arc::clone(atom), holds }];
                vec![Branch { literals, ..always() }]
            }
        },
    }
}

/// Adds a branch; one that differs in event types only widens the other.
fn merge(all: &mut Vec<Branch>, branch: Branch) {
    let same = |b: &&mut Branch| {
        b.literals.len() == branch.literals.len()
            && b.literals.iter().zip(&branch.literals).all(|(x, y)| x.same(y))
    };
    match all.iter_mut().find(same) {
        Some(other) => other.event_types = other.event_types.union(branch.event_types),
        None => all.push(branch),
    }
}

fn conjunction(parts: &[Cond], holds: bool, truncated: &mut bool) -> Vec<Branch> {
    let mut expanded: Vec<Vec<Branch>> = parts.iter().map(|p| expand(p, holds, truncated)).collect();
    // The parts with fewest branches first: the event types decide early, and what cannot be multiplied comes last.
    expanded.sort_by_key(Vec::len);
    let mut product = vec![always()];
    for part in expanded {
        let multiplied = multiply(&product, &part);
        product = match multiplied {
            Some(multiplied) => multiplied,
            // Too many: this part as one literal is sound, for it only widens the branches.
            None => multiply(&product, &opaque(&part, truncated)).unwrap_or(product),
        };
    }
    product
}

fn multiply(left: &[Branch], right: &[Branch]) -> Option<Vec<Branch>> {
    let mut product: Vec<Branch> = Vec::new();
    for a in left {
        for b in right {
            let event_types = a.event_types.intersection(b.event_types);
            if event_types.is_empty()
                || a.literals.iter().any(|x| b.literals.iter().any(|y| x.contradicts(y)))
            {
                continue;
            }
            let mut literals = a.literals.clone();
            for literal in &b.literals {
                if !literals.iter().any(|l| l.same(literal)) {
                    literals.push(literal.clone());
                }
            }
            if literals.len() > MAX_LITERALS {
                return None;
            }
            merge(&mut product, Branch { event_types, literals });
            if product.len() > MAX_BRANCHES {
                return None;
            }
        }
    }
    Some(product)
}

/// Many branches as one literal per event type set.
fn opaque(branches: &[Branch], truncated: &mut bool) -> Vec<Branch> {
    *truncated = true;
    let event_types = branches.iter().fold(EventTypes::NONE, |all, b| all.union(b.event_types));
    let text = format!("({} branches)", branches.len());
    vec![Branch { event_types, literals: vec![Literal::Opaque { text }] }]
}

/// The event types for which a comparison of the event type holds, if it is one.
pub(crate) fn event_types_of(atom: &Atom) -> Option<EventTypes> {
    let Term::Field(field) = &atom.term else { return None };
    if !matches!(field.id, FieldId::EvtType | FieldId::SyscallType) {
        return None;
    }
    let Test::Text(TextOp::Equal, names) = &atom.test else { return None };
    let types: EventTypes =
        names.iter().filter_map(|n| EventType::from_name(std::str::from_utf8(n).ok()?)).collect();
    Some(if atom.negated { types.complement() } else { types })
}
