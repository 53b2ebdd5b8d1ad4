//! The Container Runtime Interface: what the kubelet's runtime knows about its containers.

pub(super) mod messages;

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use tonic::{Code, Request, Status};
use vedette_event::{Metadata, Mount, Pod, is_internal_label};

use self::messages::{
    ContainerStatusRequest, ContainerStatusResponse, PodSandboxStatus, PodSandboxStatusRequest,
    PodSandboxStatusResponse, VersionRequest, VersionResponse,
};
use super::{
    grpc::Socket,
    runtimes::{digits, filled, pod_of_labels},
};

const CONTAINER_STATUS: &str = "/runtime.v1.RuntimeService/ContainerStatus";
const POD_SANDBOX_STATUS: &str = "/runtime.v1.RuntimeService/PodSandboxStatus";
const VERSION: &str = "/runtime.v1.RuntimeService/Version";

/// `NamespaceMode.NODE`.
const NODE: i32 = 2;

/// Most bytes of a network plugin's result that are kept.
const CNI: usize = 4096;

/// Where runtimes serve the CRI unless told otherwise.
pub const SOCKETS: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/run/cri-dockerd.sock",
];

/// A runtime that speaks the CRI, version 1.
#[derive(Clone, Debug)]
pub struct Cri {
    /// Its socket.
    pub path: PathBuf,
    socket: Socket,
}

impl Cri {
    /// Nothing is opened yet.
    ///
    /// # Errors
    /// The path is not text.
    pub fn new(path: PathBuf) -> Result<Self, tonic::transport::Error> {
        Ok(Self { socket: Socket::new(&path)?, path })
    }

    /// Name of the runtime as it calls itself: `containerd`, `cri-o`, `docker`.
    ///
    /// # Errors
    /// Nobody answers, or not in this version of the CRI.
    pub async fn runtime_name(&self) -> Result<String, Status> {
        let request = VersionRequest { version: "v1".to_owned() };
        let version: VersionResponse = self.socket.call(VERSION, Request::new(request)).await?;
        Ok(version.runtime_name)
    }

    /// Looks a container up, or a sandbox. `None` where the runtime does not know it.
    ///
    /// # Errors
    /// Nobody answers, or not in this version of the CRI.
    pub async fn describe(&self, id: &str) -> Result<Option<Metadata>, Status> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        let found: Result<ContainerStatusResponse, _> =
            self.socket.call(CONTAINER_STATUS, Request::new(request)).await;
        let container = match found {
            Ok(found) => found,
            Err(status) if is_unknown(&status) => return self.sandbox(id).await,
            Err(status) => return Err(status),
        };
        let info = Info::of(&container.info);
        let mut metadata = of_container(container, &info);
        metadata.sandbox_id = filled(info.sandbox_id.clone())
            .or_else(|| info.annotation("io.kubernetes.cri.sandbox-id"))
            .or_else(|| info.annotation("io.kubernetes.cri-o.SandboxID"));
        if let Some(sandbox) = &metadata.sandbox_id {
            match self.sandbox_status(sandbox).await {
                Ok(found) => add_sandbox(&mut metadata, found),
                Err(error) => {
                    tracing::debug!(%error, id, "the sandbox of a container could not be looked up")
                }
            }
        }
        Ok(Some(metadata))
    }

    async fn sandbox_status(&self, id: &str) -> Result<PodSandboxStatusResponse, Status> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        self.socket.call(POD_SANDBOX_STATUS, Request::new(request)).await
    }

    /// The pause container is a sandbox, not a container. It bears the pod's name.
    async fn sandbox(&self, id: &str) -> Result<Option<Metadata>, Status> {
        let found = match self.sandbox_status(id).await {
            Ok(found) => found,
            Err(status) if is_unknown(&status) => return Ok(None),
            Err(status) => return Err(status),
        };
        let info = Info::of(&found.info);
        let mut metadata = Metadata {
            image: filled(info.image.clone()),
            privileged: info.privileged(),
            sandbox_id: Some(id.to_owned()),
            ..Metadata::default()
        };
        add_sandbox(&mut metadata, found);
        metadata.name = metadata.pod.as_ref().map(|pod| pod.name.clone());
        Ok(Some(metadata))
    }
}

/// Runtimes disagree about the code for an id that they do not know: cri-dockerd says `UNKNOWN` with a text.
fn is_unknown(status: &Status) -> bool {
    match status.code() {
        Code::NotFound => true,
        Code::Unknown => {
            let text = status.message().to_ascii_lowercase();
            ["not found", "no such container", "does not exist"].iter().any(|words| text.contains(words))
        }
        _ => false,
    }
}

/// What runtimes add in JSON when asked to be verbose: containerd and CRI-O under `info`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info {
    #[serde(alias = "sandboxID")]
    sandbox_id: String,
    /// A sandbox's image.
    image: String,
    privileged: Option<bool>,
    config: Option<InfoConfig>,
    runtime_spec: Option<InfoSpec>,
    cni_result: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InfoConfig {
    linux: Option<InfoLinux>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InfoLinux {
    security_context: Option<InfoSecurity>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InfoSecurity {
    /// Left out where it is false.
    privileged: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InfoSpec {
    annotations: Option<BTreeMap<String, String>>,
}

impl Info {
    fn of(info: &std::collections::HashMap<String, String>) -> Self {
        let text = info.get("info").map(String::as_str).unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }

    fn annotation(&self, key: &str) -> Option<String> {
        self.runtime_spec.as_ref()?.annotations.as_ref()?.get(key).cloned().and_then(filled)
    }

    fn privileged(&self) -> Option<bool> {
        let config = self.config.as_ref().and_then(|c| c.linux.as_ref());
        self.privileged.or_else(|| Some(config?.security_context.as_ref()?.privileged))
    }

    fn cni(&self) -> Option<String> {
        let text = match &self.cni_result {
            Some(result) => Some(result.get("Interfaces").unwrap_or(result).to_string()),
            None => self.annotation("io.kubernetes.cri-o.CNIResult"),
        }?;
        let end = text.floor_char_boundary(CNI);
        Some(text[..end].to_owned())
    }
}

fn of_container(found: ContainerStatusResponse, info: &Info) -> Metadata {
    let status = found.status.unwrap_or_default();
    let asked_for = status.image.map(|image| (image.user_specified_image, image.image));
    let (specified, image) = asked_for.unwrap_or_default();
    // A reference is `host/name@sha256:…`, or only an id where the image has no digest.
    let (by_digest, digest) = match status.image_ref.split_once('@') {
        Some((name, digest)) => (filled(name), filled(digest)),
        None => (None, None),
    };
    let is_name = |text: &String| !text.is_empty() && !text.starts_with("sha256:") && text.len() != 64;
    let noted = || {
        ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"]
            .iter()
            .find_map(|key| info.annotation(key))
    };
    let name = [image.clone(), specified].into_iter().find(is_name).or_else(noted).or(by_digest);
    let image_id = [status.image_id, image].into_iter().map(|id| digits(&id));
    let reference = digits(&status.image_ref);
    Metadata {
        name: status.metadata.and_then(|m| filled(m.name)),
        image: name,
        image_id: image_id
            .chain([reference])
            .find(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())),
        image_digest: digest,
        privileged: info.privileged(),
        mounts: Some(status.mounts.into_iter().map(mount).collect()),
        started: u64::try_from(status.started_at).ok().filter(|time| *time > 0),
        pod: pod_of_labels(&status.labels.clone().into_iter().collect()),
        labels: status.labels.into_iter().collect(),
        ..Metadata::default()
    }
}

fn mount(mount: messages::Mount) -> Mount {
    let propagation = match mount.propagation {
        0 => "private",
        1 => "rslave",
        2 => "rshared",
        _ => "unknown",
    };
    Mount {
        source: mount.host_path,
        dest: mount.container_path,
        mode: String::new(),
        rdwr: !mount.readonly,
        propagation: propagation.to_owned(),
    }
}

fn add_sandbox(metadata: &mut Metadata, found: PodSandboxStatusResponse) {
    metadata.cni = Info::of(&found.info).cni();
    let Some(PodSandboxStatus { metadata: name, network, linux, labels, .. }) = found.status else { return };
    metadata.ip = network.and_then(|network| filled(network.ip));
    if let Some(options) = linux.and_then(|linux| linux.namespaces).and_then(|ns| ns.options) {
        metadata.host_pid = Some(options.pid == NODE);
        metadata.host_network = Some(options.network == NODE);
        metadata.host_ipc = Some(options.ipc == NODE);
    }
    let Some(name) = name else { return };
    let own = labels.into_iter().filter(|(key, _)| !is_internal_label(key));
    metadata.pod = Some(Pod {
        uid: name.uid,
        name: name.name,
        namespace: name.namespace,
        labels: own.collect(),
        ip: metadata.ip.clone(),
        ..Pod::default()
    });
}

#[cfg(test)]
mod tests;
