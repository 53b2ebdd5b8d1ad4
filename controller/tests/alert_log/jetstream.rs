//! The log in JetStream, in a real NATS server.

use std::{sync::Arc, time::Duration};

use vedette_controller::alert_log::{AlertLog, JetStreamLog, jetstream::Options};

use crate::{
    conformance,
    far_side::nats,
    support::{entries, large, numbers, soon},
};

async fn open(url: &str, options: Options) -> JetStreamLog {
    let client = soon(async_nats::connect(url)).await.unwrap();
    JetStreamLog::open(client, options).await.unwrap()
}

fn options() -> Options {
    Options { limit: 400_000, ..Options::default() }
}

#[tokio::test]
async fn the_log_in_jetstream() {
    let Some((_server, url)) = nats() else { return };
    conformance::check(Arc::new(open(&url, options()).await), 400_000).await;
}

#[tokio::test]
async fn two_controllers_have_one_log() {
    let Some((_server, url)) = nats() else { return };
    let (one, two) = (open(&url, options()).await, open(&url, options()).await);
    one.append(entries(0..3)).await.unwrap();
    // What the other appends is noticed.
    let waiting = two.wait(3);
    let append = async { one.append(entries(2..5)).await.unwrap() };
    let ((), appended) = soon(async { tokio::join!(waiting, append) }).await;
    assert_eq!((appended.written, appended.repeated), (2, 1));
    assert_eq!(numbers(&two, 0).await, [0, 1, 2, 3, 4]);
    one.advance("a", 4).await.unwrap();
    assert_eq!(two.cursor("a").await.unwrap(), Some(4));
    two.forget("a").await.unwrap();
    assert_eq!(one.sinks().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_every_sink_has_goes_when_there_is_enough_for_queries() {
    let Some((_server, url)) = nats() else { return };
    let log = open(&url, Options { keep_bytes: 20_000, ..options() }).await;
    log.advance("slow", 0).await.unwrap();
    for number in 0..100 {
        log.append(vec![large(number, 1000)]).await.unwrap();
    }
    log.advance("quick", 100).await.unwrap();
    assert_eq!(log.range().await.unwrap(), (1, 100));
    log.advance("slow", 50).await.unwrap();
    assert_eq!(log.range().await.unwrap(), (51, 100));
    log.advance("slow", 100).await.unwrap();
    let usage = log.usage().await.unwrap();
    assert!(usage.bytes <= 20_000 && usage.first > 80 && usage.last == 100, "{usage:?}");
}

#[tokio::test]
async fn hostile_names_break_nothing() {
    let Some((_server, url)) = nats() else { return };
    let log = open(&url, Options { remembered: Duration::from_mins(1), ..options() }).await;
    let mut odd = entries(0..3);
    odd[0].uid = "x\r\nNats-Rollup: all".to_owned();
    odd[1].node = "a.*.>\r\n b".into();
    odd[2].uid = String::new();
    log.append(odd.clone()).await.unwrap();
    let read = log.read(0, 10).await.unwrap();
    assert_eq!(read.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), odd);
    assert_eq!(log.append(odd).await.unwrap().repeated, 3);
}

#[tokio::test]
async fn what_is_no_alert_is_not_waited_for_again_and_again() {
    let Some((_server, url)) = nats() else { return };
    let log = open(&url, options()).await;
    let jetstream = async_nats::jetstream::new(soon(async_nats::connect(&url)).await.unwrap());
    let sent = jetstream.publish("vedette.alerts.x", "no alert".into()).await.unwrap();
    soon(async { sent.await.unwrap() }).await;
    assert!(log.read(0, 10).await.unwrap().is_empty());
    tokio::time::timeout(Duration::from_millis(300), log.wait(0)).await.unwrap_err();
    log.append(entries(0..1)).await.unwrap();
    soon(log.wait(0)).await;
    assert_eq!(numbers(&log, 0).await, [0]);
}
