use std::{path::Path, sync::atomic::AtomicUsize, time::Instant};

use prost::Message;
use vedette_event::{Container, container_of_path};

use super::*;
use crate::identity::{cri::messages as m, fake};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SANDBOX: &str = "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(30);

const NOT_FOUND: fake::Reply = Err((5, "not found"));
const UNIMPLEMENTED: fake::Reply = Err((12, "unknown service"));
const UNAVAILABLE: fake::Reply = Err((14, "starting"));

fn container(path: &str) -> ContainerRef {
    Arc::new(container_of_path(&path.replace("{ID}", ID)).unwrap())
}

fn pod_container() -> ContainerRef {
    container("/kubepods/pod0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f/{ID}")
}

/// As containerd would answer for one container and its sandbox.
fn cri(method: &str, message: &[u8]) -> fake::Reply {
    let name = || Some(m::ContainerMetadata { name: "web".into() });
    match method.rsplit('/').next().unwrap() {
        "Version" => {
            Ok(m::VersionResponse { runtime_name: "containerd".into(), runtime_version: "2".into() }
                .encode_to_vec())
        }
        "ContainerStatus" => {
            let asked = m::ContainerStatusRequest::decode(message).unwrap();
            if asked.container_id != ID || !asked.verbose {
                return NOT_FOUND;
            }
            let status = m::ContainerStatus { id: ID.into(), metadata: name(), ..Default::default() };
            let info = [("info".to_owned(), format!(r#"{{"sandboxID":"{SANDBOX}"}}"#))].into();
            Ok(m::ContainerStatusResponse { status: Some(status), info }.encode_to_vec())
        }
        "PodSandboxStatus" => {
            let asked = m::PodSandboxStatusRequest::decode(message).unwrap();
            if asked.pod_sandbox_id != SANDBOX {
                return NOT_FOUND;
            }
            let pod =
                m::PodSandboxMetadata { name: "web-1".into(), uid: "u".into(), namespace: "shop".into() };
            let status =
                m::PodSandboxStatus { id: SANDBOX.into(), metadata: Some(pod), ..Default::default() };
            Ok(m::PodSandboxStatusResponse { status: Some(status), info: [].into() }.encode_to_vec())
        }
        other => panic!("nobody asks for {other}"),
    }
}

fn start(root: &Path, sockets: &[&str]) -> Identity {
    let settings = IdentitySettings {
        root: root.to_owned(),
        cri_sockets: sockets.iter().map(|name| root.join(name)).collect(),
        ..IdentitySettings::default()
    };
    Identity::start(settings).unwrap()
}

fn answer(identity: &Identity, container: &ContainerRef) -> Option<Metadata> {
    assert!(identity.ask(container));
    match identity.answers().recv_timeout(PATIENCE).unwrap() {
        Answer::Container { id, metadata } => {
            assert_eq!(id, container.id);
            metadata.map(|m| *m)
        }
        Answer::Pod { .. } => panic!("nobody asked for pods"),
    }
}

#[test]
fn a_container_and_its_sandbox_by_the_cri() {
    let dir = tempfile::tempdir().unwrap();
    let _server = fake::grpc(&dir.path().join("cri.sock"), |method, _, message| {
        Box::pin(async move { cri(&method, &message) })
    });
    // The first socket is not there, as most of the usual ones are not.
    let identity = start(dir.path(), &["none.sock", "cri.sock"]);
    let found = answer(&identity, &pod_container()).unwrap();
    assert_eq!((found.name.as_deref(), found.runtime.as_deref()), (Some("web"), Some("containerd")));
    assert_eq!(found.sandbox_id.as_deref(), Some(SANDBOX));
    assert_eq!(found.pod.map(|pod| (pod.namespace, pod.name)), Some(("shop".into(), "web-1".into())));
    let sandbox = Arc::new(Container { id: SANDBOX.into(), runtime: "containerd", ..Container::default() });
    let found = answer(&identity, &sandbox).unwrap();
    assert_eq!((found.name.as_deref(), found.sandbox_id.as_deref()), (Some("web-1"), Some(SANDBOX)));
    assert_eq!(identity.stats.errors.load(Relaxed), 0);
    assert_eq!(identity.stats.described.load(Relaxed), 2);
}

#[test]
fn a_runtime_that_only_learns_of_the_container_later() {
    let dir = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let _server = fake::grpc(&dir.path().join("cri.sock"), move |method, _, message| {
        let status = method.ends_with("ContainerStatus");
        let early = status && counted.fetch_add(1, Relaxed) < 3;
        Box::pin(async move { if early { NOT_FOUND } else { cri(&method, &message) } })
    });
    let found = answer(&start(dir.path(), &["cri.sock"]), &pod_container()).unwrap();
    assert_eq!(found.name.as_deref(), Some("web"));
    assert_eq!(asked.load(Relaxed), 4);
}

#[test]
fn a_runtime_that_fails_at_first_is_asked_again_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let asked = AtomicUsize::new(0);
    let _server = fake::grpc(&dir.path().join("cri.sock"), move |method, _, message| {
        let early = asked.fetch_add(1, Relaxed) < 2;
        Box::pin(async move { if early { UNAVAILABLE } else { cri(&method, &message) } })
    });
    let identity = start(dir.path(), &["cri.sock"]);
    assert_eq!(answer(&identity, &pod_container()).unwrap().name.as_deref(), Some("web"));
    assert_eq!(identity.stats.errors.load(Relaxed), 2);
}

#[test]
fn answers_that_are_no_protobuf_are_errors_and_what_is_on_disk_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(ID);
    std::fs::create_dir_all(&bundle).unwrap();
    let spec = r#"{"annotations":{"io.kubernetes.cri.container-name":"by-bundle"}}"#;
    std::fs::write(bundle.join("config.json"), spec).unwrap();
    let _server = fake::grpc(&dir.path().join("cri.sock"), |_, _, _| Box::pin(async { Ok(vec![0xff; 64]) }));
    let identity = start(dir.path(), &["cri.sock"]);
    let found = answer(&identity, &pod_container()).unwrap();
    assert_eq!(found.name.as_deref(), Some("by-bundle"));
    assert_eq!(identity.stats.errors.load(Relaxed), PATIENT as u64 + 1);
}

#[test]
fn a_slow_runtime_does_not_hold_up_others_and_its_answer_is_taken_late() {
    let dir = tempfile::tempdir().unwrap();
    let (release, gate) = tokio::sync::watch::channel(false);
    let _server = fake::grpc(&dir.path().join("cri.sock"), move |method, _, message| {
        let mut gate = gate.clone();
        Box::pin(async move {
            let _ = gate.wait_for(|open| *open).await;
            cri(&method, &message)
        })
    });
    let docker = dir.path().join("var/lib/docker/containers").join(ID);
    std::fs::create_dir_all(&docker).unwrap();
    std::fs::write(docker.join("config.v2.json"), r#"{"Name":"/fast"}"#).unwrap();
    let identity = start(dir.path(), &["cri.sock"]);
    let slow = Arc::new(Container { id: ID.into(), runtime: "containerd", ..Container::default() });
    assert!(identity.ask(&slow));
    let fast = container("/docker/{ID}");
    assert_eq!(answer(&identity, &fast).unwrap().name.as_deref(), Some("fast"));
    release.send(true).unwrap();
    let Answer::Container { metadata: Some(found), .. } = identity.answers().recv_timeout(PATIENCE).unwrap()
    else {
        panic!("the slow one knows it");
    };
    assert_eq!(found.name.as_deref(), Some("web"));
}

#[test]
fn containerd_without_a_cri_is_asked_by_its_own_api_in_the_namespace_of_the_bundle() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Text {
        #[prost(string, tag = "1")]
        first: String,
        #[prost(map = "string, string", tag = "2")]
        labels: std::collections::HashMap<String, String>,
        #[prost(string, tag = "3")]
        third: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Wrapped {
        #[prost(message, optional, tag = "1")]
        inner: Option<Text>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Target {
        #[prost(string, tag = "2")]
        digest: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Image {
        #[prost(message, optional, tag = "3")]
        target: Option<Target>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct WrappedImage {
        #[prost(message, optional, tag = "1")]
        inner: Option<Image>,
    }

    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("run/containerd/io.containerd.runtime.v2.task/team").join(ID);
    std::fs::create_dir_all(&bundle).unwrap();
    std::fs::write(bundle.join("config.json"), "{}").unwrap();
    let _server = fake::grpc(&dir.path().join("containerd.sock"), |method, headers, message| {
        let namespace = headers.get("containerd-namespace").map(|v| v.to_str().unwrap().to_owned());
        Box::pin(async move {
            match method.as_str() {
                "/containerd.services.containers.v1.Containers/Get" => {
                    assert_eq!(namespace.as_deref(), Some("team"));
                    let labels = [("nerdctl/name", "web"), ("app", "shop")];
                    let container = Text {
                        first: ID.into(),
                        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
                        third: "docker.io/library/nginx:1.27".into(),
                    };
                    Ok(Wrapped { inner: Some(container) }.encode_to_vec())
                }
                "/containerd.services.images.v1.Images/Get" => {
                    assert_eq!(
                        Text::decode(message.as_slice()).unwrap().first,
                        "docker.io/library/nginx:1.27"
                    );
                    let target = Some(Target { digest: "sha256:00".into() });
                    Ok(WrappedImage { inner: Some(Image { target }) }.encode_to_vec())
                }
                _ => UNIMPLEMENTED,
            }
        })
    });
    let identity = start(dir.path(), &["containerd.sock"]);
    let found = answer(&identity, &container("/team/{ID}")).unwrap();
    assert_eq!((found.name.as_deref(), found.runtime.as_deref()), (Some("web"), Some("containerd")));
    assert_eq!(found.image.as_deref(), Some("docker.io/library/nginx:1.27"));
    assert_eq!(found.image_digest.as_deref(), Some("sha256:00"));
    assert_eq!(found.labels.get("app").map(String::as_str), Some("shop"));
    assert_eq!(identity.stats.errors.load(Relaxed), 0, "a missing service is no failure");
}

#[test]
fn what_nobody_knows_is_said_to_be_unknown_after_a_bounded_time() {
    let dir = tempfile::tempdir().unwrap();
    let give_up = Duration::from_millis(100);
    let settings = IdentitySettings { root: dir.path().into(), give_up, ..IdentitySettings::default() };
    let identity = Identity::start(settings).unwrap();
    let began = Instant::now();
    assert_eq!(answer(&identity, &container("/docker/{ID}")), None);
    assert!(began.elapsed() >= give_up / 2, "it was asked for more than once");
    assert_eq!(identity.stats.unknown.load(Relaxed), 1);
}

#[test]
fn nobody_is_asked_where_it_is_off() {
    let identity = Identity::off();
    assert!(!identity.is_on() && !identity.ask(&pod_container()) && !identity.expects_pods());
    assert!(identity.answers().try_recv().is_err());
}

#[test]
fn the_thread_ends_with_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let mut identity = start(dir.path(), &[]);
    let answers = identity.answers().clone();
    identity.end();
    assert!(!identity.ask(&pod_container()));
    assert_eq!(answers.recv_timeout(PATIENCE), Err(crossbeam_channel::RecvTimeoutError::Disconnected));
}
