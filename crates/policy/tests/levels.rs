//! Levels, and changes that a rule file makes to rules of native policies.

#![allow(clippy::unwrap_used)]

use serde_json::json;
use vedette_policy::{Evaluator, Level, Loaded, MapFacts, PolicySet, Severity, Source};

const POLICY: &str = r#"
apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {name: built-in}
spec:
  level: strict
  rules:
    - name: Quiet
      level: default
      attack: [T1003.008]
      tags: [T1003.008, mitre_discovery]
      condition: evt.type = openat and (fd.name = /a or fd.name = /b)
      output: "%fd.name"
      guide:
        meaning: A file was opened.
        response: Find out who.
        benign:
          - cause: A backup
            exception: {name: backup, fields: proc.name, values: [backup]}
    - name: Louder
      condition: evt.type = openat and fd.name = /b
    - name: Loud
      level: audit
      sequence:
        within: 1m
        steps: [{condition: evt.type = openat and fd.name = /a}, {condition: evt.type = openat and fd.name = /b}]
"#;

fn load(changes: &str, level: Level) -> Loaded {
    PolicySet::load_at([Source::new("policy.yaml", POLICY), Source::new("mine.yaml", changes)], level)
}

/// The rules that fire for these openers of files, in this order.
fn fired(loaded: &Loaded, events: &[(&str, &str)]) -> Vec<String> {
    assert_eq!(loaded.render(Severity::Warning, false), "");
    let mut evaluator = Evaluator::new(loaded.set.clone().unwrap());
    let mut rules = Vec::new();
    for (process, path) in events {
        let event = json!({"evt.type": "openat", "fd.name": path, "proc.name": process});
        let fields = event.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value));
        evaluator.evaluate(&MapFacts::from_json(fields).unwrap(), |m| rules.push(m.rule.name.clone()));
    }
    rules
}

#[test]
fn a_level_has_the_rules_of_those_before_it() {
    let events = [("cat", "/a"), ("cat", "/b")];
    let of = |level| fired(&load("", level), &events);
    assert_eq!(of(Level::Default), ["Quiet", "Quiet"]);
    assert_eq!(of(Level::Strict), ["Quiet", "Quiet", "Louder"]);
    assert_eq!(of(Level::Audit), ["Quiet", "Quiet", "Louder", "Loud"]);
    assert_eq!(fired(&PolicySet::load([Source::new("p.yaml", POLICY)]), &events), of(Level::Audit));
    let loaded = load("", Level::Default);
    assert_eq!(loaded.rule_count, 3, "the others are checked, too");
    assert!(loaded.set.unwrap().needs().fields.iter().all(|field| field.to_string() != "proc.name"));
}

#[test]
fn a_rule_says_what_it_is_about() {
    let loaded = load("", Level::Default);
    let set = loaded.set.unwrap();
    let rule = set.rule("Quiet").unwrap();
    assert_eq!(
        (rule.attack.as_slice(), rule.desc.as_str()),
        (&["T1003.008".to_owned()][..], "A file was opened.")
    );
    let guide = rule.guide.as_ref().unwrap();
    assert_eq!((guide.response.as_str(), guide.benign.len()), ("Find out who.", 1));
}

#[test]
fn an_exception_is_added_to_a_rule_of_a_native_policy() {
    let changes = "
- rule: Quiet
  exceptions: [{name: backup, fields: proc.name, values: [backup]}]
  override: {exceptions: append}
- rule: Loud
  exceptions: [{name: backup, fields: proc.name, values: [backup]}]
  override: {exceptions: append}
";
    let loaded = load(changes, Level::Audit);
    let events = [("backup", "/a"), ("cat", "/b"), ("cat", "/a"), ("backup", "/b"), ("cat", "/b")];
    assert_eq!(fired(&loaded, &events), ["Quiet", "Louder", "Quiet", "Louder", "Quiet", "Louder", "Loud"]);
}

#[test]
fn a_rule_is_switched_and_changed_by_its_name() {
    let off = load("- {rule: Quiet, enabled: false}\n- {rule: Loud, enabled: true}", Level::Default);
    assert_eq!(
        fired(&off, &[("cat", "/a"), ("cat", "/b")]),
        ["Loud"],
        "who asks for a rule gets it at any level"
    );
    let changes = "
- rule: Quiet
  condition: and proc.name = cat
  output: by %proc.name
  priority: Critical
  tags: [mine]
  override: {condition: append, output: replace, priority: replace, tags: append}
";
    let loaded = load(changes, Level::Default);
    assert_eq!(fired(&loaded, &[("cat", "/b"), ("cp", "/b")]), ["Quiet"]);
    let set = loaded.set.unwrap();
    let rule = set.rule("Quiet").unwrap();
    assert_eq!(rule.output.to_template(), "by %proc.name");
    assert_eq!((rule.priority.as_str(), rule.tags.last().unwrap().as_str()), ("Critical", "mine"));
}

#[test]
fn a_change_that_cannot_be_made_says_why() {
    let text = |changes: &str| load(changes, Level::Default).render(Severity::Error, false);
    assert!(text("- {rule: Quit, enabled: false}").contains("did you mean `Quiet`?"));
    let sequence = text("- {rule: Loud, condition: and proc.name = cat, override: {condition: append}}");
    assert!(sequence.contains("the rule is a sequence"), "{sequence}");
    let field = "- {rule: Quiet, exceptions: [{name: e, fields: proc.nam, values: [x]}], override: {exceptions: append}}";
    assert!(text(field).contains("did you mean `proc.name`?"));
    let before = PolicySet::load([
        Source::new("m.yaml", "- {rule: Quiet, enabled: false}"),
        Source::new("p.yaml", POLICY),
    ]);
    assert!(before.render(Severity::Error, false).contains("there is no earlier rule `Quiet`"));
}
