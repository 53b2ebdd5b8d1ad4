//! `ControllerService`: how the controller does, for people and tools.

use std::sync::Arc;

use jiff::Timestamp;
use tonic::{Request, Response, Status};
use vedette_proto::v1::{self, controller_service_server::ControllerService};

use super::{auth, timestamp};
use crate::{
    alert_log::AlertLog,
    policies::{PolicySource, PolicyState},
    sink::{
        set::Sinks,
        status::{SinkState, SinkStatus},
    },
};

/// Most policies that are listed, and most characters of what is said of one.
const POLICIES: usize = 2000;
const TEXT: usize = 4096;

/// What is told beside what the services have anyway.
#[derive(Clone)]
pub struct About {
    /// When the controller started.
    pub started: Timestamp,
    /// Whether it runs without Kubernetes.
    pub standalone: bool,
    /// The kind of its alert log, as in the settings.
    pub alert_log: &'static str,
    /// Its sinks.
    pub sinks: Option<Arc<Sinks>>,
}

impl Default for About {
    fn default() -> Self {
        Self { started: Timestamp::now(), standalone: true, alert_log: "memory", sinks: None }
    }
}

impl std::fmt::Debug for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("About").field("started", &self.started).finish_non_exhaustive()
    }
}

/// `ControllerService`.
pub struct Controller {
    about: About,
    log: Arc<dyn AlertLog>,
    policies: Arc<dyn PolicySource>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Controller")
    }
}

impl Controller {
    /// Over these.
    pub fn new(about: About, log: Arc<dyn AlertLog>, policies: Arc<dyn PolicySource>) -> Self {
        Self { about, log, policies }
    }

    async fn log_status(&self) -> v1::AlertLogStatus {
        let kind = self.about.alert_log.to_owned();
        match self.log.usage().await {
            Ok(usage) => v1::AlertLogStatus {
                kind,
                first: usage.first,
                last: usage.last,
                bytes: usage.bytes,
                limit: usage.limit,
                damaged: usage.damaged,
                error: String::new(),
            },
            Err(error) => v1::AlertLogStatus { kind, error: cut(error.to_string()), ..Default::default() },
        }
    }

    /// Those that run here, and those that another controller runs from the same log.
    async fn sinks(&self, last: u64) -> Vec<v1::SinkStatus> {
        let Some(sinks) = &self.about.sinks else { return Vec::new() };
        let mut all: Vec<v1::SinkStatus> = sinks.statuses().await.into_iter().map(sink).collect();
        for name in self.log.sinks().await.unwrap_or_default() {
            if all.iter().any(|sink| sink.name == name) {
                continue;
            }
            let cursor = self.log.cursor(&name).await.ok().flatten().unwrap_or_default();
            let state = v1::SinkState::Elsewhere.into();
            let lag = last.saturating_sub(cursor);
            all.push(v1::SinkStatus { name, state, cursor, lag, ..Default::default() });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

#[tonic::async_trait]
impl ControllerService for Controller {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        auth::operator(&auth::caller(&request)?)?;
        let alert_log = self.log_status().await;
        let sinks = self.sinks(alert_log.last).await;
        let policies = self.policies.state();
        Ok(Response::new(v1::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            started: Some(timestamp(self.about.started)),
            standalone: self.about.standalone,
            alert_log: Some(alert_log),
            sinks,
            policies: policies.policies.into_iter().take(POLICIES).map(policy).collect(),
            policies_refused: cut(policies.refused.unwrap_or_default()),
            policies_known: *self.policies.changes().borrow() != 0,
        }))
    }
}

fn policy(state: PolicyState) -> v1::PolicySummary {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    v1::PolicySummary {
        name: state.name,
        generation: state.generation,
        rules: count(state.rules),
        nodes: state.nodes.map_or(0, count),
        diagnostics: state.diagnostics.into_iter().take(32).map(cut).collect(),
        accepted: state.accepted,
    }
}

fn sink(status: SinkStatus) -> v1::SinkStatus {
    let (state, since) = match status.state {
        SinkState::Starting => (v1::SinkState::Starting, None),
        SinkState::Ok => (v1::SinkState::Ok, None),
        SinkState::Retrying { since } => (v1::SinkState::Retrying, Some(since)),
        SinkState::Stopped => (v1::SinkState::Stopped, None),
    };
    let (time, error) = status.last_error.unzip();
    v1::SinkStatus {
        name: status.name,
        kind: status.kind.to_owned(),
        state: state.into(),
        since: since.map(timestamp),
        last_error: error.unwrap_or_default(),
        last_error_time: time.map(timestamp),
        cursor: status.cursor,
        lag: status.lag,
        delivered: status.delivered,
        refused: status.refused,
    }
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(TEXT) {
        text.truncate(at);
    }
    text
}
