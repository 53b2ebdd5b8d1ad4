//! Saying who we are, and that we live.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::{Notify, watch};
use tonic::Status;
use vedette_proto::v1;

use super::{Effective, backoff::Backoff, channel::Client, keys::Keys};
use crate::spool::Spool;

/// How often a heartbeat is sent, if the controller does not say.
const INTERVAL: Duration = Duration::from_secs(30);
/// Bounds of what it may say.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));
/// Longest time for a call.
const CALL: Duration = Duration::from_secs(15);

/// What was lost since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Events that the kernel could not hand over, by where.
    pub events: BTreeMap<String, u64>,
    /// Alerts, by sink.
    pub alerts: BTreeMap<String, u64>,
}

/// What the agent says of itself.
pub struct Reported {
    /// What the node can do and cannot.
    pub capabilities: Vec<v1::Capability>,
    /// What was lost.
    pub losses: Box<dyn Fn() -> Losses + Send + Sync>,
}

/// The task.
pub(super) struct Hello {
    pub node: String,
    pub keys: Arc<Mutex<Keys>>,
    /// Told when the keys may be there.
    pub introduced: Arc<Notify>,
    /// Told when the keys are wanted at once.
    pub wanted: Arc<Notify>,
    pub spool: Arc<Spool>,
    pub effective: watch::Receiver<Effective>,
    pub reported: Reported,
}

impl Hello {
    pub async fn run(self, client: &Client) {
        let mut backoff = Backoff::default();
        let started = prost_types::Timestamp::from(SystemTime::now());
        loop {
            let error = self.session(client, started, &mut backoff).await;
            backoff.wait("saying hello", &error).await;
        }
    }

    /// Says hello, then that we live, until something fails.
    async fn session(
        &self,
        client: &Client,
        started: prost_types::Timestamp,
        backoff: &mut Backoff,
    ) -> Status {
        let mut agents = client.agents();
        let hello = v1::HelloRequest {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: nix::sys::utsname::uname()
                .ok()
                .map(|names| names.release().to_string_lossy().into_owned())
                .unwrap_or_default(),
            architecture: std::env::consts::ARCH.into(),
            capabilities: self.reported.capabilities.clone(),
            started: Some(started),
        };
        let answer = match call(agents.hello(hello)).await {
            Ok(answer) => answer.into_inner(),
            Err(error) => return error,
        };
        backoff.connected();
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).announce(&answer.signing_keys);
        self.introduced.notify_one();
        let interval = answer
            .heartbeat_interval
            .and_then(|interval| Duration::try_from(interval).ok())
            .unwrap_or(INTERVAL)
            .clamp(BOUNDS.0, BOUNDS.1);
        loop {
            match call(agents.heartbeat(self.heartbeat())).await {
                Ok(answer) => {
                    let announced = answer.into_inner().signing_keys;
                    self.keys.lock().unwrap_or_else(PoisonError::into_inner).announce(&announced);
                    self.introduced.notify_one();
                }
                Err(error) => return error,
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    fn heartbeat(&self) -> v1::HeartbeatRequest {
        let figures = self.spool.figures();
        let Losses { events, alerts } = (self.reported.losses)();
        let shed = (1..=8)
            .filter_map(|number| v1::Priority::try_from(number).ok())
            .zip(figures.shed)
            .filter(|(_, count)| *count > 0)
            .map(|(priority, count)| (priority.as_str_name().to_owned(), count))
            .collect();
        v1::HeartbeatRequest {
            node: self.node.clone(),
            losses: Some(v1::LossCounters {
                events: events.into_iter().collect(),
                alerts: alerts.into_iter().collect(),
                shed,
            }),
            spooled: figures.waiting,
            spool_bytes: figures.bytes,
            running: self.effective.borrow().running.clone(),
        }
    }
}

async fn call<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<tonic::Response<T>, Status> {
    tokio::time::timeout(CALL, call)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
}
