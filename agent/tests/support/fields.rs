//! Fields of a record as rules see them.

// Each test target is a crate of its own, and none uses everything.
#![allow(dead_code, reason = "shared by test targets")]

use vedette_event::{Clock, NoNames, Record, State, StateLimits, View};
use vedette_policy::{Facts, FieldName, LiveFacts, Value};

/// Calls `look` with the facts of a record. Nobody has a name, and of the process only the record is known.
pub fn with_facts<T>(record: &Record<'_>, look: impl FnOnce(&LiveFacts<'_>) -> T) -> T {
    let mut state = State::new(StateLimits::default());
    let id = state.apply(record).process.unwrap();
    let view = View {
        record,
        number: 1,
        process: state.processes.get(id).unwrap(),
        id,
        state: &state,
        clock: Clock::default(),
        hostname: "node",
        names: &NoNames,
    };
    look(&LiveFacts::new(view).unwrap())
}

/// A field as an output shows it.
pub fn field(record: &Record<'_>, name: &str) -> String {
    let name = FieldName::parse(name).unwrap();
    with_facts(record, |facts| shown(&facts.get(name.id, &name.arg)))
}

/// All values of a field that can have several.
pub fn every(record: &Record<'_>, name: &str) -> Vec<String> {
    let name = FieldName::parse(name).unwrap();
    let mut values = Vec::new();
    with_facts(record, |facts| facts.each(name.id, &name.arg, &mut |v| values.push(shown(&v))));
    values
}

/// Asserts what fields are, with the names of those that differ.
pub fn assert_fields(record: &Record<'_>, expected: &[(&str, &str)]) {
    let found: Vec<_> = expected.iter().map(|(name, _)| (*name, field(record, name))).collect();
    let found: Vec<_> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(found, expected);
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Absent => "<NA>".to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Ip(ip) => ip.to_string(),
        other => format!("{other:?}"),
    }
}
