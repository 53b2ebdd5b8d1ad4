//! A real NATS server.

use async_nats::jetstream::{self, stream};

use crate::{
    far_side::nats,
    rig::{Rig, uid},
};

#[tokio::test]
async fn alerts_are_in_the_stream_once() {
    let Some((_server, url)) = nats() else { return };
    let settings = format!("start: oldest\nnats:\n  urls: [{url}]\n  subject: siem.{{node}}.alerts\n");
    let rig = Rig::start(&settings).await;
    rig.append(0..2).await;
    // Nobody takes the subject yet.
    let trouble = rig.trouble().await;
    assert!(trouble.contains("no stream takes the subject"), "{trouble}");
    let client = async_nats::connect(&url).await.unwrap();
    let config = stream::Config {
        name: "siem".to_owned(),
        subjects: vec!["siem.>".to_owned()],
        ..stream::Config::default()
    };
    let mut stream = jetstream::new(client).create_stream(config).await.unwrap();
    rig.append(2..5).await;
    rig.settled(5).await;
    assert_eq!(stream.info().await.unwrap().state.messages, 5);
    for number in 0..5 {
        let message = stream.get_raw_message(number + 1).await.unwrap();
        assert_eq!(message.subject.as_str(), "siem.n7.alerts");
        assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), uid(number));
        let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(json["uid"], uid(number).as_str());
    }
    // Another run sends everything again: the server knows it.
    let again = Rig::start(&settings).await;
    again.append(0..5).await;
    again.settled(5).await;
    assert_eq!(stream.info().await.unwrap().state.messages, 5);
}

#[tokio::test]
async fn a_server_that_dies_is_waited_for() {
    let Some((server, url)) = nats() else { return };
    let client = async_nats::connect(&url).await.unwrap();
    let config = stream::Config {
        name: "siem".to_owned(),
        subjects: vec!["siem".to_owned()],
        ..stream::Config::default()
    };
    jetstream::new(client).create_stream(config).await.unwrap();
    let rig = Rig::start(&format!("timeout: 1s\nnats: {{urls: ['{url}'], subject: siem}}\n")).await;
    rig.append(0..1).await;
    rig.settled(1).await;
    drop(server);
    rig.append(1..2).await;
    assert!(!rig.trouble().await.is_empty());
    let status = rig.status().await;
    assert_eq!((status.delivered, status.lag), (1, 1));
}
