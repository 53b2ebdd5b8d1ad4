//! Pods, by the Container Runtime Interface of a containerd: what the kubelet does, without its network.

#[path = "cri/messages.rs"]
mod messages;

use std::{
    collections::HashMap,
    path::PathBuf,
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

#[allow(clippy::wildcard_imports, reason = "they are all the messages there are")]
use self::messages::*;
use super::{
    Container, Containerd, Exec, Mount, Options, Runtime,
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
    /// What its container writes, with a time before each line.
    pub log: PathBuf,
}

/// A pod that is to be, of one container.
#[derive(Clone, Debug, Default)]
pub struct PodSpec {
    /// Name of the container; the pod is called after it.
    pub container: String,
    pub image: String,
    /// Behind the image's entry point.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Directories of the host; with `true` it can only read them.
    pub mounts: Vec<(Mount, bool)>,
    /// Whether it sees the host's processes.
    pub host_pid: bool,
    /// Most bytes of memory; 0 for any.
    pub memory: i64,
    pub security: Security,
}

/// What a container may.
#[derive(Clone, Debug, Default)]
pub struct Security {
    pub privileged: bool,
    /// Capabilities that it gets, where it is to have no others.
    pub capabilities: Option<Vec<String>>,
    /// User and group.
    pub user: Option<(i64, i64)>,
    pub read_only_root: bool,
    pub no_new_privileges: bool,
    /// Without the runtime's seccomp profile.
    pub unconfined: bool,
}

impl PodSpec {
    fn config(&self, pod: &str, uid: &str, namespaces: Option<NamespaceOption>) -> ContainerConfig {
        let Security { privileged, capabilities, user, read_only_root, no_new_privileges, unconfined } =
            self.security.clone();
        let mounts = self.mounts.iter().map(|(mount, readonly)| CriMount {
            container_path: mount.destination.clone(),
            host_path: mount.source.display().to_string(),
            readonly: *readonly,
        });
        // What the kubelet hides of every container.
        let hidden = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        let (masked, readonly): (Vec<String>, Vec<String>) = (
            hidden(&[
                "/proc/acpi",
                "/proc/kcore",
                "/proc/keys",
                "/proc/timer_list",
                "/proc/scsi",
                "/sys/firmware",
            ]),
            hidden(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        );
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: self.container.clone(), attempt: 0 }),
            image: Some(ImageSpec { image: self.image.clone() }),
            // The image's own.
            command: Vec::new(),
            args: self.args.clone(),
            envs: self
                .env
                .iter()
                .map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() })
                .collect(),
            mounts: mounts.collect(),
            labels: kubelet_labels(pod, uid, Some(&self.container)),
            log_path: LOG.into(),
            linux: Some(LinuxContainerConfig {
                resources: Some(LinuxContainerResources { memory_limit_in_bytes: self.memory }),
                security_context: Some(LinuxContainerSecurityContext {
                    capabilities: capabilities.map(|add_capabilities| Capabilities {
                        add_capabilities,
                        drop_capabilities: vec!["ALL".into()],
                    }),
                    privileged,
                    namespaces,
                    run_as_user: user.map(|(user, _)| user),
                    run_as_group: user.map(|(_, group)| group),
                    readonly_rootfs: read_only_root,
                    no_new_privs: no_new_privileges,
                    masked_paths: if privileged { Vec::new() } else { masked },
                    readonly_paths: if privileged { Vec::new() } else { readonly },
                    seccomp: Some(SecurityProfile { profile_type: i32::from(unconfined) }),
                }),
            }),
        }
    }
}

/// Name of a container's log.
const LOG: &str = "0.log";

impl Pods {
    /// Nothing is started yet.
    pub fn of(containerd: &Arc<Containerd>) -> Arc<Self> {
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("unix://{}", containerd.socket().display())).unwrap();
        let channel = executor.block_on(async { endpoint.connect_lazy() });
        Arc::new(Self { containerd: Arc::clone(containerd), executor, channel, sandboxes: Mutex::default() })
    }

    /// Starts a pod with a container in it that waits.
    pub fn run(self: &Arc<Self>, options: &Options) -> (Container, Pod) {
        let mounts = options.mounts.iter().map(|mount| (mount.clone(), false));
        self.run_pod(&PodSpec {
            container: options.name.clone().unwrap_or_else(|| "main".into()),
            image: IMAGE.into(),
            mounts: mounts.collect(),
            security: Security { privileged: options.privileged, ..Security::default() },
            ..PodSpec::default()
        })
    }

    /// Starts a pod as a manifest says it.
    pub fn run_pod(self: &Arc<Self>, spec: &PodSpec) -> (Container, Pod) {
        let random = fresh_id();
        let uid = format!(
            "{}-{}-{}-{}-{}",
            &random[..8],
            &random[8..12],
            &random[12..16],
            &random[16..20],
            &random[20..32]
        );
        let container = spec.container.clone();
        let name = format!("{container}-{}", &random[..5]);
        // As the kubelet does it with the cgroupfs driver.
        let parent = self.containerd.groups().path(&format!("/kubepods/besteffort/pod{uid}"));
        let namespaces = Some(NamespaceOption {
            network: NODE,
            pid: if spec.host_pid { NODE } else { CONTAINER },
            ipc: POD,
        });
        let config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.clone(),
                uid: uid.clone(),
                namespace: "shop".into(),
                attempt: 0,
            }),
            log_directory: self.containerd.root().join("logs").join(&name).display().to_string(),
            labels: kubelet_labels(&name, &uid, None),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: parent.clone(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespaces: namespaces.clone(),
                    privileged: spec.security.privileged,
                }),
            }),
        };
        let log = PathBuf::from(&config.log_directory).join(LOG);
        let sandbox: SandboxId =
            self.call("RunPodSandbox", RunPodSandboxRequest { config: Some(config.clone()) });
        let create = CreateContainerRequest {
            pod_sandbox_id: sandbox.id.clone(),
            config: Some(spec.config(&name, &uid, namespaces)),
            sandbox_config: Some(config),
        };
        let id = self.call::<_, ContainerId>("CreateContainer", create).id;
        self.sandboxes.lock().unwrap().insert(id.clone(), sandbox.id.clone());
        self.call::<_, Nothing>("StartContainer", ContainerId { id: id.clone() });
        let pid = self.containerd.pid_in(CRI_NAMESPACE, &id);
        let pod = Pod { namespace: "shop".into(), name, uid, sandbox: sandbox.id, container, log };
        let cgroup = format!("{parent}/{id}");
        (Container { runtime: Arc::clone(self) as _, id, pid, cgroup }, pod)
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
