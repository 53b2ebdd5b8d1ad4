//! Elasticsearch's `_bulk`, as its documentation says that it answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    http_server::{Asked, Reply, Server, script},
    rig::{Rig, uid},
};

/// The documents by their id, and where they went.
fn documents(asked: &Asked) -> Vec<(String, String, Value)> {
    let lines = asked.lines();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines
        .chunks(2)
        .map(|pair| {
            let create = &pair[0]["create"];
            (text(&create["_id"]), text(&create["_index"]), pair[1].clone())
        })
        .collect()
}

#[tokio::test]
async fn documents_are_created_under_their_uid() {
    let server = Server::start(|asked: &Asked| {
        let items: Vec<Value> = documents(asked).iter().map(|_| json!({"create": {"status": 201}})).collect();
        Reply::Status(200, json!({"errors": false, "items": items}).to_string())
    })
    .await;
    let more =
        "  index: alerts-{date}\n  pipeline: geo\n  auth: {apiKey: {env: PATH}}\n  compression: gzip\n";
    let rig = Rig::start(&format!("elasticsearch:\n  url: http://{}\n{more}", server.address)).await;
    rig.append(0..3).await;
    rig.settled(3).await;
    let asked = &server.asked()[0];
    assert!(asked.path.starts_with("/_bulk?") && asked.path.ends_with("pipeline=geo"), "{}", asked.path);
    assert_eq!(asked.header("content-type"), "application/x-ndjson");
    assert!(asked.header("authorization").starts_with("ApiKey "));
    let documents = documents(asked);
    assert_eq!(documents.iter().map(|(id, ..)| id.clone()).collect::<Vec<_>>(), [0, 1, 2].map(uid));
    assert_eq!(documents[0].1, "alerts-2026.11.24");
    assert_eq!(documents[0].2["ecs"]["version"], "9.0.0");
    assert_eq!(documents[0].2["@timestamp"], "2026-11-24T05:40:34.123456789Z");
}

#[tokio::test]
async fn other_formats_get_a_timestamp() {
    let server = Server::start(|_: &Asked| {
        Reply::Status(200, json!({"errors": false, "items": [{"create": {"status": 201}}]}).to_string())
    })
    .await;
    for format in ["vedette", "ocsf", "falco"] {
        let text =
            format!("format: {format}\nelasticsearch: {{url: 'http://{}', index: a}}\n", server.address);
        let rig = Rig::start(&text).await;
        rig.append(0..1).await;
        rig.settled(1).await;
        let (_, _, document) = documents(server.asked().last().unwrap()).remove(0);
        assert_eq!(document["@timestamp"], "2026-11-24T05:40:34.123456789Z", "{format}");
    }
}

#[tokio::test]
async fn each_document_has_its_own_fate() {
    let mut round: BTreeMap<String, u32> = BTreeMap::new();
    let server = Server::start(move |asked: &Asked| {
        let items: Vec<Value> = documents(asked)
            .into_iter()
            .map(|(id, ..)| {
                let round = round.entry(id.clone()).or_default();
                *round += 1;
                let fault = |status: u16, kind: &str| json!({"create": {"status": status, "error": {"type": kind, "reason": "so"}}});
                match (id, *round) {
                    (id, _) if id == uid(1) => fault(409, "version_conflict_engine_exception"),
                    (id, 1) if id == uid(2) => fault(429, "es_rejected_execution_exception"),
                    (id, _) if id == uid(3) => fault(400, "document_parsing_exception"),
                    (id, 1 | 2) if id == uid(4) => fault(503, "unavailable_shards_exception"),
                    _ => json!({"create": {"status": 201}}),
                }
            })
            .collect();
        Reply::Status(200, json!({"errors": true, "items": items}).to_string())
    })
    .await;
    let rig = Rig::start(&format!("elasticsearch: {{url: 'http://{}', index: a}}\n", server.address)).await;
    rig.append(0..5).await;
    let status = rig.settled(5).await;
    assert_eq!((status.delivered, status.refused), (4, 1));
    assert_eq!(rig.letters()[0]["uid"], uid(3).as_str());
    assert!(rig.letters()[0]["reason"].as_str().unwrap().contains("document_parsing_exception: so"));
    let sent: Vec<Vec<String>> = server
        .asked()
        .iter()
        .map(|asked| documents(asked).into_iter().map(|(id, ..)| id).collect())
        .collect();
    assert_eq!(sent, [vec![uid(0), uid(1), uid(2), uid(3), uid(4)], vec![uid(2), uid(4)], vec![uid(4)]]);
}

#[tokio::test]
async fn too_large_a_batch_is_halved_and_nonsense_is_not_believed() {
    let mut first = true;
    let server = Server::start(move |asked: &Asked| {
        let count = documents(asked).len();
        if count > 3 {
            return Reply::Status(413, String::new());
        }
        if std::mem::take(&mut first) {
            return Reply::Status(200, json!({"items": []}).to_string());
        }
        let items = vec![json!({"create": {"status": 201}}); count];
        Reply::Status(200, json!({"errors": false, "items": items}).to_string())
    })
    .await;
    let rig = Rig::start(&format!("elasticsearch: {{url: 'http://{}', index: a}}\n", server.address)).await;
    rig.append(0..10).await;
    let status = rig.settled(10).await;
    assert_eq!((status.delivered, status.refused), (10, 0));
    assert!(status.last_error.unwrap().1.contains("about 0 of"));
}

#[tokio::test]
async fn a_cluster_that_is_away_is_waited_for() {
    let created =
        Reply::Status(200, json!({"errors": false, "items": [{"create": {"status": 201}}]}).to_string());
    let away = Reply::Status(503, "{\"error\":\"no master\"}".to_owned());
    let server =
        Server::start(script([Reply::Reset, away, Reply::With(429, "retry-after", "1"), created])).await;
    let rig = Rig::start(&format!("elasticsearch: {{url: 'http://{}', index: a}}\n", server.address)).await;
    rig.append(0..1).await;
    rig.settled(1).await;
    assert_eq!(server.asked().len(), 4);
}
