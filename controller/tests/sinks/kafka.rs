//! Kafka: librdkafka's mock cluster.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    mocking::MockCluster,
};

use crate::rig::{Rig, uid};

fn settings(cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>, more: &str) -> String {
    let brokers = cluster.bootstrap_servers().replace(',', "', '");
    format!("kafka:\n  brokers: ['{brokers}']\n  topic: alerts\n{more}")
}

/// Everything that is in the topic: key and uid of each.
fn consume(brokers: &str, count: usize) -> Vec<(String, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["alerts"]).unwrap();
    let mut all = Vec::new();
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while all.len() < count {
        assert!(std::time::Instant::now() < end, "{} of {count}", all.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let json: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let header = message.headers().unwrap().get(0);
        assert_eq!((header.key, header.value), ("uid", json["uid"].as_str().map(str::as_bytes)));
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        all.push((key, json["uid"].as_str().unwrap().to_owned()));
    }
    all
}

#[tokio::test]
async fn alerts_arrive_in_order_by_node() {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("alerts", 4, 3).unwrap();
    let rig = Rig::start(&settings(&cluster, "")).await;
    rig.append(0..100).await;
    rig.settled(100).await;
    let brokers = cluster.bootstrap_servers();
    let all = tokio::task::spawn_blocking(move || consume(&brokers, 100)).await.unwrap();
    let expected: Vec<_> = (0..100).map(|number| ("n7".to_owned(), uid(number))).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn a_broker_that_fails_costs_nothing() {
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr::*};
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        ],
    );
    let rig = Rig::start(&settings(&cluster, "  key: uid\n")).await;
    rig.append(0..20).await;
    rig.settled(20).await;
    let brokers = cluster.bootstrap_servers();
    let all = tokio::task::spawn_blocking(move || consume(&brokers, 20)).await.unwrap();
    assert_eq!(all, (0..20).map(|number| (uid(number), uid(number))).collect::<Vec<_>>());
}

#[tokio::test]
async fn too_large_an_alert_is_parked() {
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let rig = Rig::start(&settings(&cluster, "")).await;
    rig.append(0..1).await;
    let status = rig.settled(1).await;
    assert_eq!((status.delivered, status.refused), (0, 1));
    assert_eq!(rig.letters()[0]["uid"], uid(0).as_str());
}

#[tokio::test]
async fn of_alerts_that_are_too_large_together_none_is_parked() {
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let rig = Rig::start(&settings(&cluster, "")).await;
    rig.append(0..4).await;
    let status = rig.settled(4).await;
    assert_eq!((status.delivered, status.refused), (4, 0));
    assert!(rig.letters().is_empty());
}
