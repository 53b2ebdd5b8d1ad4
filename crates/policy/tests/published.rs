//! Falco's published rule files, unmodified: every rule loads, no finding about the language.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use vedette_policy::{Code, PolicySet, Severity, Source};

const FILES: [(&str, usize); 3] =
    [("falco_rules.yaml", 25), ("falco-incubating_rules.yaml", 31), ("falco-sandbox_rules.yaml", 37)];

fn load(names: &[&str]) -> Option<vedette_policy::Loaded> {
    let directory = common::published_rules()?;
    let sources = names.iter().map(|name| {
        let text = std::fs::read_to_string(directory.join(name)).unwrap();
        Source::new(*name, text)
    });
    Some(PolicySet::load(sources))
}

fn check(names: &[&str], rules: usize) {
    let Some(loaded) = load(names) else { return };
    let about_the_language: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.severity > Severity::Note)
        .map(|d| d.to_line(&loaded.sources))
        .collect();
    assert_eq!(about_the_language, Vec::<String>::new());
    // Lists and macros that a file keeps for others, fields to come, and rules that others include may be noted.
    let about_the_rules = [Code::Unused, Code::NotFilled, Code::Shadowed];
    assert!(loaded.diagnostics.iter().all(|d| about_the_rules.contains(&d.code)));
    assert_eq!(loaded.set.unwrap().rules().len(), rules);
}

#[test]
fn each_file_alone() {
    for (name, rules) in FILES {
        check(&[name], rules);
    }
}

#[test]
fn all_three_in_order() {
    check(&FILES.map(|(name, _)| name), FILES.iter().map(|(_, rules)| rules).sum());
}

#[test]
fn they_need_what_they_say() {
    let Some(loaded) = load(&FILES.map(|(name, _)| name)) else { return };
    let set = loaded.set.unwrap();
    let opens = set.rules().iter().position(|r| r.name == "Read sensitive file untrusted").unwrap();
    let types: Vec<_> = set.event_types_of(opens).iter().map(|t| t.name()).collect();
    assert_eq!(types, ["open", "openat", "openat2"]);
    let needs = set.needs();
    for name in ["ptrace", "bpf", "openat", "connect", "userfaultfd"] {
        assert!(needs.event_types.iter().any(|t| t.name() == name), "{name}");
    }
    assert!(!needs.event_types.iter().any(|t| t.name() == "read"));
    assert!(needs.fields.iter().any(|f| f.to_string() == "evt.arg.flags"));
}
