//! runc and crun by themselves: `/run/runc/ID/state.json` (`libcontainer.State` of
//! `github.com/opencontainers/runc`) and `/run/crun/ID/status`, which name the bundle.

use std::path::Path;

use serde::Deserialize;
use vedette_event::{Metadata, short_id};

use super::{oci, on_host, read_json, time};

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    created: String,
    config: Config,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Annotations as `key=value`, and the bundle's directory under `bundle`.
    labels: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    bundle: String,
    created: String,
}

pub fn describe(root: &Path, id: &str) -> Option<Metadata> {
    let runc = || {
        let state: State = read_json(&root.join("run/runc").join(id).join("state.json"))?;
        let labels = state.config.labels.unwrap_or_default();
        let bundle = labels.iter().find_map(|label| label.strip_prefix("bundle="))?.to_owned();
        Some(Status { bundle, created: state.created })
    };
    let crun = || read_json::<Status>(&root.join("run/crun").join(id).join("status"));
    let status = runc().or_else(crun)?;
    let metadata = oci::read_spec(&on_host(root, &status.bundle))?.metadata();
    Some(Metadata {
        name: metadata.name.or_else(|| Some(short_id(id).to_owned())),
        started: time(&status.created),
        ..metadata
    })
}
