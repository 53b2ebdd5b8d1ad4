//! Following the objects that say what nodes need.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ApiResource, DynamicObject, Object};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, Store, store::Writer};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, CustomResourceExt as _, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::Objects;
use crate::kube::crd::{ClusterSecurityPolicy, SecurityPolicy};

/// Of a pod, only where it runs; its labels are in its metadata.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    /// The node, once it has one.
    pub(super) node_name: Option<String>,
}

/// Of a pod, only whether it has ended.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
}

pub(super) type SmallPod = Object<PodSpec, PodStatus>;
pub(super) type NodeMeta = PartialObjectMeta<Node>;

/// What is about to be followed.
pub(super) struct Followed {
    client: Client,
    dirty: Arc<Notify>,
}

/// The objects, as the API server last told. They are followed as long as one of the clones lives.
#[derive(Clone)]
pub(super) struct Followers {
    pub(super) cluster: Objects,
    pub(super) namespaced: Objects,
    pub(super) nodes: Store<NodeMeta>,
    pub(super) pods: Store<SmallPod>,
    _tasks: Arc<Vec<AbortOnDropHandle<()>>>,
}

impl Followed {
    pub(super) fn new(client: Client, dirty: Arc<Notify>) -> Self {
        Self { client, dirty }
    }

    /// Starts to follow.
    pub(super) fn start(self) -> Followers {
        let mut tasks = Vec::new();
        let cluster = self.policies(ClusterSecurityPolicy::api_resource(), &mut tasks);
        let namespaced = self.policies(SecurityPolicy::api_resource(), &mut tasks);

        let writer = Writer::<NodeMeta>::default();
        let nodes = writer.as_reader();
        let stream = watcher(Api::<NodeMeta>::all(self.client.clone()), watcher::Config::default());
        tasks.push(self.follow("nodes", writer, stream));

        let resource = ApiResource::erase::<Pod>(&());
        let writer = Writer::<SmallPod>::new(resource.clone());
        let pods = writer.as_reader();
        // Not only their metadata: that does not say where a pod runs. What else comes is dropped as it is read.
        let stream = watcher(Api::all_with(self.client.clone(), &resource), watcher::Config::default());
        tasks.push(self.follow("pods", writer, stream));

        Followers { cluster, namespaced, nodes, pods, _tasks: Arc::new(tasks) }
    }

    fn policies(&self, resource: ApiResource, tasks: &mut Vec<AbortOnDropHandle<()>>) -> Objects {
        let writer = Writer::<DynamicObject>::new(resource.clone());
        let reader = writer.as_reader();
        let stream = watcher(Api::all_with(self.client.clone(), &resource), watcher::Config::default());
        let what =
            if resource.kind == "SecurityPolicy" { "securitypolicies" } else { "clustersecuritypolicies" };
        tasks.push(self.follow(what, writer, stream));
        reader
    }

    fn follow<K, S>(&self, what: &'static str, writer: Writer<K>, stream: S) -> AbortOnDropHandle<()>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        K::DynamicType: Eq + Hash + Clone + Send + Sync,
        S: futures_util::Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    {
        let dirty = Arc::clone(&self.dirty);
        // Who wrote which field fills more room than all that is needed.
        let slim = stream.default_backoff().modify(|object: &mut K| {
            object.meta_mut().managed_fields = None;
            if let Some(annotations) = &mut object.meta_mut().annotations {
                annotations.clear();
            }
        });
        let mut events = Box::pin(reflector::reflector(writer, slim));
        AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    // Objects of the first list: they count when all of them are there.
                    Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                    Ok(_) => dirty.notify_one(),
                    Err(error) => tracing::warn!(what, %error, "cannot follow; trying again"),
                }
            }
        }))
    }
}

impl Followers {
    /// Returns when all objects have been listed once.
    pub(super) async fn known(&self) {
        // It fails only when the writer is gone, and that lives as long as the tasks.
        let _ = tokio::join!(
            self.cluster.wait_until_ready(),
            self.namespaced.wait_until_ready(),
            self.nodes.wait_until_ready(),
            self.pods.wait_until_ready(),
        );
    }
}
