//! Input made to hurt: it is refused, or loads in reasonable time; nothing panics, nothing grows without bound.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use std::fmt::Write as _;

use vedette_policy::{Code, Evaluator, EventType, MapFacts, Severity};

fn rule(condition: &str) -> String {
    format!("- rule: r\n  desc: d\n  condition: {condition:?}\n  output: o\n  priority: Info\n")
}

fn codes(text: &str) -> Vec<Code> {
    let loaded = common::load(text);
    loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.code).collect()
}

#[test]
fn nesting() {
    let deep = format!("{}evt.type = open{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(codes(&rule(&deep)), [Code::Syntax]);
    let calls = format!("{}proc.name{} = x", "tolower(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(codes(&rule(&calls)), [Code::Syntax]);
    assert_eq!(codes(&rule(&format!("{}evt.type = open", "not ".repeat(10_001)))), []);
    assert_eq!(codes(&format!("{}x", "[".repeat(10_000))), [Code::Yaml]);
    assert_eq!(codes(&format!("{}x{}", "[".repeat(100), "]".repeat(100))), [Code::Limit]);
}

#[test]
fn macros_that_grow() {
    let mut doubling = "- macro: m0\n  condition: evt.type = open or proc.name = x\n".to_owned();
    let mut chain = doubling.clone();
    for i in 1..600 {
        writeln!(doubling, "- macro: m{i}\n  condition: m{} or m{}", i - 1, i - 1).unwrap();
        writeln!(chain, "- macro: m{i}\n  condition: not (m{} and proc.name = y{i})", i - 1).unwrap();
    }
    for text in [doubling, chain] {
        let codes = codes(&format!("{text}{}", rule("m599")));
        assert!(codes.contains(&Code::Limit) && codes.iter().all(|c| *c == Code::Limit), "{codes:?}");
    }
}

#[test]
fn lists_that_grow() {
    let mut text = format!("- list: l0\n  items: [{}]\n", vec!["x"; 100].join(", "));
    for i in 1..10 {
        writeln!(text, "- list: l{i}\n  items: [{}]", vec![format!("l{}", i - 1); 100].join(", ")).unwrap();
    }
    let many = vec!["proc.name in (l9)"; 100].join(" or ");
    assert_eq!(codes(&format!("{text}{}", rule(&many))), [Code::Limit]);
}

#[test]
fn aliases_that_grow() {
    let mut text = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        writeln!(text, "- &a{i} [{}]", vec![format!("*a{}", i - 1); 10].join(", ")).unwrap();
    }
    assert_eq!(codes(&text), [Code::Limit]);
    assert_eq!(codes("- &a [*a]\n").len(), 1);
}

#[test]
fn long_conditions_load() {
    let names: Vec<_> = (0..10_000).map(|i| format!("proc.name != n{i}")).collect();
    let text = rule(&format!("evt.type = open and {}", names.join(" and ")));
    let mut evaluator = Evaluator::new(common::load(&text).set.unwrap());
    let facts = |name: &str| {
        MapFacts::from_json([("evt.type", &"open".into()), ("proc.name", &name.into())]).unwrap()
    };
    let mut matches = 0;
    evaluator.evaluate(&facts("n9999"), |_| matches += 1);
    assert_eq!(matches, 0);
    evaluator.evaluate(&facts("other"), |_| matches += 1);
    assert_eq!(matches, 1);
    let branches: Vec<_> =
        (0..200).map(|i| format!("(proc.name = a{i} or fd.name = b{i} and not proc.args = c{i})")).collect();
    let set = common::load(&rule(&format!("evt.type = open and {}", branches.join(" and ")))).set.unwrap();
    assert_eq!(set.event_types_of(0).iter().collect::<Vec<_>>(), [EventType::Open]);
    let explained = vedette_policy::explain::explain(&set, 0).unwrap();
    assert!(explained.conditions[0].truncated && explained.conditions[0].branches.len() <= 256);
}

#[test]
fn many_findings_are_cut() {
    let names: Vec<_> = (0..1_200).map(|i| format!("proc.x{i} = 1")).collect();
    let loaded = common::load(&rule(&names.join(" and ")));
    assert!(loaded.set.is_none());
    assert_eq!(loaded.diagnostics.len(), 1000);
}
