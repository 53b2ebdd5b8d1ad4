//! The table: for each built-in rule an attack, and everyday work that looks like it.

mod credential_access;
mod defense_evasion;
mod execution;
mod impact;
mod persistence;
mod privilege_escalation;

use std::ffi::OsStr;

use crate::stage::Stage;

/// A rule with what must and what must not raise it. Both return the pid of the process that did everything, itself
/// or by its children.
#[derive(Clone, Copy)]
pub struct Case {
    /// Name of the rule.
    pub rule: &'static str,
    /// The attack.
    pub attack: fn(&Stage) -> u32,
    /// The benign twin.
    pub benign: fn(&Stage) -> u32,
}

/// All cases.
pub fn all() -> impl Iterator<Item = Case> {
    [
        credential_access::CASES,
        defense_evasion::CASES,
        execution::CASES,
        impact::CASES,
        persistence::CASES,
        privilege_escalation::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Shorthand for lists of arguments of several types.
fn os<T: AsRef<OsStr> + ?Sized>(text: &T) -> &OsStr {
    text.as_ref()
}
