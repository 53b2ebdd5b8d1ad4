//! Items in the order of the files, to definitions: later items replace, append to or switch earlier ones.

use std::cell::Cell;
use std::rc::Rc;

use indexmap::IndexMap;

use super::exceptions;
use super::lists::List;
use super::version;
use crate::diagnostic::{Code, Diagnostic, Severity, nearest};
use crate::document::item::{
    At, Change, ExceptionItem, Item, ListItem, MacroItem, RuleChange, RuleFields, RuleItem,
};
use crate::rule::Priority;
use crate::source::{MappedText, Span};

/// A macro as it stands after all changes.
#[derive(Debug, Clone)]
pub(crate) struct Macro {
    pub condition: MappedText,
    pub span: Span,
    pub index: usize,
    pub visibility: usize,
    pub used: Rc<Cell<bool>>,
}

/// A Falco rule as it stands after all changes.
#[derive(Debug, Clone)]
pub(crate) struct FalcoRule {
    pub span: Span,
    pub condition: MappedText,
    pub output: MappedText,
    pub desc: String,
    pub priority: Priority,
    pub source: At<String>,
    pub enabled: bool,
    pub tags: Vec<String>,
    pub exceptions: Vec<ExceptionItem>,
    pub warn_evttypes: bool,
    pub skip_unknown: bool,
}

/// All definitions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Definitions {
    pub lists: IndexMap<String, List>,
    pub macros: IndexMap<String, Macro>,
    pub rules: IndexMap<String, FalcoRule>,
    /// Number of the next definition.
    next: usize,
}

impl Definitions {
    fn number(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// Takes an item in.
    pub fn add(&mut self, item: Item, diagnostics: &mut Vec<Diagnostic>) {
        let before = diagnostics.len();
        let subject = match &item {
            Item::List(list) => list.name.value.clone(),
            Item::Macro(item) => item.name.value.clone(),
            Item::Rule(rule) => rule.name.value.clone(),
            Item::RequiredEngine(_) | Item::RequiredPlugin(_) => String::new(),
        };
        match item {
            Item::List(list) => self.add_list(list, diagnostics),
            Item::Macro(item) => self.add_macro(item, diagnostics),
            Item::Rule(rule) => self.add_rule(*rule, diagnostics),
            Item::RequiredEngine(wanted) => version::check_engine(&wanted, diagnostics),
            Item::RequiredPlugin(wanted) => version::check_plugin(&wanted, diagnostics),
        }
        if !subject.is_empty() {
            diagnostics[before..].iter_mut().for_each(|d| {
                d.subject.get_or_insert_with(|| subject.clone());
            });
        }
    }

    pub fn add_list(&mut self, item: ListItem, diagnostics: &mut Vec<Diagnostic>) {
        let number = self.number();
        let name = item.name.value;
        let previous = self.lists.get_mut(&name);
        match (item.change, previous) {
            (Change::Append, Some(previous)) => {
                previous.items.extend(item.items);
                previous.visibility = number;
            }
            (Change::Append, None) => {
                diagnostics.push(nothing_to_append("list", &name, item.name.span, self.lists.keys()));
            }
            (Change::Define, previous) => {
                let index = previous.map_or(number, |p| p.index);
                let used = self.lists.get(&name).map(|l| Rc::clone(&l.used)).unwrap_or_default();
                let list = List { items: item.items, span: item.name.span, index, visibility: number, used };
                self.lists.insert(name, list);
            }
        }
    }

    pub fn add_macro(&mut self, item: MacroItem, diagnostics: &mut Vec<Diagnostic>) {
        let number = self.number();
        let name = item.name.value;
        match (item.change, self.macros.get_mut(&name)) {
            (Change::Append, Some(previous)) => {
                append_text(&mut previous.condition, &item.condition.value, item.condition.span);
                previous.visibility = number;
            }
            (Change::Append, None) => {
                diagnostics.push(nothing_to_append("macro", &name, item.name.span, self.macros.keys()));
            }
            (Change::Define, previous) => {
                let (index, used) = match previous {
                    Some(previous) => (previous.index, Rc::clone(&previous.used)),
                    None => (number, Rc::default()),
                };
                let condition = item.condition.value;
                let new = Macro { condition, span: item.name.span, index, visibility: number, used };
                self.macros.insert(name, new);
            }
        }
    }

    fn add_rule(&mut self, item: RuleItem, diagnostics: &mut Vec<Diagnostic>) {
        self.number();
        let span = item.name.span;
        let name = item.name.value;
        if item.change == RuleChange::Define {
            if let Some(rule) = define(span, item.fields, diagnostics) {
                if self.rules.get(&name).is_some_and(|old| old.source.value != rule.source.value) {
                    let message = "the rule is defined again with another event source";
                    diagnostics.push(Diagnostic::error(Code::Redefined, rule.source.span, message));
                    return;
                }
                self.rules.insert(name, rule);
            }
            return;
        }
        let Some(rule) = self.rules.get_mut(&name) else {
            let hint =
                nearest(&name, self.rules.keys().map(String::as_str)).map(|n| format!("did you mean `{n}`?"));
            let message = format!("there is no earlier rule `{name}` to change");
            diagnostics.push(Diagnostic::error(Code::NothingToOverride, span, message).with_some_hint(hint));
            return;
        };
        match item.change {
            RuleChange::Define => {}
            RuleChange::Switch => rule.enabled = item.fields.enabled.is_none_or(|e| e.value),
            RuleChange::Append => {
                let keys = ["condition", "exceptions"];
                append(rule, item.fields, &keys.map(str::to_owned), span, diagnostics);
            }
            RuleChange::Override { append: appended, replace: replaced } => {
                append(rule, item.fields.clone(), &appended, span, diagnostics);
                replace(rule, item.fields, &replaced, diagnostics);
            }
        }
    }
}

fn nothing_to_append<'a>(
    what: &str,
    name: &str,
    span: Span,
    known: impl Iterator<Item = &'a String>,
) -> Diagnostic {
    let hint = nearest(name, known.map(String::as_str)).map(|n| format!("did you mean `{n}`?"));
    let message = format!("there is no earlier {what} `{name}` to append to");
    Diagnostic::error(Code::NothingToOverride, span, message).with_some_hint(hint)
}

/// `old + " " + new`.
fn append_text(old: &mut MappedText, new: &MappedText, span: Span) {
    old.push_for(" ", span);
    old.push(new);
}

fn define(span: Span, fields: RuleFields, diagnostics: &mut Vec<Diagnostic>) -> Option<FalcoRule> {
    let priority = priority(fields.priority.as_ref()?, diagnostics)?;
    let exceptions = fields.exceptions.unwrap_or_default();
    for exception in &exceptions {
        if let Err(error) = exceptions::validate(exception) {
            diagnostics.push(error);
            return None;
        }
    }
    let source = fields.source.unwrap_or_else(|| At::new("syscall".to_owned(), span));
    if source.value != "syscall" {
        let message = format!("there is no event source `{}`; the rule is skipped", source.value);
        diagnostics.push(Diagnostic::warning(Code::UnknownSource, source.span, message));
        return None;
    }
    Some(FalcoRule {
        span,
        condition: fields.condition?.value,
        output: fields.output?.value,
        desc: fields.desc.map(|d| d.value.trim().to_owned()).unwrap_or_default(),
        priority,
        source,
        enabled: fields.enabled.is_none_or(|e| e.value),
        tags: tags(fields.tags),
        exceptions,
        warn_evttypes: fields.warn_evttypes.unwrap_or(true),
        skip_unknown: fields.skip_if_unknown_filter.unwrap_or(false),
    })
}

/// A priority, or the finding that it is none.
pub(super) fn priority(text: &At<String>, diagnostics: &mut Vec<Diagnostic>) -> Option<Priority> {
    let priority = text.value.trim().parse::<Priority>().ok();
    if priority.is_none() {
        let names = Priority::ALL.map(Priority::as_str);
        let hint = format!("one of {}", names.join(", "));
        let message = format!("`{}` is no priority", text.value);
        diagnostics.push(Diagnostic::error(Code::Priority, text.span, message).with_hint(hint));
    }
    priority
}

fn tags(tags: Option<Vec<At<String>>>) -> Vec<String> {
    tags.unwrap_or_default().into_iter().map(|t| t.value).collect()
}

fn append(
    rule: &mut FalcoRule,
    fields: RuleFields,
    keys: &[String],
    span: Span,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let wanted = |key: &str| keys.iter().any(|k| k == key);
    if let Some(condition) = fields.condition.filter(|_| wanted("condition")) {
        append_text(&mut rule.condition, &condition.value, condition.span);
    }
    if let Some(output) = fields.output.filter(|_| wanted("output")) {
        append_text(&mut rule.output, &output.value, output.span);
    }
    if let Some(desc) = fields.desc.filter(|_| wanted("desc")) {
        rule.desc = format!("{} {}", rule.desc, desc.value);
    }
    if wanted("tags") {
        for tag in tags(fields.tags) {
            if !rule.tags.contains(&tag) {
                rule.tags.push(tag);
            }
        }
    }
    for exception in fields.exceptions.filter(|_| wanted("exceptions")).unwrap_or_default() {
        exceptions::append(&mut rule.exceptions, exception, span, diagnostics);
    }
}

fn replace(rule: &mut FalcoRule, fields: RuleFields, keys: &[String], diagnostics: &mut Vec<Diagnostic>) {
    let wanted = |key: &str| keys.iter().any(|k| k == key);
    if let Some(condition) = fields.condition.filter(|_| wanted("condition")) {
        rule.condition = condition.value;
    }
    if let Some(output) = fields.output.filter(|_| wanted("output")) {
        rule.output = output.value;
    }
    if let Some(desc) = fields.desc.filter(|_| wanted("desc")) {
        rule.desc = desc.value;
    }
    if wanted("tags") {
        rule.tags = tags(fields.tags);
    }
    if let Some(text) = fields.priority.filter(|_| wanted("priority"))
        && let Some(new) = priority(&text, diagnostics)
    {
        rule.priority = new;
    }
    if let Some(enabled) = fields.enabled.filter(|_| wanted("enabled")) {
        rule.enabled = enabled.value;
    }
    if let Some(warn) = fields.warn_evttypes.filter(|_| wanted("warn_evttypes")) {
        rule.warn_evttypes = warn;
    }
    if let Some(skip) = fields.skip_if_unknown_filter.filter(|_| wanted("skip-if-unknown-filter")) {
        rule.skip_unknown = skip;
    }
    if let Some(exceptions) = fields.exceptions.filter(|_| wanted("exceptions")) {
        let before = diagnostics.len();
        diagnostics.extend(exceptions.iter().filter_map(|e| exceptions::validate(e).err()));
        if diagnostics[before..].iter().all(|d| d.severity != Severity::Error) {
            rule.exceptions = exceptions;
        }
    }
}
