//! Changes to rules of native policies, as a rule file makes them to earlier rules: `override`, `append`, `enabled`.

use super::collect::{Definitions, priority};
use super::exceptions;
use crate::diagnostic::{Code, Diagnostic, Severity, nearest};
use crate::document::item::{At, ExceptionItem, Item, RuleChange, RuleFields, RuleItem};
use crate::document::native::{NativeRule, Policy};
use crate::rule::Level;
use crate::source::{MappedText, Span};

/// Carries an item out if it changes rules of the policies read before it. Gives it back if it is not about them.
pub(super) fn try_amend(
    item: Item,
    definitions: &Definitions,
    policies: &mut [Policy],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Item> {
    let Item::Rule(change) = item else { return Some(item) };
    let name = &change.name.value;
    if change.change == RuleChange::Define || definitions.rules.contains_key(name) {
        return Some(Item::Rule(change));
    }
    let before = diagnostics.len();
    let mut found = false;
    let rules = policies.iter_mut().flat_map(|policy| &mut policy.rules);
    for rule in rules.filter(|rule| rule.name.value == *name) {
        amend(rule, &change, diagnostics);
        found = true;
    }
    if !found && !policies.is_empty() {
        let native = policies.iter().flat_map(|policy| &policy.rules).map(|rule| rule.name.value.as_str());
        let known = native.chain(definitions.rules.keys().map(String::as_str));
        let hint = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        let message = format!("there is no earlier rule `{name}` to change");
        let error = Diagnostic::error(Code::NothingToOverride, change.name.span, message);
        diagnostics.push(error.with_some_hint(hint));
        found = true;
    }
    diagnostics[before..].iter_mut().for_each(|d| {
        d.subject.get_or_insert_with(|| name.clone());
    });
    (!found).then_some(Item::Rule(change))
}

fn amend(rule: &mut NativeRule, item: &RuleItem, diagnostics: &mut Vec<Diagnostic>) {
    let fields = &item.fields;
    match &item.change {
        RuleChange::Define => {}
        RuleChange::Switch => switch(rule, fields.enabled.as_ref()),
        RuleChange::Append => {
            let keys = ["condition", "exceptions"].map(str::to_owned);
            append(rule, fields, &keys, item.name.span, diagnostics);
        }
        RuleChange::Override { append: appended, replace: replaced } => {
            append(rule, fields, appended, item.name.span, diagnostics);
            replace(rule, fields, replaced, diagnostics);
        }
    }
}

/// Who switches a rule on by its name wants it at every level.
fn switch(rule: &mut NativeRule, enabled: Option<&At<bool>>) {
    rule.enabled = enabled.is_none_or(|enabled| enabled.value);
    if rule.enabled {
        rule.level = Some(At::new(Level::Default, rule.name.span));
    }
}

/// `old + " " + new`.
fn joined(old: &mut MappedText, new: &At<MappedText>) {
    old.push_for(" ", new.span);
    old.push(&new.value);
}

fn append(
    rule: &mut NativeRule,
    fields: &RuleFields,
    keys: &[String],
    span: Span,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let wanted = |key: &str| keys.iter().any(|k| k == key);
    if let Some(condition) = fields.condition.as_ref().filter(|_| wanted("condition")) {
        match &mut rule.condition {
            Some(old) => joined(&mut old.value, condition),
            None => diagnostics.push(no_condition(condition)),
        }
    }
    if let Some(output) = fields.output.as_ref().filter(|_| wanted("output")) {
        match &mut rule.output {
            Some(old) => joined(&mut old.value, output),
            None => rule.output = Some(output.clone()),
        }
    }
    if let Some(desc) = fields.desc.as_ref().filter(|_| wanted("desc")) {
        let old = rule.desc.take().map(|old| old.value + " ").unwrap_or_default();
        rule.desc = Some(At::new(old + &desc.value, desc.span));
    }
    if wanted("tags") {
        for tag in fields.tags.iter().flatten() {
            if !rule.tags.iter().any(|old| old.value == tag.value) {
                rule.tags.push(tag.clone());
            }
        }
    }
    for exception in fields.exceptions.iter().flatten().filter(|_| wanted("exceptions")) {
        exceptions::append(&mut rule.exceptions, exception.clone(), span, diagnostics);
    }
}

fn replace(rule: &mut NativeRule, fields: &RuleFields, keys: &[String], diagnostics: &mut Vec<Diagnostic>) {
    let wanted = |key: &str| keys.iter().any(|k| k == key);
    if let Some(condition) = fields.condition.as_ref().filter(|_| wanted("condition")) {
        match &mut rule.condition {
            Some(old) => *old = condition.clone(),
            None => diagnostics.push(no_condition(condition)),
        }
    }
    if let Some(output) = fields.output.as_ref().filter(|_| wanted("output")) {
        rule.output = Some(output.clone());
    }
    if let Some(desc) = fields.desc.as_ref().filter(|_| wanted("desc")) {
        rule.desc = Some(desc.clone());
    }
    if let Some(tags) = fields.tags.as_ref().filter(|_| wanted("tags")) {
        rule.tags.clone_from(tags);
    }
    if let Some(text) = fields.priority.as_ref().filter(|_| wanted("priority"))
        && priority(text, diagnostics).is_some()
    {
        rule.priority = Some(text.clone());
    }
    if let Some(enabled) = fields.enabled.as_ref().filter(|_| wanted("enabled")) {
        switch(rule, Some(enabled));
    }
    if let Some(exceptions) = fields.exceptions.as_ref().filter(|_| wanted("exceptions")) {
        replace_exceptions(rule, exceptions, diagnostics);
    }
}

fn replace_exceptions(rule: &mut NativeRule, new: &[ExceptionItem], diagnostics: &mut Vec<Diagnostic>) {
    let before = diagnostics.len();
    diagnostics.extend(new.iter().filter_map(|e| exceptions::validate(e).err()));
    if diagnostics[before..].iter().all(|d| d.severity != Severity::Error) {
        rule.exceptions = new.to_vec();
    }
}

fn no_condition(condition: &At<MappedText>) -> Diagnostic {
    let message = "the rule is a sequence, whose conditions are in its steps";
    let hint = "exceptions can be added to it: they say which events are no step";
    Diagnostic::error(Code::Override, condition.span, message).with_hint(hint)
}
