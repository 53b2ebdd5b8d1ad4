//! Which of several controllers leads: the holder of a Lease.
//!
//! The way is that of client-go: a lease is taken and renewed by replacing the object that was read, so that of two who
//! try at once the API server refuses one. Nobody's clock is compared with another's: a lease has expired when it has not
//! changed for its duration, by the clock of who waits for it. (The libraries that were looked at patch the lease without
//! saying which version they saw, and two holders are possible.)

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After so long without renewal others may take the lease. Whole seconds.
    pub duration: Duration,
    /// After so long without success the holder no longer leads. Shorter than the duration.
    pub deadline: Duration,
    /// Time between tries.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// A candidate.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    leading: watch::Sender<bool>,
    /// The version of the lease that was seen last, and when it was seen first.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// A candidate for the lease of that name. The identity is different for each candidate.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, timing: Timing) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            timing,
            leading: watch::Sender::new(false),
            seen: None,
        }
    }

    /// Tells whether it leads.
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    /// Tries to lead until it is told to stop; then it gives the lease back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            let began = Instant::now();
            // A try that hangs must not outlast the deadline.
            let patience = self.within_deadline(renewed, self.timing.deadline / 2);
            let attempt = timeout(patience, self.attempt());
            let result = tokio::select! {
                () = stop.cancelled() => break,
                result = attempt => result,
            };
            match result {
                Ok(Ok(true)) => {
                    // Others count from when the API server wrote it, which may be long before we were told.
                    renewed = began;
                    self.lead(true);
                }
                Ok(Ok(false)) => self.lead(false),
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "lease not renewed"),
                Err(_) => {
                    tracing::warn!(lease = self.name, "lease not renewed: the API server does not answer")
                }
            }
            if *self.leading.borrow() && renewed.elapsed() >= self.timing.deadline {
                tracing::error!(
                    lease = self.name,
                    "not leading any more: the lease could not be renewed in time"
                );
                self.lead(false);
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.within_deadline(renewed, self.timing.retry)) => {}
            }
        }
        if *self.leading.borrow() {
            self.lead(false);
            match timeout(self.timing.deadline / 2, self.release()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "lease not given back"),
                Err(_) => tracing::warn!(lease = self.name, "lease not given back in time"),
            }
        }
    }

    /// No longer than a leader may lead after it renewed the lease.
    fn within_deadline(&self, renewed: Instant, time: Duration) -> Duration {
        if !*self.leading.borrow() {
            return time;
        }
        time.min(self.timing.deadline.saturating_sub(renewed.elapsed()))
    }

    fn lead(&self, leads: bool) {
        let changed = self.leading.send_if_modified(|leading| std::mem::replace(leading, leads) != leads);
        if changed {
            tracing::info!(identity = self.identity, leads, "leader election");
        }
    }

    /// One try to take or renew the lease. Says whether we hold it.
    async fn attempt(&mut self) -> kube::Result<bool> {
        let now = MicroTime(Timestamp::now());
        let mine = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(mine) };
            return held(self.api.create(&PostParams::default(), &lease).await);
        };
        let old = lease.spec.take().unwrap_or_default();
        let holder = old.holder_identity.as_deref().unwrap_or_default();
        let spec = if holder == self.identity {
            LeaseSpec { acquire_time: old.acquire_time, lease_transitions: old.lease_transitions, ..mine }
        } else if holder.is_empty() || self.has_expired(&lease, &old) {
            LeaseSpec {
                lease_transitions: Some(old.lease_transitions.unwrap_or_default().saturating_add(1)),
                ..mine
            }
        } else {
            return Ok(false);
        };
        lease.spec = Some(spec);
        held(self.api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    /// Whether the lease of another has not changed for its duration.
    fn has_expired(&mut self, lease: &Lease, spec: &LeaseSpec) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => {
                let now = Instant::now();
                self.seen = Some((version, now));
                now
            }
        };
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        since.elapsed() >= seconds.map_or(self.timing.duration, Duration::from_secs)
    }

    /// Lets the next one take the lease at once.
    async fn release(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let Some(spec) = &mut lease.spec else { return Ok(()) };
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        held(self.api.replace(&self.name, &PostParams::default(), &lease).await).map(drop)
    }
}

/// Whether the lease is ours after a write: not if somebody was faster.
fn held(written: kube::Result<Lease>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
