//! Alerts in the Elastic Common Schema, version 9.0 (<https://www.elastic.co/docs/reference/ecs/ecs-field-reference>).
//!
//! What has no place in the schema is below `vedette`, under the names it has in Vedette's JSON.

mod parts;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::{
    Action, Alert, ContainerInfo, Correlation, EventInfo, GapInfo, Guide, KubernetesInfo, Level, PolicyName,
    Priority, ProcessInfo, Time,
};
use parts::{Container, File, Group, Host, Network, Orchestrator, Process, Related, Side, Threat, User};

/// Version of the schema that is followed.
const ECS_VERSION: &str = "9.0.0";

#[derive(Serialize)]
pub(super) struct EcsAlert<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Time,
    ecs: Ecs,
    message: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    event: Event<'a>,
    log: Log,
    rule: Rule<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat: Option<Threat<'a>>,
    host: Host<'a>,
    observer: Observer,
    process: Process<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Group<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestrator: Option<Orchestrator<'a>>,
    related: Related<'a>,
    vedette: Vedette<'a>,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

#[derive(Serialize)]
struct Event<'a> {
    kind: &'static str,
    category: [&'static str; 1],
    #[serde(rename = "type")]
    kinds: [&'static str; 1],
    action: &'a str,
    outcome: &'static str,
    id: String,
    module: &'static str,
    dataset: &'static str,
    provider: &'a str,
    severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Time>,
}

#[derive(Serialize)]
struct Log {
    level: String,
}

#[derive(Serialize)]
struct Rule<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ruleset: Option<String>,
}

#[derive(Serialize)]
struct Observer {
    vendor: &'static str,
    product: &'static str,
    version: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Vedette<'a> {
    priority: Priority,
    level: Level,
    output: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    guide: Option<&'a Guide>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a PolicyName>,
    action: &'a Action,
    event: &'a EventInfo,
    /// As text of JSON: fields of rules have the names and types that their authors chose, and an index has room for a
    /// limited number of them.
    #[serde(skip_serializing_if = "String::is_empty")]
    output_fields: String,
    #[serde(skip_serializing_if = "<[ProcessInfo]>::is_empty")]
    ancestors: &'a [ProcessInfo],
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a ContainerInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s: Option<&'a KubernetesInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<&'a Correlation>,
    #[serde(skip_serializing_if = "<[GapInfo]>::is_empty")]
    gaps: &'a [GapInfo],
}

impl<'a> From<&'a Alert> for EcsAlert<'a> {
    fn from(alert: &'a Alert) -> Self {
        let (event, process) = (&alert.event, &alert.process);
        let user = process.user.as_ref();
        Self {
            timestamp: alert.time,
            ecs: Ecs { version: ECS_VERSION },
            message: alert.message(),
            tags: &alert.tags,
            event: Event::of(alert),
            log: Log { level: alert.priority.as_str().to_lowercase() },
            rule: Rule {
                name: &alert.rule,
                description: &alert.description,
                ruleset: alert.policy.as_ref().map(ToString::to_string),
            },
            threat: Threat::of(&alert.attack),
            host: Host::of(alert),
            observer: Observer {
                vendor: "Vedette",
                product: "Vedette",
                version: env!("CARGO_PKG_VERSION"),
                kind: "hids",
            },
            process: Process::of(process, event),
            user: user.map(User::from),
            group: user.map(Group::from),
            file: File::of(event),
            network: Network::of(event),
            source: event.local.as_ref().map(Side::from),
            destination: event.remote.as_ref().map(Side::from),
            container: alert.container.as_ref().map(Container::from),
            orchestrator: alert.k8s.as_ref().and_then(Orchestrator::of),
            related: Related::of(alert),
            vedette: Vedette {
                priority: alert.priority,
                level: alert.level,
                output: &alert.output,
                guide: alert.guide.as_ref(),
                policy: alert.policy.as_ref(),
                action: &alert.action,
                event,
                output_fields: as_text(&alert.output_fields),
                ancestors: &process.ancestors,
                container: alert.container.as_ref(),
                k8s: alert.k8s.as_ref(),
                correlation: alert.correlation.as_ref(),
                gaps: &alert.gaps,
            },
        }
    }
}

impl<'a> Event<'a> {
    fn of(alert: &'a Alert) -> Self {
        let event = &alert.event;
        let (category, kind) = category(&event.kind);
        let correlation = alert.correlation.as_ref();
        Self {
            kind: "alert",
            category: [category],
            kinds: [kind],
            action: event.syscall.as_deref().unwrap_or(&event.kind),
            outcome: match event.result {
                // An address that is being connected to is no failure yet.
                Some(..0) if event.error.as_deref() != Some("EINPROGRESS") => "failure",
                Some(0..) => "success",
                _ => "unknown",
            },
            id: alert.uid.to_string(),
            module: "vedette",
            dataset: "vedette.alert",
            provider: &alert.source,
            severity: severity(alert.priority),
            code: event.error.as_deref(),
            start: correlation.map(|c| c.first),
            end: correlation.map(|c| c.last),
        }
    }
}

/// `event.category` and `event.type` of a kind of event, of the words that the schema allows together.
fn category(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "process_exec" | "process_fork" | "exec_failed" => ("process", "start"),
        "process_exit" => ("process", "end"),
        "process_change" | "process_control" | "memory" | "fd_dup" => ("process", "change"),
        "file_open" => ("file", "access"),
        "file_change" | "file_mount" => ("file", "change"),
        "net_connect" => ("network", "start"),
        "net_socket" | "net_send" | "net_receive" => ("network", "connection"),
        "kernel_control" => ("driver", "change"),
        _ => ("host", "info"),
    }
}

/// `event.severity`, as Elastic's rules give it: 21 low, 47 medium, 73 high, 99 critical.
fn severity(priority: Priority) -> u8 {
    match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => 99,
        Priority::Error => 73,
        Priority::Warning => 47,
        Priority::Notice => 21,
        Priority::Informational | Priority::Debug => 1,
    }
}

fn as_text(fields: &IndexMap<String, Value>) -> String {
    if fields.is_empty() { String::new() } else { serde_json::to_string(fields).unwrap_or_default() }
}
