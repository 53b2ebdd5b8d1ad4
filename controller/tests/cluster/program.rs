//! What the controller's program does in a cluster, seen from outside; and what `kubectl` says to what is in `deploy/`.

use serde_json::{Value as Json, json};

use crate::cluster::{Cluster, NAMESPACE, Server};
use crate::process::{Agent, Controller, LIVE, free_port};
use crate::{SHELL, condition, is_ready, manifests, policy, rule};

/// Two replicas, an agent with a token of its node, and what people do with `kubectl`.
pub async fn agents_have_a_change_within_a_second_and_a_killed_leader_loses_none(cluster: Cluster) {
    cluster.node("n1", json!({})).await;
    let webhook = free_port();
    cluster.webhook(webhook).await;
    let first = Controller::start(&cluster, "c1", webhook).await;
    let second = Controller::start(&cluster, "c2", free_port()).await;
    assert_eq!(holder(&cluster).await, "c1");
    let mut agent = Agent::connect(&cluster, &first, "n1").await;

    cluster.kubectl_apply(&policy("ClusterSecurityPolicy", None, "shells", rule(SHELL))).await.unwrap();
    let applied = std::time::Instant::now();
    let live = agent.runs(&["ClusterSecurityPolicy/shells"]).await;
    assert!(live.saturating_duration_since(applied) < LIVE, "{:?}", live - applied);
    let status = cluster.status("ClusterSecurityPolicy", None, "shells", is_ready).await;
    assert_eq!(status["nodes"], json!({"desired": 1, "ready": 1, "degraded": 0, "failed": 0}));

    // One with an error is refused with field, line and column, and the old one stays.
    let bad = policy("ClusterSecurityPolicy", None, "shells", rule("evt.type = execve and proc.nam = sh"));
    let error = cluster.kubectl_apply(&bad).await.unwrap_err();
    assert!(error.contains("spec.rules[0].condition:1:23: unknown-field"), "{error}");
    assert_eq!(agent.runs.borrow().0, ["ClusterSecurityPolicy/shells"]);

    cluster.delete("vedette.dev/v1alpha1", "ClusterSecurityPolicy", None, "shells").await;
    let deleted = std::time::Instant::now();
    let gone = agent.runs(&[]).await;
    assert!(gone.saturating_duration_since(deleted) < LIVE, "{:?}", gone - deleted);

    // The leader is killed. What is changed while nobody leads is not lost, and agents have it at once where they are.
    let mut agent = Agent::connect(&cluster, &second, "n1").await;
    first.kill();
    cluster.kubectl_apply(&policy("ClusterSecurityPolicy", None, "two", rule(SHELL))).await.unwrap();
    // Nor is one with an error, which nobody refuses now.
    let bad = policy("ClusterSecurityPolicy", None, "bad", rule("evt.type = execve and proc.nam = sh"));
    cluster.kubectl_apply(&bad).await.unwrap();
    agent.runs(&["ClusterSecurityPolicy/two"]).await;
    cluster.status("ClusterSecurityPolicy", None, "two", is_ready).await;
    let status = cluster
        .status("ClusterSecurityPolicy", None, "bad", |s| condition(s, "Compiled")["status"] == "False")
        .await;
    assert!(condition(&status, "Compiled")["message"].as_str().unwrap().contains("proc.nam"), "{status}");
    assert_eq!(holder(&cluster).await, "c2");
    if let Server::Real(api) = &cluster.server {
        what_is_in_deploy_can_be_applied(&|arguments| api.kubectl(arguments));
    }
}

async fn holder(cluster: &Cluster) -> Json {
    let leases = cluster.api("coordination.k8s.io/v1", "Lease", Some(NAMESPACE));
    crate::cluster::until(|| async {
        let lease = leases.get("vedette-controller").await.ok()?;
        lease.data["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).map(|h| json!(h))
    })
    .await
}

/// The manifests, the overlay and the built-in policies, by `kubectl`; and what it shows of them.
fn what_is_in_deploy_can_be_applied(kubectl: &dyn Fn(&[&str]) -> Result<String, String>) {
    let deploy = manifests::workspace().join("deploy");
    let path = |name: &str| deploy.join(name).to_str().unwrap().to_owned();
    let run =
        |arguments: &[&str]| kubectl(arguments).unwrap_or_else(|e| panic!("kubectl {arguments:?}: {e}"));
    // What the test applied of it would stand in the way.
    run(&["delete", "validatingwebhookconfiguration", "vedette-controller"]);
    for place in ["manifests", "examples/single-node"] {
        run(&["apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", &path(place)]);
    }
    // Before the webhook of these manifests is asked, which is nowhere, goes its configuration.
    run(&["delete", "validatingwebhookconfiguration", "vedette-controller"]);
    // Also the old way, which notes the whole object in an annotation.
    run(&["apply", "-k", &path("crds")]);
    for entry in std::fs::read_dir(deploy.join("policies")).unwrap() {
        let file = entry.unwrap().path();
        if file.is_file() && !file.to_string_lossy().ends_with(".test.yaml") {
            run(&["apply", "--server-side", "--validate=strict", "-f", file.to_str().unwrap()]);
        }
    }
    let shown = run(&["get", "csecpol,secpol,asink", "-A"]);
    assert!(shown.contains("MODE") && shown.contains("COMPILED") && shown.contains("two"), "{shown}");
    run(&["get", "vedette", "-A"]);
    let told = run(&["explain", "clustersecuritypolicy.spec.rules.condition"]);
    assert!(told.contains("When it holds"), "{told}");
}
