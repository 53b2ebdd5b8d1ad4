//! podman and CRI-O, which share `containers/storage`: `overlay-containers/containers.json` names the containers and
//! their images, `overlay-containers/ID/userdata/config.json` is the bundle's configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use vedette_event::Metadata;

use super::{digits, filled, oci, read_json};

/// The storage and its run-time part, in the order in which they are looked at.
const STORAGES: &[&str] = &["var/lib/containers/storage", "run/containers/storage"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    id: String,
    names: Option<Vec<String>>,
    image: String,
    metadata: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Notes {
    #[serde(rename = "image-name")]
    image: String,
    name: String,
    #[serde(rename = "metadata-name")]
    cri_name: String,
}

pub fn describe(root: &Path, id: &str) -> Option<Metadata> {
    let containers = || STORAGES.iter().map(|storage| root.join(storage).join("overlay-containers"));
    let entry = containers().find_map(|directory| entry(&directory, id));
    let bundle = |directory: PathBuf| oci::read_spec(&directory.join(id).join("userdata"));
    let spec = containers().find_map(bundle);
    if entry.is_none() && spec.is_none() {
        return None;
    }
    let annotations = spec.as_ref().and_then(|spec| spec.annotations.clone()).unwrap_or_default();
    let is_crio = annotations.keys().any(|key| key.starts_with("io.kubernetes.cri-o."));
    let entry = entry.unwrap_or_default();
    let notes: Notes = serde_json::from_str(&entry.metadata).unwrap_or_default();
    let known = spec.map(|spec| spec.metadata()).unwrap_or_default();
    let names = entry.names.unwrap_or_default();
    let name = [notes.cri_name, notes.name].into_iter().chain(names).find(|name| !name.is_empty());
    let told = annotations.get("io.podman.annotations.privileged").map(|told| told == "TRUE");
    Some(Metadata {
        runtime: Some(if is_crio { "cri-o" } else { "podman" }.to_owned()),
        name: known.name.clone().or(name),
        image: filled(notes.image).or(known.image.clone()),
        image_id: filled(digits(&entry.image)).or(known.image_id.clone()),
        privileged: told.or(known.privileged),
        ..known
    })
}

fn entry(directory: &Path, id: &str) -> Option<Entry> {
    // Containers that do not outlive a boot are in a file of their own.
    ["containers.json", "volatile-containers.json"].iter().find_map(|name| {
        let entries: Vec<Entry> = read_json(&directory.join(name))?;
        entries.into_iter().find(|entry| entry.id == id)
    })
}
