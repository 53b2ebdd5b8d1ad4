//! `vedette policy check`, exit codes, and what goes where.

#![allow(clippy::unwrap_used)]

#[path = "support/vedette.rs"]
mod support;

use serde_json::json;
use support::{Scratch, published_rules, stderr, stdout, vedette};

const GOOD: &str = "- {rule: r, desc: d, condition: evt.type = execve, output: o, priority: info}\n";
const BAD: &str =
    "- {rule: r, desc: d, condition: evt.type = execve and proc.nam = sh, output: o, priority: info}\n";
const DOUBTFUL: &str =
    "- {rule: r, desc: d, condition: evt.type = execve, output: o, priority: info, colour: red}\n";

#[test]
fn good_policies() {
    let scratch = Scratch::new("good_policies");
    let output = vedette(&["policy", "check", &scratch.file("good.yaml", GOOD)]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), "1 rule, 0 errors, 0 warnings\n");
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_bad_policy_is_shown_with_place_and_remedy_on_standard_error() {
    let scratch = Scratch::new("bad_policy");
    let path = scratch.file("bad.yaml", BAD);
    let output = vedette(&["policy", "check", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "0 rules, 1 error, 0 warnings\n");
    let text = stderr(&output);
    for part in ["unknown-field", "proc.nam", "did you mean `proc.name`?", &format!("{path}:1:55")] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\x1b'), "no colour in a pipe: {text}");
}

#[test]
fn json_is_pure() {
    let scratch = Scratch::new("json_is_pure");
    let output = vedette(&["policy", "check", "--output", "json", &scratch.file("bad.yaml", BAD)]);
    assert_eq!(output.status.code(), Some(1));
    let report = support::json(&output);
    assert_eq!((&report["rules"], &report["errors"]), (&json!(0), &json!(1)));
    let finding = &report["diagnostics"][0];
    assert_eq!(
        (&finding["code"], &finding["line"], &finding["column"]),
        (&json!("unknown-field"), &json!(1), &json!(55))
    );
    assert_eq!(stderr(&output), "");
}

#[test]
fn warnings_are_errors_on_demand() {
    let scratch = Scratch::new("warnings");
    let path = scratch.file("doubtful.yaml", DOUBTFUL);
    let output = vedette(&["policy", "check", &path]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), "1 rule, 0 errors, 1 warning\n");
    assert_eq!(vedette(&["policy", "check", "--warnings-as-errors", &path]).status.code(), Some(1));
}

#[test]
fn a_check_of_nothing_is_not_good() {
    let scratch = Scratch::new("nothing");
    for path in [scratch.path(), format!("{}/none.yaml", scratch.path())] {
        let output = vedette(&["policy", "check", &path]);
        assert_eq!(output.status.code(), Some(1), "{path}");
        assert!(stderr(&output).contains(&path), "{}", stderr(&output));
    }
}

#[test]
fn fields_that_are_not_filled_are_told_for_each_rule() {
    let scratch = Scratch::new("not_filled");
    let rule = "- {rule: Odd name, desc: d, condition: evt.type = dns and dns.qname = x and dns.rcode = y, output: o, priority: info}\n";
    let output = vedette(&["policy", "check", &scratch.file("dns.yaml", rule)]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "note: Odd name: the sensor does not fill dns.qname, dns.rcode yet\n");
}

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    for arguments in [&["policy", "check"][..], &["policy", "chek", "x"], &["--no-such-option"], &[]] {
        let output = vedette(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["policy", "test", "--help"], &["--version"]] {
        let output = vedette(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

#[test]
fn the_published_rules_are_good_alone_and_together() {
    let Some(files) = published_rules() else { return };
    let check = |paths: &[&String], rules: usize| {
        let mut arguments = vec!["policy", "check"];
        arguments.extend(paths.iter().map(|p| p.as_str()));
        let output = vedette(&arguments);
        assert_eq!(stdout(&output), format!("{rules} rules, 0 errors, 0 warnings\n"));
        assert_eq!(output.status.code(), Some(0));
        let told = stderr(&output);
        assert!(told.lines().all(|line| line.starts_with("note: ")), "{told}");
    };
    for (file, rules) in files.iter().zip([25, 31, 37]) {
        check(&[file], rules);
    }
    check(&files.iter().collect::<Vec<_>>(), 93);
}
