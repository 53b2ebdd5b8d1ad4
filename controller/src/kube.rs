//! The Kubernetes side: what the API server keeps for us, and what we tell it.

pub mod check;
pub mod crd;
pub mod lease;
pub mod replicas;
pub mod secrets;
pub mod sinks;
pub mod status;
pub mod webhook;

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vedette_policy::Source;

use crate::policies::kube::KubeSource;
use crate::sink::config::NamedSink;

/// The name of the lease that the leader holds.
pub const LEASE: &str = "vedette-controller";

/// What a controller in a cluster has to be told.
#[derive(Clone)]
pub struct Options {
    /// The namespace that the controller runs in.
    pub namespace: String,
    /// Its name, different from those of other replicas.
    pub identity: String,
    /// Policies that agents read before those of the cluster.
    pub before: Vec<Source>,
    /// How the leader is elected.
    pub timing: lease::Timing,
    /// How often statuses may be written.
    pub pace: status::Pace,
    /// Says how the sinks do.
    pub statuses: sinks::Statuses,
}

/// A part of the controller: its name, and what it does until it is told to stop.
pub type Task = (&'static str, BoxFuture<'static, Result<(), String>>);

/// The parts of a controller that have to do with the cluster.
pub struct Parts {
    /// What nodes need.
    pub source: Arc<KubeSource>,
    /// The sinks that are to run; nothing, before they are known.
    pub sinks: watch::Receiver<Option<Vec<NamedSink>>>,
    /// Whether this replica leads.
    pub leading: watch::Receiver<bool>,
    /// What has to run. A task that ends before it was told to is a fault.
    pub tasks: Vec<Task>,
}

/// Puts the parts together. Nothing happens before the tasks run.
pub fn parts(client: &Client, options: Options, stop: &CancellationToken) -> Parts {
    let Options { namespace, identity, before, timing, pace, statuses } = options;
    let source = Arc::new(KubeSource::new(client.clone(), before));
    let candidate = lease::Candidate::new(client.clone(), &namespace, LEASE, &identity, timing);
    let leading = candidate.leading();
    let writer =
        status::StatusWriter::new(Arc::clone(&source), client.clone(), &identity, leading.clone(), pace);
    let replicas = replicas::Replicas::new(
        Arc::clone(&source),
        client.clone(),
        &namespace,
        &identity,
        leading.clone(),
        pace.exchange,
    );
    let objects = sinks::SinkObjects::new(client.clone(), leading.clone(), statuses);
    let sinks = objects.wanted();
    let followed = Arc::clone(&source).run(stop.clone());
    let tasks: Vec<Task> = vec![
        ("the cluster's policies", followed.map(|result| result.map_err(|error| error.to_string())).boxed()),
        ("the leader election", candidate.run(stop.clone()).map(Ok).boxed()),
        ("the exchange between replicas", replicas.run(stop.clone()).map(Ok).boxed()),
        ("the statuses", writer.run(stop.clone()).map(Ok).boxed()),
        ("the cluster's sinks", objects.run(stop.clone()).map(Ok).boxed()),
    ];
    Parts { source, sinks, leading, tasks }
}
