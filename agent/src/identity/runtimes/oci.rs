//! An OCI bundle's `config.json` (<https://github.com/opencontainers/runtime-spec/blob/main/config.md>): mounts,
//! namespaces, what a privileged container lacks in restraint, and the annotations in which containerd and CRI-O keep
//! what the kubelet told them.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use vedette_event::{Metadata, Mount, Pod};

use super::{digits, filled, pod_of_labels, read_json};

/// The parts of the configuration that matter here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    process: Option<Process>,
    mounts: Option<Vec<SpecMount>>,
    /// Annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    linux: Option<Linux>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Process {
    capabilities: Option<Capabilities>,
    apparmor_profile: String,
    selinux_label: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    bounding: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SpecMount {
    destination: String,
    #[serde(rename = "type")]
    kind: String,
    source: String,
    options: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Linux {
    namespaces: Option<Vec<Namespace>>,
    masked_paths: Option<Vec<String>>,
    readonly_paths: Option<Vec<String>>,
    seccomp: Option<serde::de::IgnoredAny>,
    rootfs_propagation: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    /// Joined, not made: may be anybody's, of the host's only where a runtime was told so explicitly.
    path: String,
}

/// Reads `config.json` in a directory.
pub fn read_spec(bundle: &Path) -> Option<Spec> {
    read_json(&bundle.join("config.json"))
}

impl Spec {
    /// What the configuration says about its container.
    pub fn metadata(&self) -> Metadata {
        let annotations = self.annotations.clone().unwrap_or_default();
        let note =
            |keys: &[&str]| keys.iter().find_map(|key| annotations.get(*key)).cloned().and_then(filled);
        let host = |kind: &str| self.linux.as_ref().map(|linux| linux.shares(kind));
        Metadata {
            name: note(&[
                "io.kubernetes.cri.container-name",
                "io.kubernetes.container.name",
                "io.kubernetes.cri-o.Name",
            ]),
            image: note(&[
                "io.kubernetes.cri.image-name",
                "io.kubernetes.cri-o.ImageName",
                "io.kubernetes.cri-o.Image",
            ]),
            image_id: note(&["io.kubernetes.cri-o.ImageRef"]).map(|id| digits(&id)),
            privileged: Some(self.is_privileged()),
            mounts: Some(self.mounts.iter().flatten().map(|m| self.mount(m)).collect()),
            host_pid: host("pid"),
            host_network: host("network"),
            host_ipc: host("ipc"),
            sandbox_id: note(&["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]),
            cni: note(&["io.kubernetes.cri-o.CNIResult"]),
            ip: note(&["io.kubernetes.cri-o.IP.0"]),
            pod: pod(&annotations),
            ..Metadata::default()
        }
    }

    /// Nobody writes down that a container is privileged; it shows in what such a container is given and spared: it may
    /// do everything, no path is masked or read-only, no profile confines it, and sysfs and the control groups can be
    /// written.
    fn is_privileged(&self) -> bool {
        let (Some(linux), Some(process)) = (&self.linux, &self.process) else { return false };
        let bounding = process.capabilities.as_ref().and_then(|c| c.bounding.as_ref());
        let may_everything = bounding.is_some_and(|all| {
            ["CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO"]
                .iter()
                .all(|cap| all.iter().any(|c| c == cap))
        });
        let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
        let unconfined = matches!(process.apparmor_profile.as_str(), "" | "unconfined")
            && !process.selinux_label.contains("container_t")
            && linux.seccomp.is_none();
        let read_only = |m: &SpecMount| m.options.iter().flatten().any(|option| option == "ro");
        let kernel = |m: &&SpecMount| matches!(m.kind.as_str(), "sysfs" | "cgroup");
        may_everything
            && is_empty(&linux.masked_paths)
            && is_empty(&linux.readonly_paths)
            && unconfined
            && !self.mounts.iter().flatten().filter(kernel).any(read_only)
    }

    fn mount(&self, mount: &SpecMount) -> Mount {
        let options = || mount.options.iter().flatten();
        let propagation = options().find(|option| is_propagation(option));
        let of_root = self.linux.as_ref().map(|linux| linux.rootfs_propagation.as_str());
        Mount {
            source: mount.source.clone(),
            dest: mount.destination.clone(),
            mode: options().find_map(|option| option.strip_prefix("mode=")).unwrap_or_default().to_owned(),
            rdwr: !options().any(|option| option == "ro"),
            propagation: propagation.map_or(of_root.unwrap_or_default(), String::as_str).to_owned(),
        }
    }
}

/// Options of mount(8) that say how mounts below are shared.
fn is_propagation(option: &str) -> bool {
    let kind = option.strip_prefix('r').unwrap_or(option);
    matches!(kind, "shared" | "slave" | "private" | "unbindable")
}

impl Linux {
    /// Whether it has no namespace of this kind of its own. One that is joined was made for somebody, such as a pod.
    fn shares(&self, kind: &str) -> bool {
        let of_init = format!("/proc/1/ns/{}", if kind == "network" { "net" } else { kind });
        !self.namespaces.iter().flatten().any(|ns| ns.kind == kind && ns.path != of_init)
    }
}

/// The pod, as containerd or CRI-O note it.
fn pod(annotations: &BTreeMap<String, String>) -> Option<Pod> {
    let note = |key: &str| annotations.get(key).cloned().unwrap_or_default();
    let by_containerd = || {
        let name = annotations.get("io.kubernetes.cri.sandbox-name")?;
        Some(Pod {
            name: name.clone(),
            namespace: note("io.kubernetes.cri.sandbox-namespace"),
            uid: note("io.kubernetes.cri.sandbox-uid"),
            ..Pod::default()
        })
    };
    by_containerd().or_else(|| pod_of_labels(annotations))
}
