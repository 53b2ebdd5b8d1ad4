//! Alerts with Falco's keys only (<https://falco.org/docs/concepts/outputs/formatting/>), for readers that take no others.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::{Alert, Priority, Time};

#[derive(Serialize)]
pub(super) struct FalcoAlert<'a> {
    time: Time,
    rule: &'a str,
    priority: Priority,
    source: &'a str,
    hostname: &'a str,
    output: &'a str,
    tags: &'a [String],
    output_fields: &'a IndexMap<String, Value>,
    /// Falcosidekick passes it on.
    uuid: String,
}

impl<'a> From<&'a Alert> for FalcoAlert<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            time: alert.time,
            rule: &alert.rule,
            priority: alert.priority,
            source: &alert.source,
            hostname: &alert.hostname,
            output: &alert.output,
            tags: &alert.tags,
            output_fields: &alert.output_fields,
            uuid: alert.uid.to_string(),
        }
    }
}
