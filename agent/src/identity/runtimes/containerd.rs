//! containerd: the bundle that its shim runs, `/run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID`.

use std::path::{Path, PathBuf};

use vedette_event::{Metadata, short_id};

use super::oci;

/// Where containerd's shims keep their bundles: its own, and those that come with k3s and with Docker.
const STATES: &[&str] =
    &["run/containerd", "run/k3s/containerd", "run/docker/containerd/daemon", "run/docker/containerd"];

/// The bundle of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The namespace in containerd: `k8s.io`, `moby`, `default`, …
    pub namespace: String,
    /// Its directory.
    pub path: PathBuf,
}

pub fn bundle(root: &Path, id: &str) -> Option<Bundle> {
    STATES.iter().find_map(|state| {
        let tasks = root.join(state).join("io.containerd.runtime.v2.task");
        let namespaces = std::fs::read_dir(tasks).ok()?;
        namespaces.flatten().find_map(|namespace| {
            let path = namespace.path().join(id);
            let namespace = namespace.file_name().into_string().ok()?;
            path.is_dir().then_some(Bundle { namespace, path })
        })
    })
}

pub fn describe(root: &Path, id: &str) -> Option<Metadata> {
    let metadata = oci::read_spec(&bundle(root, id)?.path)?.metadata();
    Some(Metadata {
        // A container that was not made through the CRI has no name but its id.
        name: metadata.name.or_else(|| Some(short_id(id).to_owned())),
        runtime: Some("containerd".to_owned()),
        ..metadata
    })
}
