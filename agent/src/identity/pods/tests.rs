use std::{
    fs,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use crossbeam_channel::Receiver;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;
use crate::identity::{Identity, IdentitySettings, fake};

const PATIENCE: Duration = Duration::from_secs(30);

fn pod(name: &str, uid: &str, version: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "resourceVersion": version,
            "labels": {"app": "web", "pod-template-hash": "5c9d"},
            "ownerReferences": [
                {"apiVersion": "x/v1", "kind": "Other", "name": "o", "uid": "o"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5c9d", "uid": "r", "controller": true},
            ],
        },
        "spec": {
            "serviceAccountName": "sa", "nodeName": "n1",
            "containers": [{
                "name": "web",
                "livenessProbe": {"exec": {"command": ["/bin/live", "-q"]}},
                "readinessProbe": {"httpGet": {"port": 80}},
            }],
        },
        "status": {"podIP": "10.0.0.7"},
    })
}

/// An API server: what it lists, and to whom it tells changes.
#[derive(Default)]
struct Api7 {
    list: Vec<Value>,
    /// So many lists fail.
    failures: usize,
    watchers: Vec<UnboundedSender<String>>,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Api7>>;

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Api7> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(shared: &Shared) -> (fake::Server, SocketAddr) {
    let shared = Arc::clone(shared);
    fake::http(move |path| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let mut api = lock(&shared);
            api.asked.push(path.clone());
            let (parts, body) = unbounded_channel();
            let status = if path.starts_with("/api/v1/namespaces/shop") {
                let labels = json!({"name": "shop", "labels": {"team": "red"}});
                let object = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": labels});
                parts.send(object.to_string()).unwrap();
                200
            } else if !path.starts_with("/api/v1/pods") || api.failures > 0 {
                api.failures = api.failures.saturating_sub(1);
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": "InternalError", "code": 500});
                parts.send(status.to_string()).unwrap();
                500
            } else if path.contains("watch=true") {
                api.watchers.push(parts);
                200
            } else {
                let list = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": api.list});
                parts.send(list.to_string()).unwrap();
                200
            };
            (status, body)
        })
    })
}

fn start(dir: &std::path::Path, address: SocketAddr) -> Identity {
    let kubeconfig = dir.join("kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    });
    fs::write(&kubeconfig, text.to_string()).unwrap();
    let pods = PodSettings { node: "n1".into(), kubeconfig: Some(kubeconfig) };
    Identity::start(IdentitySettings { root: dir.into(), pods: Some(pods), ..IdentitySettings::default() })
        .unwrap()
}

fn next(answers: &Receiver<Answer>) -> (String, Option<Pod>) {
    match answers.recv_timeout(PATIENCE).unwrap() {
        Answer::Pod { uid, pod } => (uid, pod.map(|pod| *pod)),
        Answer::Container { .. } => panic!("nobody asked"),
    }
}

/// Waits until the watch is open, and tells a change.
fn tell(shared: &Shared, kind: &str, object: &Value) {
    let line = json!({"type": kind, "object": object}).to_string() + "\n";
    wait(|| lock(shared).watchers.last().is_some_and(|watcher| watcher.send(line.clone()).is_ok()));
}

fn wait(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain");
        std::thread::yield_now();
    }
}

#[test]
fn the_pods_of_this_node_and_their_changes() {
    let dir = tempfile::tempdir().unwrap();
    let shared = Shared::default();
    lock(&shared).list = vec![pod("web-5c9d-a", "u1", "1")];
    let (_server, address) = serve(&shared);
    let identity = start(dir.path(), address);
    let (uid, found) = next(identity.answers());
    let probes = Probes { liveness: Some("/bin/live -q".into()), readiness: None };
    let expected = Pod {
        uid: "u1".into(),
        name: "web-5c9d-a".into(),
        namespace: "shop".into(),
        labels: [("app".into(), "web".into()), ("pod-template-hash".into(), "5c9d".into())].into(),
        ip: Some("10.0.0.7".into()),
        service_account: Some("sa".into()),
        owner: Some(Workload { kind: "ReplicaSet".into(), name: "web-5c9d".into() }),
        deployment: Some("web".into()),
        namespace_labels: [("team".into(), "red".into())].into(),
        probes: [("web".into(), probes)].into(),
    };
    assert_eq!((uid.as_str(), found), ("u1", Some(expected)));
    tell(&shared, "ADDED", &pod("web-5c9d-b", "u2", "2"));
    assert_eq!(next(identity.answers()).1.map(|pod| pod.name).as_deref(), Some("web-5c9d-b"));
    assert!(identity.expects_pods());
    tell(&shared, "DELETED", &pod("web-5c9d-a", "u1", "3"));
    assert_eq!(next(identity.answers()), ("u1".into(), None));
    let asked = lock(&shared).asked.clone();
    let of_pods: Vec<&String> = asked.iter().filter(|path| path.starts_with("/api/v1/pods")).collect();
    assert!(of_pods.iter().all(|path| path.contains("fieldSelector=spec.nodeName%3Dn1")), "{of_pods:?}");
    let namespaces = asked.iter().filter(|path| path.contains("/namespaces/")).count();
    assert_eq!(namespaces, 1, "its labels are kept for a while");
}

#[test]
fn a_server_that_fails_is_asked_again_and_what_went_unseen_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let shared = Shared::default();
    {
        let mut api = lock(&shared);
        api.failures = 1;
        api.list = vec![pod("a", "u1", "1"), pod("b", "u2", "1")];
    }
    let (_server, address) = serve(&shared);
    let identity = start(dir.path(), address);
    assert!(!identity.expects_pods(), "nobody waits for a server that has not answered");
    let mut uids = [next(identity.answers()).0, next(identity.answers()).0];
    uids.sort();
    assert_eq!(uids, ["u1", "u2"]);
    assert!(identity.stats.pod_errors.load(Relaxed) >= 1);
    wait(|| identity.expects_pods());
    // The watch is too old, and a pod went while nobody looked.
    lock(&shared).list.pop();
    let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "too old", "reason": "Expired", "code": 410});
    tell(&shared, "ERROR", &gone);
    let mut told = vec![next(identity.answers())];
    while told.last().is_some_and(|(_, pod)| pod.is_some()) {
        told.push(next(identity.answers()));
    }
    assert_eq!(told.pop().unwrap(), ("u2".into(), None));
    assert_eq!(identity.stats.pods.load(Relaxed), 1);
}

#[test]
fn objects_that_lack_things() {
    let of = |value: Value| describe(&serde_json::from_value::<KubePod>(value).unwrap());
    assert_eq!(of(json!({"metadata": {}})), None);
    assert_eq!(of(json!({"metadata": {"name": "a"}})), None);
    let bare = of(json!({"metadata": {"name": "a", "uid": "u"}})).unwrap();
    assert_eq!(bare, Pod { name: "a".into(), uid: "u".into(), ..Pod::default() });
    // A static pod goes by the hash of its manifest, as in the kubelet's control groups.
    let mirror = json!({"metadata": {"name": "a", "uid": "u", "annotations": {"kubernetes.io/config.mirror": "hash"}}});
    assert_eq!(of(mirror).unwrap().uid, "hash");
}

#[test]
fn deployments_by_the_name_of_the_replica_set() {
    let owner = |kind: &str, name: &str| OwnerReference {
        kind: kind.into(),
        name: name.into(),
        ..Default::default()
    };
    let labels = |hash: &str| BTreeMap::from([(TEMPLATE_HASH.to_owned(), hash.to_owned())]);
    let found = |kind, name, hash| deployment(&owner(kind, name), &labels(hash));
    assert_eq!(found("ReplicaSet", "web-5c9d", "5c9d").as_deref(), Some("web"));
    assert_eq!(found("ReplicaSet", "a-b-5c9d", "5c9d").as_deref(), Some("a-b"));
    assert_eq!(found("ReplicaSet", "web", "5c9d"), None, "a replica set of somebody's own");
    assert_eq!(found("DaemonSet", "web-5c9d", "5c9d"), None);
    assert_eq!(deployment(&owner("ReplicaSet", "web-5c9d"), &BTreeMap::new()), None);
}

#[test]
fn without_a_server_nothing_comes_and_it_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let pods = PodSettings { node: "n1".into(), kubeconfig: Some(dir.path().join("none")) };
    let settings =
        IdentitySettings { root: dir.path().into(), pods: Some(pods), ..IdentitySettings::default() };
    let identity = Identity::start(settings).unwrap();
    wait(|| identity.stats.pod_errors.load(Relaxed) == 1);
    assert!(!identity.expects_pods());
}
