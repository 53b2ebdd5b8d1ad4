//! Bad policies, and what people are told about them. `INSTA_UPDATE=always cargo test` rewrites the snapshots.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use vedette_policy::{PolicySet, Severity, Source};

fn findings(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bad").join(file);
    let loaded = PolicySet::load([Source::new(file, std::fs::read_to_string(path).unwrap())]);
    loaded.render(Severity::Warning, false)
}

macro_rules! snapshots {
    ($($name:ident $file:literal,)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(findings($file));
        }
    )*};
}

snapshots! {
    misspelt_field "01-misspelt-field.yaml",
    wrong_types "02-wrong-types.yaml",
    syntax "03-syntax.yaml",
    macros_and_lists "04-macros-and-lists.yaml",
    never_and_always "05-never-and-always.yaml",
    deny "06-deny.yaml",
    native_shape "07-native-shape.yaml",
    falco_shape "08-falco-shape.yaml",
    exceptions "09-exceptions.yaml",
    yaml_and_patterns "10-yaml-and-patterns.yaml",
    guide "11-guide.yaml",
    as_an_object "12-as-an-object.yaml",
}

#[test]
fn records_for_machines_have_places() {
    let text = "- rule: r\n  desc: d\n  condition: >\n    evt.type = open\n    and fd.nam = x\n  output: o\n  priority: Info\n";
    let loaded = PolicySet::load([Source::new("r.yaml", text)]);
    let record = serde_json::to_value(loaded.diagnostics[0].to_record(&loaded.sources)).unwrap();
    let expected = serde_json::json!({
        "severity": "error", "code": "unknown-field", "message": "unknown field `fd.nam`", "file": "r.yaml",
        "line": 5, "column": 9, "end_line": 5, "end_column": 15, "hint": "did you mean `fd.name`?", "subject": "r",
    });
    assert_eq!(record, expected);
}
