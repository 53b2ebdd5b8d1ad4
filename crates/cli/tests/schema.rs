//! The JSON schema of policy files.

#![allow(clippy::unwrap_used)]

#[path = "support/vedette.rs"]
mod support;

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value as Json;
use support::{Scratch, data, published_rules, stdout, vedette, workspace};
use vedette_policy::document::yaml;
use vedette_policy::load::is_test_file;
use vedette_policy::source::SourceId;

fn schema() -> Validator {
    let output = vedette(&["policy", "schema"]);
    assert_eq!(output.status.code(), Some(0));
    jsonschema::validator_for(&support::json(&output)).unwrap()
}

fn documents(text: &str) -> Vec<Json> {
    let nodes = yaml::parse(text, SourceId(0)).unwrap();
    nodes.iter().filter(|n| !n.is_null()).map(yaml::Node::to_json).collect()
}

fn complaints(schema: &Validator, text: &str) -> Vec<String> {
    documents(text)
        .iter()
        .flat_map(|d| schema.iter_errors(d).map(|e| format!("{} {e}", e.instance_path())).collect::<Vec<_>>())
        .collect()
}

fn policy_files(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            policy_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml") && !is_test_file(&path) {
            found.push(path);
        }
    }
}

#[test]
fn good_policies_fit() {
    let schema = schema();
    let mut files = vec![data().join("web.yaml"), data().join("falco.yaml")];
    policy_files(&workspace().join("deploy/policies"), &mut files);
    files.extend(published_rules().into_iter().flatten().map(PathBuf::from));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(complaints(&schema, &text), Vec::<String>::new(), "{}", file.display());
    }
}

#[test]
fn converted_policies_fit() {
    let output = vedette(&["policy", "convert", "falco.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(complaints(&schema(), &stdout(&output)), Vec::<String>::new());
}

/// What the schema refuses, the checker does not take without a word either.
#[test]
fn bad_policies_do_not() {
    let schema = schema();
    let scratch = Scratch::new("bad_schema");
    let native = |spec: &str| {
        format!(
            "{{apiVersion: vedette.dev/v1alpha1, kind: SecurityPolicy, metadata: {{name: n}}, spec: {{rules: [{spec}]}}}}"
        )
    };
    let bad = [
        "- {rule: r, desc: d, condition: evt.type = open, output: o, priority: urgent}".to_owned(),
        "- {rule: r, desc: d, condition: evt.type = open, output: o}".to_owned(),
        "- {rule: r, desc: d, condition: evt.type = open, output: o, priority: info, prioritty: x}".to_owned(),
        "- {rule: r, desc: d, condition: [a], output: o, priority: info}".to_owned(),
        "- {macro: 'a b', condition: evt.type = open}".to_owned(),
        "- {list: l}".to_owned(),
        "- {lst: l}".to_owned(),
        "- {rule: r, override: {condition: prepend}, condition: x}".to_owned(),
        native("{name: r, condition: evt.type = open, action: Block}"),
        native("{name: r, condition: evt.type = open, sequence: {within: 1s, steps: []}}"),
        native("{name: r, sequence: {within: 1s, steps: [{condition: evt.type = open}]}}"),
        native("{name: r, condition: evt.type = open, throttle: {interval: soon}}"),
        native("{name: r, condition: evt.type = open, threshold: {count: 1, within: 1s}}"),
        native("{name: r, condition: evt.type = open, level: loud}"),
        native("{name: r, condition: evt.type = open, attack: [cron]}"),
        native("{name: r, condition: evt.type = open, guide: {meening: x}}"),
        native("{name: r, condition: evt.type = open, guide: {benign: [{exception: {name: e}}]}}"),
        native("{name: r}"),
        native("{condition: evt.type = open}"),
        "{apiVersion: vedette.dev/v1, kind: SecurityPolicy, metadata: {name: n}, spec: {}}".to_owned(),
        "{apiVersion: vedette.dev/v1alpha1, kind: SecurityPolicy, metadata: {name: n}, spec: {mode: enforce}}".to_owned(),
        "{apiVersion: vedette.dev/v1alpha1, kind: ClusterSecurityPolicy, metadata: {name: n, namespace: x}, spec: {}}"
            .to_owned(),
    ];
    for text in bad {
        assert_ne!(complaints(&schema, &text), Vec::<String>::new(), "{text}");
        let path = scratch.file("bad.yaml", &text);
        let output = vedette(&["policy", "check", "--warnings-as-errors", &path]);
        assert_eq!(output.status.code(), Some(1), "{text}");
    }
}
