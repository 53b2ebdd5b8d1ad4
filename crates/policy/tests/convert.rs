//! Falco files to native policies.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use vedette_policy::convert::{ConvertError, to_native};
use vedette_policy::load::read_sources;
use vedette_policy::rule::{Detection, PolicyKind};
use vedette_policy::{PolicySet, Severity, Source};

const TUNED: &str = r#"
- list: inner
  items: [a, two words]
- list: outer
  items: [inner, b]
- list: inner
  items: [c]
  override: {items: append}
- macro: tuned
  condition: proc.name = old
- macro: user
  condition: (tuned or proc.name in (outer))
- macro: late
  condition: evt.type = openat
- macro: tuned
  condition: late and proc.name = "a  b"
- rule: Tuned
  desc: >
    Several
    lines.
  condition: >
    evt.type in (open, openat)
    and user
  output: "%proc.name: 100%% %20fd.name"
  priority: info
  enabled: false
  tags: [x, T1059.004]
  exceptions:
    - {name: one, fields: proc.name, values: [x y]}
    - name: two
      fields: [proc.name, fd.name]
      comps: [in, startswith]
      values: [[[p, q], /etc]]
"#;

#[test]
fn overrides_are_resolved() {
    let yaml = to_native(&[Source::new("tuned.yaml", TUNED)], "My Rules.yaml").unwrap();
    let loaded = PolicySet::load([Source::new("native.yaml", yaml.clone())]);
    let set =
        loaded.set.as_ref().unwrap_or_else(|| panic!("{yaml}\n{}", loaded.render(Severity::Error, false)));
    let rule = set.rule("Tuned").unwrap();
    assert_eq!(rule.policy.kind, Some(PolicyKind::ClusterSecurityPolicy));
    assert_eq!(rule.policy.name, "my-rules-yaml");
    let original = PolicySet::load([Source::new("tuned.yaml", TUNED)]).set.unwrap();
    let text = |set: &PolicySet| match &set.rules()[0].detection {
        Detection::Single(condition) => condition.text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(set), text(&original));
    assert!(text(set).contains("proc.name in (a, \"two words\", c, b)"), "{}", text(set));
    assert!(text(set).contains("proc.name = \"a  b\""));
    assert_eq!(rule.desc, "Several lines.");
}

#[test]
fn the_published_files() {
    let Some(directory) = common::published_rules() else { return };
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    let sources = read_sources(names.map(|name| directory.join(name))).unwrap();
    let native = |sources: &[Source]| {
        let yaml = to_native(sources, "falco").unwrap_or_else(|e| panic!("{e}"));
        let loaded = PolicySet::load([Source::new("native.yaml", yaml)]);
        let warned = loaded.render(Severity::Warning, false);
        assert_eq!(warned, "");
        loaded.set.unwrap().rules().len()
    };
    assert_eq!(native(&sources), 93);
    let each: Vec<_> = sources.iter().map(|s| native(std::slice::from_ref(s))).collect();
    assert_eq!(each, [25, 31, 37]);
}

#[test]
fn files_with_errors_are_not_converted() {
    let sources = [Source::new(
        "bad.yaml",
        "- rule: x\n  condition: evt.type = opn\n  desc: d\n  output: o\n  priority: Info\n",
    )];
    let Err(ConvertError::Errors { diagnostics, .. }) = to_native(&sources, "x") else { panic!() };
    assert!(!diagnostics.is_empty());
}
