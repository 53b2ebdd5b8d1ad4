//! Docker: `/var/lib/docker/containers/ID/config.v2.json` and `hostconfig.json`, as its daemon saves them
//! (`container.Container` and `container.HostConfig` of `github.com/moby/moby`), and the digests of images in
//! `/var/lib/docker/image/DRIVER/repositories.json`.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use vedette_event::{Metadata, Mount};

use super::{digits, filled, pod_of_labels, read_json, time};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Saved {
    name: String,
    image: String,
    config: Config,
    state: State,
    mount_points: Option<BTreeMap<String, MountPoint>>,
    network_settings: NetworkSettings,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    image: String,
    labels: Option<BTreeMap<String, String>>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    test: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    started_at: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct MountPoint {
    source: String,
    destination: String,
    #[serde(rename = "RW")]
    rw: bool,
    propagation: String,
    mode: String,
    relabel: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Network>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress")]
    address: String,
    #[serde(rename = "GlobalIPv6Address")]
    address6: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct HostConfig {
    privileged: bool,
    pid_mode: String,
    ipc_mode: String,
    network_mode: String,
}

pub fn describe(root: &Path, id: &str) -> Option<Metadata> {
    let docker = root.join("var/lib/docker");
    let directory = docker.join("containers").join(id);
    let saved: Saved = read_json(&directory.join("config.v2.json"))?;
    let host: Option<HostConfig> = read_json(&directory.join("hostconfig.json"));
    let labels = saved.config.labels.unwrap_or_default();
    let networks = saved.network_settings.networks.unwrap_or_default();
    let addresses = networks.into_values().flatten().flat_map(|n| [n.address, n.address6]);
    let mounts = saved.mount_points.unwrap_or_default().into_values().map(mount).collect();
    Some(Metadata {
        runtime: Some("docker".to_owned()),
        name: filled(saved.name.trim_start_matches('/')),
        image_digest: digest(&docker, &saved.image, &saved.config.image),
        image: filled(saved.config.image),
        image_id: filled(digits(&saved.image)),
        privileged: host.as_ref().map(|h| h.privileged),
        mounts: Some(mounts),
        started: time(&saved.state.started_at),
        ip: addresses.filter(|address| !address.is_empty()).min_by_key(|address| address.contains(':')),
        host_pid: host.as_ref().map(|h| h.pid_mode == "host"),
        host_network: host.as_ref().map(|h| h.network_mode == "host"),
        host_ipc: host.as_ref().map(|h| h.ipc_mode == "host"),
        healthcheck: saved.config.healthcheck.and_then(|check| command(&check.test?)),
        sandbox_id: labels.get("io.kubernetes.sandbox.id").cloned(),
        pod: pod_of_labels(&labels),
        labels,
        ..Metadata::default()
    })
}

fn mount(point: MountPoint) -> Mount {
    Mount {
        source: point.source,
        dest: point.destination,
        mode: if point.mode.is_empty() { point.relabel } else { point.mode },
        rdwr: point.rw,
        propagation: point.propagation,
    }
}

/// `["CMD", "a", "b"]`, `["CMD-SHELL", "a b"]`, `["NONE"]`, or nothing, which inherits the image's.
fn command(test: &[String]) -> Option<String> {
    match test {
        [kind, words @ ..] if kind == "CMD" && !words.is_empty() => Some(words.join(" ")),
        [kind, line] if kind == "CMD-SHELL" => Some(format!("/bin/sh -c {line}")),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Repositories {
    /// By name, then by reference: `nginx:1.27` or `nginx@sha256:…`; the value is the image's id.
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

/// The digest under which an image was pulled; one that was built here has none. Of several the one of the repository
/// that was asked for.
fn digest(docker: &Path, image_id: &str, image: &str) -> Option<String> {
    if image_id.is_empty() {
        return None;
    }
    let drivers = std::fs::read_dir(docker.join("image")).ok()?;
    let known =
        drivers.flatten().find_map(|d| read_json::<Repositories>(&d.path().join("repositories.json")))?;
    let mut found = None;
    for (name, references) in &known.repositories {
        let of_image = references.iter().filter(|(_, id)| *id == image_id);
        for digest in of_image.filter_map(|(reference, _)| Some(reference.split_once('@')?.1)) {
            let asked_for = image.strip_prefix(name.as_str()).is_some_and(|rest| !rest.starts_with('/'));
            if asked_for || found.is_none() {
                found = Some(digest.to_owned());
            }
        }
    }
    found
}
