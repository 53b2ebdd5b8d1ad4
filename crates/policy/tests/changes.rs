//! Exceptions, `override`, `append`, `enabled`: what later items do to earlier rules.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use serde_json::{Value as Json, json};
use vedette_policy::{Code, Evaluator, MapFacts, Severity};

const BASE: &str = r"
- rule: base
  desc: first
  condition: evt.type = openat and proc.name = cat
  output: out %proc.name
  priority: Notice
  tags: [one]
";

fn fires(text: &str, event: &Json) -> Vec<String> {
    let loaded = common::load(text);
    let set = loaded.set.as_ref().unwrap_or_else(|| panic!("{}", loaded.render(Severity::Error, false)));
    let mut evaluator = Evaluator::new(set.clone());
    let fields = event.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v));
    let mut outputs = Vec::new();
    evaluator.evaluate(&MapFacts::from_json(fields).unwrap(), |m| outputs.push(m.output));
    outputs
}

fn first_error(text: &str) -> Code {
    let loaded = common::load(text);
    let error = loaded.diagnostics.iter().find(|d| d.severity == Severity::Error);
    error.unwrap_or_else(|| panic!("no error in\n{text}")).code
}

fn open(name: &str) -> Json {
    json!({"evt.type": "openat", "proc.name": name, "fd.name": "/etc/x", "user.uid": 0})
}

#[test]
fn append_and_replace() {
    let text = format!(
        "{BASE}
- rule: base
  condition: or proc.name = tac
  output: and %fd.name
  desc: second
  tags: [two, one]
  override: {{condition: append, output: append, desc: append, tags: append}}
- rule: base
  priority: critical
  override: {{priority: replace}}
"
    );
    assert_eq!(fires(&text, &open("tac")), ["out tac and /etc/x"]);
    assert_eq!(fires(&text, &open("cat")), ["out cat and /etc/x"]);
    let set = common::load(&text).set.unwrap();
    let rule = set.rule("base").unwrap();
    assert_eq!((rule.desc.as_str(), rule.priority.as_str()), ("first second", "Critical"));
    assert_eq!(rule.tags, ["one", "two"]);
}

#[test]
fn an_item_with_only_enabled_switches() {
    let off = format!("{BASE}\n- rule: base\n  enabled: false\n");
    assert!(fires(&off, &open("cat")).is_empty());
    let on = format!("{off}\n- rule: base\n  enabled: true\n  override: {{enabled: replace}}\n");
    assert_eq!(fires(&on, &open("cat")).len(), 1);
}

#[test]
fn the_old_append_works_and_warns() {
    let text = format!("{BASE}\n- rule: base\n  append: true\n  condition: and user.uid = 1\n");
    assert!(fires(&text, &open("cat")).is_empty());
    assert!(common::load(&text).diagnostics.iter().any(|d| d.code == Code::Deprecated));
}

#[test]
fn a_redefinition_replaces_and_keeps_its_place() {
    let text = format!(
        "{BASE}
- rule: other
  desc: d
  condition: evt.type = openat
  output: other
  priority: Info
- rule: base
  desc: new
  condition: evt.type = openat and proc.name = dog
  output: new
  priority: Info
"
    );
    assert_eq!(fires(&text, &open("dog")), ["new", "other"]);
    assert_eq!(fires(&text, &open("cat")), ["other"]);
}

#[test]
fn exceptions() {
    let rule = |exceptions: &str| {
        format!(
            "- rule: r\n  desc: d\n  condition: evt.type = openat or evt.type = open\n  output: o\n  priority: Info\n  exceptions:\n{exceptions}"
        )
    };
    let single = rule("    - {name: a, fields: proc.name, values: [cat, two words]}\n");
    assert!(fires(&single, &open("cat")).is_empty() && fires(&single, &open("two words")).is_empty());
    assert_eq!(fires(&single, &open("dog")).len(), 1);
    let tuples = rule(
        "    - name: a\n      fields: [proc.name, fd.name]\n      comps: [in, startswith]\n      values:\n        - [[cat, dog], /etc]\n        - [cow, /usr]\n",
    );
    assert!(fires(&tuples, &open("dog")).is_empty());
    assert_eq!(fires(&tuples, &open("cow")).len(), 1);
    let defaults = rule("    - {name: a, fields: [proc.name, user.uid], values: [[cat, 0]]}\n");
    assert!(fires(&defaults, &open("cat")).is_empty());
    assert_eq!(fires(&defaults, &open("dog")).len(), 1);
    let pmatch = rule("    - {name: a, fields: fd.name, comps: pmatch, values: [/etc]}\n");
    assert!(fires(&pmatch, &open("cat")).is_empty());
    let no_values = rule("    - {name: a, fields: proc.name}\n");
    assert_eq!(fires(&no_values, &open("cat")).len(), 1);
    let appended = format!(
        "{no_values}- rule: r\n  exceptions:\n    - {{name: a, values: [cat]}}\n    - {{name: b, fields: [user.uid], values: [[7]]}}\n  override: {{exceptions: append}}\n"
    );
    assert!(fires(&appended, &open("cat")).is_empty());
    assert_eq!(fires(&appended, &open("dog")).len(), 1);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let item = |rest: &str| format!("{BASE}\n- rule: base\n{rest}");
    let cases = [
        (item("  append: true\n  condition: and x\n  override: {condition: append}\n"), Code::Override),
        (item("  priority: INFO\n  override: {priority: append}\n"), Code::Override),
        (item("  condition: and x\n  override: {condition: prepend}\n"), Code::Override),
        (item("  override: {condition: append}\n"), Code::Override),
        (item("  output: x\n  condition: and y\n  override: {condition: append}\n"), Code::Override),
        (item("  condition: evt.type = open\n"), Code::Shape),
        ("- rule: none\n  enabled: false\n".to_owned(), Code::NothingToOverride),
        (
            "- macro: none\n  condition: x\n  override: {condition: append}\n".to_owned(),
            Code::NothingToOverride,
        ),
        ("- list: none\n  items: [x]\n  append: true\n".to_owned(), Code::NothingToOverride),
        ("- required_engine_version: 99.0.0\n".to_owned(), Code::EngineVersion),
        ("- required_engine_version: 64\n".to_owned(), Code::EngineVersion),
        (
            "- required_plugin_versions:\n    - {name: cloudtrail, version: 0.1.0}\n".to_owned(),
            Code::PluginVersion,
        ),
        (
            item(
                "  exceptions: [{name: a, fields: proc.name, comps: [in]}]\n  override: {exceptions: replace}\n",
            ),
            Code::Exception,
        ),
    ];
    for (text, code) in cases {
        assert_eq!(first_error(&text), code, "{text}");
    }
    for exceptions in [
        "{name: a, fields: proc.name, comps: startswith, values: [x]}",
        "{name: a, fields: [proc.name], values: [x]}",
        "{name: a, fields: [proc.name, fd.name], values: [[x]]}",
        "{name: a, fields: [proc.name], comps: [near], values: [[x]]}",
        "{name: a, values: [x]}",
        "{name: a, fields: proc.name, values: [[x]]}",
    ] {
        let text = BASE.replace("  tags: [one]", &format!("  exceptions: [{exceptions}]"));
        assert_eq!(first_error(&text), Code::Exception, "{text}");
    }
}

#[test]
fn engine_versions_that_are_provided() {
    for version in ["26", "0.57.0", "0.63.0", "63"] {
        let loaded = common::load(&format!("- required_engine_version: {version}\n{BASE}"));
        assert!(loaded.set.is_some(), "{version}");
    }
    let plugins = "- required_plugin_versions:\n    - {name: none, version: 1.0.0, alternatives: [{name: container, version: 0.4.0}]}\n";
    assert!(common::load(&format!("{plugins}{BASE}")).set.is_some());
}
