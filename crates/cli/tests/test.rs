//! `vedette policy test`.

#![allow(clippy::unwrap_used)]

#[path = "support/vedette.rs"]
mod support;

use serde_json::json;
use support::{Scratch, stderr, stdout, vedette};

#[test]
fn tests_that_pass() {
    let output = vedette(&["policy", "test", "web.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output), "6 tests, 6 passed, 0 failed\n");
}

#[test]
fn a_failure_says_what_stood_in_the_way() {
    let output = vedette(&["policy", "test", "failing.test.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("failures", stdout(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn the_same_as_json() {
    let output = vedette(&["policy", "test", "--output", "json", "failing.test.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let report = support::json(&output);
    assert_eq!((&report["tests"], &report["failed"]), (&json!(5), &json!(5)));
    let why = &report["results"][0]["missing"][0]["why"];
    assert_eq!(why["reason"], json!("conditions"));
    assert_eq!(
        why["conditions"][0]["nearest"]["because"][0],
        json!({"text": "proc.name in (bash, sh, dash)", "holds": false, "value": "zsh"})
    );
}

#[test]
fn a_directory_is_searched_and_a_filter_applies() {
    let output = vedette(&["policy", "test", "-v", ".", "--filter", "shell is"]);
    assert_eq!(stdout(&output), "pass  ./web.test.yaml:8: a shell is noticed\n1 test, 1 passed, 0 failed\n");
}

/// Each kind of mistake in a test file is said with its place; none is a test that passes.
#[test]
fn mistakes_in_test_files() {
    let scratch = Scratch::new("mistakes");
    scratch.file(
        "p.yaml",
        "- {rule: Known, desc: d, condition: evt.type = execve, output: o, priority: info}\n",
    );
    let mistakes = [
        ("tests: [{name: n, events: [{proc.name: x}], expect: []}]", "the event has no `evt.type`"),
        ("tests: [{name: n, events: [{evt.type: exeve}], expect: []}]", "did you mean `execve`?"),
        (
            "tests: [{name: n, events: [{evt.type: execve, proc.nam: x}], expect: []}]",
            "did you mean `proc.name`?",
        ),
        ("tests: [{name: n, events: [{evt.type: execve, proc.pid: x}], expect: []}]", "`proc.pid` is a"),
        ("tests: [{name: n, events: [{evt.type: execve}]}]", "`expect: []` says that no rule must match"),
        ("tests: [{name: n, events: [{evt.type: execve}], expect: [{rule: Knwn}]}]", "did you mean `Known`?"),
        (
            "tests: [{name: n, events: [{evt.type: execve}], expect: [{rule: Known, event: 2}]}]",
            "from 1 to 1",
        ),
        ("tests: [{name: n, events: [{evt.type: execve, at: soon}], expect: []}]", "such as 500ms"),
        (
            "tests: [{name: n, events: [{at: 2s, evt.type: execve}, {at: 1s, evt.type: execve}], expect: []}]",
            "in order of time",
        ),
        (
            "tests: [{name: n, events: [{evt.type: execve}], expect: [{rule: Known, output_regex: '('}]}]",
            "pattern",
        ),
        ("- a list", "a file of tests is a mapping"),
        ("policies: [none.yaml]\ntests: []", "none.yaml"),
        ("tests: []", "have no test"),
        ("tests: [", "yaml"),
    ];
    for (text, expected) in mistakes {
        let path = scratch.file("p.test.yaml", text);
        let output = vedette(&["policy", "test", &path]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(stderr(&output).contains(expected), "{text}: {}", stderr(&output));
    }
}

#[test]
fn only_and_hosts_and_first() {
    let scratch = Scratch::new("only");
    let rules = "\
- {rule: A, desc: d, condition: evt.type = connect, output: o, priority: info}
- {rule: B, desc: d, condition: evt.type = connect and fd.sip.name = example.com, output: o, priority: info}
";
    scratch.file("p.yaml", rules);
    let tests = "\
hosts: {example.com: [192.0.2.7]}
only: [B]
tests:
  - {name: host, events: [{evt.type: connect, fd.sip: 192.0.2.7}], expect: [{rule: B}]}
  - {name: other, events: [{evt.type: connect, fd.sip: 192.0.2.8}], expect: []}
";
    let output = vedette(&["policy", "test", &scratch.file("p.test.yaml", tests)]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let first = "\
rule_matching: first
hosts: {example.com: [192.0.2.7]}
tests:
  - {name: n, events: [{evt.type: connect, fd.sip: 192.0.2.7}], expect: [{rule: A}, {rule: B}]}
";
    let output = vedette(&["policy", "test", &scratch.file("p.test.yaml", first)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("an earlier rule matched"), "{}", stdout(&output));
}
