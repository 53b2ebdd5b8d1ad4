//! Findings about policies that load, but probably do not do what was meant.

use super::collect::Definitions;
use crate::diagnostic::{Code, Diagnostic};
use crate::rule::Rule;
use crate::source::Span;

/// Lists and macros that nothing uses.
pub(super) fn unused(definitions: &Definitions, diagnostics: &mut Vec<Diagnostic>) {
    unused_where(definitions, |_| true, diagnostics);
}

/// Lists and macros that nothing uses, among those defined where `wanted` says.
pub(super) fn unused_where(
    definitions: &Definitions,
    wanted: impl Fn(Span) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (name, list) in
        definitions.lists.iter().filter(|(_, l)| !l.built_in && !l.used.get() && wanted(l.span))
    {
        diagnostics.push(Diagnostic::note(
            Code::Unused,
            list.span,
            format!("nothing uses the list `{name}`"),
        ));
    }
    for (name, item) in definitions.macros.iter().filter(|(_, m)| !m.used.get() && wanted(m.span)) {
        diagnostics.push(Diagnostic::note(
            Code::Unused,
            item.span,
            format!("nothing uses the macro `{name}`"),
        ));
    }
}

/// Findings about the rules.
pub fn lint_rules(rules: &[Rule], diagnostics: &mut Vec<Diagnostic>) {
    for rule in rules {
        not_filled(rule, diagnostics);
    }
}

/// Fields that the sensor does not fill yet.
fn not_filled(rule: &Rule, diagnostics: &mut Vec<Diagnostic>) {
    let mut named = Vec::new();
    for condition in rule.conditions() {
        for atom in condition.cond.atoms() {
            for field in atom.term.fields() {
                if !field.id.info().filled && !named.contains(&field.id) {
                    named.push(field.id);
                    let message = format!("the sensor does not fill `{field}` yet; the comparison is false");
                    diagnostics.push(Diagnostic::note(Code::NotFilled, atom.span, message).about(&rule.name));
                }
            }
        }
    }
}
