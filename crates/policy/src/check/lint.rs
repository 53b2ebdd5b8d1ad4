//! Findings about policies that load, but probably do not do what was meant.

mod contradiction;
mod deny;
mod pattern;
mod shadow;

use super::collect::Definitions;
use crate::diagnostic::{Code, Diagnostic};
use crate::event_type::EventTypes;
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
    for (name, list) in definitions.lists.iter().filter(|(_, l)| !l.used.get() && wanted(l.span)) {
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

/// Findings about the rules. `event_types` gives those for which a rule, by its position, is evaluated.
pub fn lint_rules(
    rules: &[Rule],
    event_types: impl Fn(usize) -> EventTypes,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (index, rule) in rules.iter().enumerate() {
        let mut found = Vec::new();
        for condition in rule.conditions() {
            contradiction::check(&condition.cond, &mut found);
            for atom in condition.cond.atoms() {
                pattern::check(atom, &mut found);
            }
        }
        deny::check(rule, &mut found);
        no_event_type(rule, event_types(index), &mut found);
        not_filled(rule, &mut found);
        diagnostics.extend(found.into_iter().map(|d| d.about(&rule.name)));
    }
    shadow::check(rules, diagnostics);
}

/// A rule that names no event type is evaluated for each event.
fn no_event_type(rule: &Rule, event_types: EventTypes, found: &mut Vec<Diagnostic>) {
    if rule.is_active() && rule.warn_evttypes && event_types == EventTypes::all() {
        let message = "the condition names no event type, so the rule is evaluated for each event";
        let hint = "add such as `evt.type in (execve, execveat) and …`";
        found.push(Diagnostic::warning(Code::NoEventType, rule.span, message).with_hint(hint));
    }
}

/// Fields that the sensor does not fill yet.
fn not_filled(rule: &Rule, found: &mut Vec<Diagnostic>) {
    let mut named = Vec::new();
    for condition in rule.conditions() {
        for atom in condition.cond.atoms() {
            for field in atom.term.fields() {
                if !field.id.info().filled && !named.contains(&field.id) {
                    named.push(field.id);
                    let message = format!("the sensor does not fill `{field}` yet; the comparison is false");
                    found.push(Diagnostic::note(Code::NotFilled, atom.span, message));
                }
            }
        }
    }
}
