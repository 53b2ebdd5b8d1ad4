//! Policies from the Kubernetes API: which nodes need which, and what becomes of them.
//!
//! Every replica of the controller follows the objects and knows what its agents need. Only the leader writes.

mod compiled;
mod follow;
mod targets;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::reflector::Store;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use vedette_policy::Source;
use vedette_policy::document::native::PolicyKind;

use super::{NodePolicies, NodeReport, PoliciesState, PolicyReport, PolicySource, PolicyState};
use crate::kube::{check::Checker, status::Shares};
pub use compiled::{Accepted, Compiled};
use follow::{Followed, Followers};
use targets::Targets;

/// How long changes are gathered before what nodes need is worked out anew.
const GATHER: Duration = Duration::from_millis(50);

/// How long a node keeps a policy after its last pod that needs it: what a pod does as it ends is judged, too.
const LINGER: Duration = Duration::from_secs(30);

/// Which policy: its kind, namespace and name. Its text is the name of the document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyKey {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace; none for the whole cluster.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl PolicyKey {
    fn of(kind: PolicyKind, object: &DynamicObject) -> Self {
        let namespace = object.metadata.namespace.clone().filter(|_| kind == PolicyKind::SecurityPolicy);
        Self { kind: kind.as_str(), namespace, name: object.metadata.name.clone().unwrap_or_default() }
    }

    /// The name of its document: `SecurityPolicy/shop/web`, `ClusterSecurityPolicy/stealth`.
    pub fn document(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}/{namespace}/{}", self.kind, self.name),
            None => format!("{}/{}", self.kind, self.name),
        }
    }
}

/// A policy, and the nodes that need it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The policy.
    pub policy: Arc<Compiled>,
    /// The nodes, sorted.
    pub nodes: Arc<Vec<String>>,
}

/// What a node said, by document.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The bundle that it refused, and why.
    pub refused: Option<(String, String)>,
    /// How each policy does.
    pub policies: HashMap<String, PolicyReport>,
}

/// The policies of a cluster.
pub struct KubeSource {
    client: Client,
    checker: Checker,
    changes: watch::Sender<u64>,
    /// What the objects say has changed.
    dirty: Arc<Notify>,
    /// What is known of policies or nodes has changed: there may be a status to write.
    news: Notify,
    state: Mutex<State>,
    reports: Mutex<HashMap<String, Said>>,
    /// What agents say to other replicas.
    elsewhere: Mutex<Arc<Vec<Shares>>>,
}

/// What was worked out of the objects.
#[derive(Default)]
struct State {
    compiled: BTreeMap<PolicyKey, Arc<Compiled>>,
    wanted: Vec<Wanted>,
    targets: Targets,
}

/// Why the cluster cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum KubeSourceError {
    /// A task of ours ended.
    #[error("following the cluster's policies: {0}")]
    Task(String),
}

impl KubeSource {
    /// One that knows nothing yet. `before` are the policies that agents read before these: see
    /// [`built_in`](super::built_in).
    pub fn new(client: Client, before: Vec<Source>) -> Self {
        Self {
            client,
            checker: Checker::new(before),
            changes: watch::Sender::new(0),
            dirty: Arc::default(),
            news: Notify::new(),
            state: Mutex::default(),
            reports: Mutex::default(),
            elsewhere: Mutex::default(),
        }
    }

    /// Follows the objects until it is told to stop.
    ///
    /// # Errors
    /// A task failed for a cause that is ours. What the API server says is logged and tried again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), KubeSourceError> {
        let followed = Followed::new(self.client.clone(), Arc::clone(&self.dirty));
        let followers = followed.start();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = followers.known() => {}
        }
        loop {
            let next = self.work_out(followers.clone()).await?;
            let later = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.dirty.notified() => {}
                () = later => {}
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Works out what nodes need. Returns when that changes by itself, because a node no longer has to keep a policy.
    async fn work_out(self: &Arc<Self>, followers: Followers) -> Result<Option<Instant>, KubeSourceError> {
        let source = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || source.work_out_now(&followers, Instant::now()));
        work.await.map_err(|error| KubeSourceError::Task(error.to_string()))
    }

    fn work_out_now(&self, followers: &Followers, now: Instant) -> Option<Instant> {
        let old = std::mem::take(&mut self.state().compiled);
        let mut compiled = BTreeMap::new();
        for (kind, store) in [
            (PolicyKind::ClusterSecurityPolicy, &followers.cluster),
            (PolicyKind::SecurityPolicy, &followers.namespaced),
        ] {
            for object in store.state() {
                let key = PolicyKey::of(kind, &object);
                let policy = Compiled::of(kind, &key, &object, old.get(&key), &self.checker);
                compiled.insert(key, policy);
            }
        }
        let mut state = self.state();
        let (wanted, next) = state.targets.update(compiled.values(), followers, now, LINGER);
        state.compiled = compiled;
        state.wanted = wanted;
        let changed = state.targets.take_changed();
        drop(state);
        if changed || *self.changes.borrow() == 0 {
            self.changes.send_modify(|change| *change += 1);
        }
        self.news.notify_one();
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policies with the nodes that need them.
    pub fn wanted(&self) -> Vec<Wanted> {
        self.state().wanted.clone()
    }

    /// Looks at what nodes said.
    pub fn with_reports<T>(&self, look: impl FnOnce(&HashMap<String, Said>) -> T) -> T {
        look(&self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what agents say to other replicas.
    pub fn hear_of_others(&self, shares: Vec<Shares>) {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        if **elsewhere != shares {
            *elsewhere = Arc::new(shares);
            drop(elsewhere);
            self.news.notify_one();
        }
    }

    /// What agents say to other replicas, as far as it was heard.
    pub fn elsewhere(&self) -> Arc<Vec<Shares>> {
        Arc::clone(&self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when something has changed that a status may say.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Makes [`news`](Self::news) return: somebody else has to look at all of it.
    pub fn look_again(&self) {
        self.news.notify_one();
    }
}

impl PolicySource for KubeSource {
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn for_node(&self, node: &str) -> Arc<NodePolicies> {
        self.state().targets.for_node(node)
    }

    fn report(&self, node: &str, report: Option<NodeReport>) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match report {
            None => _ = reports.remove(node),
            Some(report) => {
                let policies = report.policies.into_iter().map(|p| (p.document.clone(), p)).collect();
                reports.insert(node.to_owned(), Said { refused: report.refused, policies });
            }
        }
        drop(reports);
        self.news.notify_one();
    }

    fn state(&self) -> PoliciesState {
        let state = self.state();
        let nodes: HashMap<&PolicyKey, usize> =
            state.wanted.iter().map(|wanted| (&wanted.policy.key, wanted.nodes.len())).collect();
        let policies = state.compiled.iter().map(|(key, policy)| PolicyState {
            name: key.document(),
            generation: policy.generation,
            rules: policy.accepted.as_ref().map_or(0, |accepted| accepted.rules),
            nodes: Some(nodes.get(key).copied().unwrap_or_default()),
            diagnostics: policy.errors.iter().map(ToString::to_string).collect(),
            accepted: policy.accepted.is_some(),
        });
        PoliciesState { policies: policies.collect(), refused: None }
    }
}

/// The objects of a kind, as the API server last told.
type Objects = Store<DynamicObject>;
