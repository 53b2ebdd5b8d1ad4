//! `vedette policy explain`.

#![allow(clippy::unwrap_used)]

#[path = "support/vedette.rs"]
mod support;

use serde_json::json;
use support::{published_rules, stderr, stdout, vedette};

#[test]
fn text_for_people() {
    let output = vedette(&["policy", "explain", "Shell in web container", "web.yaml", "--output", "text"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!("explain_shell", stdout(&output));
    let output = vedette(&["policy", "explain", "written", "web.yaml", "--output", "text"]);
    insta::assert_snapshot!("explain_written", stdout(&output));
}

#[test]
fn a_pipe_gets_json() {
    let output = vedette(&["policy", "explain", "web.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    let rules = support::json(&output)["rules"].as_array().unwrap().clone();
    assert_eq!(rules.len(), 4);
    assert_eq!(rules[1]["rule"], json!("Run file written"));
    assert_eq!(rules[1]["exact"], json!(true));
    assert_eq!(rules[1]["system_calls"], json!(["open", "openat"]));
    assert_eq!(rules[1]["conditions"][0]["branches"][0]["literals"][4]["also"], json!(["/run/"]));
    assert_eq!(
        rules[2]["correlation"],
        json!({"kind": "sequence", "by": ["container.id"], "seconds": 120.0})
    );
}

#[test]
fn a_rule_that_is_not_there_has_a_near_one() {
    let output = vedette(&["policy", "explain", "Shel in web containr", "web.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did you mean `Shell in web container`?"), "{}", stderr(&output));
}

#[test]
fn every_published_rule_can_be_explained() {
    let Some(files) = published_rules() else { return };
    let mut arguments = vec!["policy", "explain", "--output", "text"];
    arguments.extend(files.iter().map(String::as_str));
    let output = vedette(&arguments);
    assert_eq!(output.status.code(), Some(0));
    let headings = stdout(&output).lines().filter(|l| l.ends_with(')') && l.contains(".yaml:")).count();
    assert_eq!(headings, 93);
}
