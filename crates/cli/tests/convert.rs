//! `vedette policy convert`: native policies that mean the same.

#![allow(clippy::unwrap_used)]

#[path = "support/vedette.rs"]
mod support;

use std::sync::Arc;

use support::{Scratch, data, published_rules, stderr, stdout, vedette};
use vedette_policy::check::Test;
use vedette_policy::field::FieldType;
use vedette_policy::load::read_sources;
use vedette_policy::{Evaluator, EventType, FieldName, MapFacts, PolicySet, Severity, Value};

fn load(paths: &[String]) -> Arc<PolicySet> {
    let loaded = PolicySet::load(read_sources(paths).unwrap());
    loaded.set.clone().unwrap_or_else(|| panic!("{}", loaded.render(Severity::Error, false)))
}

/// Small, quick and the same every time (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// For each field that conditions read, values they compare it with: events made of them come near to matching.
fn vocabulary(set: &PolicySet) -> Vec<(FieldName, Vec<Value<'static>>)> {
    let mut words: Vec<(FieldName, Vec<Value<'static>>)> = Vec::new();
    for atom in set.rules().iter().flat_map(|r| r.conditions()).flat_map(|c| c.cond.atoms()) {
        for field in atom.fields() {
            let values: Vec<Value<'static>> = match (&atom.test, field.id.info().r#type) {
                (Test::Text(_, texts), FieldType::String | FieldType::Bytes) => {
                    texts.iter().map(|t| Value::Bytes(t.clone().into())).collect()
                }
                (Test::Net(nets), _) => nets.iter().map(|(ip, _)| Value::Ip(*ip)).collect(),
                (Test::NumberIn(numbers), _) => numbers.iter().map(|n| Value::Int(*n as i64)).collect(),
                (Test::Number(_, _, n), _) => vec![Value::Int(*n as i64), Value::Int(*n as i64 + 1)],
                (_, FieldType::Bool) => vec![Value::Bool(true), Value::Bool(false)],
                (_, FieldType::String | FieldType::Bytes) => vec![Value::str("x")],
                _ => Vec::new(),
            };
            match words.iter_mut().find(|(f, _)| f == field) {
                Some((_, known)) => known.extend(values),
                None => words.push((field.clone(), values)),
            }
        }
    }
    words.retain(|(_, values)| !values.is_empty());
    words
}

fn event(words: &[(FieldName, Vec<Value<'static>>)], types: &[EventType], random: &mut Random) -> MapFacts {
    let mut facts = MapFacts::new(types[random.below(types.len())]);
    for (field, values) in words {
        if random.below(3) > 0 {
            facts = facts.with(field.clone(), values[random.below(values.len())].clone());
        }
    }
    facts
}

/// Both sets say the same of random events. Says how many alerts that were.
fn same_alerts(before: &Arc<PolicySet>, after: &Arc<PolicySet>, events: usize) -> usize {
    let words = vocabulary(before);
    let types: Vec<EventType> = before.needs().event_types.iter().collect();
    let mut random = Random(0x5eed);
    let (mut a, mut b) = (Evaluator::new(Arc::clone(before)), Evaluator::new(Arc::clone(after)));
    let mut alerts = 0;
    for _ in 0..events {
        let event = event(&words, &types, &mut random);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        a.evaluate(&event, |m| x.push((m.rule.name.clone(), m.rule.priority, m.output, m.output_fields)));
        b.evaluate(&event, |m| y.push((m.rule.name.clone(), m.rule.priority, m.output, m.output_fields)));
        assert_eq!(x, y, "{event:?}");
        alerts += x.len();
    }
    alerts
}

#[test]
fn the_result_means_the_same() {
    let scratch = Scratch::new("convert");
    let falco = data().join("falco.yaml").display().to_string();
    let output = vedette(&["policy", "convert", &falco, "-o", &scratch.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("2 rules in 1 policy, in {}\n", scratch.path()));
    let after = load(&[scratch.path()]);
    let alerts = same_alerts(&load(&[falco]), &after, 20_000);
    assert!(alerts > 100, "{alerts}");
    // What a native policy calls loopback is a list; here it is a word.
    assert!(after.rules()[0].conditions()[0].text.contains("loopback"));
}

#[test]
fn the_published_rules_mean_the_same() {
    let Some(files) = published_rules() else { return };
    let scratch = Scratch::new("convert_published");
    let mut arguments = vec!["policy", "convert", "-o"];
    let directory = scratch.path();
    arguments.push(&directory);
    arguments.extend(files.iter().map(String::as_str));
    let output = vedette(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let names = ["falco-rules", "falco-incubating-rules", "falco-sandbox-rules"];
    let converted = names.map(|name| format!("{}/{name}.yaml", scratch.path()));
    let alerts = same_alerts(&load(&files), &load(&converted), 5_000);
    assert!(alerts > 100, "{alerts}");
}

#[test]
fn files_are_not_replaced_unasked() {
    let scratch = Scratch::new("convert_force");
    scratch.file("falco.yaml", "mine\n");
    let output = vedette(&["policy", "convert", "falco.yaml", "-o", &scratch.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(format!("{}/falco.yaml", scratch.path())).unwrap(), "mine\n");
    let output = vedette(&["policy", "convert", "falco.yaml", "--force", "-o", &scratch.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn native_policies_need_none() {
    let output = vedette(&["policy", "convert", "web.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no Falco rule"), "{}", stderr(&output));
}
