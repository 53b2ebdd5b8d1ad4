//! What agents and tools talk to: the services of `vedette.v1`, health and reflection.
//!
//! Whoever connects costs bounded memory: connections, streams of each, messages, windows and waiting batches all have a
//! limit, and an agent that sends more than its share waits while its spool keeps the rest.

mod agents;
mod alerts;
mod auth;
mod filter;
mod ingest;
mod listener;
mod policy;
mod push;
mod room;
mod shed;
mod status;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry as Metrics,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use vedette_proto::v1::{
    FILE_DESCRIPTOR_SET, agent_service_server::AgentServiceServer, alert_service_server::AlertServiceServer,
    controller_service_server::ControllerServiceServer, policy_service_server::PolicyServiceServer,
};

pub use agents::{Agents, Registry};
pub use listener::Listener;
pub use shed::RULE as SHED_RULE;
pub use status::About;

use crate::{
    alert_log::AlertLog, bundle::Bundles, config::Limits, identity::Chain, policies::PolicySource,
    tls::TlsServer,
};

/// How long a new stream may take to say who it is.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// How often a quiet connection is asked whether it lives, and how long it may take to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// How long connections may take to end when everything stops.
const DRAIN: Duration = Duration::from_secs(3);
/// Bytes that a client may send on a stream, and on a connection, before anybody has read them.
///
/// All agents together may fill them, which is what most of the memory is for. A connection's is the larger one, so that
/// alerts that wait do not hold up what is said of policies.
const WINDOWS: (u32, u32) = (32 << 10, 64 << 10);
/// Most bytes of the headers of a call.
const HEADERS: u32 = 16 << 10;
/// Most bytes of a message that is no batch of alerts.
const SMALL_MESSAGE: usize = 1 << 20;

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Alerts taken.
    pub alerts: Counter,
    /// Alerts that were there already.
    pub repeated: Counter,
    /// Writes that the log refused.
    pub refused: Counter,
    /// Alerts that agents gave up.
    pub shed: Counter,
    /// What was sent as an alert and is none.
    pub malformed: Counter,
}

impl Counters {
    /// Exposes them.
    pub fn register(&self, metrics: &mut Metrics) {
        metrics.register("alerts_taken", "Alerts that agents sent and that are durable", self.alerts.clone());
        metrics.register(
            "alerts_repeated",
            "Alerts that were sent again and left out",
            self.repeated.clone(),
        );
        metrics.register("log_refusals", "Writes that the alert log did not take", self.refused.clone());
        metrics.register(
            "alerts_malformed",
            "Alerts that were none, and were replaced by a note of it",
            self.malformed.clone(),
        );
        metrics.register("alerts_shed", "Alerts that agents gave up and reported", self.shed.clone());
    }
}

/// Everything that the services need.
pub struct Services {
    /// Where policies come from.
    pub policies: Arc<dyn PolicySource>,
    /// Where alerts are kept.
    pub log: Arc<dyn AlertLog>,
    /// What is sent to agents.
    pub bundles: Arc<Bundles>,
    /// The agents that are known.
    pub registry: Arc<Registry>,
    /// Who may call.
    pub chain: Arc<Chain>,
    /// What one client may cost.
    pub limits: Limits,
    /// What is counted.
    pub counters: Counters,
    /// What is told of the controller itself.
    pub about: About,
    /// TLS; without, everything is in the clear.
    pub tls: Option<Arc<TlsServer>>,
}

/// Why serving has ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] tonic::transport::Error),
    /// Reflection cannot be served.
    #[error("the protocol's descriptors: {0}")]
    Reflection(String),
    /// What brings alerts into the log has died.
    #[error("what brings alerts into the log: {0}")]
    Ingest(String),
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Services {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// The transport fails.
    pub async fn serve(self, listener: Listener, stop: CancellationToken) -> Result<(), ServeError> {
        let limits = self.limits;
        // Of our own: when serving fails, what was begun for it ends too.
        let stop = stop.child_token();
        let (connections, incoming) = mpsc::channel(64);
        let accepting =
            tokio::spawn(listener::accept(listener, self.tls, limits.connections, connections, stop.clone()));
        let (ingest, bring_in) =
            ingest::Ingest::new(Arc::clone(&self.log), self.counters.clone(), stop.clone());
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let bringing_in = tokio::spawn(async move {
            let _guard = guard;
            bring_in.await;
        });

        let agents = Agents::new(Arc::clone(&self.registry), Arc::clone(&self.bundles));
        let controller =
            status::Controller::new(self.about, Arc::clone(&self.log), Arc::clone(&self.policies));
        let policies = policy::Policies::new(
            self.policies,
            self.bundles,
            Arc::clone(&self.registry),
            limits,
            stop.clone(),
        );
        let alerts =
            alerts::Alerts::new(self.log, ingest, self.registry, self.counters, limits, stop.clone());
        let (health, health_server) = tonic_health::server::health_reporter();
        health.set_serving::<AgentServiceServer<Agents>>().await;
        health.set_serving::<PolicyServiceServer<policy::Policies>>().await;
        health.set_serving::<AlertServiceServer<alerts::Alerts>>().await;
        health.set_serving::<ControllerServiceServer<status::Controller>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|error| ServeError::Reflection(error.to_string()))?;

        let drained = stop.clone();
        let serve = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE.0))
            .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_concurrent_streams(limits.streams_per_connection)
            .http2_max_header_list_size(HEADERS)
            .http2_max_pending_accept_reset_streams(Some(32))
            .layer(auth::AuthLayer::new(self.chain))
            .layer(room::RoomLayer::new())
            .add_service(AgentServiceServer::new(agents).max_decoding_message_size(SMALL_MESSAGE))
            .add_service(PolicyServiceServer::new(policies).max_decoding_message_size(SMALL_MESSAGE))
            .add_service(AlertServiceServer::new(alerts).max_decoding_message_size(limits.message_bytes))
            .add_service(ControllerServiceServer::new(controller).max_decoding_message_size(SMALL_MESSAGE))
            .add_service(health_server)
            .add_service(reflection)
            .serve_with_incoming_shutdown(ReceiverStream::new(incoming), stop.cancelled_owned());
        // It ends on its own only by a fault of ours, and then nothing more would be taken.
        let died = async {
            gone.cancelled().await;
            if drained.is_cancelled() {
                std::future::pending().await
            }
        };
        let served = tokio::select! {
            served = serve => served,
            () = died => Ok(()),
            // Who does not let go is left behind: it comes again.
            () = async { drained.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
        };
        accepting.abort();
        drained.cancel();
        // What was taken from an agent is answered for before we go.
        bringing_in.await.map_err(|error| ServeError::Ingest(error.to_string()))?;
        Ok(served?)
    }
}

/// Exposes how many agents are connected; to be called now and then.
pub fn connected_gauge(metrics: &mut Metrics) -> Gauge {
    let gauge = Gauge::default();
    metrics.register("agents_connected", "Agents that have a stream open", gauge.clone());
    gauge
}

/// A time as the protocol has it.
fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// A span of time as the protocol has it.
fn duration(time: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: time.as_secs() as i64, nanos: time.subsec_nanos() as i32 }
}

#[cfg(test)]
mod tests;
