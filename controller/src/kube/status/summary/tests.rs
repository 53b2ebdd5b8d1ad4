use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::policies::kube::{Compiled, PolicyKey};
use crate::policies::{Document, PolicyReport};

fn wanted(nodes: usize, errors: Vec<Finding>) -> Wanted {
    let key = PolicyKey { kind: "SecurityPolicy", namespace: Some("shop".into()), name: "web".into() };
    let document = Document { name: key.document(), generation: 3, text: Bytes::new() };
    let accepted = Accepted {
        document,
        spec: json!({"rules": []}),
        rules: 2,
        disabled: false,
        node_selector: None,
        pod_selector: None,
    };
    let generation = if errors.is_empty() { 3 } else { 4 };
    let policy = Compiled {
        key,
        uid: "u".into(),
        generation,
        errors,
        accepted: Some(Arc::new(accepted)),
        status: Json::Null,
    };
    let nodes = (0..nodes).map(|n| format!("n{n:04}")).collect();
    Wanted { policy: Arc::new(policy), nodes: Arc::new(nodes) }
}

fn said(state: RuleState, generation: i64) -> Said {
    let report = PolicyReport {
        document: "SecurityPolicy/shop/web".into(),
        generation,
        state,
        reason: (state >= RuleState::Degraded).then(|| "LsmUnavailable".into()),
        message: Some("m".repeat(10_000)),
        rules: (0..100).map(|n| format!("rule {n}")).collect(),
    };
    Said { refused: None, policies: HashMap::from([(report.document.clone(), report)]) }
}

fn condition<'a>(status: &'a Json, kind: &str) -> &'a Json {
    status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == kind).unwrap()
}

#[test]
fn nodes_are_counted_and_few_are_named() {
    let one = wanted(5000, Vec::new());
    let mut reports = HashMap::new();
    for (n, node) in one.nodes.iter().enumerate() {
        let state = [RuleState::Active, RuleState::Degraded, RuleState::Failed, RuleState::Disabled][n % 4];
        reports.insert(node.clone(), said(state, if n < 4000 { 3 } else { 2 }));
    }
    let status = status(&one, &reports, &[], &Json::Null, "2026-01-01T00:00:00Z");
    assert_eq!(status["nodes"], json!({"desired": 5000, "ready": 2000, "degraded": 1000, "failed": 1000}));
    assert_eq!(status["details"].as_array().unwrap().len(), MAX_DETAILS);
    assert_eq!(status["details"][0]["state"], "Failed");
    assert!(status.to_string().len() < 20_000, "{}", status.to_string().len());
    assert_eq!(condition(&status, "Ready")["reason"], "Failed");
}

#[test]
fn the_time_of_a_condition_is_that_of_its_change() {
    let one = wanted(1, Vec::new());
    let mut reports = HashMap::new();
    let first = status(&one, &reports, &[], &Json::Null, "t1");
    assert_eq!(condition(&first, "Ready")["reason"], "Progressing");
    reports.insert("n0000".to_owned(), said(RuleState::Degraded, 3));
    let second = status(&one, &reports, &[], &first, "t2");
    assert_eq!(condition(&second, "Ready")["lastTransitionTime"], "t1");
    reports.insert("n0000".to_owned(), said(RuleState::Active, 3));
    let third = status(&one, &reports, &[], &second, "t3");
    assert_eq!(condition(&third, "Ready")["lastTransitionTime"], "t3");
    assert_eq!(condition(&third, "Compiled")["lastTransitionTime"], "t1");
    assert_eq!(condition(&third, "Ready")["reason"], "AllNodesReady");
    assert!(third.get("details").is_none());
}

#[test]
fn what_is_refused_and_what_runs_instead_is_said() {
    let error =
        Finding { field: "spec.rules[0].condition".into(), place: Some((1, 2)), message: "unknown".into() };
    let one = wanted(1, vec![error; 9]);
    let reports = HashMap::from([("n0000".to_owned(), said(RuleState::Active, 3))]);
    let status = status(&one, &reports, &[], &Json::Null, "t");
    assert_eq!(status["observedGeneration"], 4);
    assert_eq!(status["accepted"], json!({"generation": 3, "spec": {"rules": []}}));
    assert_eq!(status["nodes"]["ready"], 1);
    let compiled = condition(&status, "Compiled");
    assert_eq!((&compiled["status"], &compiled["reason"]), (&json!("False"), &json!("Invalid")));
    let message = compiled["message"].as_str().unwrap();
    assert!(
        message.starts_with("spec.rules[0].condition:1:2: unknown\n") && message.ends_with("and 4 more"),
        "{message}"
    );

    let refused = Said { refused: Some(("b".into(), "too many".into())), policies: HashMap::new() };
    let reports = HashMap::from([("n0000".to_owned(), refused)]);
    let status = super::status(&wanted(1, Vec::new()), &reports, &[], &Json::Null, "t");
    assert_eq!(status["details"][0]["reason"], "BundleRefused");
}
