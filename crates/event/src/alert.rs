//! Alerts: what a policy match becomes, and the formats it leaves in.
//!
//! [`Finding`] is what the policy says, [`Alert::new`] puts it together with the event, the process and its
//! ancestors. An [`Alert`] owns all it tells, so that it can be queued, spooled and sent; every format is made
//! from it alone. Its JSON is a superset of Falco's, so that what reads Falco's alerts reads these.
//!
//! Whatever bytes a process chose for its paths and arguments, an alert is one valid line in every format:
//! what is not UTF-8 is replaced, and control characters are escaped.

pub mod attack;
mod ecs;
mod event;
mod falco;
mod finding;
mod format;
mod gap;
mod guide;
mod identity;
mod ocsf;
mod process;
mod text;
mod time;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::View;

pub use attack::Attack;
pub use event::{Endpoint, EventInfo, FileInfo};
pub use finding::{
    Action, Correlation, CorrelationKind, CorrelationStep, Finding, PolicyName, Priority, RequestedAction,
    TakenAction, UnknownPriority,
};
pub use format::{Format, write_json};
pub use gap::{GapInfo, GapLog};
pub use guide::{Guide, Level, UnknownLevel};
pub use identity::{ContainerInfo, KubernetesInfo, WorkloadInfo};
pub use process::{MAX_ANCESTORS, ProcessInfo, UserInfo};
pub use text::Escaped;
pub use time::Time;

/// The node an alert comes from, as far as the event does not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Name of the node: Kubernetes' name for it, else the host name.
    pub name: String,
    /// `/proc/sys/kernel/random/boot_id`; kept with a recording, so that a replay gives the same uids.
    pub boot_id: String,
    /// Whether `name` is a Kubernetes node, and not just a host name.
    pub kubernetes: bool,
}

/// An alert. Its fields are serialised in the order in which they stand here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// When the event happened.
    pub time: Time,
    /// Names this alert for good: the same event, rule and node give the same uid, also when sent again or
    /// replayed. A UUID of version 5 (RFC 9562).
    pub uid: Uuid,
    /// Name of the rule.
    pub rule: String,
    /// Its priority.
    pub priority: Priority,
    /// Where the event comes from (`syscall`).
    pub source: String,
    /// Name of the host.
    pub hostname: String,
    /// Time of day (UTC), priority and message, as Falco writes it: `05:40:34.123456789: Warning …`. Where the rule says
    /// what to do, so does this, with whom it happened to and by whom: it may be all that reaches a person.
    pub output: String,
    /// Tags of the rule.
    pub tags: Vec<String>,
    /// The fields of the output template, in its order.
    pub output_fields: IndexMap<String, Value>,
    /// What the rule is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For whom the rule is.
    #[serde(default)]
    pub level: Level,
    /// Why it matters and what to do, if the rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guide: Option<Guide>,
    /// The policy the rule comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// What the rule asked for, and what was done.
    pub action: Action,
    /// Who did it.
    pub process: ProcessInfo,
    /// The container it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerInfo>,
    /// Its place in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k8s: Option<KubernetesInfo>,
    /// Its place in MITRE ATT&CK, as the rule tells.
    #[serde(default, skip_serializing_if = "Attack::is_empty")]
    pub attack: Attack,
    /// The event.
    pub event: EventInfo,
    /// The events behind it, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// Losses reported since the last alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<GapInfo>,
}

impl Alert {
    /// Puts together what the policy says and what is known about the event.
    ///
    /// `gaps` starts empty; [`GapLog::take`] has what belongs there.
    pub fn new(view: &View<'_>, finding: Finding, node: &Node) -> Self {
        let time = Time(view.time());
        let mut alert = Self {
            time,
            uid: uid(view, &finding, node),
            output: String::new(),
            hostname: view.hostname.to_owned(),
            attack: Attack::of_rule(&finding.techniques, &finding.tags),
            process: ProcessInfo::of_view(view),
            container: ContainerInfo::of_view(view),
            k8s: KubernetesInfo::of_view(view, node),
            event: EventInfo::of_view(view),
            rule: finding.rule,
            priority: finding.priority,
            source: finding.source,
            tags: finding.tags,
            output_fields: finding.output_fields,
            description: finding.description,
            level: finding.level,
            guide: finding.guide,
            policy: finding.policy,
            action: finding.action,
            correlation: finding.correlation,
            gaps: Vec::new(),
        };
        alert.set_output(&finding.message);
        alert
    }

    /// Puts the text together.
    fn set_output(&mut self, message: &str) {
        self.output = format!("{}{message}{}", prefix(self.time, self.priority), text::tail(self));
    }

    /// The alert that tells of alerts like this one which a throttle held back: `finding` has their number, the text and
    /// the fields of the last of them. The process and the event stay those of this alert, which was told.
    ///
    /// `gaps` starts empty, as in [`Self::new`].
    pub fn summary(&self, finding: Finding) -> Self {
        let correlation = finding.correlation.as_ref();
        let time = correlation.map_or(self.time, |c| c.last);
        let mut name = self.uid.as_bytes().to_vec();
        for number in correlation.map_or([0; 3], |c| [c.count, c.first.0, c.last.0]) {
            name.extend_from_slice(&number.to_le_bytes());
        }
        let mut summary = Self {
            time,
            uid: Uuid::new_v5(&ALERT_NAMESPACE, &name),
            output_fields: finding.output_fields,
            action: finding.action,
            correlation: finding.correlation,
            gaps: Vec::new(),
            ..self.clone()
        };
        summary.set_output(&finding.message);
        summary
    }

    /// The rendered output of the rule: without Falco's prefix of time and priority, and without what
    /// [`Self::output`] has behind it.
    pub fn message(&self) -> &str {
        let text =
            self.output.strip_prefix(prefix(self.time, self.priority).as_str()).unwrap_or(&self.output);
        text.strip_suffix(text::tail(self).as_str()).unwrap_or(text)
    }
}

/// What Falco puts before the text of a rule.
fn prefix(time: Time, priority: Priority) -> String {
    format!("{}: {priority} ", time.time_of_day(9))
}

/// The name space of alert uids (a random UUID, fixed once).
const ALERT_NAMESPACE: Uuid = Uuid::from_u128(0x6f3c_27b1_94d8_4a0e_8b5d_e1f2_07c9_3a64);

/// A record is named by its CPU, ring and sequence number, and by its time, because sequence numbers begin anew
/// when the programs are loaded anew. One record can make several alerts: of several rules, or of one rule and
/// the summary of its throttle.
fn uid(view: &View<'_>, finding: &Finding, node: &Node) -> Uuid {
    let header = &view.record.header;
    let mut name = Vec::with_capacity(256);
    let mut text = |part: &str| {
        // With the length before it, no two lists of parts give the same bytes.
        name.extend_from_slice(&(part.len() as u64).to_le_bytes());
        name.extend_from_slice(part.as_bytes());
    };
    text(&node.name);
    text(&node.boot_id);
    text(&finding.rule);
    let policy = finding.policy.as_ref();
    text(policy.map_or("", |p| &p.name));
    text(policy.and_then(|p| p.namespace.as_deref()).unwrap_or(""));
    text(finding.correlation.as_ref().map_or("", |c| c.kind.as_str()));
    let numbers = [
        u64::from(header.cpu),
        u64::from(view.record.kind.ring() as u8),
        header.seq,
        header.time,
        u64::from(header.tgid),
        finding.correlation.as_ref().map_or(0, |c| c.count),
    ];
    for number in numbers {
        name.extend_from_slice(&number.to_le_bytes());
    }
    Uuid::new_v5(&ALERT_NAMESPACE, &name)
}

/// Bytes as text; what is not UTF-8 becomes U+FFFD.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
