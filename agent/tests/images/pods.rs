//! The pods of `deploy/examples/single-node`, for a runtime.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value as Json;
use vedette_policy::{document::yaml, source::SourceId};

use crate::{
    container::{Mount, PodSpec, Security},
    wait,
};

/// The manifests with the overlay's patches.
pub struct Overlay(Vec<Json>);

impl Overlay {
    /// Reads them.
    pub fn single_node() -> Self {
        let mut all = Vec::new();
        for (manifest, patches) in [("agent", "agent"), ("controller", "controller")] {
            let patches = documents(&format!("examples/single-node/{patches}.yaml")).remove(0);
            for mut document in documents(&format!("manifests/{manifest}.yaml")) {
                if matches!(document["kind"].as_str(), Some("DaemonSet" | "Deployment")) {
                    patches.as_array().unwrap().iter().for_each(|patch| apply(&mut document, patch));
                    all.push(document);
                }
            }
        }
        Self(all)
    }

    /// The spec of the pods of a DaemonSet or Deployment.
    pub fn pod(&self, kind: &str) -> &Json {
        &self.0.iter().find(|document| document["kind"] == kind).unwrap()["spec"]["template"]["spec"]
    }

    /// The same for a runtime, with directories of this host as volumes: every volume must be named.
    pub fn spec(&self, kind: &str, volumes: &[(&str, PathBuf)]) -> PodSpec {
        let pod = self.pod(kind);
        let container = &pod["containers"][0];
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let security = |key: &str| match &container["securityContext"][key] {
            Json::Null => pod["securityContext"][key].clone(),
            value => value.clone(),
        };
        let mounts = container["volumeMounts"].as_array().unwrap().iter().map(|one| {
            let name = text(&one["name"]);
            let (_, source) =
                volumes.iter().find(|(volume, _)| *volume == name).unwrap_or_else(|| panic!("{name}"));
            (mount(source.clone(), &text(&one["mountPath"])), one["readOnly"] == true)
        });
        let env = container["env"].as_array().unwrap().iter().map(|one| {
            let value = match one["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                None => text(&one["value"]),
                Some("spec.nodeName") => "localhost".to_owned(),
                Some("status.podIP") => "127.0.0.1".to_owned(),
                Some(_) => "pod-1".to_owned(),
            };
            (text(&one["name"]), value)
        });
        let added =
            container["securityContext"]["capabilities"]["add"].as_array().cloned().unwrap_or_default();
        let user = security("runAsUser").as_i64().unwrap();
        PodSpec {
            container: text(&container["name"]),
            image: format!("docker.io/{}", text(&container["image"])),
            args: container["args"].as_array().unwrap().iter().map(text).collect(),
            env: env.collect(),
            mounts: mounts.collect(),
            host_pid: pod["hostPID"] == true,
            memory: memory(container["resources"]["limits"]["memory"].as_str().unwrap()),
            security: Security {
                privileged: false,
                capabilities: Some(added.iter().map(text).collect()),
                user: Some((user, security("runAsGroup").as_i64().unwrap_or(0))),
                read_only_root: security("readOnlyRootFilesystem") == true,
                no_new_privileges: security("allowPrivilegeEscalation") == false,
                unconfined: security("seccompProfile")["type"] == "Unconfined",
            },
        }
    }
}

fn documents(path: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    yaml::parse(&text, SourceId(0)).unwrap().iter().map(yaml::Node::to_json).collect()
}

/// One operation of RFC 6902, of those that the overlay has.
fn apply(document: &mut Json, patch: &Json) {
    let (path, value) = (patch["path"].as_str().unwrap(), patch["value"].clone());
    let (parent, key) = path.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent}"));
    match (parent, key) {
        (Json::Array(items), "-") => items.push(value),
        (Json::Array(items), index) => items[index.parse::<usize>().unwrap()] = value,
        (parent, key) => parent[key] = value,
    }
}

/// `512Mi`, `1Gi` in bytes.
fn memory(text: &str) -> i64 {
    let (number, shift) = match text.strip_suffix("Mi") {
        Some(number) => (number, 20),
        None => (text.strip_suffix("Gi").unwrap(), 30),
    };
    number.parse::<i64>().unwrap() << shift
}

pub fn mount(source: PathBuf, destination: &str) -> Mount {
    Mount { source, destination: destination.to_owned() }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until a program says that it is ready. Panics with its log.
pub fn ready(what: &str, port: u16, log: &Path, patience: Duration) {
    let since = std::time::Instant::now();
    wait::until_some(what, patience * 2, || {
        if get(port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return Some(());
        }
        let log = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(since.elapsed() < patience, "{what} is not ready:\n{}", log());
        None
    });
}

/// What a program says at a path of its metrics' address.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
