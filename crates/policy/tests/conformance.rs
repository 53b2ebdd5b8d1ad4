//! The language, operator by operator, quirk by quirk: data in `conformance/*.yaml`.
//!
//! A file is a list of groups: `about`, optional `prelude` (Falco items before the rule), and `cases`. A case has a
//! `condition` and events that it `matches` and `misses`, or the code of the `error` with which it is refused, or an
//! `output` with the `prints` of one event. `evt.type` is `openat` where an event does not say.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use std::path::PathBuf;

use serde_json::{Map, Value as Json};
use vedette_policy::document::yaml::{self, Node};
use vedette_policy::source::SourceId;
use vedette_policy::{Evaluator, Loaded, MapFacts, Severity, facts::FactsError};

fn facts(event: &Json) -> Result<MapFacts, FactsError> {
    let mut fields: Map<String, Json> = event.as_object().cloned().unwrap_or_default();
    fields.entry("evt.type").or_insert_with(|| "openat".into());
    MapFacts::from_json(fields.iter().map(|(name, value)| (name.as_str(), value)))
}

fn load(prelude: &str, condition: &str, output: &str) -> Loaded {
    let quote = |text: &str| serde_json::to_string(text).unwrap();
    let (condition, output) = (quote(condition), quote(output));
    let rule = format!(
        "- rule: tested\n  desc: tested\n  condition: {condition}\n  output: {output}\n  priority: INFO\n  warn_evttypes: false\n"
    );
    common::load(&format!("{prelude}\n{rule}"))
}

/// Runs a case and says what went wrong.
fn run(prelude: &str, case: &Node) -> Vec<String> {
    let condition = case.get("condition").and_then(Node::as_str).unwrap_or("evt.type exists");
    let output = case.get("output").and_then(Node::as_str).unwrap_or("text");
    let loaded = load(prelude, condition, output);
    let errors: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .map(|d| (d.code.as_str(), d.to_line(&loaded.sources)))
        .collect();
    if let Some(expected) = case.get("error").and_then(Node::as_str) {
        let found = errors.iter().any(|(code, _)| code == expected);
        return if found {
            Vec::new()
        } else {
            vec![format!("`{condition}`: expected {expected}, found {errors:?}")]
        };
    }
    let Some(set) = loaded.set else { return vec![format!("`{condition}`: {errors:?}")] };
    let mut evaluator = Evaluator::new(set);
    let mut wrong = Vec::new();
    for (key, expected) in [("matches", true), ("misses", false)] {
        for event in case.get(key).and_then(Node::as_sequence).unwrap_or_default() {
            let event = event.to_json();
            let mut matched = false;
            match facts(&event) {
                Ok(facts) => evaluator.evaluate(&facts, |_| matched = true),
                Err(error) => wrong.push(format!("`{condition}`: {event}: {error}")),
            }
            if matched != expected {
                wrong.push(format!("`{condition}` on {event}: expected {expected}"));
            }
        }
    }
    if let Some(expected) = case.get("prints").and_then(Node::as_str) {
        let mut printed = None;
        let event = case.get("event").map_or(Json::Null, Node::to_json);
        evaluator.evaluate(&facts(&event).unwrap(), |m| printed = Some(m.output));
        if printed.as_deref() != Some(expected) {
            wrong.push(format!("`{output}`: expected {expected:?}, printed {printed:?}"));
        }
    }
    wrong
}

#[test]
fn conformance() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut cases, mut wrong) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let documents = yaml::parse(&text, SourceId(0)).unwrap_or_else(|e| panic!("{name}: {}", e.message));
        for group in documents[0].as_sequence().unwrap() {
            let about = group.get("about").and_then(Node::as_str).unwrap();
            let prelude = group.get("prelude").and_then(Node::as_str).unwrap_or_default();
            for case in group.get("cases").and_then(Node::as_sequence).unwrap() {
                cases += 1;
                wrong.extend(run(prelude, case).into_iter().map(|w| format!("{name}: {about}: {w}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 100, "only {cases} cases were found");
}
