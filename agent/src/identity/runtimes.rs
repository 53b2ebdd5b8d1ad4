//! What container runtimes keep on this machine's disk about their containers.
//!
//! Nobody has to be asked, no daemon has to run, and it is there before the first process of the container is: the
//! fallback where there is no CRI, and all there is for containers that the CRI does not know. Only state of the
//! system's own runtimes is read, not that of users without root, which lies in their homes.

mod containerd;
mod docker;
mod oci;
mod podman;
mod runc;

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use vedette_event::{Container, Metadata, Pod};

pub use containerd::Bundle;

/// Most bytes that are read of one file.
const CAP: u64 = 32 << 20;

/// The state directories of the runtimes.
#[derive(Clone, Debug)]
pub struct Runtimes {
    root: PathBuf,
}

impl Runtimes {
    /// Those of a root directory: `/`, or another for containers whose host is seen elsewhere.
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Looks a container up; `None` where no runtime's state names it.
    pub fn describe(&self, container: &Container) -> Option<Metadata> {
        let id = container.id.as_str();
        let docker = || docker::describe(&self.root, id);
        let podman = || podman::describe(&self.root, id);
        let containerd = || containerd::describe(&self.root, id);
        let runc = || runc::describe(&self.root, id);
        match container.runtime {
            "docker" => docker().or_else(containerd),
            "podman" | "cri-o" => podman(),
            "containerd" => containerd(),
            _ => containerd().or_else(docker).or_else(podman).or_else(runc),
        }
    }

    /// The bundle that containerd made for a container.
    pub fn containerd_bundle(&self, id: &str) -> Option<Bundle> {
        containerd::bundle(&self.root, id)
    }
}

/// A whole file, unless it is too large.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(CAP + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= CAP).then_some(bytes)
}

/// A JSON file; `None` where it is not there or not what it should be.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&read(path)?)
        .inspect_err(
            |error| tracing::debug!(path = %path.display(), %error, "a runtime's state is not understood"),
        )
        .ok()
}

/// A path as a process of the host means it, seen from here.
fn on_host(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The digits of `sha256:…`.
pub(super) fn digits(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).to_owned()
}

/// `None` for an empty text: how runtimes written in Go say that there is nothing.
pub(super) fn filled(text: impl Into<String>) -> Option<String> {
    Some(text.into()).filter(|text| !text.is_empty())
}

/// Nanoseconds since 1970 of a time in RFC 3339. Runtimes write the year 1 for what has not happened.
fn time(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok().filter(|time| *time > 0)
}

/// The pod in the labels that the kubelet gives to every container (`io.kubernetes.pod.*`).
pub(super) fn pod_of_labels(labels: &BTreeMap<String, String>) -> Option<Pod> {
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let pod = Pod {
        uid: label("io.kubernetes.pod.uid"),
        name: label("io.kubernetes.pod.name"),
        namespace: label("io.kubernetes.pod.namespace"),
        ..Pod::default()
    };
    (!pod.name.is_empty()).then_some(pod)
}

#[cfg(test)]
mod tests;
