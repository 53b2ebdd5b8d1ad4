//! Pods, by the Container Runtime Interface of a containerd: what the kubelet does, without its network.
//!
//! The messages are those parts of `runtime.v1` that tests say something with
//! (<https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto>).

use std::{
    collections::HashMap,
    process::Command,
    sync::{Arc, Mutex},
};

use hyper::http::uri::PathAndQuery;
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{
    Container, Containerd, Exec, Options, Runtime,
    containerd::{CRI_NAMESPACE, IMAGE},
    fresh_id,
};

/// The pods of one containerd, each with one container besides the sandbox.
pub struct Pods {
    containerd: Arc<Containerd>,
    executor: tokio::runtime::Runtime,
    channel: Channel,
    /// Sandboxes by container.
    sandboxes: Mutex<HashMap<String, String>>,
}

/// What a pod is called.
#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub sandbox: String,
    pub container: String,
}

impl Pods {
    /// Nothing is started yet.
    pub fn of(containerd: &Arc<Containerd>) -> Arc<Self> {
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("unix://{}", containerd.socket().display())).unwrap();
        let channel = executor.block_on(async { endpoint.connect_lazy() });
        Arc::new(Self { containerd: Arc::clone(containerd), executor, channel, sandboxes: Mutex::default() })
    }

    /// Starts a pod with a container in it.
    pub fn run(self: &Arc<Self>, options: &Options) -> (Container, Pod) {
        let random = fresh_id();
        let uid = format!(
            "{}-{}-{}-{}-{}",
            &random[..8],
            &random[8..12],
            &random[12..16],
            &random[16..20],
            &random[20..32]
        );
        let container = options.name.clone().unwrap_or_else(|| "main".into());
        let name = format!("{container}-{}", &random[..5]);
        // As the kubelet does it with the cgroupfs driver.
        let parent = self.containerd.groups().path(&format!("/kubepods/besteffort/pod{uid}"));
        let config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.clone(),
                uid: uid.clone(),
                namespace: "shop".into(),
                attempt: 0,
            }),
            labels: kubelet_labels(&name, &uid, None),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: parent.clone(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespaces: Some(NamespaceOption { network: NODE, pid: CONTAINER, ipc: POD }),
                    privileged: options.privileged,
                }),
            }),
        };
        let sandbox: SandboxId =
            self.call("RunPodSandbox", RunPodSandboxRequest { config: Some(config.clone()) });
        let create = CreateContainerRequest {
            pod_sandbox_id: sandbox.id.clone(),
            config: Some(self.container(&container, &name, &uid, options)),
            sandbox_config: Some(config),
        };
        let id = self.call::<_, ContainerId>("CreateContainer", create).id;
        self.sandboxes.lock().unwrap().insert(id.clone(), sandbox.id.clone());
        self.call::<_, Nothing>("StartContainer", ContainerId { id: id.clone() });
        let pid = self.containerd.pid_in(CRI_NAMESPACE, &id);
        let pod = Pod { namespace: "shop".into(), name, uid, sandbox: sandbox.id, container };
        let cgroup = format!("{parent}/{id}");
        (Container { runtime: Arc::clone(self) as _, id, pid, cgroup }, pod)
    }

    fn container(&self, name: &str, pod: &str, uid: &str, options: &Options) -> ContainerConfig {
        let mounts = options.mounts.iter().map(|mount| CriMount {
            container_path: mount.destination.clone(),
            host_path: mount.source.display().to_string(),
            readonly: false,
        });
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.into(), attempt: 0 }),
            image: Some(ImageSpec { image: IMAGE.into() }),
            // The image's own: it waits.
            command: Vec::new(),
            mounts: mounts.collect(),
            labels: kubelet_labels(pod, uid, Some(name)),
            linux: Some(LinuxContainerConfig {
                security_context: Some(LinuxContainerSecurityContext {
                    privileged: options.privileged,
                    namespaces: Some(NamespaceOption { network: NODE, pid: CONTAINER, ipc: POD }),
                }),
            }),
        }
    }

    fn call<Q, A>(&self, method: &str, request: Q) -> A
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let path: PathAndQuery = format!("/runtime.v1.RuntimeService/{method}").parse().unwrap();
        let answer = self.executor.block_on(async {
            let mut client = Grpc::new(self.channel.clone());
            client.ready().await.unwrap_or_else(|error| panic!("{method}: {error}"));
            client.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await
        });
        answer.unwrap_or_else(|status| panic!("{method}: {status}")).into_inner()
    }
}

impl Runtime for Pods {
    fn start(&self, _id: &str, _options: &Options) -> u32 {
        panic!("the CRI chooses ids itself: use Pods::run")
    }

    fn exec(&self, id: &str, exec: &Exec) -> Command {
        self.containerd.exec_in(CRI_NAMESPACE, id, exec)
    }

    fn remove(&self, id: &str) {
        if let Some(sandbox) = self.sandboxes.lock().unwrap().remove(id) {
            self.call::<_, Nothing>("StopPodSandbox", SandboxId { id: sandbox.clone() });
            self.call::<_, Nothing>("RemovePodSandbox", SandboxId { id: sandbox });
        }
    }

    fn cgroup(&self, _id: &str) -> String {
        panic!("the CRI chooses ids itself: use Pods::run")
    }
}

/// The labels by which the kubelet finds its containers again.
fn kubelet_labels(pod: &str, uid: &str, container: Option<&str>) -> HashMap<String, String> {
    let mut labels = HashMap::from([
        ("app".to_owned(), "web".to_owned()),
        ("io.kubernetes.pod.name".to_owned(), pod.to_owned()),
        ("io.kubernetes.pod.namespace".to_owned(), "shop".to_owned()),
        ("io.kubernetes.pod.uid".to_owned(), uid.to_owned()),
    ]);
    labels.extend(container.map(|name| ("io.kubernetes.container.name".to_owned(), name.to_owned())));
    labels
}

/// `NamespaceMode`.
const POD: i32 = 0;
const CONTAINER: i32 = 1;
const NODE: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    config: Option<PodSandboxConfig>,
}

/// Several messages have nothing but the id of a sandbox.
#[derive(Clone, PartialEq, prost::Message)]
struct SandboxId {
    #[prost(string, tag = "1")]
    id: String,
}

/// Several messages have nothing but the id of a container.
#[derive(Clone, PartialEq, prost::Message)]
struct ContainerId {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
struct PodSandboxConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<PodSandboxMetadata>,
    #[prost(map = "string, string", tag = "6")]
    labels: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    linux: Option<LinuxPodSandboxConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(uint32, tag = "4")]
    attempt: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LinuxPodSandboxConfig {
    #[prost(string, tag = "1")]
    cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    security_context: Option<LinuxSandboxSecurityContext>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LinuxSandboxSecurityContext {
    #[prost(message, optional, tag = "1")]
    namespaces: Option<NamespaceOption>,
    #[prost(bool, tag = "6")]
    privileged: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NamespaceOption {
    #[prost(int32, tag = "1")]
    network: i32,
    #[prost(int32, tag = "2")]
    pid: i32,
    #[prost(int32, tag = "3")]
    ipc: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CreateContainerRequest {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
    #[prost(message, optional, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    image: Option<ImageSpec>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    mounts: Vec<CriMount>,
    #[prost(map = "string, string", tag = "9")]
    labels: HashMap<String, String>,
    #[prost(message, optional, tag = "15")]
    linux: Option<LinuxContainerConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContainerMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    attempt: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CriMount {
    #[prost(string, tag = "1")]
    container_path: String,
    #[prost(string, tag = "2")]
    host_path: String,
    #[prost(bool, tag = "3")]
    readonly: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LinuxContainerConfig {
    #[prost(message, optional, tag = "2")]
    security_context: Option<LinuxContainerSecurityContext>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LinuxContainerSecurityContext {
    #[prost(bool, tag = "2")]
    privileged: bool,
    #[prost(message, optional, tag = "3")]
    namespaces: Option<NamespaceOption>,
}
