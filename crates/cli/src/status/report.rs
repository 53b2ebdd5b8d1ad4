//! What the status says, for people and programs alike.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serialize;
use vedette_proto::v1;

/// An agent that was not heard of for so long is not there, whatever its connection says.
const SILENT: i64 = 120;

/// Everything that is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What is not well, one sentence each. None: all is well.
    pub problems: Vec<String>,
    /// The controller.
    pub controller: Controller,
    /// The alert log.
    pub alert_log: AlertLog,
    /// The policies that come from the controller.
    pub policies: Vec<Policy>,
    /// What is wrong with the policies as a set; nodes go on with those before.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policies_refused: String,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The sinks.
    pub sinks: Vec<Sink>,
    /// When this was so.
    #[serde(skip)]
    pub now: Timestamp,
}

/// The controller.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    pub url: String,
    pub version: String,
    pub started: Option<Timestamp>,
    pub standalone: bool,
}

/// The alert log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertLog {
    pub kind: String,
    /// Positions of the first and the last alert; 0, if there is none.
    pub first: u64,
    pub last: u64,
    pub bytes: u64,
    pub limit: u64,
    pub damaged: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// A policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub name: String,
    pub generation: i64,
    pub rules: u32,
    /// How many nodes need it; nothing, if all do.
    pub nodes: Option<u32>,
    pub accepted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<String>,
}

/// How a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeState {
    /// All is as it should be.
    Ready,
    /// It is there, and some rule or program of it does not work as it should.
    Degraded,
    /// It is there, and on its way to the policies that it should have.
    Updating,
    /// It has refused the policies that it should have.
    Refused,
    /// It is not connected.
    Gone,
}

impl NodeState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Updating => "updating",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }
}

/// A node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub name: String,
    pub state: NodeState,
    pub version: String,
    pub kernel: String,
    pub architecture: String,
    pub started: Option<Timestamp>,
    pub seen: Option<Timestamp>,
    /// The bundle that runs, and the one that should.
    pub running: String,
    pub wanted: String,
    /// Why it refused the one that it should run.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refused: String,
    /// What its kernel or the agent there does not offer, with the reason.
    pub missing: BTreeMap<String, String>,
    /// How many rules of the controller's policies are in which state.
    pub rules: BTreeMap<&'static str, u64>,
    /// Those that are not active.
    pub inactive: Vec<Rule>,
    /// Alerts that wait on its disk, and their bytes.
    pub spooled: u64,
    pub spool_bytes: u64,
    /// What was lost since the agent started, by where.
    pub lost: BTreeMap<String, u64>,
}

/// A rule that is not active.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub policy: String,
    pub rule: String,
    pub state: &'static str,
    pub reason: String,
    pub message: String,
}

/// A sink.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sink {
    pub name: String,
    pub kind: String,
    pub state: &'static str,
    pub since: Option<Timestamp>,
    pub lag: u64,
    pub delivered: u64,
    pub refused: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    pub last_error_time: Option<Timestamp>,
}

/// The time now.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or_default()
}

fn time(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

impl Report {
    /// Puts together what was answered.
    pub fn new(url: String, now: Timestamp, status: v1::GetStatusResponse, agents: Vec<v1::Agent>) -> Self {
        let standalone = status.standalone;
        let log = status.alert_log.unwrap_or_default();
        let policy = |policy: v1::PolicySummary| Policy {
            name: policy.name,
            generation: policy.generation,
            rules: policy.rules,
            nodes: (!standalone).then_some(policy.nodes),
            accepted: policy.accepted,
            diagnostics: policy.diagnostics,
        };
        let mut report = Self {
            problems: Vec::new(),
            controller: Controller {
                url,
                version: status.version,
                started: time(status.started),
                standalone: status.standalone,
            },
            alert_log: AlertLog {
                kind: log.kind,
                first: log.first,
                last: log.last,
                bytes: log.bytes,
                limit: log.limit,
                damaged: log.damaged,
                error: log.error,
            },
            policies: status.policies.into_iter().map(policy).collect(),
            policies_refused: status.policies_refused,
            nodes: agents.into_iter().map(|agent| node(agent, now)).collect(),
            sinks: status.sinks.into_iter().map(sink).collect(),
            now,
        };
        report.problems = report.find_problems(status.policies_known);
        report
    }

    /// Whether there is nothing to be done.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    fn find_problems(&self, policies_known: bool) -> Vec<String> {
        let mut all = Vec::new();
        let log = &self.alert_log;
        if !log.error.is_empty() {
            all.push(format!("the alert log cannot be asked: {}", log.error));
        }
        if log.damaged > 0 {
            all.push(format!("{} alerts of the log are damaged on disk and cannot be read", log.damaged));
        }
        if !policies_known {
            all.push("the policies are not known yet; nodes go on with those that they have".into());
        }
        if !self.policies_refused.is_empty() {
            all.push("the policies are refused as a whole; nodes go on with those before".into());
        }
        for policy in self.policies.iter().filter(|policy| !policy.diagnostics.is_empty()) {
            let instead = if policy.accepted { "the change before it runs" } else { "it runs nowhere" };
            all.push(format!("policy {} is refused; {instead}", policy.name));
        }
        if self.nodes.is_empty() {
            all.push("no agent has ever connected".into());
        }
        for node in &self.nodes {
            match node.state {
                NodeState::Ready => {}
                NodeState::Updating => all.push(format!("node {} does not run its policies yet", node.name)),
                NodeState::Refused => all.push(format!("node {} has refused its policies", node.name)),
                NodeState::Gone => all.push(format!("node {} is not connected", node.name)),
                NodeState::Degraded => all.push(format!("node {} is degraded", node.name)),
            }
        }
        for sink in &self.sinks {
            match sink.state {
                "retrying" => all.push(format!("sink {} does not deliver: {}", sink.name, sink.last_error)),
                "stopped" => all.push(format!("sink {} has ended", sink.name)),
                _ => {}
            }
            if sink.refused > 0 {
                all.push(format!(
                    "sink {}: {} alerts were refused and are dead letters",
                    sink.name, sink.refused
                ));
            }
        }
        all
    }
}

fn node(agent: v1::Agent, now: Timestamp) -> Node {
    let hello = agent.hello.unwrap_or_default();
    let heartbeat = agent.heartbeat.unwrap_or_default();
    let bundle = agent.bundle.unwrap_or_default();
    let mut rules: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut inactive = Vec::new();
    for policy in bundle.policies {
        *rules.entry("active").or_default() += u64::from(policy.active);
        for rule in policy.rules {
            let state = match rule.state() {
                v1::RuleState::Unspecified | v1::RuleState::Active => "active",
                v1::RuleState::Disabled => "disabled",
                v1::RuleState::Degraded => "degraded",
                v1::RuleState::Failed => "failed",
            };
            *rules.entry(state).or_default() += 1;
            let (reason, message) = (rule.reason, rule.message);
            inactive.push(Rule { policy: policy.document.clone(), rule: rule.rule, state, reason, message });
        }
    }
    let mut lost = BTreeMap::new();
    let losses = heartbeat.losses.unwrap_or_default();
    let kinds =
        [("events, ring", losses.events), ("alerts, sink", losses.alerts), ("alerts given up,", losses.shed)];
    for (what, by) in kinds {
        for (place, count) in by.into_iter().filter(|(_, count)| *count > 0) {
            let place = place.strip_prefix("PRIORITY_").map_or(place.clone(), str::to_lowercase);
            lost.insert(format!("{what} {place}"), count);
        }
    }
    let missing: BTreeMap<String, String> = hello
        .capabilities
        .into_iter()
        .filter(|capability| !capability.available)
        .map(|capability| (capability.name, capability.reason))
        .collect();
    let seen = time(agent.seen);
    let is_there = agent.connected && seen.is_some_and(|seen| now.as_second() - seen.as_second() < SILENT);
    let refused = if bundle.accepted { String::new() } else { bundle.error };
    let unwell = inactive.iter().any(|rule| matches!(rule.state, "degraded" | "failed"));
    let state = if !is_there {
        NodeState::Gone
    } else if !refused.is_empty() {
        NodeState::Refused
    } else if !agent.wanted.is_empty() && bundle.running != agent.wanted {
        NodeState::Updating
    } else if unwell || !missing.is_empty() {
        NodeState::Degraded
    } else {
        NodeState::Ready
    };
    Node {
        name: hello.node,
        state,
        version: hello.version,
        kernel: hello.kernel,
        architecture: hello.architecture,
        started: time(hello.started),
        seen,
        running: bundle.running,
        wanted: agent.wanted,
        refused,
        missing,
        rules,
        inactive,
        spooled: heartbeat.spooled,
        spool_bytes: heartbeat.spool_bytes,
        lost,
    }
}

fn sink(status: v1::SinkStatus) -> Sink {
    let state = match status.state() {
        v1::SinkState::Unspecified => "unknown",
        v1::SinkState::Starting => "starting",
        v1::SinkState::Ok => "ok",
        v1::SinkState::Retrying => "retrying",
        v1::SinkState::Stopped => "stopped",
        v1::SinkState::Elsewhere => "elsewhere",
    };
    Sink {
        name: status.name,
        kind: status.kind,
        state,
        since: time(status.since),
        lag: status.lag,
        delivered: status.delivered,
        refused: status.refused,
        last_error: status.last_error,
        last_error_time: time(status.last_error_time),
    }
}
