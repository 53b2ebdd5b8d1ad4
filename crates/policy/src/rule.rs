//! A checked rule: what people see of it, and what it needs to be decided.

use std::time::Duration;

use serde::Serialize;

pub use crate::document::native::{Action, Mode, PolicyKind, Scope};

pub use vedette_event::alert::{Level, Priority};

use crate::check::Cond;
use crate::document::item::ExceptionItem;
use crate::field::{FieldId, FieldName};
use crate::output::Output;
use crate::source::Span;
use crate::term::Term;

/// Where a rule comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PolicyRef {
    /// The kind of native policy; `None` for a Falco file.
    pub kind: Option<PolicyKind>,
    /// The name of the policy, or of the file.
    pub name: String,
    /// The namespace of a `SecurityPolicy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A rule that has been checked.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub desc: String,
    /// How urgent its alerts are.
    pub priority: Priority,
    /// Its tags, as written.
    pub tags: Vec<String>,
    /// The ids of the ATT&CK techniques that it is about, such as `T1059.004`: those it lists, and those among its tags.
    pub attack: Vec<String>,
    /// For whom it is.
    pub level: Level,
    /// Whether the level that was asked for has it.
    pub selected: bool,
    /// What it says to who reads its alerts.
    pub guide: Option<Guide>,
    /// The event source: `syscall`.
    pub source: String,
    /// Whether it is on.
    pub enabled: bool,
    /// What it does when it matches.
    pub action: Action,
    /// Whether it acts, or says what it would have done.
    pub mode: Mode,
    /// Where it comes from.
    pub policy: PolicyRef,
    /// To whom it applies.
    pub scope: Scope,
    /// What makes it match.
    pub detection: Detection,
    /// The text of its alerts.
    pub output: Output,
    /// How often it may raise an alert.
    pub throttle: Option<Throttle>,
    /// Where its name is written.
    pub span: Span,
    /// Whether it wants to hear that it names no event type.
    pub warn_evttypes: bool,
}

/// What a rule says to who reads its alerts.
#[derive(Debug, Clone, Default)]
pub struct Guide {
    /// What an alert means.
    pub meaning: String,
    /// Why that is bad.
    pub why: String,
    /// What to do now: the end of each alert's text.
    pub response: String,
    /// Known causes that are no attack.
    pub benign: Vec<Benign>,
}

/// A known cause of alerts that is no attack.
#[derive(Debug, Clone)]
pub struct Benign {
    /// Who does this, and when.
    pub cause: String,
    /// The exception for it, ready to be enabled; it has been checked with the rule.
    pub exception: Option<ExceptionItem>,
}

impl Rule {
    /// Whether it is evaluated at all.
    pub fn is_active(&self) -> bool {
        self.enabled && self.selected && self.mode != Mode::Disabled
    }

    /// Its name as a word: small letters, digits and `_`. Tests and anchors are called by it.
    pub fn slug(&self) -> String {
        slug(&self.name)
    }

    /// Its conditions: one, or those of the steps of a sequence.
    pub fn conditions(&self) -> Vec<&Condition> {
        match &self.detection {
            Detection::Single(condition) => vec![condition],
            Detection::Threshold(threshold) => vec![&threshold.condition],
            Detection::Sequence(sequence) => sequence.steps.iter().map(|s| &s.condition).collect(),
        }
    }

    /// The terms, besides its conditions, that it reads from an event: for the output, the keys and the count.
    pub fn output_terms(&self) -> impl Iterator<Item = &Term> {
        let keys: Vec<&Term> = match &self.detection {
            Detection::Single(_) => Vec::new(),
            Detection::Threshold(t) => t.by.iter().chain(t.distinct.as_ref()).collect(),
            Detection::Sequence(s) => s.steps.iter().flat_map(|step| &step.by).collect(),
        };
        let throttle = self.throttle.iter().flat_map(|t| t.by.iter());
        self.output.terms().chain(keys).chain(throttle)
    }

    /// The fields that its conditions read, those of its scope included; sorted, each once.
    pub fn condition_fields(&self) -> Vec<&FieldName> {
        let conditions = self.conditions();
        let atoms = conditions.iter().flat_map(|c| c.cond.atoms());
        sorted(atoms.flat_map(|atom| atom.fields()).collect())
    }

    /// The fields that its output, its keys and its count read; sorted, each once.
    pub fn output_fields(&self) -> Vec<&FieldName> {
        sorted(self.output_terms().flat_map(Term::fields).collect())
    }
}

fn sorted(mut fields: Vec<&FieldName>) -> Vec<&FieldName> {
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// A condition that has been checked, with its scope.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The condition, macros expanded, as text.
    pub text: String,
    /// The condition, typed.
    pub cond: Cond,
}

impl Condition {
    /// Whether it says anything about what the call returned. Only then is it evaluated for programs that could not be
    /// started: a shell tries one directory after the other, and a rule about programs that run means none of that.
    pub fn asks_for_result(&self) -> bool {
        self.cond.atoms().iter().flat_map(|atom| atom.fields()).any(is_result)
    }
}

fn is_result(field: &FieldName) -> bool {
    match field.id {
        FieldId::EvtRes | FieldId::EvtRawres | FieldId::EvtFailed | FieldId::EvtCountError => true,
        // The result is the first argument.
        FieldId::EvtArg | FieldId::EvtRawarg => {
            field.arg.key() == Some("res") || field.arg.index() == Some(0)
        }
        _ => false,
    }
}

/// What makes a rule match.
#[derive(Debug, Clone)]
pub enum Detection {
    /// One event.
    Single(Condition),
    /// So many events in so much time.
    Threshold(Threshold),
    /// Several events, one after the other.
    Sequence(Sequence),
}

/// So many events in so much time.
#[derive(Debug, Clone)]
pub struct Threshold {
    /// Which events count.
    pub condition: Condition,
    /// How many it takes.
    pub count: u32,
    /// Count different values of this instead of events.
    pub distinct: Option<Term>,
    /// What the events have in common.
    pub by: Vec<Term>,
    /// In how much time.
    pub within: Duration,
}

/// Several events, one after the other.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// The events.
    pub steps: Vec<Step>,
    /// What they have in common, unless a step says otherwise.
    pub by: Vec<Term>,
    /// How long the whole may take.
    pub within: Duration,
    /// Whether they may come in any order.
    pub any_order: bool,
}

/// One event of a sequence.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name in the alert.
    pub name: String,
    /// Where it has what the events have in common: the sequence's fields, or others in their places.
    pub by: Vec<Term>,
    /// Its condition.
    pub condition: Condition,
}

/// How often a rule may raise an alert.
#[derive(Debug, Clone)]
pub struct Throttle {
    /// What makes alerts the same.
    pub by: Vec<Term>,
    /// One at once, then one summary for each interval.
    pub interval: Duration,
}

/// A name as a word: small letters and digits, and `_` for all between.
pub fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// The ATT&CK technique ids among tags: `T1234` or `T1234.567`, with or without a prefix such as `attack.`.
pub fn attack_ids(tags: &[String]) -> Vec<String> {
    tags.iter().filter_map(|tag| attack_id(tag)).collect()
}

fn attack_id(tag: &str) -> Option<String> {
    let upper = tag.to_ascii_uppercase();
    let id = upper.strip_prefix("ATTACK.").unwrap_or(&upper);
    let (technique, sub) = match id.split_once('.') {
        Some((technique, sub)) => (technique, Some(sub)),
        None => (id, None),
    };
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let good = digits(technique.strip_prefix('T')?, 4) && sub.is_none_or(|s| digits(s, 3));
    good.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_words() {
        assert_eq!(slug("Scan, then a way-out (T1)"), "scan_then_a_way_out_t1");
    }

    #[test]
    fn attack_ids_among_tags() {
        let tags = ["host", "T1059.004", "attack.t1003", "Tea", "T10"].map(str::to_owned);
        assert_eq!(attack_ids(&tags), ["T1059.004", "T1003"]);
    }
}
