//! The controller in a cluster: against an API server in this process, and the same against a real one where there is
//! one (`KUBEBUILDER_ASSETS`).

#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

mod api;
mod cluster;
mod envtest;
mod manifests;
mod many;
mod process;
mod program;
mod structural;

use std::sync::Arc;
use std::time::Duration;

use ::kube::api::PostParams;
use cluster::{Cluster, Replica, Server};
use program::agents_have_a_change_within_a_second_and_a_killed_leader_loses_none;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;
use vedette_controller::kube::check::Checker;
use vedette_controller::kube::secrets::ClusterSecrets;
use vedette_controller::kube::webhook;
use vedette_controller::policies::{PolicySource as _, RuleState, built_in};
use vedette_controller::secrets::SecretStore as _;
use vedette_controller::sink::config::{NamedSink, Secret, SecretKey};
use vedette_controller::sink::secrets::Secrets as _;
use vedette_controller::tls::TlsServer;

/// Each scenario, against both servers.
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod fake {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Cluster::fake().await).await;
            }
        )*}
        mod real {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(cluster) = super::Cluster::real().await {
                    super::$name(cluster).await;
                }
            }
        )*}
    };
}

scenarios! {
    a_policy_comes_changes_and_goes
    an_invalid_policy_is_refused_and_the_old_stays
    a_policy_of_a_namespace_goes_where_its_pods_are
    nodes_are_selected_by_labels
    the_next_replica_takes_over_when_the_leader_is_killed
    what_agents_say_to_another_replica_is_in_the_status
    the_built_in_policies_can_be_applied_and_compile
    the_webhook_says_what_is_wrong
    sinks_come_and_go_and_the_last_good_settings_stay
    agents_have_a_change_within_a_second_and_a_killed_leader_loses_none
}

/// No rule of the roles is missing, and none is superfluous.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_roles_are_what_the_controller_needs() {
    let cluster = Cluster::fake().await;
    cluster.namespace("shop").await;
    let mut replica = Replica::start(&cluster, "c1").await;
    replica.leads().await;
    cluster.apply(&policy("ClusterSecurityPolicy", None, "bad", rule("proc.nam = sh"))).await.unwrap();
    cluster.apply(&policy("SecurityPolicy", Some("shop"), "good", rule(SHELL))).await.unwrap();
    cluster.status("SecurityPolicy", Some("shop"), "good", is_ready).await;
    cluster::until(|| async { (!cluster.events("default", "bad").await.is_empty()).then_some(()) }).await;
    cluster.apply(&json!({
        "apiVersion": "vedette.dev/v1alpha1", "kind": "AlertSink", "metadata": {"name": "siem"}, "spec": {"stdout": {}},
    }))
    .await
    .unwrap();
    cluster.status("AlertSink", None, "siem", Json::is_object).await;
    // Another that does not lead says what its agents say, and the next leader takes that away.
    let mut other = Replica::start(&cluster, "c2").await;
    let reports = cluster.api("v1", "ConfigMap", Some(cluster::NAMESPACE));
    cluster::until(|| async { reports.get("vedette-controller-reports-c2").await.ok() }).await;
    replica.end().await;
    other.leads().await;
    cluster::until(|| async {
        reports.get_opt("vedette-controller-reports-c2").await.unwrap().is_none().then_some(())
    })
    .await;
    other.end().await;
    cluster.webhook(0).await;
    let secrets = ClusterSecrets::new(cluster.controller.clone(), cluster::NAMESPACE);
    assert!(secrets.replace("key", None, b"1").await.unwrap());
    assert!(!secrets.replace("key", None, b"2").await.unwrap());
    assert!(secrets.replace("key", Some(b"1"), b"2").await.unwrap());
    assert_eq!(secrets.load("key").await.unwrap().unwrap(), b"2");
    for text in ["1", "2", "2"] {
        secrets.publish("ca.pem", text).await.unwrap();
    }
    for (group, kind) in [("authentication", "TokenReview"), ("authorization", "SubjectAccessReview")] {
        let api_version = format!("{group}.k8s.io/v1");
        let review =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "review"}, "spec": {}});
        let reviews = cluster::api_of(cluster.controller.clone(), &api_version, kind, None);
        reviews.create(&PostParams::default(), &serde_json::from_value(review).unwrap()).await.unwrap();
    }
    let Server::Fake(api) = &cluster.server else { unreachable!() };
    let calls: Vec<_> = api.calls().into_iter().filter(|call| call.user == "controller").collect();
    let access = api::Access::of(&manifests::all(), cluster::NAMESPACE, cluster::ACCOUNT);
    let refused: Vec<_> = calls.iter().filter(|call| !access.allows(call)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(access.unused(&calls), Vec::<Json>::new());
}

fn policy(kind: &str, namespace: Option<&str>, name: &str, spec: Json) -> Json {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": "vedette.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn rule(condition: &str) -> Json {
    json!({"rules": [{"name": "Shell", "condition": condition, "output": "%proc.name"}]})
}

const SHELL: &str = "evt.type in (execve, execveat) and proc.name in (vedette_shells)";

fn condition<'a>(status: &'a Json, kind: &str) -> &'a Json {
    status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == kind).unwrap_or(&Json::Null)
}

fn is_ready(status: &Json) -> bool {
    condition(status, "Ready")["status"] == "True"
}

async fn a_policy_comes_changes_and_goes(cluster: Cluster) {
    cluster.node("n1", json!({})).await;
    cluster.node("n2", json!({})).await;
    let mut replica = Replica::start(&cluster, "c1").await;
    replica.leads().await;
    let _agents = [replica.agent("n1", RuleState::Active), replica.agent("n2", RuleState::Degraded)];

    let mut changes = replica.source.changes();
    changes.borrow_and_update();
    cluster.apply(&policy("ClusterSecurityPolicy", None, "shells", rule(SHELL))).await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), changes.changed()).await.expect("within a second").unwrap();
    replica.documents("n1", &["ClusterSecurityPolicy/shells"]).await;
    replica.documents("n2", &["ClusterSecurityPolicy/shells"]).await;
    assert!(Arc::ptr_eq(&replica.source.for_node("n1"), &replica.source.for_node("n2")));

    let status = cluster
        .status("ClusterSecurityPolicy", None, "shells", |s| {
            s["nodes"] == json!({"desired": 2, "ready": 1, "degraded": 1, "failed": 0})
        })
        .await;
    assert_eq!(condition(&status, "Compiled")["status"], "True");
    assert_eq!(condition(&status, "Ready")["reason"], "Degraded");
    assert_eq!(status["details"], json!([{"node": "n2", "state": "Degraded", "reason": "LsmUnavailable"}]));
    assert_eq!((&status["observedGeneration"], &status["rules"]), (&json!(1), &json!(1)));

    let changed = rule("evt.type = execve and proc.name = zsh");
    cluster.apply(&policy("ClusterSecurityPolicy", None, "shells", changed)).await.unwrap();
    cluster.status("ClusterSecurityPolicy", None, "shells", |s| s["observedGeneration"] == 2).await;
    assert_eq!(replica.source.for_node("n1").documents[0].generation, 2);

    cluster.delete("vedette.dev/v1alpha1", "ClusterSecurityPolicy", None, "shells").await;
    replica.documents("n1", &[]).await;
    replica.end().await;
}

async fn an_invalid_policy_is_refused_and_the_old_stays(cluster: Cluster) {
    cluster.node("n1", json!({})).await;
    let mut replica = Replica::start(&cluster, "c1").await;
    replica.leads().await;
    let _agent = replica.agent("n1", RuleState::Active);
    let good = policy("ClusterSecurityPolicy", None, "shells", rule(SHELL));
    cluster.apply(&good).await.unwrap();
    cluster.status("ClusterSecurityPolicy", None, "shells", is_ready).await;

    // The API server itself refuses what the schema does not allow.
    let shape = policy("ClusterSecurityPolicy", None, "shells", json!({"rules": [{"name": "Shell"}]}));
    let error = cluster.apply(&shape).await.unwrap_err().to_string();
    assert!(error.contains("a rule has a condition"), "{error}");

    let bad = policy("ClusterSecurityPolicy", None, "shells", rule("evt.type = execve and proc.nam = sh"));
    cluster.apply(&bad).await.unwrap();
    let status = cluster
        .status("ClusterSecurityPolicy", None, "shells", |s| condition(s, "Compiled")["status"] == "False")
        .await;
    let message = condition(&status, "Compiled")["message"].as_str().unwrap();
    assert_eq!(
        message,
        "spec.rules[0].condition:1:23: unknown-field: unknown field `proc.nam` (did you mean `proc.name`?)"
    );
    assert_eq!(condition(&status, "Ready")["reason"], "Invalid");
    assert_eq!(status["nodes"], json!({"desired": 1, "ready": 1, "degraded": 0, "failed": 0}));
    assert_eq!(status["accepted"]["generation"], 1);
    assert_eq!(replica.source.for_node("n1").documents[0].generation, 1);
    let events = cluster::until(|| async {
        let events = cluster.events("default", "shells").await;
        (!events.is_empty()).then_some(events)
    })
    .await;
    assert_eq!((&events[0]["reason"], &events[0]["type"]), (&json!("Invalid"), &json!("Warning")));
    assert!(events[0]["note"].as_str().unwrap().contains("proc.nam"));
    // Another error is another event.
    let other = policy("ClusterSecurityPolicy", None, "shells", rule("evt.type = execve and proc.nme = sh"));
    cluster.apply(&other).await.unwrap();
    cluster::until(|| async {
        let events = cluster.events("default", "shells").await;
        events.iter().any(|event| event["note"].as_str().unwrap().contains("proc.nme")).then_some(())
    })
    .await;

    // One that has not seen the good change goes on with it, too.
    replica.end().await;
    let mut replica = Replica::start(&cluster, "c2").await;
    replica.leads().await;
    replica.documents("n1", &["ClusterSecurityPolicy/shells"]).await;
    let _agent = replica.agent("n1", RuleState::Active);
    cluster.apply(&good).await.unwrap();
    let status = cluster.status("ClusterSecurityPolicy", None, "shells", is_ready).await;
    assert!(status.get("accepted").is_none(), "{status}");
    replica.end().await;
}

async fn a_policy_of_a_namespace_goes_where_its_pods_are(cluster: Cluster) {
    for node in ["n1", "n2", "n3"] {
        cluster.node(node, json!({})).await;
    }
    cluster.namespace("shop").await;
    cluster.namespace("bank").await;
    cluster.pod("shop", "web-1", "n1", json!({"app": "web"})).await;
    cluster.pod("shop", "db-1", "n2", json!({"app": "db"})).await;
    cluster.pod("bank", "web-1", "n3", json!({"app": "web"})).await;
    let mut replica = Replica::start(&cluster, "c1").await;
    replica.leads().await;
    let mut spec = rule(SHELL);
    spec["podSelector"] = json!({"matchLabels": {"app": "web"}});
    cluster.apply(&policy("SecurityPolicy", Some("shop"), "web", spec)).await.unwrap();
    replica.documents("n1", &["SecurityPolicy/shop/web"]).await;
    replica.documents("n2", &[]).await;
    replica.documents("n3", &[]).await;
    let status = cluster.status("SecurityPolicy", Some("shop"), "web", |s| s["nodes"]["desired"] == 1).await;
    assert_eq!(condition(&status, "Ready")["reason"], "Progressing");
    // What nodes get names the namespace, by which it sees no other.
    let text = replica.source.for_node("n1").documents[0].text.clone();
    let text: Json = serde_json::from_slice(&text).unwrap();
    assert_eq!(text["metadata"], json!({"name": "web", "namespace": "shop"}));

    cluster.pod("shop", "web-2", "n2", json!({"app": "web"})).await;
    replica.documents("n2", &["SecurityPolicy/shop/web"]).await;
    if let Server::Fake(api) = &cluster.server {
        api.cut_watches();
    }
    cluster.pod("shop", "web-3", "n3", json!({"app": "web"})).await;
    replica.documents("n3", &["SecurityPolicy/shop/web"]).await;
    cluster.delete("v1", "Node", None, "n3").await;
    cluster.delete("v1", "Pod", Some("shop"), "web-3").await;
    replica.documents("n3", &[]).await;
    replica.end().await;
}

async fn nodes_are_selected_by_labels(cluster: Cluster) {
    cluster.node("n1", json!({"zone": "a"})).await;
    cluster.node("n2", json!({"zone": "b"})).await;
    let replica = Replica::start(&cluster, "c1").await;
    let mut spec = rule(SHELL);
    spec["nodeSelector"] = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]});
    cluster.apply(&policy("ClusterSecurityPolicy", None, "b", spec)).await.unwrap();
    cluster.apply(&policy("ClusterSecurityPolicy", None, "all", rule(SHELL))).await.unwrap();
    let mut off = rule(SHELL);
    off["mode"] = json!("Disabled");
    cluster.apply(&policy("ClusterSecurityPolicy", None, "off", off)).await.unwrap();
    replica.documents("n2", &["ClusterSecurityPolicy/all", "ClusterSecurityPolicy/b"]).await;
    replica.documents("n1", &["ClusterSecurityPolicy/all"]).await;
    cluster.node("n1", json!({"zone": "b"})).await;
    replica.documents("n1", &["ClusterSecurityPolicy/all", "ClusterSecurityPolicy/b"]).await;
    // One that is not known yet has at least what is for all.
    replica.documents("n9", &["ClusterSecurityPolicy/all"]).await;
    cluster
        .status("ClusterSecurityPolicy", None, "off", |s| condition(s, "Ready")["reason"] == "Disabled")
        .await;
    replica.end().await;
}

async fn the_next_replica_takes_over_when_the_leader_is_killed(cluster: Cluster) {
    cluster.node("n1", json!({})).await;
    let mut first = Replica::start(&cluster, "c1").await;
    first.leads().await;
    let mut second = Replica::start(&cluster, "c2").await;
    cluster.apply(&policy("ClusterSecurityPolicy", None, "one", rule(SHELL))).await.unwrap();
    first.documents("n1", &["ClusterSecurityPolicy/one"]).await;
    second.documents("n1", &["ClusterSecurityPolicy/one"]).await;
    cluster.status("ClusterSecurityPolicy", None, "one", |s| s["observedGeneration"] == 1).await;
    assert!(!*second.leading.borrow());

    first.kill();
    // Nobody leads now; what is changed meanwhile is not lost.
    cluster.apply(&policy("ClusterSecurityPolicy", None, "two", rule(SHELL))).await.unwrap();
    second.documents("n1", &["ClusterSecurityPolicy/one", "ClusterSecurityPolicy/two"]).await;
    second.leads().await;
    let _agent = second.agent("n1", RuleState::Active);
    cluster.status("ClusterSecurityPolicy", None, "two", is_ready).await;
    cluster.status("ClusterSecurityPolicy", None, "one", is_ready).await;

    // One that ends as it should gives the lease back, and the next need not wait for it to expire.
    let mut third = Replica::start(&cluster, "c3").await;
    second.end().await;
    third.leads().await;
    let lease = cluster
        .api("coordination.k8s.io/v1", "Lease", Some(cluster::NAMESPACE))
        .get("vedette-controller")
        .await;
    let spec = lease.unwrap().data["spec"].clone();
    assert_eq!(spec["holderIdentity"], "c3");
    assert!(spec["leaseTransitions"].as_i64().unwrap() >= 2, "{spec}");
    third.end().await;
}

async fn what_agents_say_to_another_replica_is_in_the_status(cluster: Cluster) {
    for node in ["n1", "n2", "n3"] {
        cluster.node(node, json!({})).await;
    }
    let mut first = Replica::start(&cluster, "c1").await;
    first.leads().await;
    let second = Replica::start(&cluster, "c2").await;
    let _agents = [
        first.agent("n1", RuleState::Active),
        second.agent("n2", RuleState::Active),
        second.agent("n3", RuleState::Degraded),
    ];
    cluster.apply(&policy("ClusterSecurityPolicy", None, "shells", rule(SHELL))).await.unwrap();
    let counts = |ready: u64, degraded: u64| {
        let counts = json!({"desired": 3, "ready": ready, "degraded": degraded, "failed": 0});
        move |status: &Json| status["nodes"] == counts
    };
    let status = cluster.status("ClusterSecurityPolicy", None, "shells", counts(2, 1)).await;
    assert_eq!(status["details"], json!([{"node": "n3", "state": "Degraded", "reason": "LsmUnavailable"}]));
    // When it ends, its agents are with nobody until they have found another.
    second.end().await;
    cluster.status("ClusterSecurityPolicy", None, "shells", counts(1, 0)).await;
    first.end().await;
}

async fn the_webhook_says_what_is_wrong(cluster: Cluster) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    cluster.webhook(address.port()).await;
    let secrets = ClusterSecrets::new(cluster.controller.clone(), cluster::NAMESPACE);
    let names = vec!["127.0.0.1".to_owned(), "vedette-controller.vedette.svc".to_owned()];
    let tls = Arc::new(TlsServer::start(Arc::new(secrets), names, None).await.unwrap());
    let stop = CancellationToken::new();
    let checker = Checker::new(built_in::sources());
    let served =
        tokio::spawn(webhook::serve(listener, Arc::new(move || tls.config()), checker, stop.clone()));

    // The authority of its certificate was made known to the API server, which may take a moment to use it.
    let bad = policy("ClusterSecurityPolicy", None, "bad", rule("evt.type = execve and proc.nam = sh"));
    let error = cluster::until(|| async { cluster.apply(&bad).await.err() }).await.to_string();
    let wanted =
        "spec.rules[0].condition:1:23: unknown-field: unknown field `proc.nam` (did you mean `proc.name`?)";
    assert!(error.contains("policies.vedette.dev") && error.contains(wanted), "{error}");
    cluster.apply(&policy("ClusterSecurityPolicy", None, "good", rule(SHELL))).await.unwrap();

    // Without it, policies are taken all the same.
    stop.cancel();
    tokio::time::timeout(cluster::DEADLINE, served).await.unwrap().unwrap();
    cluster.apply(&bad).await.unwrap();
}

async fn sinks_come_and_go_and_the_last_good_settings_stay(cluster: Cluster) {
    let mut replica = Replica::start(&cluster, "c1").await;
    replica.leads().await;
    let sink = |spec: Json| json!({"apiVersion": "vedette.dev/v1alpha1", "kind": "AlertSink", "metadata": {"name": "siem"}, "spec": spec});
    let has = |wanted: &Option<Vec<NamedSink>>, bytes: u64| {
        wanted.as_ref().is_some_and(|all| all.len() == 1 && all[0].spec.batch.bytes.0 == bytes)
    };
    cluster.apply(&sink(json!({"stdout": {}, "batch": {"bytes": "2Mi"}}))).await.unwrap();
    replica.sinks.wait_for(|wanted| has(wanted, 2 << 20)).await.unwrap();
    let accepted = |status: &Json, state: &str| condition(status, "Accepted")["status"] == state;
    let status = cluster.status("AlertSink", None, "siem", |s| accepted(s, "True")).await;
    assert_eq!(
        (&condition(&status, "Ready")["reason"], &status["kind"]),
        (&json!("Starting"), &json!("stdout"))
    );

    // The schema takes it, and the settings are not good.
    cluster.apply(&sink(json!({"stdout": {}, "batch": {"bytes": 5}}))).await.unwrap();
    let status = cluster.status("AlertSink", None, "siem", |s| accepted(s, "False")).await;
    let message = condition(&status, "Accepted")["message"].as_str().unwrap();
    assert!(message.starts_with("spec.batch.bytes: "), "{message}");
    assert!(has(&replica.sinks.borrow(), 2 << 20));
    // Also for one that is started now.
    replica.end().await;
    let mut replica = Replica::start(&cluster, "c2").await;
    replica.sinks.wait_for(|wanted| has(wanted, 2 << 20)).await.unwrap();
    cluster.delete("vedette.dev/v1alpha1", "AlertSink", None, "siem").await;
    replica.sinks.wait_for(|wanted| wanted.as_ref().is_some_and(Vec::is_empty)).await.unwrap();
    replica.end().await;

    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hec", "namespace": cluster::NAMESPACE},
        "data": {"token": "czNjcmV0Cg=="},
    });
    cluster.apply(&secret).await.unwrap();
    let secrets = ClusterSecrets::new(cluster.controller.clone(), cluster::NAMESPACE);
    let place = |name: &str, key: &str| Secret {
        secret: Some(SecretKey { name: name.into(), key: key.into() }),
        ..Secret::default()
    };
    assert_eq!(secrets.read(&place("hec", "token")).await.unwrap().expose(), "s3cret");
    assert!(secrets.read(&place("hec", "other")).await.unwrap_err().contains("no key"));
    assert!(secrets.read(&place("none", "token")).await.unwrap_err().contains("no Secret"));
    // Not those of the controller itself: whoever writes sinks would have them sent to himself.
    assert!(secrets.replace("ca.json", None, b"keys").await.unwrap());
    let refused = secrets.read(&place(vedette_controller::kube::secrets::NAME, "ca.json")).await.unwrap_err();
    assert!(refused.contains("own keys"), "{refused}");
}

async fn the_built_in_policies_can_be_applied_and_compile(cluster: Cluster) {
    cluster.node("n1", json!({})).await;
    let mut replica = Replica::start(&cluster, "c1").await;
    replica.leads().await;
    let directory = manifests::workspace().join("deploy/policies");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.to_string_lossy().ends_with(".test.yaml") {
            continue;
        }
        for document in manifests::read(&path).iter().filter(|document| document.is_object()) {
            cluster.apply(document).await.unwrap();
            names.push(document["metadata"]["name"].as_str().unwrap().to_owned());
        }
    }
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    let wanted: Vec<_> = names.iter().map(|name| format!("ClusterSecurityPolicy/{name}")).collect();
    replica.documents("n1", &wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for name in &names {
        cluster
            .status("ClusterSecurityPolicy", None, name, |s| {
                condition(s, "Compiled")["status"] == "True"
                    && s["rules"].as_i64().is_some_and(|rules| rules > 0)
            })
            .await;
    }
    replica.end().await;
}
