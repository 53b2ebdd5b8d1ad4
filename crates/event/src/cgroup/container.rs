//! What is known about a container and its pod, and how well.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::Clock;

/// What is known about a container. Its control group tells the first three; metadata arrives later, from the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// `docker`, `containerd`, `cri-o`, `podman`, as the control group's name tells; else `container`.
    pub runtime: &'static str,
    /// The pod's uid, as the control group's name tells.
    pub pod_uid: Option<String>,
    /// When its control group was made, nanoseconds of the clock of the records; absent where that was before the agent.
    pub made: Option<u64>,
    /// How the metadata stands.
    pub knowledge: Knowledge,
    /// What the runtime says; empty until it has said something.
    pub metadata: Metadata,
    /// The pod, as the API server describes it.
    pub pod: Option<PodRef>,
}

/// A shared container.
pub type ContainerRef = Arc<Container>;

/// A shared pod.
pub type PodRef = Arc<Pod>;

/// How far somebody who asks the runtimes about a container has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Knowledge {
    /// Nobody was asked.
    #[default]
    Unasked,
    /// The answer is awaited: events that need it wait, too.
    Pending,
    /// The answer did not come in time. It may still come; nobody waits for it.
    Late,
    /// The metadata is there.
    Known,
    /// No runtime knows the container, and nobody is asked again.
    Unknown,
}

impl Knowledge {
    /// All of them, in the order of their numbers in a recording.
    pub const ALL: [Self; 5] = [Self::Unasked, Self::Pending, Self::Late, Self::Known, Self::Unknown];
}

/// What a runtime says about a container. Absent is not empty: it was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The runtime that said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Name given by the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Image as it was asked for: `docker.io/library/nginx:1.27`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Id of the image, without `sha256:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Digest by which the registry knows the image: `sha256:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Whether it is privileged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// What is mounted into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<Mount>>,
    /// When it was started, nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// First address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Result of the network plugin, JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cni: Option<String>,
    /// Whether it shares the host's pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_pid: Option<bool>,
    /// Whether it shares the host's network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
    /// Whether it shares the host's IPC namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_ipc: Option<bool>,
    /// Command of the health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<String>,
    /// Commands of its probes.
    #[serde(skip_serializing_if = "Probes::is_empty")]
    pub probes: Probes,
    /// Id of the pod's sandbox; the container's own if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<String>,
    /// The pod, as far as the runtime knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
}

/// Commands that the kubelet runs in a container; probes by network have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probes {
    /// Of the liveness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<String>,
    /// Of the readiness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<String>,
}

impl Probes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Something mounted into a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Path on the host, or what the file system calls its source.
    pub source: String,
    /// Path in the container.
    pub dest: String,
    /// Mode, in the words of the runtime; often empty.
    pub mode: String,
    /// Whether it can be written.
    pub rdwr: bool,
    /// `private`, `rslave`, `rshared`, …
    pub propagation: String,
}

impl std::fmt::Display for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, dest, mode, rdwr, propagation } = self;
        write!(f, "{source}:{dest}:{mode}:{rdwr}:{propagation}")
    }
}

/// What is known about a pod: by the runtime (name, namespace, uid, labels, address) or by the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its first address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Its service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// What made it: `ReplicaSet web-5c9d`, `DaemonSet …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Workload>,
    /// The deployment behind the replica set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Labels of its namespace.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub namespace_labels: BTreeMap<String, String>,
    /// Commands of probes, by the name of the container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub probes: BTreeMap<String, Probes>,
}

/// A controller of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// `ReplicaSet`, `DaemonSet`, `StatefulSet`, `Job`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Container {
    /// The first 12 digits, which is what people read.
    pub fn short_id(&self) -> &str {
        short_id(&self.id)
    }

    /// The pod: as the API server describes it, else as the runtime does.
    pub fn pod(&self) -> Option<&Pod> {
        self.pod.as_deref().or(self.metadata.pod.as_ref())
    }

    /// The pod's uid.
    pub fn pod_uid(&self) -> Option<&str> {
        self.pod_uid
            .as_deref()
            .or_else(|| self.pod().map(|pod| pod.uid.as_str()))
            .filter(|uid| !uid.is_empty())
    }

    /// Commands of probes.
    pub fn probes(&self) -> Option<&Probes> {
        let by_name = || self.pod.as_ref()?.probes.get(self.metadata.name.as_deref()?);
        if self.metadata.probes.is_empty() { by_name() } else { Some(&self.metadata.probes) }
    }

    /// The runtime: as it says itself, else as the control group's name tells.
    pub fn runtime(&self) -> &str {
        self.metadata.runtime.as_deref().unwrap_or(self.runtime)
    }

    /// When it started, nanoseconds since 1970: when its control group was made, or else what its runtime says.
    pub fn started(&self, clock: Clock) -> Option<u64> {
        self.made.map(|time| clock.realtime(time)).or(self.metadata.started)
    }

    /// Repository of the image: its name without tag and digest.
    pub fn image_repository(&self) -> Option<&str> {
        Some(split_image(self.metadata.image.as_deref()?).0)
    }

    /// Tag of the image.
    pub fn image_tag(&self) -> Option<&str> {
        split_image(self.metadata.image.as_deref()?).1
    }

    /// Digest of the image, also where only its name has it.
    pub fn image_digest(&self) -> Option<&str> {
        let in_name = || self.metadata.image.as_deref()?.split_once('@').map(|(_, digest)| digest);
        self.metadata.image_digest.as_deref().or_else(in_name)
    }
}

/// Whether a label is one that the kubelet and the runtimes use among themselves; rules and alerts see the others.
pub fn is_internal_label(key: &str) -> bool {
    key.starts_with("io.kubernetes.") || key.starts_with("annotation.")
}

/// The first 12 digits of an id.
pub fn short_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Repository and tag of an image reference; a digest belongs to neither.
fn split_image(image: &str) -> (&str, Option<&str>) {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_image(image: &str) -> Container {
        Container {
            metadata: Metadata { image: Some(image.to_owned()), ..Metadata::default() },
            ..Container::default()
        }
    }

    #[test]
    fn image_references() {
        for (image, repository, tag, digest) in [
            ("nginx", "nginx", None, None),
            ("docker.io/library/nginx:1.27", "docker.io/library/nginx", Some("1.27"), None),
            ("localhost:5000/app", "localhost:5000/app", None, None),
            ("localhost:5000/app:v1@sha256:00", "localhost:5000/app", Some("v1"), Some("sha256:00")),
            ("registry/app@sha256:00", "registry/app", None, Some("sha256:00")),
        ] {
            let container = of_image(image);
            assert_eq!(container.image_repository(), Some(repository), "{image}");
            assert_eq!(container.image_tag(), tag, "{image}");
            assert_eq!(container.image_digest(), digest, "{image}");
        }
        assert_eq!(Container::default().image_repository(), None);
    }

    #[test]
    fn what_the_api_server_says_of_a_pod_goes_before_what_the_runtime_says() {
        let pod = |name: &str| Pod { uid: "u".into(), name: name.into(), ..Pod::default() };
        let mut container = of_image("nginx");
        assert_eq!((container.pod(), container.pod_uid()), (None, None));
        container.metadata.pod = Some(pod("by runtime"));
        assert_eq!(container.pod().map(|p| p.name.as_str()), Some("by runtime"));
        container.pod = Some(Arc::new(pod("by server")));
        assert_eq!(container.pod().map(|p| p.name.as_str()), Some("by server"));
        assert_eq!(container.pod_uid(), Some("u"));
    }

    #[test]
    fn metadata_survives_its_json_form_and_leaves_out_what_was_not_said() {
        let metadata = Metadata {
            name: Some("web".into()),
            mounts: Some(vec![Mount {
                source: "/a".into(),
                dest: "/b".into(),
                rdwr: true,
                ..Mount::default()
            }]),
            pod: Some(Pod { uid: "u".into(), ..Pod::default() }),
            ..Metadata::default()
        };
        let json = serde_json::to_string(&metadata).unwrap();
        assert_eq!(serde_json::from_str::<Metadata>(&json).unwrap(), metadata);
        assert!(!json.contains("privileged"), "{json}");
        assert_eq!(serde_json::from_str::<Metadata>("{\"later\":1}").unwrap(), Metadata::default());
    }
}
