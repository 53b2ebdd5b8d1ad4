//! Events as JSON: one object, whose keys are fields of the policy language.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use vedette_abi::Kind;
use vedette_event::{
    Body, Record,
    alert::{Time, write_json},
};
use vedette_policy::{
    FieldArg, FieldId, LiveFacts, Value,
    facts::Facts,
    field::{ArgKind, FIELDS, FieldInfo, Multiplicity},
    output::to_json,
};

use super::arguments::arguments;

/// Fields that say again what others say.
const REPEATED: &[FieldId] = &[
    FieldId::EvtTime,
    FieldId::EvtTimeS,
    FieldId::EvtDatetime,
    FieldId::EvtDatetimeS,
    FieldId::EvtRawtimeS,
    FieldId::EvtRawtimeNs,
    FieldId::EvtDir,
    FieldId::EvtSource,
    FieldId::EvtArgs,
    FieldId::EvtInfo,
    FieldId::EvtCount,
    FieldId::EvtCountError,
    FieldId::EvtCountExit,
    FieldId::SyscallType,
    FieldId::ProcEnv,
    FieldId::ProcAenv,
];

/// Fields with their values, in order.
struct Fields(Vec<(String, Json)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Appends an event with everything that is known of it. What has no value is left out.
///
/// # Errors
/// Writing to memory does not fail.
pub fn event(facts: &LiveFacts<'_>, out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut all = Vec::with_capacity(128);
    let mut arguments_told = false;
    for field in FIELDS.iter().filter(|field| is_shown(field)) {
        if !arguments_told && !field.name.starts_with("evt.") {
            arguments_told = true;
            let arguments = arguments(facts).into_iter();
            all.extend(arguments.map(|(name, value)| (format!("evt.arg.{name}"), Json::from(value))));
        }
        let value = value_of(facts, field);
        if !value.is_null() {
            all.push((field.name.to_owned(), value));
        }
    }
    write_json(&Fields(all), out)
}

fn is_shown(field: &FieldInfo) -> bool {
    let whole = matches!(field.arg, ArgKind::None) || field.id == FieldId::ProcAname;
    field.filled && whole && !REPEATED.contains(&field.id)
}

fn value_of(facts: &LiveFacts<'_>, field: &FieldInfo) -> Json {
    let arg = FieldArg::None;
    if field.multiplicity == Multiplicity::One {
        let value = facts.get(field.id, &arg);
        return to_json(std::slice::from_ref(&value));
    }
    let mut values = Vec::new();
    facts.each(field.id, &arg, &mut |value: Value<'_>| {
        if !value.is_absent() {
            values.push(to_json(std::slice::from_ref(&value)));
        }
    });
    if values.is_empty() { Json::Null } else { values.into() }
}

/// Appends the fields that were asked for, `null` where there is no value.
///
/// # Errors
/// Writing to memory does not fail.
pub fn fields(fields: Vec<(String, Json)>, out: &mut Vec<u8>) -> std::io::Result<()> {
    write_json(&Fields(fields), out)
}

/// Appends a record that is no event of a process.
///
/// # Errors
/// Writing to memory does not fail.
pub fn record(record: &Record<'_>, time: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut all = vec![
        ("kind".to_owned(), Json::from(record.kind.name())),
        ("time".to_owned(), Json::from(Time(time).to_string())),
    ];
    match &record.body {
        Body::CgroupMkdir { facts, path } | Body::CgroupRmdir { facts, path } => all.extend([
            ("id".to_owned(), Json::from(facts.id)),
            ("hierarchy".to_owned(), Json::from(facts.hierarchy)),
            ("path".to_owned(), Json::from(String::from_utf8_lossy(path))),
        ]),
        Body::Gap(gap) => {
            let losses: Vec<Json> = gap
                .losses
                .iter()
                .filter(|loss| loss.count > 0)
                .map(|loss| {
                    let kind = u16::try_from(loss.kind).ok().and_then(|kind| Kind::try_from(kind).ok());
                    let cgroup = (loss.cgroup != 0).then_some(loss.cgroup);
                    json!({"kind": kind.map_or("mixed", Kind::name), "cgroup": cgroup, "count": loss.count})
                })
                .collect();
            all.extend([
                ("cpu".to_owned(), Json::from(record.header.cpu)),
                ("total".to_owned(), Json::from(gap.total)),
                ("losses".to_owned(), Json::from(losses)),
            ]);
        }
        _ => {}
    }
    write_json(&Fields(all), out)
}
