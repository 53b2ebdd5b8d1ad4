//! `vedette fields`.

#![allow(clippy::unwrap_used)]

#[path = "support/vedette.rs"]
mod support;

use serde_json::json;
use support::{stderr, stdout, vedette, workspace};

#[test]
fn one_field_a_group_and_a_search() {
    let output = vedette(&["fields", "proc.aname[2]"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("proc.aname: "), "{}", stdout(&output));
    let group = stdout(&vedette(&["fields", "k8s"]));
    assert!(group.lines().count() > 5 && group.lines().all(|l| l.starts_with("k8s.")), "{group}");
    let found = stdout(&vedette(&["fields", "--search", "UPPER layer"]));
    assert!(found.contains("proc.is_exe_upper_layer"), "{found}");
}

#[test]
fn an_unknown_field_has_a_near_one() {
    let output = vedette(&["fields", "proc.exepth"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did you mean `proc.exepath`?"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn json_has_every_field() {
    let fields = support::json(&vedette(&["fields", "--output", "json"]));
    let fields = fields.as_array().unwrap();
    assert_eq!(fields.len(), vedette_policy::field::FIELDS.len());
    let name = fields.iter().find(|f| f["name"] == json!("proc.name")).unwrap();
    assert_eq!((&name["type"], &name["filled"]), (&json!("string"), &json!(true)));
}

/// What `cargo xtask codegen` writes.
#[test]
fn the_generated_files_are_in_date() {
    for (arguments, path) in [
        (&["fields", "--output", "markdown"][..], "docs/fields.md"),
        (&["policy", "schema"], "deploy/schema/policy.schema.json"),
    ] {
        let present = std::fs::read_to_string(workspace().join(path)).unwrap();
        assert!(stdout(&vedette(arguments)) == present, "{path} is out of date: run `cargo xtask codegen`");
    }
}
