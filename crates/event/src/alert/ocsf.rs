//! Alerts as Detection Findings of the Open Cybersecurity Schema Framework.
//!
//! Class 2004 of OCSF 1.5.0 (<https://schema.ocsf.io/1.5.0/classes/detection_finding>) with the profiles
//! `container`, `host`, `linux/linux_users` and `security_control`. What has no place in the schema is in
//! `unmapped`, under the names it has in Vedette's JSON.

mod evidence;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::{
    Action, Alert, Attack, ContainerInfo, Correlation, EventInfo, GapInfo, Guide, KubernetesInfo, Level,
    Priority, TakenAction, attack::tactic_id,
};
use evidence::Evidence;

/// Version of the schema that is followed.
const OCSF_VERSION: &str = "1.5.0";

#[derive(Serialize)]
pub(super) struct DetectionFinding<'a> {
    activity_id: u8,
    activity_name: &'static str,
    category_uid: u8,
    category_name: &'static str,
    class_uid: u16,
    class_name: &'static str,
    type_uid: u32,
    type_name: &'static str,
    time: u64,
    timezone_offset: i8,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    severity_id: u8,
    severity: &'static str,
    status_id: u8,
    status: &'static str,
    is_alert: bool,
    action_id: u8,
    action: &'static str,
    disposition_id: u8,
    disposition: &'static str,
    message: &'a str,
    metadata: Metadata<'a>,
    finding_info: FindingInfo<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attacks: Vec<AttackEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy<'a>>,
    device: Device<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<Remediation<'a>>,
    evidences: [Evidence<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Resource<'a>>,
    unmapped: Unmapped<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    version: &'static str,
    product: Product,
    profiles: [&'static str; 4],
    extensions: [Extension; 1],
    uid: String,
    original_time: String,
    event_code: &'a str,
    log_name: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    labels: &'a [String],
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Extension {
    name: &'static str,
    uid: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct FindingInfo<'a> {
    uid: String,
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    desc: &'a str,
    created_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related_events_count: Option<u64>,
    data_sources: [&'a str; 1],
    analytic: Analytic<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attacks: Vec<AttackEntry<'a>>,
}

#[derive(Serialize)]
struct Remediation<'a> {
    desc: &'a str,
}

#[derive(Serialize)]
struct Analytic<'a> {
    name: &'a str,
    type_id: u8,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Clone, Default, Serialize)]
struct AttackEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tactic: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    technique: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_technique: Option<Named<'a>>,
}

#[derive(Clone, Serialize)]
struct Named<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Policy<'a> {
    name: &'a str,
    uid: String,
    is_applied: bool,
}

#[derive(Serialize)]
struct Device<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    type_id: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    os: Os,
}

#[derive(Serialize)]
struct Os {
    name: &'static str,
    type_id: u16,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

#[derive(Serialize)]
struct Unmapped<'a> {
    priority: Priority,
    level: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    guide: Option<&'a Guide>,
    action: &'a Action,
    event: &'a EventInfo,
    output_fields: &'a IndexMap<String, Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    args: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a ContainerInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s: Option<&'a KubernetesInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<&'a Correlation>,
    #[serde(skip_serializing_if = "<[GapInfo]>::is_empty")]
    gaps: &'a [GapInfo],
}

impl<'a> From<&'a Alert> for DetectionFinding<'a> {
    fn from(alert: &'a Alert) -> Self {
        let (severity_id, severity) = severity(alert.priority);
        let (action_id, action, disposition_id, disposition) = outcome(alert.action.taken);
        let attacks = attacks(&alert.attack);
        let correlation = alert.correlation.as_ref();
        let first = correlation.map(|c| c.first.millis());
        let last = correlation.map(|c| c.last.millis());
        Self {
            activity_id: 1,
            activity_name: "Create",
            category_uid: 2,
            category_name: "Findings",
            class_uid: 2004,
            class_name: "Detection Finding",
            type_uid: 200_401,
            type_name: "Detection Finding: Create",
            time: alert.time.millis(),
            timezone_offset: 0,
            start_time: first,
            end_time: last,
            count: correlation.map(|c| c.count),
            severity_id,
            severity,
            status_id: 1,
            status: "New",
            is_alert: true,
            action_id,
            action,
            disposition_id,
            disposition,
            message: alert.message(),
            metadata: metadata(alert),
            finding_info: FindingInfo {
                uid: alert.uid.to_string(),
                title: &alert.rule,
                desc: &alert.description,
                created_time: alert.time.millis(),
                first_seen_time: first,
                last_seen_time: last,
                related_events_count: correlation.map(|c| c.count),
                data_sources: [&alert.source],
                analytic: Analytic { name: &alert.rule, type_id: 1, kind: "Rule" },
                attacks: attacks.clone(),
            },
            attacks,
            policy: alert.policy.as_ref().map(|policy| Policy {
                name: &policy.name,
                uid: policy.to_string(),
                is_applied: !matches!(alert.action.taken, TakenAction::None | TakenAction::Audit),
            }),
            device: device(alert),
            remediation: alert.guide.as_ref().map(|guide| Remediation { desc: &guide.response }),
            evidences: [Evidence::from(alert)],
            resources: resources(alert),
            unmapped: Unmapped {
                priority: alert.priority,
                level: alert.level,
                guide: alert.guide.as_ref(),
                action: &alert.action,
                event: &alert.event,
                output_fields: &alert.output_fields,
                args: &alert.process.args,
                container: alert.container.as_ref(),
                k8s: alert.k8s.as_ref(),
                correlation,
                gaps: &alert.gaps,
            },
        }
    }
}

fn metadata(alert: &Alert) -> Metadata<'_> {
    Metadata {
        version: OCSF_VERSION,
        product: Product { name: "Vedette", vendor_name: "Vedette", version: env!("CARGO_PKG_VERSION") },
        profiles: ["container", "host", "linux/linux_users", "security_control"],
        extensions: [Extension { name: "linux", uid: "1", version: OCSF_VERSION }],
        uid: alert.uid.to_string(),
        original_time: alert.time.to_string(),
        event_code: &alert.event.kind,
        log_name: &alert.source,
        labels: &alert.tags,
    }
}

fn device(alert: &Alert) -> Device<'_> {
    Device {
        hostname: &alert.hostname,
        name: alert.k8s.as_ref().and_then(|k| k.node.as_deref()),
        type_id: 0,
        kind: "Unknown",
        os: Os { name: "Linux", type_id: 200, kind: "Linux" },
    }
}

fn resources(alert: &Alert) -> Vec<Resource<'_>> {
    let pod = alert.k8s.as_ref().filter(|k| k.pod.is_some() || k.pod_uid.is_some());
    let resource = pod.map(|k| Resource {
        kind: "Pod",
        uid: k.pod_uid.as_deref(),
        name: k.pod.as_deref(),
        namespace: k.namespace.as_deref(),
    });
    resource.into_iter().collect()
}

fn severity(priority: Priority) -> (u8, &'static str) {
    match priority {
        Priority::Emergency => (6, "Fatal"),
        Priority::Alert | Priority::Critical => (5, "Critical"),
        Priority::Error => (4, "High"),
        Priority::Warning => (3, "Medium"),
        Priority::Notice => (2, "Low"),
        Priority::Informational | Priority::Debug => (1, "Informational"),
    }
}

/// `action_id`, `action`, `disposition_id`, `disposition`.
fn outcome(taken: TakenAction) -> (u8, &'static str, u8, &'static str) {
    match taken {
        TakenAction::Alert => (3, "Observed", 19, "Alert"),
        TakenAction::Audit => (3, "Observed", 15, "Detected"),
        TakenAction::None => (1, "Allowed", 16, "No Action"),
        TakenAction::Killed | TakenAction::Denied => (2, "Denied", 2, "Blocked"),
    }
}

/// A rule's tags do not say which technique serves which tactic: they are put together only where there is no
/// choice.
fn attacks(attack: &Attack) -> Vec<AttackEntry<'_>> {
    let only = match attack.tactics.as_slice() {
        [one] => Some(one),
        _ => None,
    };
    let mut entries: Vec<AttackEntry<'_>> = attack
        .techniques
        .iter()
        .map(|id| {
            let (technique, sub) = match id.split_once('.') {
                Some((technique, _)) => (technique, Some(id.as_str())),
                None => (id.as_str(), None),
            };
            AttackEntry {
                tactic: only.map(|t| tactic(t)),
                technique: Some(Named { uid: Some(technique), name: None }),
                sub_technique: sub.map(|uid| Named { uid: Some(uid), name: None }),
            }
        })
        .collect();
    if entries.is_empty() || only.is_none() {
        let tactics =
            attack.tactics.iter().map(|t| AttackEntry { tactic: Some(tactic(t)), ..Default::default() });
        entries.extend(tactics);
    }
    entries
}

fn tactic(name: &str) -> Named<'_> {
    Named { uid: tactic_id(name), name: Some(name) }
}

#[cfg(test)]
mod tests;
