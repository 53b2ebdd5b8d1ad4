//! `threshold`, `sequence` and `throttle` from the policy's text to the match.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use serde_json::{Value as Json, json};
use vedette_policy::{Correlation, Evaluator, Limits, MapFacts, Match, Severity};

const SECOND: u64 = 1_000_000_000;

struct Stream(Evaluator);

impl Stream {
    fn new(rule: &str) -> Self {
        Self::with_limits(rule, Limits::default())
    }

    fn with_limits(rule: &str, limits: Limits) -> Self {
        let text = format!(
            "apiVersion: vedette.dev/v1alpha1\nkind: ClusterSecurityPolicy\nmetadata: {{name: p}}\nspec:\n  rules:\n{rule}"
        );
        let loaded = common::load(&text);
        let set = loaded.set.as_ref().unwrap_or_else(|| panic!("{}", loaded.render(Severity::Error, false)));
        Self(Evaluator::with_limits(set.clone(), limits))
    }

    fn event(&mut self, second: u64, event: &Json) -> Vec<(String, Option<Correlation>)> {
        let fields = event.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v));
        let facts = MapFacts::from_json(fields).unwrap().at(second * SECOND);
        let mut matches = Vec::new();
        self.0.evaluate(&facts, |m| matches.push(show(&m)));
        matches
    }
}

fn show(m: &Match<'_>) -> (String, Option<Correlation>) {
    (m.output.clone(), m.correlation.clone())
}

fn outputs(matches: &[(String, Option<Correlation>)]) -> Vec<&str> {
    matches.iter().map(|(output, _)| output.as_str()).collect()
}

#[test]
fn threshold_of_different_values() {
    let mut stream = Stream::new(
        "    - name: scan
      condition: evt.type = connect
      output: \"%container.id scans\"
      threshold: {count: 3, distinct: fd.sport, by: [container.id], within: 10s}\n",
    );
    let connect = |container: &str, port: u64| json!({"evt.type": "connect", "container.id": container, "fd.sport": port});
    assert!(stream.event(0, &connect("a", 1)).is_empty());
    assert!(stream.event(1, &connect("a", 1)).is_empty());
    assert!(stream.event(2, &connect("b", 2)).is_empty());
    assert!(stream.event(3, &connect("a", 2)).is_empty());
    assert!(stream.event(4, &json!({"evt.type": "connect", "container.id": "a"})).is_empty());
    let matches = stream.event(5, &connect("a", 3));
    assert_eq!(outputs(&matches), ["a scans"]);
    let expected = Correlation::Threshold { count: 3, first: SECOND, last: 5 * SECOND };
    assert_eq!(matches[0].1, Some(expected));
}

#[test]
fn sequence_within_a_time() {
    let mut stream = Stream::new(
        "    - name: scan then out
      output: \"%proc.name left\"
      sequence:
        by: [container.id]
        within: 10s
        steps:
          - {name: tool, condition: evt.type = execve and proc.name = nmap}
          - {condition: evt.type = connect and not fd.snet in (rfc1918)}\n",
    );
    let exec = json!({"evt.type": "execve", "proc.name": "nmap", "container.id": "a"});
    let connect =
        |to: &str| json!({"evt.type": "connect", "proc.name": "nc", "container.id": "a", "fd.sip": to});
    assert!(stream.event(0, &connect("8.8.8.8")).is_empty());
    assert!(stream.event(1, &exec).is_empty());
    assert!(stream.event(2, &connect("10.1.1.1")).is_empty());
    assert!(stream.event(12, &connect("8.8.8.8")).is_empty());
    assert!(stream.event(13, &exec).is_empty());
    let matches = stream.event(14, &connect("8.8.8.8"));
    assert_eq!(outputs(&matches), ["nc left"]);
    let Some(Correlation::Sequence { steps }) = &matches[0].1 else { panic!("{matches:?}") };
    let names: Vec<_> = steps.iter().map(|s| (s.name.as_str(), s.time / SECOND)).collect();
    assert_eq!(names, [("tool", 13), ("step 2", 14)]);
    assert!(steps[0].fields.contains(&("proc.name".to_owned(), json!("nmap"))));
}

#[test]
fn a_step_may_have_the_key_in_another_field() {
    let mut stream = Stream::new(
        "    - name: written and run
      output: \"%proc.exepath ran\"
      sequence:
        by: [fd.name]
        within: 10s
        steps:
          - {name: written, condition: evt.type = openat and evt.is_open_write = true}
          - {name: run, by: [proc.exepath], condition: evt.type = execve}\n",
    );
    let open = |path: &str| json!({"evt.type": "openat", "evt.is_open_write": true, "fd.name": path, "proc.exepath": "/tmp/b"});
    let exec = |path: &str| json!({"evt.type": "execve", "proc.exepath": path});
    assert!(stream.event(0, &open("/tmp/a")).is_empty());
    assert!(stream.event(1, &exec("/tmp/b")).is_empty());
    assert_eq!(outputs(&stream.event(2, &exec("/tmp/a"))), ["/tmp/a ran"]);
    assert!(stream.event(3, &exec("/tmp/a")).is_empty());
}

#[test]
fn a_step_has_as_many_keys_as_its_sequence() {
    let loaded = common::load(
        "apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {name: p}
spec:
  rules:
    - name: r
      output: o
      sequence:
        by: [proc.pid]
        within: 1s
        steps:
          - {condition: evt.type = execve}
          - {by: [proc.pid, fd.name], condition: evt.type = openat}\n",
    );
    assert!(loaded.set.is_none());
    let text = loaded.render(Severity::Error, false);
    assert!(text.contains("the step has 2 fields in `by`, the sequence 1"), "{text}");
}

#[test]
fn throttle_counts_what_it_holds_back() {
    let mut stream = Stream::new(
        "    - name: shell
      condition: evt.type = execve
      output: \"shell %proc.pid\"
      throttle: {by: [container.id], interval: 60s}\n",
    );
    let exec = |pid: u64| json!({"evt.type": "execve", "proc.pid": pid, "container.id": "a"});
    assert_eq!(outputs(&stream.event(0, &exec(1))), ["shell 1"]);
    assert!(stream.event(1, &exec(2)).is_empty());
    assert!(stream.event(2, &exec(3)).is_empty());
    // Any event brings the time, also one that no rule looks at.
    let matches = stream.event(60, &json!({"evt.type": "open"}));
    assert_eq!(outputs(&matches), ["shell 3 (2 more alerts like this)"]);
    assert_eq!(matches[0].1, Some(Correlation::Summary { suppressed: 2, first: SECOND, last: 2 * SECOND }));
    assert!(stream.event(61, &exec(4)).is_empty());
    let mut rest = Vec::new();
    stream.0.finish(|m| rest.push(show(&m)));
    assert_eq!(outputs(&rest), ["shell 4 (1 more alert like this)"]);
}

#[test]
fn a_quiet_stream_can_be_advanced() {
    let mut stream = Stream::new(
        "    - name: shell\n      condition: evt.type = execve\n      throttle: {interval: 10s}\n",
    );
    let exec = json!({"evt.type": "execve"});
    assert_eq!(stream.event(0, &exec).len(), 1);
    assert_eq!(stream.event(1, &exec).len(), 0);
    let mut summaries = 0;
    stream.0.advance(9 * SECOND, |_| summaries += 1);
    assert_eq!(summaries, 0);
    stream.0.advance(10 * SECOND, |_| summaries += 1);
    assert_eq!(summaries, 1);
}

#[test]
fn memory_is_bounded_and_forgetting_is_counted() {
    let limits = Limits { keys: 16, entries: 64 };
    let mut stream = Stream::with_limits(
        "    - name: many
      condition: evt.type = open
      threshold: {count: 100, by: [proc.pid], within: 1h}
      throttle: {by: [proc.pid], interval: 1h}\n",
        limits,
    );
    for pid in 0..1000 {
        stream.event(1, &json!({"evt.type": "open", "proc.pid": pid}));
    }
    let (rule, stats) = stream.0.correlation_stats().next().unwrap();
    assert_eq!((rule, stats.keys), (0, 16));
    assert_eq!(stats.evicted, 1000 - 16);
}

#[test]
fn the_scope_of_a_policy_is_part_of_its_rules() {
    let text = "apiVersion: vedette.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: p, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: NotIn, values: [test]}]}
  containers: [main]
  rules: [{name: r, condition: evt.type = open}]
";
    let mut stream = Stream(Evaluator::new(common::load(text).set.unwrap()));
    let pod = json!({
        "evt.type": "open", "k8s.ns.name": "shop", "k8s.pod.name": "web-1", "k8s.pod.label[app]": "web",
        "container.name": "main",
    });
    assert_eq!(stream.event(0, &pod).len(), 1);
    for (key, value) in [
        ("k8s.ns.name", "other"),
        ("k8s.pod.label[app]", "db"),
        ("container.name", "side"),
        ("k8s.pod.label[tier]", "test"),
    ] {
        let mut other = pod.clone();
        other[key] = json!(value);
        assert_eq!(stream.event(0, &other).len(), 0, "{key}");
    }
    assert_eq!(stream.event(0, &json!({"evt.type": "open"})).len(), 0);
}

#[test]
fn a_disabled_policy_is_silent_and_first_match_stops() {
    let policy = |mode: &str| {
        format!(
            "apiVersion: vedette.dev/v1alpha1\nkind: ClusterSecurityPolicy\nmetadata: {{name: p}}\nspec:\n  mode: {mode}\n  rules: [{{name: a, condition: evt.type = open}}, {{name: b, condition: evt.type = open and proc.name exists}}]\n"
        )
    };
    let event = json!({"evt.type": "open", "proc.name": "x"});
    let evaluator = |mode: &str| Evaluator::new(common::load(&policy(mode)).set.unwrap());
    assert_eq!(Stream(evaluator("Disabled")).event(0, &event).len(), 0);
    assert_eq!(outputs(&Stream(evaluator("Audit")).event(0, &event)), ["a", "b"]);
    let first = evaluator("Enforce").with_matching(vedette_policy::RuleMatching::First);
    assert_eq!(outputs(&Stream(first).event(0, &event)), ["a"]);
}
