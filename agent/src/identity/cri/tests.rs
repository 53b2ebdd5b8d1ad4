use std::collections::HashMap;

use messages::{
    ContainerMetadata, ContainerStatus, ImageSpec, LinuxPodSandboxStatus, Namespace, NamespaceOption,
    PodSandboxMetadata, PodSandboxNetworkStatus,
};
use proptest::prelude::*;
use prost::Message;

use super::*;

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn status() -> ContainerStatus {
    ContainerStatus {
        id: "c".into(),
        metadata: Some(ContainerMetadata { name: "web".into() }),
        started_at: 7,
        image: Some(ImageSpec {
            image: "docker.io/library/nginx:1.27".into(),
            user_specified_image: String::new(),
        }),
        image_ref: format!("docker.io/library/nginx@sha256:{}", "d".repeat(64)),
        labels: map(&[("io.kubernetes.pod.name", "web-1"), ("app", "web")]),
        mounts: vec![messages::Mount {
            container_path: "/etc/x".into(),
            host_path: "/srv/x".into(),
            readonly: true,
            propagation: 1,
        }],
        image_id: format!("sha256:{}", "e".repeat(64)),
    }
}

fn described(status: ContainerStatus, info: &str) -> Metadata {
    let found = ContainerStatusResponse { status: Some(status), info: map(&[("info", info)]) };
    // What comes over the wire.
    let found = ContainerStatusResponse::decode(found.encode_to_vec().as_slice()).unwrap();
    let info = Info::of(&found.info);
    of_container(found, &info)
}

#[test]
fn a_container() {
    let found = described(status(), r#"{"sandboxID":"s","config":{"linux":{"security_context":{}}}}"#);
    assert_eq!((found.name.as_deref(), found.started), (Some("web"), Some(7)));
    assert_eq!(found.image.as_deref(), Some("docker.io/library/nginx:1.27"));
    assert_eq!(found.image_digest, Some(format!("sha256:{}", "d".repeat(64))));
    assert_eq!(found.image_id, Some("e".repeat(64)));
    assert_eq!(found.privileged, Some(false));
    assert_eq!(found.mounts.unwrap()[0].to_string(), "/srv/x:/etc/x::false:rslave");
    assert_eq!(found.labels.get("app").map(String::as_str), Some("web"));
    assert_eq!(found.pod.map(|pod| pod.name), Some("web-1".into()));
}

#[test]
fn privileged_as_each_runtime_says_it() {
    let privileged = |info| described(status(), info).privileged;
    assert_eq!(privileged(r#"{"config":{"linux":{"security_context":{"privileged":true}}}}"#), Some(true));
    assert_eq!(privileged(r#"{"privileged":true,"runtimeSpec":{}}"#), Some(true));
    assert_eq!(privileged(r#"{"privileged":false}"#), Some(false));
    for nothing in ["", "{}", "[", "null", r#"{"privileged":"yes"}"#] {
        assert_eq!(privileged(nothing), None, "{nothing}");
    }
}

#[test]
fn images_by_id_only() {
    let id = "f".repeat(64);
    let by_id = ContainerStatus {
        image: Some(ImageSpec { image: format!("sha256:{id}"), user_specified_image: String::new() }),
        image_ref: format!("sha256:{id}"),
        image_id: String::new(),
        started_at: 0,
        ..status()
    };
    let noted = r#"{"runtimeSpec":{"annotations":{"io.kubernetes.cri.image-name":"quay.io/app:1"}}}"#;
    let found = described(by_id.clone(), noted);
    assert_eq!(found.image.as_deref(), Some("quay.io/app:1"));
    assert_eq!((found.image_id, found.image_digest, found.started), (Some(id.clone()), None, None));
    assert_eq!(described(by_id, "").image, None);
    // The image was tagged anew: the container's is only known by its digest, or as it was asked for.
    let retagged = |specified: &str| ContainerStatus {
        image: Some(ImageSpec { image: format!("sha256:{id}"), user_specified_image: specified.into() }),
        ..status()
    };
    assert_eq!(described(retagged(""), "").image.as_deref(), Some("docker.io/library/nginx"));
    assert_eq!(described(retagged("nginx:1.27"), "").image.as_deref(), Some("nginx:1.27"));
}

fn sandbox(info: &str) -> PodSandboxStatusResponse {
    PodSandboxStatusResponse {
        status: Some(PodSandboxStatus {
            id: "s".into(),
            metadata: Some(PodSandboxMetadata {
                name: "web-1".into(),
                uid: "u".into(),
                namespace: "shop".into(),
            }),
            network: Some(PodSandboxNetworkStatus { ip: "10.0.0.7".into() }),
            linux: Some(LinuxPodSandboxStatus {
                namespaces: Some(Namespace { options: Some(NamespaceOption { network: 2, pid: 1, ipc: 0 }) }),
            }),
            labels: map(&[("app", "web"), ("io.kubernetes.pod.uid", "u")]),
        }),
        info: map(&[("info", info)]),
    }
}

#[test]
fn a_sandbox() {
    let mut metadata = Metadata::default();
    add_sandbox(&mut metadata, sandbox(r#"{"cniResult":{"Interfaces":{"eth0":{"IPConfigs":[]}},"DNS":[]}}"#));
    assert_eq!(metadata.cni.as_deref(), Some(r#"{"eth0":{"IPConfigs":[]}}"#));
    assert_eq!(
        (metadata.host_network, metadata.host_pid, metadata.host_ipc),
        (Some(true), Some(false), Some(false))
    );
    let pod = Pod {
        uid: "u".into(),
        name: "web-1".into(),
        namespace: "shop".into(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        ip: Some("10.0.0.7".into()),
        ..Pod::default()
    };
    assert_eq!(metadata.pod, Some(pod));
    // CRI-O notes it elsewhere; and whatever it is, it has an end.
    let long = format!("\u{e4}{}", "x".repeat(CNI));
    let noted = serde_json::json!({"runtimeSpec": {"annotations": {"io.kubernetes.cri-o.CNIResult": long}}});
    let info = Info::of(&map(&[("info", &noted.to_string())]));
    assert_eq!(info.cni().map(|text| text.len()), Some(CNI));
}

#[test]
fn what_an_unknown_id_looks_like() {
    assert!(is_unknown(&Status::not_found("x")));
    assert!(is_unknown(&Status::unknown("Error response from daemon: No such container: x")));
    assert!(is_unknown(&Status::unknown("container with ID starting with x not found: ID does not exist")));
    for other in [Status::unknown("x"), Status::unimplemented("not found"), Status::unavailable("")] {
        assert!(!is_unknown(&other), "{other}");
    }
}

proptest! {
    #[test]
    fn no_bytes_and_no_json_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let _ = ContainerStatusResponse::decode(bytes.as_slice());
        let found = ContainerStatus { image_ref: text.clone(), image_id: text.clone(), ..status() };
        let _ = described(found, &text);
        let mut metadata = Metadata::default();
        add_sandbox(&mut metadata, sandbox(&text));
    }
}
