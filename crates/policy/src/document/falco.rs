//! Falco rule files: a list of items.

use super::item::{Change, ExceptionItem, Item, ListItem, MacroItem, RuleChange, RuleFields, RuleItem};
use super::reader::{Reader, entry, key_span};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic};

/// Keys of a rule that `override` can append to.
const APPENDABLE: &[&str] = &["condition", "output", "desc", "tags", "exceptions"];
/// Keys of a rule that `override` can replace.
const REPLACEABLE: &[&str] = &[
    "condition",
    "output",
    "desc",
    "priority",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
];

const RULE_KEYS: &[&str] = &[
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "tags",
    "exceptions",
    "override",
    "append",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
];

/// Reads the items of a document.
pub fn read_items(nodes: &[Node], diagnostics: &mut Vec<Diagnostic>) -> Vec<Item> {
    let mut items = Vec::new();
    for node in nodes.iter().filter(|n| !n.is_null()) {
        if node.as_mapping().is_none() {
            let message = format!("an item of a rule file is a mapping, not {}", node.what());
            diagnostics.push(Diagnostic::error(Code::Shape, node.span, message));
            continue;
        }
        let subject =
            ["rule", "macro", "list"].iter().find_map(|k| node.get(k)?.as_str()).unwrap_or_default();
        let mut reader = Reader { node, subject: subject.to_owned(), diagnostics };
        read_item(&mut reader, &mut items);
    }
    items
}

fn read_item(reader: &mut Reader<'_, '_>, items: &mut Vec<Item>) {
    let node = reader.node;
    if node.get("required_engine_version").is_some() {
        reader.known_keys(&["required_engine_version"]);
        items.extend(reader.text("required_engine_version").map(Item::RequiredEngine));
    } else if node.get("required_plugin_versions").is_some() {
        reader.known_keys(&["required_plugin_versions"]);
        read_plugins(reader, items);
    } else if node.get("list").is_some() {
        items.extend(read_list(reader).map(Item::List));
    } else if node.get("macro").is_some() {
        items.extend(read_macro(reader).map(Item::Macro));
    } else if node.get("rule").is_some() {
        items.extend(read_rule(reader).map(|r| Item::Rule(Box::new(r))));
    } else {
        let span = node.as_mapping().and_then(|e| e.first()).map_or(node.span, |(k, _)| k.span);
        let hint = "an item begins with `rule:`, `macro:`, `list:`, `required_engine_version:` or `required_plugin_versions:`";
        reader.report(Diagnostic::warning(Code::UnknownKey, span, "nobody reads this item").with_hint(hint));
    }
}

fn read_plugins(reader: &mut Reader<'_, '_>, items: &mut Vec<Item>) {
    for node in reader.mappings("required_plugin_versions") {
        let mut plugin = Reader { node, subject: String::new(), diagnostics: &mut *reader.diagnostics };
        plugin.known_keys(&["name", "version", "alternatives"]);
        let mut alternatives = Vec::new();
        alternatives.extend(plugin.required("name").zip(plugin.required("version")));
        for node in plugin.mappings("alternatives") {
            let mut other = Reader { node, subject: String::new(), diagnostics: &mut *plugin.diagnostics };
            other.known_keys(&["name", "version"]);
            alternatives.extend(other.required("name").zip(other.required("version")));
        }
        items.push(Item::RequiredPlugin(alternatives));
    }
}

fn read_list(reader: &mut Reader<'_, '_>) -> Option<ListItem> {
    reader.known_keys(&["list", "items", "append", "override"]);
    let name = reader.required("list")?;
    if name.value.contains(|c: char| c.is_whitespace() || "()\"'=,".contains(c)) {
        reader.error(Code::Shape, name.span, "the name of a list has no blanks, quotes or any of ( ) = ,");
        return None;
    }
    if reader.get("items").is_none() {
        reader.error(Code::Shape, name.span, "the key `items` is missing");
        return None;
    }
    let items =
        if reader.get("items").is_some_and(Node::is_null) { Vec::new() } else { reader.texts("items")? };
    let change = read_change(reader, "items")?;
    Some(ListItem { name, items, change })
}

fn read_macro(reader: &mut Reader<'_, '_>) -> Option<MacroItem> {
    reader.known_keys(&["macro", "condition", "append", "override"]);
    let name = reader.required("macro")?;
    let valid = name.value.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        reader.error(Code::Shape, name.span, "the name of a macro is made of letters, digits and _");
        return None;
    }
    reader.required("condition")?;
    let condition = reader.mapped("condition")?;
    let change = read_change(reader, "condition")?;
    Some(MacroItem { name, condition, change })
}

/// `append` or `override` of a list or macro, which have one key that can change.
fn read_change(reader: &mut Reader<'_, '_>, key: &str) -> Option<Change> {
    let append = old_append(reader);
    let (appended, replaced) = read_override(reader, &[key], &[key])?;
    if append && reader.get("override").is_some() {
        both(reader);
        return None;
    }
    let _ = replaced;
    Some(if append || !appended.is_empty() { Change::Append } else { Change::Define })
}

fn both(reader: &mut Reader<'_, '_>) {
    let span = key_span(reader.node, "append");
    let message = "`append` and `override` do not go together";
    reader.report(Diagnostic::error(Code::Override, span, message).with_hint("keep `override` only"));
}

/// The old `append: true`, which still works.
fn old_append(reader: &mut Reader<'_, '_>) -> bool {
    let append = reader.bool("append").is_some_and(|a| a.value);
    if append && reader.get("override").is_none() {
        let span = key_span(reader.node, "append");
        let message = "`append: true` is the old way";
        let hint = "write `override: {condition: append}` (or `items`, `exceptions`) instead";
        reader.report(Diagnostic::warning(Code::Deprecated, span, message).with_hint(hint));
    }
    append
}

/// The keys of `override`: those appended and those replaced.
fn read_override(
    reader: &mut Reader<'_, '_>,
    appendable: &[&str],
    replaceable: &[&str],
) -> Option<(Vec<String>, Vec<String>)> {
    let (mut appended, mut replaced) = (Vec::new(), Vec::new());
    if reader.get("override").is_none() {
        return Some((appended, replaced));
    }
    let node = reader.mapping("override")?;
    let mut good = true;
    for (key, value) in node.as_mapping().unwrap_or_default() {
        let name = key.as_str().unwrap_or_default();
        let message = match value.as_str() {
            Some("append") if appendable.contains(&name) => {
                appended.push(name.to_owned());
                continue;
            }
            Some("replace") if replaceable.contains(&name) => {
                replaced.push(name.to_owned());
                continue;
            }
            Some("append") if replaceable.contains(&name) => {
                format!("`{name}` cannot be appended to; use `replace`")
            }
            Some("append" | "replace") => format!("`{name}` cannot be overridden"),
            _ => format!("`{name}` is overridden by `append` or `replace`"),
        };
        let span = if matches!(value.as_str(), Some("append" | "replace")) { key.span } else { value.span };
        let hint = format!("keys to override: {}", replaceable.join(", "));
        reader.report(Diagnostic::error(Code::Override, span, message).with_hint(hint));
        good = false;
    }
    good.then_some((appended, replaced))
}

fn read_rule(reader: &mut Reader<'_, '_>) -> Option<RuleItem> {
    reader.known_keys(RULE_KEYS);
    let name = reader.required("rule")?;
    let append = old_append(reader);
    let (appended, replaced) = read_override(reader, APPENDABLE, REPLACEABLE)?;
    let has_override = reader.get("override").is_some();
    if append && has_override {
        both(reader);
        return None;
    }
    let before = reader.diagnostics.len();
    let fields = RuleFields {
        condition: reader.mapped("condition"),
        output: reader.mapped("output"),
        desc: reader.text("desc"),
        priority: reader.text("priority"),
        source: reader.text("source"),
        enabled: reader.bool("enabled"),
        tags: reader.texts("tags"),
        exceptions: read_exceptions(reader),
        warn_evttypes: reader.bool("warn_evttypes").map(|b| b.value),
        skip_if_unknown_filter: reader.bool("skip-if-unknown-filter").map(|b| b.value),
    };
    if crate::diagnostic::has_errors(&reader.diagnostics[before..]) {
        return None;
    }
    let node = reader.node;
    let change = if has_override {
        check_override(reader, &appended, &replaced)?;
        RuleChange::Override { append: appended, replace: replaced }
    } else if append {
        RuleChange::Append
    } else if ["condition", "output", "desc", "priority"].iter().all(|k| node.get(k).is_none()) {
        if fields.enabled.is_none() {
            let hint = "a rule has condition, output, desc and priority; or only `enabled`, to switch an earlier one";
            let message = "this rule has no condition";
            reader.report(Diagnostic::error(Code::Shape, name.span, message).with_hint(hint));
            return None;
        }
        RuleChange::Switch
    } else {
        let missing: Vec<_> = ["condition", "output", "desc", "priority"]
            .into_iter()
            .filter(|k| node.get(k).is_none_or(Node::is_null))
            .map(|k| format!("`{k}`"))
            .collect();
        if !missing.is_empty() {
            reader.error(Code::Shape, name.span, format!("the rule lacks {}", missing.join(", ")));
            return None;
        }
        RuleChange::Define
    };
    Some(RuleItem { name, span: node.span, fields, change })
}

/// Each overridden key must be given, and each given key overridden.
fn check_override(reader: &mut Reader<'_, '_>, appended: &[String], replaced: &[String]) -> Option<()> {
    let mut good = true;
    for key in appended.iter().chain(replaced) {
        if reader.get(key).is_none() {
            let span = key_span(reader.node, "override");
            reader.error(
                Code::Override,
                span,
                format!("`override` names `{key}`, but the item has no `{key}`"),
            );
            good = false;
        }
    }
    for key in REPLACEABLE {
        if reader.get(key).is_some() && !appended.iter().chain(replaced).any(|k| k == key) {
            let span = key_span(reader.node, key);
            let message = format!("`{key}` is given, but `override` does not say what to do with it");
            let hint = format!(
                "add `{key}: replace`{} under `override`",
                if APPENDABLE.contains(key) { " or `append`" } else { "" }
            );
            reader.report(Diagnostic::error(Code::Override, span, message).with_hint(hint));
            good = false;
        }
    }
    good.then_some(())
}

/// Reads the list of exceptions of a rule.
pub(super) fn read_exceptions(reader: &mut Reader<'_, '_>) -> Option<Vec<ExceptionItem>> {
    reader.get("exceptions")?;
    let mut exceptions: Vec<ExceptionItem> = Vec::new();
    for node in reader.mappings("exceptions") {
        let mut inner =
            Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
        let Some(exception) = read_exception(&mut inner) else { continue };
        let name = &exception.name;
        if exceptions.iter().any(|e| e.name.value == name.value) {
            inner.error(Code::Exception, name.span, format!("there are two exceptions `{}`", name.value));
            continue;
        }
        exceptions.push(exception);
    }
    Some(exceptions)
}

/// Reads one exception.
pub(super) fn read_exception(reader: &mut Reader<'_, '_>) -> Option<ExceptionItem> {
    reader.known_keys(&["name", "fields", "comps", "values"]);
    let name = reader.required("name")?;
    let mut parts = [None, None];
    for (part, key) in parts.iter_mut().zip(["fields", "comps"]) {
        let Some(node) = reader.get(key) else { continue };
        *part = entry(node);
        if part.is_none() {
            reader.error(Code::Exception, node.span, format!("`{key}` is a word or a list of words"));
        }
    }
    let [fields, comps] = parts;
    let mut values = Vec::new();
    let has_values = reader.get("values").is_some();
    match reader.get("values") {
        Some(node) if !node.is_null() => match node.as_sequence() {
            Some(nodes) => {
                for node in nodes {
                    match entry(node) {
                        Some(value) => values.push(value),
                        None => {
                            reader.error(Code::Exception, node.span, "a value is a word or a list of words");
                        }
                    }
                }
            }
            None => reader.error(Code::Exception, node.span, "`values` is a list"),
        },
        _ => {}
    }
    Some(ExceptionItem { name, fields, comps, values, has_values })
}
