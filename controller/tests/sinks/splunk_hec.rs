//! Splunk's HTTP Event Collector, as its documentation says that it answers.

use serde_json::json;

use crate::{
    http_server::{Asked, Reply, Server, script},
    rig::{Rig, uid},
};

fn settings(server: &Server, more: &str) -> (tempfile::NamedTempFile, String) {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "11111111-2222").unwrap();
    let path = token.path().display();
    let text = format!("splunkHec:\n  url: http://{}/\n  token: {{file: {path}}}\n{more}", server.address);
    (token, text)
}

fn success(id: Option<u64>) -> Reply {
    let mut body = json!({"text": "Success", "code": 0});
    if let Some(id) = id {
        body["ackId"] = id.into();
    }
    Reply::Status(200, body.to_string())
}

#[tokio::test]
async fn events_have_time_host_and_type() {
    let server = Server::start(|_: &Asked| success(None)).await;
    let (_token, text) = settings(&server, "  index: security\n  compression: gzip\n");
    let rig = Rig::start(&format!("format: ocsf\n{text}")).await;
    rig.append(0..3).await;
    rig.settled(3).await;
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/services/collector/event");
    assert_eq!(asked.header("authorization"), "Splunk 11111111-2222");
    let events = asked.lines();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["time"], "1795498834.123");
    assert_eq!(events[0]["host"], "n7.example.org");
    assert_eq!(
        (&events[0]["index"], &events[0]["sourcetype"]),
        (&json!("security"), &json!("ocsf:detection_finding"))
    );
    assert_eq!(events[1]["event"]["class_uid"], 2004);
    assert_eq!(events[2]["fields"]["vedette_uid"], uid(2).as_str());
}

#[tokio::test]
async fn a_batch_counts_when_the_indexer_has_it() {
    let mut polls = 0;
    let server = Server::start(move |asked: &Asked| {
        if asked.path.starts_with("/services/collector/ack") {
            polls += 1;
            assert_eq!(asked.json(), json!({"acks": [7]}));
            return Reply::Status(200, json!({"acks": {"7": polls >= 3}}).to_string());
        }
        success(Some(7))
    })
    .await;
    let (_token, text) = settings(&server, "  ack: {poll: 20ms}\n");
    let rig = Rig::start(&text).await;
    rig.append(0..5).await;
    rig.settled(5).await;
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    let channel = asked[0].header("x-splunk-request-channel");
    assert_eq!(channel.len(), 36);
    assert_eq!(asked[1].path, format!("/services/collector/ack?channel={channel}"));
}

#[tokio::test]
async fn what_the_indexer_does_not_acknowledge_is_sent_again() {
    let mut sent = 0;
    let server = Server::start(move |asked: &Asked| {
        if asked.path.starts_with("/services/collector/ack") {
            // The first batch is lost between the collector and the indexer.
            return Reply::Status(200, json!({"acks": {"1": false, "2": true}}).to_string());
        }
        sent += 1;
        success(Some(sent))
    })
    .await;
    let (_token, text) = settings(&server, "  ack: {poll: 20ms, timeout: 200ms}\n");
    let rig = Rig::start(&text).await;
    rig.append(0..2).await;
    let status = rig.settled(2).await;
    assert!(status.last_error.unwrap().1.contains("did not acknowledge"));
    let batches: Vec<_> = server.asked().into_iter().filter(|asked| asked.path.ends_with("/event")).collect();
    assert_eq!(batches.len(), 2);
    assert_eq!(batches[0].body, batches[1].body);
    assert_ne!(batches[0].header("x-splunk-request-channel"), batches[1].header("x-splunk-request-channel"));
}

#[tokio::test]
async fn a_token_without_acknowledgements_is_told() {
    let server = Server::start(|_: &Asked| success(None)).await;
    let (_token, text) = settings(&server, "  ack: {}\n");
    let rig = Rig::start(&text).await;
    rig.append(0..1).await;
    assert!(rig.trouble().await.contains("useACK"));
}

#[tokio::test]
async fn only_the_invalid_event_is_parked() {
    let server = Server::start(|asked: &Asked| {
        match asked.lines().iter().position(|event| event["fields"]["vedette_uid"] == uid(2).as_str()) {
            Some(number) => {
                let body = json!({"text": "Invalid data format", "code": 6, "invalid-event-number": number});
                Reply::Status(400, body.to_string())
            }
            None => success(None),
        }
    })
    .await;
    let (_token, text) = settings(&server, "");
    let rig = Rig::start(&text).await;
    rig.append(0..5).await;
    let status = rig.settled(5).await;
    assert_eq!((status.delivered, status.refused), (4, 1));
    assert_eq!(rig.letters()[0]["uid"], uid(2).as_str());
}

#[tokio::test]
async fn our_own_faults_park_nothing() {
    let refuse =
        |status, text: &str, code| Reply::Status(status, json!({"text": text, "code": code}).to_string());
    let server = Server::start(script([
        refuse(403, "Invalid token", 4),
        refuse(400, "Incorrect index", 7),
        refuse(400, "Data channel is missing", 10),
        refuse(503, "Server is busy", 9),
        Reply::Reset,
        success(None),
    ]))
    .await;
    let (_token, text) = settings(&server, "");
    let rig = Rig::start(&text).await;
    rig.append(0..2).await;
    let status = rig.settled(2).await;
    assert_eq!((status.delivered, status.refused, server.asked().len()), (2, 0, 6));
    assert_eq!(rig.letters().len(), 0);
}
