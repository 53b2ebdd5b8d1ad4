//! The text of a match, and what is kept of a step.

use serde_json::Value as Json;

use crate::correlate::StepMatch;
use crate::eval::Run;
use crate::facts::Facts;
use crate::field::{FieldArg, FieldId};
use crate::output::{self, OutputPart};
use crate::rule::Rule;

/// The text of an alert, and the values in it by name.
pub(super) fn output<F: Facts>(
    run: &mut Run<'_, '_, '_, F>,
    rule: &Rule,
    rule_index: usize,
) -> (String, Vec<(String, Json)>) {
    let mut slots = run.program.rules[rule_index].output.iter();
    let mut text = String::new();
    let mut fields: Vec<(String, Json)> = Vec::with_capacity(slots.len());
    for part in &rule.output.parts {
        match part {
            OutputPart::Text(part) => text.push_str(part),
            OutputPart::Value { name, width, .. } => {
                let Some(slot) = slots.next() else { continue };
                let range = run.cache.read(run.program, run.facts, *slot);
                let values = run.cache.values(range);
                match width {
                    None => output::write_values(&mut text, values),
                    Some(width) => {
                        let mut value = String::new();
                        output::write_values(&mut value, values);
                        text.push_str(&output::fit(&value, *width));
                    }
                }
                if !fields.iter().any(|(n, _)| n == name) {
                    fields.push((name.clone(), output::to_json(values)));
                }
            }
        }
    }
    (text, fields)
}

/// What is worth knowing of an event that was a step.
const STEP_FIELDS: [FieldId; 6] = [
    FieldId::EvtType,
    FieldId::ProcName,
    FieldId::ProcPid,
    FieldId::ProcCmdline,
    FieldId::FdName,
    FieldId::ContainerId,
];

pub(super) fn step<F: Facts>(facts: &F, name: &str) -> StepMatch {
    let fields = STEP_FIELDS.iter().filter_map(|field| {
        let value = facts.get(*field, &FieldArg::None);
        let known = !value.is_absent();
        known.then(|| (field.name().to_owned(), output::to_json(std::slice::from_ref(&value))))
    });
    StepMatch { name: name.to_owned(), time: facts.time(), fields: fields.collect() }
}
