//! Kafka, by an idempotent producer: what it sends again is there once, and in order.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer},
    util::Timeout,
};

use crate::sink::{
    Item, Outcome, Report, Sink,
    config::{self, KeyOf, Sasl},
    secrets::Secrets,
};

/// How long what is on its way may take at the end.
const FLUSH: Duration = Duration::from_secs(3);

pub(super) struct KafkaSink {
    producer: FutureProducer,
    topic: String,
    key: KeyOf,
}

impl KafkaSink {
    pub(super) async fn new(
        config: &config::KafkaSink,
        timeout: Duration,
        secrets: &dyn Secrets,
    ) -> Result<Self, String> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", config.brokers.join(","))
            .set("client.id", "vedette-controller")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5")
            // The driver tries again; what the producer holds must be settled before the driver gives the attempt up.
            .set("message.timeout.ms", (timeout.as_millis() * 9 / 10).max(100).to_string())
            .set("message.max.bytes", "16777216");
        let read =
            async |secret, name: &str| secrets.read(secret).await.map_err(|error| format!("{name}: {error}"));
        let protocol = match (config.tls.is_some(), config.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if let Some(tls) = &config.tls {
            let parts = [
                ("ssl.ca.pem", &tls.ca),
                ("ssl.certificate.pem", &tls.certificate),
                ("ssl.key.pem", &tls.key),
            ];
            for (name, secret) in parts {
                if let Some(secret) = secret {
                    client.set(name, read(secret, "tls").await?.expose());
                }
            }
        }
        if let Some(sasl) = &config.sasl {
            let mechanism = match sasl.mechanism {
                Sasl::Plain => "PLAIN",
                Sasl::ScramSha256 => "SCRAM-SHA-256",
                Sasl::ScramSha512 => "SCRAM-SHA-512",
            };
            client
                .set("sasl.mechanisms", mechanism)
                .set("sasl.username", &sasl.username)
                .set("sasl.password", read(&sasl.password, "sasl.password").await?.expose());
        }
        let producer = client.create().map_err(|error| match &error {
            // It names the setting, not its value.
            KafkaError::ClientConfig(_, why, name, _) => format!("{name}: {why}"),
            other => other.to_string(),
        })?;
        Ok(Self { producer, topic: config.topic.clone(), key: config.key })
    }
}

fn outcome(error: &KafkaError) -> Outcome {
    match error.rdkafka_error_code() {
        // The broker measures what the producer has put together, which may be many that are small.
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            Outcome::RefusedTogether(error.to_string())
        }
        Some(RDKafkaErrorCode::InvalidRecord) => Outcome::Refused(error.to_string()),
        _ => Outcome::Retry(error.to_string()),
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let mut sent = Vec::with_capacity(batch.len());
        let mut fatal = false;
        for item in batch {
            let key = match self.key {
                KeyOf::Node => item.entry.node.as_bytes(),
                KeyOf::Uid => item.entry.uid.as_bytes(),
            };
            let headers = OwnedHeaders::new()
                .insert(Header { key: "uid", value: Some(item.entry.uid.as_str()) })
                .insert(Header { key: "node", value: Some(&*item.entry.node) });
            let record = FutureRecord::to(&self.topic)
                .key(key)
                .payload(&item.body[..])
                .timestamp(item.entry.time.as_millisecond())
                .headers(headers);
            match self.producer.send_result(record) {
                Ok(delivery) => sent.push(Ok(delivery)),
                Err((error, _)) => {
                    let outcome = outcome(&error);
                    let stop = matches!(outcome, Outcome::Retry(_));
                    sent.push(Err(outcome));
                    if stop {
                        break;
                    }
                }
            }
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        for delivery in sent {
            outcomes.push(match delivery {
                Err(outcome) => outcome,
                Ok(delivery) => match delivery.await {
                    Ok(Ok(_)) => Outcome::Delivered,
                    Ok(Err((error, _))) => {
                        fatal |= error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal);
                        outcome(&error)
                    }
                    Err(_) => Outcome::Retry("the producer has ended".to_owned()),
                },
            });
        }
        outcomes.resize(batch.len(), Outcome::Retry("those before it were not sent".to_owned()));
        // A producer that lost its place is of no use any more.
        Report { outcomes, retry_after: None, stale: fatal || self.producer.client().fatal_error().is_some() }
    }

    async fn close(&mut self) {
        let producer = self.producer.clone();
        // What it waits for is settled already, or will be sent again.
        let _ = tokio::task::spawn_blocking(move || producer.flush(Timeout::After(FLUSH))).await;
    }
}
