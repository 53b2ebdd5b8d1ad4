use std::fs;

use proptest::prelude::*;
use serde_json::json;
use vedette_event::{Mount, Pod};

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const IMAGE: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A root directory with these files.
fn root(files: &[(&str, String)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn describe(root: &tempfile::TempDir, runtime: &'static str) -> Option<Metadata> {
    let container = Container { id: ID.into(), runtime, ..Container::default() };
    Runtimes::below(root.path()).describe(&container)
}

fn spec(privileged: bool) -> serde_json::Value {
    let capabilities = match privileged {
        true => json!(["CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_CHOWN"]),
        false => json!(["CAP_CHOWN"]),
    };
    json!({
        "ociVersion": "1.0.2",
        "process": {"capabilities": {"bounding": capabilities}, "args": ["sh"]},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=1777"]},
            {"destination": "/etc/x", "type": "bind", "source": "/srv/x", "options": ["rbind", "ro", "rslave"]},
        ],
        "linux": {
            "rootfsPropagation": "rprivate",
            "namespaces": [{"type": "pid"}, {"type": "ipc", "path": "/proc/1/ns/ipc"}, {"type": "mount"}],
            "maskedPaths": if privileged { json!(null) } else { json!(["/proc/kcore"]) },
        },
    })
}

fn mount(source: &str, dest: &str, mode: &str, rdwr: bool, propagation: &str) -> Mount {
    Mount {
        source: source.into(),
        dest: dest.into(),
        mode: mode.into(),
        rdwr,
        propagation: propagation.into(),
    }
}

fn docker_files() -> Vec<(&'static str, String)> {
    let config = json!({
        "StreamConfig": {}, "ID": ID, "Name": "/web", "Image": IMAGE,
        "State": {"Running": true, "StartedAt": "2026-11-24T05:00:00.5Z"},
        "Config": {
            "Hostname": "h", "Image": "nginx:1.27", "Labels": {"app": "web", "none": ""},
            "Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost"]},
        },
        "NetworkSettings": {"Networks": {"a": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"}, "b": {"IPAddress": "172.17.0.2"}, "c": null}},
        "MountPoints": {"/data": {"Source": "/srv/data", "Destination": "/data", "RW": true, "Propagation": "rprivate", "Type": "bind"}},
    });
    let host = json!({"Privileged": true, "PidMode": "host", "IpcMode": "private", "NetworkMode": "default"});
    let repositories = json!({"Repositories": {
        "example.org/nginx": {"example.org/nginx@sha256:other": IMAGE},
        "nginx": {"nginx:1.27": IMAGE, "nginx@sha256:digest": IMAGE, "nginx@sha256:older": "sha256:bb"},
    }});
    vec![
        (
            "var/lib/docker/containers/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/config.v2.json",
            config.to_string(),
        ),
        (
            "var/lib/docker/containers/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/hostconfig.json",
            host.to_string(),
        ),
        ("var/lib/docker/image/overlay2/repositories.json", repositories.to_string()),
    ]
}

#[test]
fn docker() {
    let root = root(&docker_files());
    let found = describe(&root, "docker").unwrap();
    assert_eq!(
        describe(&root, "container").as_ref(),
        Some(&found),
        "the cgroupfs driver leaves the name out"
    );
    let expected = Metadata {
        runtime: Some("docker".into()),
        name: Some("web".into()),
        image: Some("nginx:1.27".into()),
        image_id: Some("a".repeat(64)),
        image_digest: Some("sha256:digest".into()),
        privileged: Some(true),
        mounts: Some(vec![mount("/srv/data", "/data", "", true, "rprivate")]),
        started: Some(1_795_496_400_500_000_000),
        labels: BTreeMap::from([("app".into(), "web".into()), ("none".into(), String::new())]),
        ip: Some("172.17.0.2".into()),
        host_pid: Some(true),
        host_network: Some(false),
        host_ipc: Some(false),
        healthcheck: Some("/bin/sh -c curl -f localhost".into()),
        ..Metadata::default()
    };
    assert_eq!(found, expected);
}

#[test]
fn docker_that_has_not_started_the_container_yet_and_one_of_kubernetes() {
    let files = docker_files();
    let labels = json!({
        "io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u",
        "io.kubernetes.sandbox.id": "s",
    });
    let config = json!({"Name": "/k8s_web", "State": {"StartedAt": "0001-01-01T00:00:00Z"}, "Config": {"Labels": labels, "Healthcheck": {"Test": ["NONE"]}}});
    let root = root(&[(files[0].0, config.to_string())]);
    let found = describe(&root, "docker").unwrap();
    assert_eq!((found.started, found.privileged, found.healthcheck, found.image), (None, None, None, None));
    let pod = Pod { uid: "u".into(), name: "web-1".into(), namespace: "shop".into(), ..Pod::default() };
    assert_eq!((found.pod, found.sandbox_id.as_deref()), (Some(pod), Some("s")));
}

#[test]
fn containerd_by_its_bundle() {
    let path = format!("run/containerd/io.containerd.runtime.v2.task/default/{ID}/config.json");
    let root = root(&[(&path, spec(false).to_string())]);
    let found = describe(&root, "containerd").unwrap();
    let expected = Metadata {
        runtime: Some("containerd".into()),
        name: Some("0123456789ab".into()),
        privileged: Some(false),
        mounts: Some(vec![
            mount("proc", "/proc", "", true, "rprivate"),
            mount("tmpfs", "/tmp", "1777", true, "rprivate"),
            mount("/srv/x", "/etc/x", "", false, "rslave"),
        ]),
        host_pid: Some(false),
        host_network: Some(true),
        host_ipc: Some(true),
        ..Metadata::default()
    };
    assert_eq!(found, expected);
    assert_eq!(Runtimes::below(root.path()).containerd_bundle(ID).unwrap().namespace, "default");
    assert_eq!(describe(&root, "container").as_ref(), Some(&found), "ctr's groups do not name it");
}

#[test]
fn what_the_kubelet_told_containerd_is_in_the_bundle() {
    let mut spec = spec(true);
    spec["annotations"] = json!({
        "io.kubernetes.cri.container-name": "web", "io.kubernetes.cri.image-name": "docker.io/library/nginx:1.27",
        "io.kubernetes.cri.sandbox-id": "sandbox", "io.kubernetes.cri.sandbox-name": "web-1",
        "io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.sandbox-uid": "u",
    });
    let path = format!("run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    let found = describe(&root(&[(&path, spec.to_string())]), "containerd").unwrap();
    assert_eq!((found.name.as_deref(), found.privileged), (Some("web"), Some(true)));
    assert_eq!(found.image.as_deref(), Some("docker.io/library/nginx:1.27"));
    let pod = Pod { uid: "u".into(), name: "web-1".into(), namespace: "shop".into(), ..Pod::default() };
    assert_eq!((found.pod, found.sandbox_id.as_deref()), (Some(pod), Some("sandbox")));
}

#[test]
fn privileged_is_what_nothing_restrains() {
    let privileged = |change: fn(&mut serde_json::Value)| {
        let mut spec = spec(true);
        change(&mut spec);
        serde_json::from_value::<oci::Spec>(spec).unwrap().metadata().privileged
    };
    assert_eq!(privileged(|_| ()), Some(true));
    assert_eq!(
        privileged(|s| s["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ERRNO"})),
        Some(false)
    );
    assert_eq!(privileged(|s| s["linux"]["readonlyPaths"] = json!(["/proc/sys"])), Some(false));
    assert_eq!(privileged(|s| s["process"]["apparmorProfile"] = json!("docker-default")), Some(false));
    assert_eq!(privileged(|s| s["process"]["capabilities"]["bounding"] = json!(["CAP_CHOWN"])), Some(false));
    let sysfs = |s: &mut serde_json::Value| {
        s["mounts"] = json!([{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}]);
    };
    assert_eq!(privileged(sysfs), Some(false));
    assert_eq!(privileged(|s| s["process"] = json!(null)), Some(false));
}

#[test]
fn podman() {
    let notes =
        json!({"image-name": "docker.io/library/postgres:17", "image-id": "x", "name": "db"}).to_string();
    let entries = json!([
        {"id": "other", "names": ["no"]},
        {"id": ID, "names": ["by-name"], "image": "b".repeat(64), "metadata": notes, "flags": {}},
    ]);
    let mut spec = spec(false);
    spec["annotations"] = json!({"io.podman.annotations.privileged": "TRUE"});
    let storage = "var/lib/containers/storage/overlay-containers";
    let config = format!("{storage}/{ID}/userdata/config.json");
    let root_of = |files: &[(&str, String)]| describe(&root(files), "podman").unwrap();
    let list = format!("{storage}/containers.json");
    let found = root_of(&[(&list, entries.to_string()), (&config, spec.to_string())]);
    assert_eq!((found.runtime.as_deref(), found.name.as_deref()), (Some("podman"), Some("db")));
    assert_eq!(found.image.as_deref(), Some("docker.io/library/postgres:17"));
    assert_eq!((found.image_id, found.privileged), (Some("b".repeat(64)), Some(true)));
    assert_eq!(found.mounts.map(|m| m.len()), Some(3));
    // Without the bundle, and in the file of those that do not outlive a boot.
    let volatile = format!("{storage}/volatile-containers.json");
    let found = root_of(&[(&list, "[]".into()), (&volatile, entries.to_string())]);
    assert_eq!(
        (found.name.as_deref(), found.privileged),
        (Some("db"), None),
        "without the bundle nobody knows"
    );
}

#[test]
fn crio_without_its_socket() {
    let mut spec = spec(false);
    spec["annotations"] = json!({
        "io.kubernetes.cri-o.ImageName": "quay.io/app:1", "io.kubernetes.cri-o.SandboxID": "sandbox",
        "io.kubernetes.cri-o.CNIResult": "{}", "io.kubernetes.cri-o.IP.0": "10.0.0.7",
        "io.kubernetes.container.name": "app", "io.kubernetes.pod.name": "app-1",
        "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u",
    });
    let path = format!("run/containers/storage/overlay-containers/{ID}/userdata/config.json");
    let found = describe(&root(&[(&path, spec.to_string())]), "cri-o").unwrap();
    assert_eq!((found.runtime.as_deref(), found.name.as_deref()), (Some("cri-o"), Some("app")));
    assert_eq!((found.image.as_deref(), found.ip.as_deref()), (Some("quay.io/app:1"), Some("10.0.0.7")));
    assert_eq!(found.pod.map(|p| (p.namespace, p.name)), Some(("shop".into(), "app-1".into())));
}

#[test]
fn runc_and_crun_name_the_bundle() {
    let state = json!({"id": ID, "created": "2026-11-24T05:00:00Z", "config": {"labels": ["a=b", "bundle=/srv/bundle"]}});
    let runc = format!("run/runc/{ID}/state.json");
    let bundle = ("srv/bundle/config.json", spec(false).to_string());
    let found = describe(&root(&[(&runc, state.to_string()), bundle.clone()]), "container").unwrap();
    assert_eq!((found.name.as_deref(), found.runtime.as_deref()), (Some("0123456789ab"), None));
    assert_eq!(found.started, Some(1_795_496_400_000_000_000));
    let status = json!({"pid": 7, "bundle": "/srv/bundle", "created": "2026-11-24T05:00:00Z"}).to_string();
    let crun = format!("run/crun/{ID}/status");
    assert_eq!(describe(&root(&[(&crun, status), bundle]), "container"), Some(found));
    // The bundle has gone.
    assert_eq!(describe(&root(&[(&runc, state.to_string())]), "container"), None);
}

#[test]
fn what_nobody_knows_is_nothing() {
    let empty = root(&[]);
    for runtime in ["docker", "podman", "containerd", "cri-o", "container"] {
        assert_eq!(describe(&empty, runtime), None, "{runtime}");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.json");
    let file = File::create(&path).unwrap();
    file.set_len(CAP).unwrap();
    assert_eq!(read(&path).map(|bytes| bytes.len() as u64), Some(CAP));
    file.set_len(CAP + 1).unwrap();
    assert_eq!(read(&path), None);
}

proptest! {
    // Each case writes files.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// State that was cut while it was written, or was damaged, is no state; nothing else follows from it.
    #[test]
    fn cut_or_odd_state_never_panics(cut in 0usize..600, odd in "\\PC{0,40}", at in 0usize..600) {
        let files = [
            docker_files()[0].1.clone(),
            docker_files()[2].1.clone(),
            spec(true).to_string(),
            json!([{"id": ID, "metadata": "not json", "names": null}]).to_string(),
            json!({"created": "x", "config": {"labels": ["bundle=/"]}}).to_string(),
        ];
        for text in files {
            let mut damaged = text.clone();
            damaged.truncate(text.floor_char_boundary(cut));
            let at = damaged.floor_char_boundary(at.min(damaged.len()));
            damaged.insert_str(at, &odd);
            let paths = [
                docker_files()[0].0.to_owned(),
                docker_files()[2].0.to_owned(),
                format!("run/containerd/io.containerd.runtime.v2.task/default/{ID}/config.json"),
                "var/lib/containers/storage/overlay-containers/containers.json".to_owned(),
                format!("run/runc/{ID}/state.json"),
            ];
            let files: Vec<_> = paths.iter().map(|path| (path.as_str(), damaged.clone())).collect();
            let root = root(&files);
            for runtime in ["docker", "podman", "containerd", "container"] {
                let _ = describe(&root, runtime);
            }
        }
    }
}
