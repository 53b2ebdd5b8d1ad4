//! Agents that are made up: they have the spool and the uplink of real ones, and no kernel.
//!
//! An agent makes alerts as it is told on its standard input, `add FIRST COUNT BATCH`: alerts with the indices from FIRST
//! on, BATCH of them made durable together. It answers `done INDEX SEQUENCE TIME kept|shed` for each, once the spool has
//! made good what it says. Everything of an alert follows from node, index and time, so that whoever sees one at the other
//! end can tell whether it is whole.

use serde_json::{Value, json};
use vedette_event::alert::{Priority, Time};
use vedette_proto::v1;

/// Name of a node.
pub fn node_name(node: u32) -> String {
    format!("node-{node}")
}

/// The uid of an alert; [`of_uid`] is the way back.
pub fn uid(node: u32, index: u64) -> String {
    format!("{node:08x}-0000-8000-8000-{index:012x}")
}

/// Node and index of a uid.
pub fn of_uid(uid: &str) -> Option<(u32, u64)> {
    let (node, index) = uid.split_once("-0000-8000-8000-")?;
    Some((u32::from_str_radix(node, 16).ok()?, u64::from_str_radix(index, 16).ok()?))
}

/// The priority of an alert; 0 is the most urgent.
pub fn priority(index: u64) -> u8 {
    (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61) as u8
}

/// The alert as it leaves the agent.
pub fn json(node: u32, index: u64, time: u64) -> Value {
    let all = [
        Priority::Emergency,
        Priority::Alert,
        Priority::Critical,
        Priority::Error,
        Priority::Warning,
        Priority::Notice,
        Priority::Informational,
        Priority::Debug,
    ];
    let time = serde_json::to_value(Time(time)).unwrap();
    json!({
        "time": time,
        "uid": uid(node, index),
        "rule": "Something happened",
        "priority": all[usize::from(priority(index))],
        "source": "syscall",
        "hostname": node_name(node),
        "output": format!("alert {index} of {} {}", node_name(node), "x".repeat((index * 7919 % 900) as usize)),
        "tags": ["test"],
        "output_fields": {"index": index},
        "action": {"requested": "Alert", "taken": "Alert"},
        "process": {"pid": 1, "id": "1", "name": "test", "start": time},
        "event": {"type": "open", "number": index},
    })
}

/// The alert as the spool takes it.
pub fn alert(node: u32, index: u64, time: u64) -> v1::Alert {
    v1::Alert {
        uid: uid(node, index),
        sequence: 0,
        time: Some(prost_types::Timestamp {
            seconds: (time / 1_000_000_000) as i64,
            nanos: (time % 1_000_000_000) as i32,
        }),
        rule: "Something happened".into(),
        priority: i32::from(priority(index)) + 1,
        json: json(node, index, time).to_string().into(),
    }
}

/// What an agent says of one of its alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The alert.
    pub index: u64,
    /// The number that the spool gave it.
    pub sequence: u64,
    /// Its time, nanoseconds of the Unix epoch.
    pub time: u64,
    /// Whether it is in the spool.
    pub kept: bool,
}

impl Done {
    /// As a line.
    pub fn line(&self) -> String {
        let fate = if self.kept { "kept" } else { "shed" };
        format!("done {} {} {} {fate}", self.index, self.sequence, self.time)
    }

    /// From a line.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("done ")?.split(' ');
        let mut number = || words.next()?.parse().ok();
        let (index, sequence, time) = (number()?, number()?, number()?);
        Some(Self { index, sequence, time, kept: words.next()? == "kept" })
    }
}
