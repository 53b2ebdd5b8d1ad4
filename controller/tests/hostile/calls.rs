//! Calls that are not as they should be.

use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use vedette_proto::v1::{
    self, alert_service_client::AlertServiceClient, policy_service_client::PolicyServiceClient, watch_request,
};

use crate::scene::{Alice, Controller, EVE, OPERATOR, PATIENCE, alert, batch, hello, push, with};

/// How a stream ends that begins so, and goes on so.
async fn end(
    channel: &tonic::transport::Channel,
    token: &str,
    first: v1::PushRequest,
    then: Vec<v1::PushRequest>,
) -> Code {
    let ended = async {
        let (out, mut answers) = push(channel, token, first).await?;
        for message in then {
            // It may have ended already.
            let _ = out.send(message).await;
        }
        while answers.message().await?.is_some() {}
        Err::<(), _>(Status::ok("it ended well"))
    };
    timeout(PATIENCE, ended).await.expect("the stream does not end").unwrap_err().code()
}

#[tokio::test]
async fn each_gets_its_error_and_nobody_else_does() {
    let controller = Controller::start(false);
    let channel = controller.channel().await;
    let mut alice = Alice::connect(&controller, &controller.channel().await).await;
    let small = |sequence| alert("eve", sequence, 10);
    let eve = || hello("eve");

    assert_eq!(end(&channel, "token-that-is-wrong0", eve(), vec![]).await, Code::Unauthenticated);
    assert_eq!(end(&channel, OPERATOR, eve(), vec![]).await, Code::PermissionDenied);
    assert_eq!(end(&channel, EVE, hello("alice"), vec![]).await, Code::PermissionDenied);
    assert_eq!(end(&channel, EVE, hello("../alice"), vec![]).await, Code::InvalidArgument);
    assert_eq!(end(&channel, EVE, batch(vec![small(1)]), vec![]).await, Code::InvalidArgument, "no hello");
    assert_eq!(end(&channel, EVE, v1::PushRequest::default(), vec![]).await, Code::InvalidArgument);
    assert_eq!(end(&channel, EVE, eve(), vec![eve()]).await, Code::InvalidArgument, "hello twice");
    let many = batch((1..=5000).map(small).collect());
    assert_eq!(end(&channel, EVE, eve(), vec![many]).await, Code::InvalidArgument);
    let large = batch((1..=20).map(|number| alert("eve", number, 300_000)).collect());
    assert_eq!(end(&channel, EVE, eve(), vec![large]).await, Code::OutOfRange);
    let backwards = batch(vec![small(10), small(9)]);
    assert_eq!(end(&channel, EVE, eve(), vec![backwards]).await, Code::InvalidArgument);
    alice.is_served().await;

    let mut policies = PolicyServiceClient::new(channel.clone());
    let watch = |node: &str| {
        let hello = v1::WatchHello { node: node.into(), ..Default::default() };
        let hello = v1::WatchRequest { message: Some(watch_request::Message::Hello(hello)) };
        with(EVE, tokio_stream::once(hello))
    };
    assert_eq!(policies.watch(watch("alice")).await.unwrap_err().code(), Code::PermissionDenied);

    // What is no alert, or another node's, becomes a note; the stream goes on.
    let (out, mut answers) = push(&channel, EVE, eve()).await.unwrap();
    answers.message().await.unwrap().unwrap();
    let claimed = r#"{"uid":"eve-2","hostname":"alice","rule":"r","priority":"Warning"}"#;
    let bad = vec![
        v1::Alert { json: vec![0xff; 100].into(), ..small(1) },
        v1::Alert { json: claimed.into(), ..small(2) },
        v1::Alert { json: vec![b'['; 100_000].into(), ..small(3) },
        v1::Alert { uid: "alice-1".into(), json: r#"{"uid":"alice-1"}"#.into(), ..small(4) },
    ];
    out.send(batch(bad)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().acknowledged, 4);
    let query = v1::QueryRequest { page_size: 1000, ..Default::default() };
    let page = AlertServiceClient::new(channel).query(with(OPERATOR, query)).await.unwrap().into_inner();
    let alerts: Vec<serde_json::Value> = page
        .alerts
        .iter()
        .map(|a| serde_json::from_slice(&a.alert.as_ref().unwrap().json).unwrap())
        .collect();
    let notes = alerts.iter().filter(|a| a["rule"] == "Alerts given up by an agent");
    assert_eq!(notes.filter(|note| note["hostname"] == "eve").count(), 3);
    assert!(!alerts.iter().any(|a| a["uid"] == "eve-2"));
    assert_eq!(alerts.iter().filter(|a| a["uid"] == "alice-1").count(), 2, "hers, and what eve calls so");
    alice.was_undisturbed(&controller).await;
}

#[tokio::test]
async fn who_never_reads_is_not_written_to_without_end() {
    let controller = Controller::start(false);
    let alice = Alice::connect(&controller, &controller.channel().await).await;

    // Batches without end, and no acknowledgement is ever read.
    let (out, _answers) = push(&controller.channel().await, EVE, hello("eve")).await.unwrap();
    let mut sequence = 0;
    let flood = async {
        loop {
            let alerts = (0..64).map(|number| alert("eve", sequence + number + 1, 4000)).collect();
            sequence += 64;
            if out.send(batch(alerts)).await.is_err() {
                break;
            }
        }
    };
    // Sooner or later the controller takes no more, or all of it is in the log; for so long nobody else suffers.
    let _ = timeout(std::time::Duration::from_secs(4), flood).await;

    // Readers of all alerts that never read; there are only so many of them.
    let mut readers = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..5 {
        let mut client = AlertServiceClient::new(controller.channel().await);
        for _ in 0..20 {
            let request = v1::TailRequest { backlog: 1000, ..Default::default() };
            match client.tail(with(OPERATOR, request)).await {
                Ok(reader) => readers.push(reader),
                Err(status) => refused.push(status.code()),
            }
        }
    }
    assert_eq!(readers.len(), 64);
    assert!(
        refused.len() == 36 && refused.iter().all(|code| *code == Code::ResourceExhausted),
        "{refused:?}"
    );
    alice.was_undisturbed(&controller).await;
}

#[tokio::test]
async fn a_flood_of_streams_waits_in_its_own_connection() {
    let controller = Controller::start(false);
    let mut alice = Alice::connect(&controller, &controller.channel().await).await;
    let channel = controller.channel().await;
    // None of them says hello. More than there may be at once wait with the client, and all end.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let mut client = AlertServiceClient::new(channel.clone());
        calls.spawn(async move {
            let (silent, requests) = mpsc::channel::<v1::PushRequest>(1);
            let code = client.push(with(EVE, ReceiverStream::new(requests))).await.unwrap_err().code();
            drop(silent);
            code
        });
    }
    alice.is_served().await;
    let all = timeout(PATIENCE, calls.join_all()).await.expect("streams without a hello stay");
    // By the deadline for a hello; or at once, if the client sent it before it knew how many there may be.
    assert!(all.iter().all(|code| matches!(code, Code::DeadlineExceeded | Code::Unavailable)), "{all:?}");
    alice.was_undisturbed(&controller).await;
}
