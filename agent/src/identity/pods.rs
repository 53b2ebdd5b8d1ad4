//! The pods of this node, as the API server tells of them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use k8s_openapi::{
    api::core::v1::{Namespace, Pod as KubePod, Probe},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use vedette_event::{Pod, Probes, Workload};

use super::lookup::{Answer, Answers, IdentityStats};

/// The label by which a deployment tells its replica sets apart; it is also the end of their names.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// How long the labels of a namespace are taken for true.
const NAMESPACE_AGE: Duration = Duration::from_secs(300);

/// How long the labels of a namespace may be waited for: pods wait behind them.
const NAMESPACE_WAIT: Duration = Duration::from_millis(300);

/// How the API server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSettings {
    /// The node whose pods are wanted, as Kubernetes calls it.
    pub node: String,
    /// A kubeconfig; without it, what Kubernetes puts into every pod is used.
    pub kubeconfig: Option<PathBuf>,
}

/// Watches for ever. Errors are counted and said once until it works again, and tried again later and later.
pub(super) async fn watch(settings: PodSettings, answers: Answers, stats: Arc<IdentityStats>) {
    let client = match client(&settings).await {
        Ok(client) => client,
        Err(error) => {
            stats.pod_errors.fetch_add(1, Relaxed);
            tracing::warn!("degraded: pods are not known, the API server cannot be reached: {error}");
            return;
        }
    };
    let selector = watcher::Config::default().fields(&format!("spec.nodeName={}", settings.node));
    let pods = watcher(Api::<KubePod>::all(client.clone()), selector).default_backoff();
    let mut pods = std::pin::pin!(pods);
    let mut told =
        Told { client, answers, stats, namespaces: HashMap::new(), known: HashSet::new(), listed: None };
    loop {
        match pods.try_next().await {
            Ok(Some(event)) => told.event(event).await,
            Ok(None) => return,
            Err(error) => {
                told.stats.pod_errors.fetch_add(1, Relaxed);
                if told.stats.pods_ready.swap(false, Relaxed) || told.stats.pod_errors.load(Relaxed) == 1 {
                    tracing::warn!("degraded: pods are not known at the moment: {error}");
                }
            }
        }
    }
}

async fn client(settings: &PodSettings) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let config = match &settings.kubeconfig {
        Some(path) => {
            Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default())
                .await?
        }
        None => Config::incluster()?,
    };
    Ok(Client::try_from(config)?)
}

/// What has been handed on.
struct Told {
    client: Client,
    answers: Answers,
    stats: Arc<IdentityStats>,
    namespaces: HashMap<String, (Instant, BTreeMap<String, String>)>,
    /// Uids of pods that were told.
    known: HashSet<String>,
    /// Uids of a list that is being told.
    listed: Option<HashSet<String>>,
}

impl Told {
    async fn event(&mut self, event: Event<KubePod>) {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(pod) | Event::Apply(pod) => self.apply(&pod).await,
            Event::Delete(pod) => {
                if let Some(uid) = static_uid(&pod).or(pod.metadata.uid) {
                    self.forget(uid).await;
                }
            }
            Event::InitDone => {
                // What is not in the list any more went unseen.
                let listed = self.listed.take().unwrap_or_default();
                let gone: Vec<String> = self.known.difference(&listed).cloned().collect();
                for uid in gone {
                    self.forget(uid).await;
                }
                if !self.stats.pods_ready.swap(true, Relaxed) {
                    tracing::info!(pods = self.known.len(), "the pods of this node are known");
                }
            }
        }
    }

    async fn apply(&mut self, pod: &KubePod) {
        let Some(mut told) = describe(pod) else { return };
        self.stats.pod_events.fetch_add(1, Relaxed);
        if let Some(listed) = &mut self.listed {
            listed.insert(told.uid.clone());
        }
        told.namespace_labels = self.namespace_labels(&told.namespace).await;
        self.known.insert(told.uid.clone());
        self.stats.pods.store(self.known.len() as u64, Relaxed);
        self.answers.send(Answer::Pod { uid: told.uid.clone(), pod: Some(Box::new(told)) }).await;
    }

    async fn forget(&mut self, uid: String) {
        self.known.remove(&uid);
        self.stats.pods.store(self.known.len() as u64, Relaxed);
        self.answers.send(Answer::Pod { uid, pod: None }).await;
    }

    /// Empty where they cannot be read, which is counted and tried again later.
    async fn namespace_labels(&mut self, name: &str) -> BTreeMap<String, String> {
        let now = Instant::now();
        if let Some((read, labels)) = self.namespaces.get(name)
            && now.saturating_duration_since(*read) < NAMESPACE_AGE
        {
            return labels.clone();
        }
        let api = Api::<Namespace>::all(self.client.clone());
        let found = tokio::time::timeout(NAMESPACE_WAIT, api.get_metadata_opt(name)).await;
        let labels = match found {
            Ok(Ok(found)) => found.and_then(|namespace| namespace.metadata.labels).unwrap_or_default(),
            Ok(Err(error)) => {
                self.stats.pod_errors.fetch_add(1, Relaxed);
                tracing::debug!(%error, namespace = name, "the labels of a namespace could not be read");
                BTreeMap::new()
            }
            Err(_) => {
                self.stats.pod_errors.fetch_add(1, Relaxed);
                return BTreeMap::new();
            }
        };
        // Namespaces that have gone make room: there are never many on one node.
        self.namespaces.retain(|_, (read, _)| now.saturating_duration_since(*read) < NAMESPACE_AGE);
        self.namespaces.insert(name.to_owned(), (now, labels.clone()));
        labels
    }
}

/// What is kept of a pod.
fn describe(pod: &KubePod) -> Option<Pod> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let labels = meta.labels.clone().unwrap_or_default();
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let probes = spec.iter().flat_map(|spec| &spec.containers).map(|container| {
        let probes = Probes {
            liveness: container.liveness_probe.as_ref().and_then(command),
            readiness: container.readiness_probe.as_ref().and_then(command),
        };
        (container.name.clone(), probes)
    });
    Some(Pod {
        // A static pod is known to the kubelet, and to its control groups, by the hash of its manifest.
        uid: static_uid(pod).or_else(|| meta.uid.clone())?,
        name: meta.name.clone()?,
        namespace: meta.namespace.clone().unwrap_or_default(),
        ip: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
        service_account: spec.and_then(|spec| spec.service_account_name.clone()),
        owner: owner.map(|owner| Workload { kind: owner.kind.clone(), name: owner.name.clone() }),
        deployment: owner.and_then(|owner| deployment(owner, &labels)),
        probes: probes.filter(|(_, probes)| !probes.is_empty()).collect(),
        labels,
        ..Pod::default()
    })
}

/// The API server gives the mirror of a static pod a uid of its own.
fn static_uid(pod: &KubePod) -> Option<String> {
    let annotations = pod.metadata.annotations.as_ref()?;
    annotations.get("kubernetes.io/config.mirror").cloned()
}

/// The replica set of a deployment is named after it and the hash of the pods' template, which is a label of the pods,
/// too. A replica set that nobody's deployment made has no such label.
fn deployment(owner: &OwnerReference, labels: &BTreeMap<String, String>) -> Option<String> {
    let hash = labels.get(TEMPLATE_HASH).filter(|_| owner.kind == "ReplicaSet")?;
    Some(owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')?.to_owned())
}

fn command(probe: &Probe) -> Option<String> {
    let words = probe.exec.as_ref()?.command.as_ref()?;
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests;
