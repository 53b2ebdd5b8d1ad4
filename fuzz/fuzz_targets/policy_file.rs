//! A policy file loads, or is refused with findings that can be shown. What loads can be explained, converted and evaluated.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use vedette_policy::convert::{Style, convert};
use vedette_policy::explain::explain;
use vedette_policy::{Evaluator, EventType, FieldId, FieldName, MapFacts, PolicySet, Severity, Source, Value};

/// An event with a value or two for the rules to look at.
fn event(event_type: EventType) -> MapFacts {
    MapFacts::new(event_type)
        .at(1)
        .with(FieldName::plain(FieldId::ProcName), Value::str("sh"))
        .with(FieldName::plain(FieldId::FdName), Value::str("/etc/shadow"))
        .with(FieldName::plain(FieldId::UserUid), Value::Uint(0))
}

fuzz_target!(|text: &str| {
    let loaded = PolicySet::load([Source::new("fuzz.yaml", text)]);
    loaded.render(Severity::Note, true);
    for diagnostic in &loaded.diagnostics {
        let record = diagnostic.to_record(&loaded.sources);
        assert!((record.line, record.column) <= (record.end_line, record.end_column), "{record:?}");
    }
    let Some(set) = loaded.set else { return };
    (0..set.rules().len()).for_each(|index| drop(explain(&set, index)));
    convert(&set, &loaded.sources, Style::Readable);
    let mut evaluator = Evaluator::new(Arc::clone(&set));
    for event_type in [EventType::Execve, EventType::Openat, EventType::Connect] {
        evaluator.evaluate(&event(event_type), |_| {});
    }
    evaluator.finish(|_| {});
});
