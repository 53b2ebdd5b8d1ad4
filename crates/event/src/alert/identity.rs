//! The container and its pod, in an alert.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Node, Time};
use crate::{Clock, Container, Knowledge, Pod, View};

/// A container, in an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// 64 hex digits.
    pub id: String,
    /// The runtime (`docker`, `containerd`, …).
    pub runtime: String,
    /// Whether the runtime had been heard when the alert was made. If not, what is absent here is not known.
    #[serde(default)]
    pub complete: bool,
    /// Name given by the runtime, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Image as it was asked for, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Id of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Digest by which the registry knows the image: `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Whether it is privileged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// Its first address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Its labels, without those that Kubernetes uses itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The pod and its node, in an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesInfo {
    /// Name of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Namespace of the pod, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Uid of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Address of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    /// Its service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// What made it: kind and name of the controller, a deployment in place of its replica set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadInfo>,
    /// Labels of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The controller of a pod, in an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadInfo {
    /// `Deployment`, `DaemonSet`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl ContainerInfo {
    /// Of an event in a container.
    pub(super) fn of_view(view: &View<'_>) -> Option<Self> {
        view.container().map(|container| Self::of(container, view.clock))
    }

    fn of(container: &Container, clock: Clock) -> Self {
        let metadata = &container.metadata;
        Self {
            id: container.id.clone(),
            runtime: container.runtime().to_owned(),
            complete: container.knowledge == Knowledge::Known,
            name: metadata.name.clone(),
            image: metadata.image.clone(),
            image_id: metadata.image_id.clone(),
            image_digest: container.image_digest().map(str::to_owned),
            privileged: metadata.privileged,
            started: container.started(clock).map(Time),
            ip: metadata.ip.clone(),
            labels: own_labels(&metadata.labels),
        }
    }
}

impl KubernetesInfo {
    /// Of an event in a pod, or on a node of Kubernetes.
    pub(super) fn of_view(view: &View<'_>, node: &Node) -> Option<Self> {
        let container = view.container();
        let pod_uid = container.and_then(Container::pod_uid).map(str::to_owned);
        let pod = container.and_then(Container::pod);
        (pod_uid.is_some() || node.kubernetes).then(|| Self {
            node: node.kubernetes.then(|| node.name.clone()),
            pod_uid,
            ..pod.map(Self::of_pod).unwrap_or_default()
        })
    }

    fn of_pod(pod: &Pod) -> Self {
        let known = |text: &String| (!text.is_empty()).then(|| text.clone());
        let deployment = pod
            .deployment
            .as_ref()
            .map(|name| WorkloadInfo { kind: "Deployment".to_owned(), name: name.clone() });
        let owner =
            || pod.owner.as_ref().map(|w| WorkloadInfo { kind: w.kind.clone(), name: w.name.clone() });
        Self {
            namespace: known(&pod.namespace),
            pod: known(&pod.name),
            pod_ip: pod.ip.clone(),
            service_account: pod.service_account.clone(),
            workload: deployment.or_else(owner),
            labels: own_labels(&pod.labels),
            ..Self::default()
        }
    }
}

/// Without those labels that the kubelet and the runtimes use among themselves.
fn own_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = labels.iter().filter(|(key, _)| !crate::is_internal_label(key));
    own.map(|(key, value)| (key.clone(), value.clone())).collect()
}
