//! What an agent gave up becomes an alert of its own, so that whoever reads the alerts, wherever they end, sees the gap.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::json;
use vedette_proto::v1;

use crate::alert_log::Entry;

/// The rule's name.
pub const RULE: &str = "Alerts given up by an agent";

/// The log's entry of a report. The same report gives the same entry.
pub fn entry(node: &Arc<str>, spool: &str, report: &v1::Shed) -> Entry {
    let why = match report.reason() {
        v1::ShedReason::Unspecified | v1::ShedReason::Full => "its spool was full",
        v1::ShedReason::Disk => "its disk failed or was full",
        v1::ShedReason::Corrupt => "its disk did not give back what was written",
    };
    make(node, &format!("shed\0{node}\0{spool}\0{}", report.id), report, why)
}

/// The log's entry in the place of an alert that cannot be kept, so that the agent need not send it for ever.
pub fn refused(node: &Arc<str>, spool: &str, alert: &v1::Alert, why: &str) -> Entry {
    let report = v1::Shed {
        priority: alert.priority,
        count: 1,
        first_time: alert.time,
        last_time: alert.time,
        first_sequence: alert.sequence,
        last_sequence: alert.sequence,
        ..Default::default()
    };
    let name = format!("refused\0{node}\0{spool}\0{}", alert.sequence);
    make(node, &name, &report, &format!("what was sent was no alert: {why}"))
}

fn make(node: &Arc<str>, name: &str, report: &v1::Shed, why: &str) -> Entry {
    let time = |time: &Option<prost_types::Timestamp>| {
        time.as_ref().and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
    };
    let (first, last) = (time(&report.first_time), time(&report.last_time));
    let at = last.or(first).unwrap_or_else(Timestamp::now);
    let priority = priority_name(report.priority());
    let uid = uid(name);
    let count = report.count;
    let between = match (first, last) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    let text = format!("{count} alerts of priority {priority} of node {node} were given up{between}: {why}");
    let nanos = |time: Timestamp| format!("{}", time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ"));
    let json = json!({
        "time": nanos(at),
        "uid": uid,
        "rule": RULE,
        "priority": "Critical",
        "source": "vedette",
        "hostname": &**node,
        "output": format!("{}: Critical {text}", at.strftime("%H:%M:%S.%9f")),
        "tags": ["vedette", "loss"],
        "output_fields": {
            "shed.count": count,
            "shed.priority": priority,
            "shed.first_sequence": report.first_sequence,
            "shed.last_sequence": report.last_sequence,
            "shed.reason": why,
        },
        "description": "An agent could not keep all alerts until the controller had them.",
        "action": {"requested": "Alert", "taken": "Alert"},
        "process": {"pid": 0, "id": "", "name": "", "start": nanos(Timestamp::UNIX_EPOCH)},
        "event": {"type": "gap", "number": 0},
        "gaps": [{
            "ring": "spool",
            "cpu": 0,
            "kind": "alert",
            "count": count,
            "from": nanos(first.unwrap_or(at)),
            "to": nanos(at),
        }],
    });
    Entry {
        uid,
        node: Arc::clone(node),
        sequence: report.last_sequence,
        time: at,
        json: Bytes::from(json.to_string()),
    }
}

/// The word for a priority, as alerts have it.
pub fn priority_name(priority: v1::Priority) -> &'static str {
    match priority {
        v1::Priority::Unspecified => "unknown",
        v1::Priority::Emergency => "Emergency",
        v1::Priority::Alert => "Alert",
        v1::Priority::Critical => "Critical",
        v1::Priority::Error => "Error",
        v1::Priority::Warning => "Warning",
        v1::Priority::Notice => "Notice",
        v1::Priority::Informational => "Informational",
        v1::Priority::Debug => "Debug",
    }
}

/// A UUID of version 8 (RFC 9562) of the SHA-256 of a name.
fn uid(name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    bytes[6] = 0x80 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use vedette_event::alert::Alert;

    use super::*;

    #[test]
    fn a_report_is_an_alert_like_others_and_always_the_same() {
        let report = v1::Shed {
            priority: v1::Priority::Notice.into(),
            count: 12,
            first_time: Some(prost_types::Timestamp { seconds: 100, nanos: 0 }),
            last_time: Some(prost_types::Timestamp { seconds: 200, nanos: 5 }),
            first_sequence: 4,
            last_sequence: 40,
            id: 3,
            reason: v1::ShedReason::Full.into(),
        };
        let one = entry(&"n1".into(), "s", &report);
        assert_eq!(one, entry(&"n1".into(), "s", &report));
        assert_ne!(one.uid, entry(&"n1".into(), "s", &v1::Shed { id: 4, ..report }).uid);
        let alert: Alert = serde_json::from_slice(&one.json).unwrap();
        assert_eq!((alert.hostname.as_str(), alert.uid.to_string()), ("n1", one.uid));
        assert_eq!((alert.gaps[0].count, alert.gaps[0].from.0), (12, 100_000_000_000));
        // Where the times are not known.
        let alert = entry(&"n1".into(), "s", &v1::Shed { first_time: None, last_time: None, ..report });
        serde_json::from_slice::<Alert>(&alert.json).unwrap();
    }
}
