//! The reader of native policies, the data types and the JSON schema say the same.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use std::collections::BTreeSet;

use serde_json::Value as Json;
use vedette_policy::document::yaml;
use vedette_policy::source::SourceId;
use vedette_policy::spec::PolicyDocument;
use vedette_policy::{Severity, schema};

/// Every key there is.
const EVERYTHING: &str = r#"
apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {name: everything}
spec:
  description: All of it.
  mode: Audit
  podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [a]}]}
  namespaceSelector: {matchLabels: {team: x}}
  nodeSelector: {matchLabels: {pool: y}}
  containers: [main]
  lists: [{name: shells, items: [sh, bash]}]
  macros: [{name: spawned, condition: evt.type = execve}]
  rules:
    - name: one
      desc: d
      condition: spawned and proc.name in (shells)
      output: "%proc.name"
      priority: Notice
      enabled: true
      tags: [T1059]
      action: Kill
      exceptions: [{name: e, fields: [proc.name], comps: [=], values: [[x]]}]
      threshold: {count: 5, distinct: proc.pid, by: [container.id], within: 1m}
      throttle: {by: [container.id], interval: 60s}
    - name: two
      sequence:
        by: [container.id]
        within: 1m
        steps: [{name: a, condition: spawned}, {condition: evt.type = connect}]
"#;

#[test]
fn the_reader_knows_every_key() {
    let loaded = common::load(EVERYTHING);
    assert_eq!(loaded.render(Severity::Warning, false), "");
    assert_eq!(loaded.set.unwrap().rules().len(), 2);
}

#[test]
fn the_data_types_know_every_key() {
    let json = yaml::parse(EVERYTHING, SourceId(0)).unwrap()[0].to_json();
    let document: PolicyDocument = serde_json::from_value(json).unwrap();
    assert_eq!(document.spec.rules.len(), 2);
}

#[test]
fn the_schema_has_every_key_and_no_other() {
    let schema = schema::policy_file();
    let mut keys = BTreeSet::new();
    for name in [
        "PolicyDocument",
        "PolicySpec",
        "LabelSelectorSpec",
        "ExpressionSpec",
        "ListSpec",
        "MacroSpec",
        "RuleSpec",
        "ExceptionSpec",
        "ThresholdSpec",
        "SequenceSpec",
        "StepSpec",
        "ThrottleSpec",
        "Metadata",
    ] {
        let properties = schema["$defs"][name]["properties"].as_object().unwrap_or_else(|| panic!("{name}"));
        keys.extend(properties.keys().cloned());
        assert!(
            properties.values().all(|p| p["description"].is_string()),
            "{name}: a key without description"
        );
    }
    let mut used = BTreeSet::new();
    collect(&yaml::parse(EVERYTHING, SourceId(0)).unwrap()[0].to_json(), &mut used);
    let labels = ["app", "team", "pool"].map(str::to_owned);
    let used: BTreeSet<_> = used.into_iter().filter(|k| !labels.contains(k)).collect();
    keys.remove("namespace");
    assert_eq!(keys, used);
    let falco = schema["$defs"]["FalcoRule"]["properties"].as_object().unwrap();
    assert!(falco.contains_key("skip-if-unknown-filter") && falco.contains_key("override"));
}

fn collect(json: &Json, keys: &mut BTreeSet<String>) {
    match json {
        Json::Object(entries) => entries.iter().for_each(|(key, value)| {
            keys.insert(key.clone());
            collect(value, keys);
        }),
        Json::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        _ => {}
    }
}
