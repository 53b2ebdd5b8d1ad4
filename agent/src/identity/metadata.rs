//! What Docker and Podman keep on disk about their containers, for machines without a CRI socket.
//!
//! Docker: `/var/lib/docker/containers/ID/config.v2.json`, with `Name` (a slash before it) and `Config.Image`.
//! Podman: `overlay-containers/containers.json` of containers/storage, a list of `id`, `names` and `metadata`, the last
//! a JSON text of its own with `image-name`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use vedette_event::Container;

/// Most bytes that are read of one file.
const CAP: u64 = 8 << 20;

/// What a runtime says about a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Name of the container.
    pub name: Option<String>,
    /// Image as it was asked for.
    pub image: Option<String>,
}

/// Where the runtimes keep their state.
#[derive(Clone, Debug)]
pub struct Runtimes {
    docker: PathBuf,
    podman: PathBuf,
}

impl Default for Runtimes {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Runtimes {
    /// The default places below a root: `/`, or where the host's file system is mounted.
    pub fn below(root: &Path) -> Self {
        Self {
            docker: root.join("var/lib/docker/containers"),
            podman: root.join("var/lib/containers/storage/overlay-containers/containers.json"),
        }
    }

    /// Looks a container up; `None` where no runtime's state names it. Reads at most one file of each runtime.
    pub fn describe(&self, container: &Container) -> Option<Description> {
        match container.runtime {
            "docker" => self.docker(&container.id),
            "podman" => self.podman(&container.id),
            // The cgroupfs driver leaves the runtime's name out.
            "container" => self.docker(&container.id).or_else(|| self.podman(&container.id)),
            _ => None,
        }
    }

    fn docker(&self, id: &str) -> Option<Description> {
        docker(&read(&self.docker.join(id).join("config.v2.json"))?)
    }

    fn podman(&self, id: &str) -> Option<Description> {
        podman(&read(&self.podman)?, id)
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(CAP).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn docker(json: &[u8]) -> Option<Description> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        name: Option<String>,
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        image: Option<String>,
    }
    let state: State = serde_json::from_slice(json).ok()?;
    Some(Description {
        name: state.name.map(|name| name.trim_start_matches('/').to_owned()),
        image: state.config.and_then(|c| c.image),
    })
}

fn podman(json: &[u8], id: &str) -> Option<Description> {
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        metadata: String,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "image-name")]
        image: Option<String>,
    }
    let entries: Vec<Entry> = serde_json::from_slice(json).ok()?;
    let entry = entries.into_iter().find(|entry| entry.id == id)?;
    let metadata: Option<Metadata> = serde_json::from_str(&entry.metadata).ok();
    Some(Description { name: entry.names.into_iter().next(), image: metadata.and_then(|m| m.image) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn container(runtime: &'static str) -> Container {
        Container { id: ID.into(), runtime, ..Container::default() }
    }

    #[test]
    fn both_runtimes() {
        let dir = tempfile::tempdir().unwrap();
        let docker = dir.path().join("var/lib/docker/containers").join(ID);
        let podman = dir.path().join("var/lib/containers/storage/overlay-containers");
        std::fs::create_dir_all(&docker).unwrap();
        std::fs::create_dir_all(&podman).unwrap();
        std::fs::write(
            docker.join("config.v2.json"),
            r#"{"StreamConfig":{},"State":{"Running":true},"ID":"x","Config":{"Hostname":"h","Image":"nginx:1.27"},"Name":"/web"}"#,
        )
        .unwrap();
        std::fs::write(
            podman.join("containers.json"),
            format!(
                r#"[{{"id":"other","names":["no"]}},{{"id":"{ID}","names":["db"],"image":"i","metadata":"{{\"image-name\":\"docker.io/library/postgres:17\",\"name\":\"db\"}}","flags":{{}}}}]"#
            ),
        )
        .unwrap();
        let runtimes = Runtimes::below(dir.path());
        let web = Description { name: Some("web".into()), image: Some("nginx:1.27".into()) };
        assert_eq!(runtimes.describe(&container("docker")), Some(web.clone()));
        assert_eq!(runtimes.describe(&container("container")), Some(web));
        let db = Description { name: Some("db".into()), image: Some("docker.io/library/postgres:17".into()) };
        assert_eq!(runtimes.describe(&container("podman")), Some(db));
        assert_eq!(runtimes.describe(&container("containerd")), None);
    }

    #[test]
    fn broken_or_foreign_state_describes_nothing() {
        for text in ["", "{", "[]", "null", r#"{"Name":3}"#, r#"[{"id":7}]"#] {
            assert_eq!(docker(text.as_bytes()).filter(|d| *d != Description::default()), None, "{text}");
            assert_eq!(podman(text.as_bytes(), ID), None, "{text}");
        }
        let no_metadata = format!(r#"[{{"id":"{ID}","metadata":"not json"}}]"#);
        assert_eq!(podman(no_metadata.as_bytes(), ID), Some(Description::default()));
        assert_eq!(Runtimes::below(Path::new("/nonexistent")).describe(&container("docker")), None);
    }
}
