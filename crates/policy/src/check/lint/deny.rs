//! `action: Deny` on a rule that the kernel cannot decide alone.

use crate::diagnostic::{Code, Diagnostic};
use crate::explain::undecidable;
use crate::rule::Rule;

pub(super) fn check(rule: &Rule, found: &mut Vec<Diagnostic>) {
    for (text, span, reason) in undecidable(rule) {
        let message = format!(
            "a rule that denies must be decided by the kernel, which cannot decide `{text}`: {reason}"
        );
        let hint = "leave the comparison out, or use `action: Kill`, which user space does after the match";
        let span = span.unwrap_or(rule.span);
        found.push(Diagnostic::error(Code::NotDecidable, span, message).with_hint(hint));
    }
}
