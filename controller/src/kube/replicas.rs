//! What agents say to the replicas that do not lead.
//!
//! Only the leader writes statuses, and each replica hears only its own agents. So each of the others keeps the sums of
//! what its agents say, by policy, in a ConfigMap of its own, and the leader adds them up. One that has not been renewed
//! for a while is of a replica that is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::status::{FIELD_MANAGER, Shares, shares};
use crate::policies::kube::KubeSource;

/// What the names of the ConfigMaps begin with; the replica's own name comes behind it.
const PREFIX: &str = "vedette-controller-reports-";
/// The label of these ConfigMaps.
const LABEL: &str = "vedette.dev/reports";
/// The key with the sums.
const KEY: &str = "policies";
/// How often a ConfigMap is written even if nothing has changed.
const RENEW: Duration = Duration::from_secs(20);
/// After so long without a change, by our own clock, its replica is gone.
const GONE: Duration = Duration::from_secs(60);

/// Publishes what this replica hears, or takes in what the others do.
pub struct Replicas {
    source: Arc<KubeSource>,
    api: Api<ConfigMap>,
    identity: String,
    leading: watch::Receiver<bool>,
    every: Duration,
    /// What we published last, and when.
    published: Option<(String, Instant)>,
    /// The version of each ConfigMap, and since when it is that.
    seen: HashMap<String, (String, Instant)>,
}

impl Replicas {
    /// Of the replica of that name. It looks, or writes, at most `every` so often.
    pub fn new(
        source: Arc<KubeSource>,
        client: Client,
        namespace: &str,
        identity: &str,
        leading: watch::Receiver<bool>,
        every: Duration,
    ) -> Self {
        Self {
            source,
            api: Api::namespaced(client, namespace),
            identity: identity.to_owned(),
            leading,
            every,
            published: None,
            seen: HashMap::new(),
        }
    }

    fn own_name(&self) -> String {
        format!("{PREFIX}{}", self.identity)
    }

    /// Goes on until it is told to stop; then what it published is taken back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let turn =
                async { if *self.leading.borrow() { self.gather().await } else { self.publish().await } };
            let result = tokio::select! {
                () = stop.cancelled() => break,
                result = turn => result,
            };
            if let Err(error) = result {
                tracing::warn!(%error, "what agents of other replicas say is not exchanged; trying again");
            }
        }
        if self.published.is_some()
            && let Err(error) = self.delete(&self.own_name()).await
        {
            tracing::debug!(%error, "ConfigMap not deleted");
        }
    }

    /// Writes the sums, if they have changed or are to be renewed.
    async fn publish(&mut self) -> kube::Result<()> {
        let sums = serde_json::to_string(&shares(&self.source)).map_err(kube::Error::SerdeError)?;
        let known = self.published.as_ref().is_some_and(|(old, at)| *old == sums && at.elapsed() < RENEW);
        if known {
            return Ok(());
        }
        let name = self.own_name();
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "vedette", LABEL: "true"}},
            "data": {KEY: sums, "renewed": Timestamp::now().to_string()},
        });
        self.api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(map)).await?;
        self.published = Some((sums, Instant::now()));
        Ok(())
    }

    /// Reads what the others have written.
    async fn gather(&mut self) -> kube::Result<()> {
        let all = self.api.list(&ListParams::default().labels(&format!("{LABEL}=true"))).await?;
        let (mut elsewhere, mut seen, own) = (Vec::new(), HashMap::new(), self.own_name());
        for map in all.items {
            let (name, version) = (map.name_any(), map.resource_version().unwrap_or_default());
            if !name.starts_with(PREFIX) {
                continue;
            }
            let since = match self.seen.remove(&name) {
                Some((old, since)) if old == version => since,
                _ => Instant::now(),
            };
            if name == own || since.elapsed() >= GONE {
                self.delete(&name).await?;
                continue;
            }
            seen.insert(name.clone(), (version, since));
            let sums = map.data.unwrap_or_default().remove(KEY).unwrap_or_default();
            match serde_json::from_str::<Shares>(&sums) {
                Ok(shares) => elsewhere.push(shares),
                Err(error) => tracing::warn!(name, %error, "the sums of a replica cannot be read"),
            }
        }
        self.seen = seen;
        self.published = None;
        self.source.hear_of_others(elsewhere);
        Ok(())
    }

    async fn delete(&self, name: &str) -> kube::Result<()> {
        match self.api.delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}
