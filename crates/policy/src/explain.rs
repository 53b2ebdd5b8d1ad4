//! What a rule comes down to: its branches, and what of them the kernel can decide.

mod branch;
mod kernel;
mod trace;

pub use branch::{Branch, Literal, branches};
pub use kernel::{Decision, can_deny, decision};
pub use trace::{AtomTrace, ConditionTrace, Tracer};

use serde::Serialize;

use crate::check::Atom;
use crate::event_type::EventType;
use crate::field::Dimension;
use crate::rule::{Action, Condition, Detection, Rule};
use crate::set::PolicySet;
use crate::spelling;

/// A rule, explained.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The rule's name.
    pub rule: String,
    /// The event types for which it is evaluated.
    pub event_types: Vec<EventType>,
    /// Its condition, or the conditions of its steps.
    pub conditions: Vec<ConditionExplanation>,
    /// Whether the kernel alone can decide it, so that it may deny.
    pub exact: bool,
}

/// A condition, explained.
#[derive(Debug, Clone, Serialize)]
pub struct ConditionExplanation {
    /// The step it belongs to, in a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The condition with its macros expanded.
    pub condition: String,
    /// The branches: the condition holds if all literals of one of them do.
    pub branches: Vec<BranchExplanation>,
    /// Whether some parts were too large to be put into branches and stand as one literal.
    pub truncated: bool,
}

/// A branch, explained.
#[derive(Debug, Clone, Serialize)]
pub struct BranchExplanation {
    /// The event types it is for.
    pub event_types: Vec<EventType>,
    /// Its comparisons.
    pub literals: Vec<LiteralExplanation>,
    /// The dimensions in which the kernel can exclude it.
    pub dimensions: Vec<Dimension>,
    /// Whether the kernel decides all of it.
    pub exact: bool,
}

/// A comparison, explained.
#[derive(Debug, Clone, Serialize)]
pub struct LiteralExplanation {
    /// The comparison, with `not` if it must fail.
    pub text: String,
    /// Its dimension in the kernel's classifier.
    pub dimension: Dimension,
    /// What the kernel can do with it.
    #[serde(flatten)]
    pub decision: Decision,
    /// The spellings that a path in it stands for besides its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// Explains a rule of a set.
pub fn explain(set: &PolicySet, rule_index: usize) -> Option<Explanation> {
    let rule = set.rules().get(rule_index)?;
    let names: Vec<Option<String>> = match &rule.detection {
        Detection::Single(_) | Detection::Threshold(_) => vec![None],
        Detection::Sequence(sequence) => sequence.steps.iter().map(|s| Some(s.name.clone())).collect(),
    };
    let conditions: Vec<_> = names
        .into_iter()
        .zip(rule.conditions())
        .map(|(step, condition)| explain_condition(step, condition))
        .collect();
    let exact = matches!(rule.detection, Detection::Single(_))
        && conditions.iter().all(|c| !c.truncated && c.branches.iter().all(|b| b.exact));
    Some(Explanation {
        rule: rule.name.clone(),
        event_types: set.event_types_of(rule_index).iter().collect(),
        conditions,
        exact,
    })
}

fn explain_condition(step: Option<String>, condition: &Condition) -> ConditionExplanation {
    let (branches, truncated) = branches(&condition.cond);
    let branches = branches.iter().map(|branch| {
        let literals: Vec<_> = branch.literals.iter().map(explain_literal).collect();
        let mut dimensions: Vec<_> =
            literals.iter().filter(|l| l.decision != Decision::No).map(|l| l.dimension).collect();
        dimensions.sort_unstable();
        dimensions.dedup();
        let exact = literals.iter().all(|l| l.decision == Decision::Exactly);
        BranchExplanation { event_types: branch.event_types.iter().collect(), literals, dimensions, exact }
    });
    ConditionExplanation { step, condition: condition.text.clone(), branches: branches.collect(), truncated }
}

fn explain_literal(literal: &Literal) -> LiteralExplanation {
    match literal {
        Literal::Opaque { text } => LiteralExplanation {
            text: text.clone(),
            dimension: Dimension::UserSpace,
            decision: Decision::No,
            also: Vec::new(),
        },
        Literal::Atom { atom, holds } => LiteralExplanation {
            text: if *holds { atom.text.clone() } else { format!("not {}", atom.text) },
            dimension: kernel::dimension(atom),
            decision: decision(atom),
            also: merged_spellings(atom),
        },
    }
}

/// The values of a comparison of paths that were added for the merged spelling.
fn merged_spellings(atom: &Atom) -> Vec<String> {
    let crate::check::Test::Text(_, values) = &atom.test else { return Vec::new() };
    let words: Vec<&str> = atom.text.split([' ', '(', ')', ',', '"']).collect();
    let added = values.iter().enumerate().filter(|(i, v)| {
        let other = spelling::merged(v);
        other.is_some_and(|other| values[..*i].contains(&other))
            && !words.contains(&&*String::from_utf8_lossy(v))
    });
    added.map(|(_, v)| String::from_utf8_lossy(v).into_owned()).collect()
}

/// The comparisons that keep the kernel from deciding a rule that denies, each with the reason. Empty for others.
pub fn undecidable(rule: &Rule) -> Vec<(String, Option<crate::source::Span>, &'static str)> {
    if rule.action != Action::Deny {
        return Vec::new();
    }
    let Detection::Single(condition) = &rule.detection else {
        return vec![(
            rule.name.clone(),
            None,
            "the kernel decides single events; it counts and remembers none",
        )];
    };
    let (branches, truncated) = branches(&condition.cond);
    let mut found: Vec<(String, Option<crate::source::Span>, &'static str)> = Vec::new();
    if truncated {
        found.push((rule.name.clone(), None, "the condition has too many branches for the kernel"));
    }
    for branch in &branches {
        for event_type in branch.event_types.iter().filter(|t| !can_deny(*t)).take(1) {
            let reason = "the kernel has no hook that can refuse this event";
            found.push((format!("evt.type = {event_type}"), None, reason));
        }
        for literal in &branch.literals {
            if let Literal::Atom { atom, .. } = literal
                && let Some(reason) = kernel::why_not_exact(atom)
            {
                found.push((atom.text.clone(), Some(atom.span), reason));
            }
        }
    }
    found.sort_by_key(|(text, span, _)| (span.map(|s| (s.source, s.start)), text.clone()));
    found.dedup();
    found
}
