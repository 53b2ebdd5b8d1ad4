//! Programs that could not be started: only conditions that ask for the result are held against them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/common.rs"]
mod common;

use serde_json::json;
use vedette_policy::{Evaluator, MapFacts};

/// Whether a condition matches an `execve` of `x` that returned this.
fn matches(condition: &str, result: &str) -> bool {
    let text = format!(
        "- rule: r\n  desc: d\n  condition: evt.type in (execve, execveat) and {condition}\n  output: o\n  priority: INFO\n"
    );
    let mut evaluator = Evaluator::new(common::load(&text).set.unwrap());
    let (kind, result, name) = (json!("execve"), json!(result), json!("x"));
    let rawres = json!(if result == json!("SUCCESS") { 0 } else { -2 });
    let fields = [("evt.type", &kind), ("evt.res", &result), ("evt.rawres", &rawres), ("proc.name", &name)];
    let facts = MapFacts::from_json(fields).unwrap();
    let mut count = 0;
    evaluator.evaluate(&facts, |_| count += 1);
    count > 0
}

#[test]
fn a_condition_without_a_word_about_the_result_means_what_runs() {
    assert!(matches("proc.name = x", "SUCCESS"));
    assert!(!matches("proc.name = x", "ENOENT"));
    assert!(!matches("not proc.name = y", "ENOENT"));
}

#[test]
fn a_condition_about_the_result_is_held_against_it() {
    assert!(matches("proc.name = x and evt.res = ENOENT", "ENOENT"));
    assert!(!matches("proc.name = x and evt.res = SUCCESS", "ENOENT"));
    assert!(matches("evt.rawres < 0", "ENOENT"));
    assert!(!matches("evt.rawres < 0", "SUCCESS"));
    assert!(matches("(evt.rawres < 0 or proc.name = x)", "ENOENT"));
}
