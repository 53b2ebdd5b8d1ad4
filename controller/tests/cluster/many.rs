//! As many nodes as one controller is made for.

use vedette_controller::policies::{NodeReport, PolicyReport, PolicySource as _, RuleState};

use super::*;

/// Nodes of a large cluster.
const NODES: usize = 5000;

/// All agents answer one after the other, as they do after a change: that is a few writes of the status, not thousands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answers_of_all_nodes_are_a_few_writes() {
    let cluster = Cluster::fake().await;
    let names: Vec<String> = (0..NODES).map(|number| format!("n{number}")).collect();
    for some in names.chunks(100) {
        futures_util::future::join_all(some.iter().map(|name| cluster.node(name, json!({})))).await;
    }
    let mut replica = Replica::start(&cluster, "c1").await;
    replica.leads().await;
    cluster.apply(&policy("ClusterSecurityPolicy", None, "one", rule(SHELL))).await.unwrap();
    replica.documents(&names[NODES - 1], &["ClusterSecurityPolicy/one"]).await;
    cluster.status("ClusterSecurityPolicy", None, "one", |s| s["nodes"]["desired"] == NODES).await;

    let writes = || {
        let Server::Fake(api) = &cluster.server else { panic!("the server is in this process") };
        let is_write =
            |call: &&api::Call| call.verb == "patch" && call.resource == "clustersecuritypolicies/status";
        api.calls().iter().filter(is_write).count()
    };
    let (before, begin) = (writes(), tokio::time::Instant::now());
    for (number, name) in names.iter().enumerate() {
        let state = if number % 100 == 0 { RuleState::Degraded } else { RuleState::Active };
        let report = PolicyReport {
            document: "ClusterSecurityPolicy/one".into(),
            generation: 1,
            state,
            reason: (state == RuleState::Degraded).then(|| format!("Reason{number}")),
            message: None,
            rules: Vec::new(),
        };
        replica.source.report(
            name,
            Some(NodeReport { running: "digest".into(), refused: None, policies: vec![report] }),
        );
        // The others get on, as they do while thousands of streams are served.
        tokio::task::yield_now().await;
    }
    let all = json!({"desired": NODES, "ready": NODES - NODES / 100, "degraded": NODES / 100, "failed": 0});
    let status = cluster.status("ClusterSecurityPolicy", None, "one", |s| s["nodes"] == all).await;
    // The pace of the tests: a write of one status in 200 ms. One more for the first, one for what was on its way.
    let most = begin.elapsed().as_millis() as usize / 200 + 2;
    let written = writes() - before;
    assert!((1..=most).contains(&written), "{written} writes, {most} at most");
    assert!(status["details"].as_array().unwrap().len() <= 20, "{status:#}");
    assert!(serde_json::to_string(&status).unwrap().len() < 16 << 10);
    replica.end().await;
}
