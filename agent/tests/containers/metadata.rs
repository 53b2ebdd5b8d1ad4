//! What containers are called.

use serde_json::json;

use crate::{
    Test,
    container::{Container, IMAGE, Options, fresh_id},
    scene::{Scene, assert_fields, field},
};

pub const TESTS: &[Test] = &[
    ("a_pod_is_called_as_the_cri_calls_it", pod),
    ("a_sandbox_is_a_container_of_its_pod", sandbox),
    ("a_privileged_container_is_known_from_its_first_exec", privileged),
    ("a_container_of_containerd_has_its_image", image),
    ("a_container_of_runc_alone_has_what_its_description_says", description),
    ("a_container_starts_when_it_starts", start),
];

fn pod(scene: &Scene) {
    let host = tempfile::tempdir().unwrap();
    let options = Options { name: Some("web".into()), ..Options::default() }.with_mount(host.path(), "/data");
    let (container, pod) = scene.pods.run(&options);
    let told = scene.told_of_exec_in(&container);
    let (repository, tag) = IMAGE.rsplit_once(':').unwrap();
    assert_fields(
        &told,
        &[
            ("container.id", json!(container.short_id())),
            ("container.name", json!(pod.container)),
            ("container.image", json!(IMAGE)),
            ("container.image.repository", json!(repository)),
            ("container.image.tag", json!(tag)),
            ("container.privileged", json!(false)),
            ("container.label[app]", json!("web")),
            ("k8s.pod.name", json!(pod.name)),
            ("k8s.ns.name", json!(pod.namespace)),
            ("k8s.pod.uid", json!(pod.uid)),
            ("k8s.pod.label[app]", json!("web")),
            ("k8s.pod.full_sandbox_id", json!(pod.sandbox)),
        ],
    );
    let mounts = field(&told, "container.mounts").as_str().unwrap_or_default();
    let wanted = format!("{}:/data:", host.path().display());
    assert!(mounts.contains(&wanted), "{wanted} in {mounts}");
    assert_eq!(told.at("k8s.pod"), pod.name.as_str());
    assert_eq!(told.at("container.runtime"), "containerd");
}

fn sandbox(scene: &Scene) {
    let (_container, pod) = scene.pods.run(&Options::default());
    // Its first process is the image's, too.
    let told = scene.agent.expect_alert(0, "Exec in container", |line| {
        field(line, "container.full_id") == pod.sandbox.as_str() && field(line, "proc.name") == "sleep"
    });
    assert_fields(
        &told,
        &[("k8s.pod.name", json!(pod.name)), ("k8s.pod.uid", json!(pod.uid)), ("proc.vpid", json!(1))],
    );
}

fn privileged(scene: &Scene) {
    for privileged in [true, false] {
        let (container, _pod) = scene.pods.run(&Options { privileged, ..Options::default() });
        let told = scene.agent.expect_alert(0, "Exec in container", |line| {
            field(line, "container.full_id") == container.id() && field(line, "proc.vpid") == 1
        });
        assert_fields(
            &told,
            &[("container.privileged", json!(privileged)), ("container.image", json!(IMAGE))],
        );
    }
}

fn image(scene: &Scene) {
    let container = Container::run(&(std::sync::Arc::clone(&scene.containerd) as _), Options::default());
    let told = scene.told_of_exec_in(&container);
    assert_fields(&told, &[("container.image", json!(IMAGE))]);
}

fn description(scene: &Scene) {
    let host = tempfile::tempdir().unwrap();
    let id = fresh_id();
    let cgroup = scene.runc.groups().path(&format!("/{id}"));
    let options = Options { id: Some(id), cgroup: Some(cgroup), ..Options::default() };
    let container = scene.container(options.with_mount(host.path(), "/data"));
    let told = scene.told_of_exec_in(&container);
    assert_fields(
        &told,
        &[("container.name", json!(container.short_id())), ("container.privileged", json!(false))],
    );
    let mounts = field(&told, "container.mounts").as_str().unwrap_or_default();
    let wanted = format!("{}:/data:", host.path().display());
    assert!(mounts.contains(&wanted), "{wanted} in {mounts}");
}

fn start(scene: &Scene) {
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let before = clock();
    let container = scene.container(Options::default());
    let after = clock();
    let told = scene.told_of_exec_in(&container);
    let start = field(&told, "container.start_ts").as_u64().map(u128::from).unwrap();
    // The clock of events starts with the machine, and is set against ours once.
    let slack = 50_000_000;
    assert!((before - slack..=after + slack).contains(&start), "{before} <= {start} <= {after}");
}
