//! The far sides, each a small module that knows a protocol.

mod alertmanager;
mod elasticsearch;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
pub(crate) mod nats;
mod otlp;
mod splunk_hec;
mod stdout;
mod syslog;
mod tls;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Builder, Sink,
    config::{FarSide, SinkSpec},
    secrets::Secrets,
};

/// Most characters of what a far side says that are told.
const EXCERPT: usize = 200;

/// What a far side says, as a part of a line.
fn excerpt(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(&said[..said.len().min(4 * EXCERPT)]);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line: String = words.join(" ");
    match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

pub(crate) use http::chain;

/// Makes the sink of a spec.
pub struct LocalBuilder {
    spec: Arc<SinkSpec>,
    secrets: Arc<dyn Secrets>,
}

impl LocalBuilder {
    /// For this spec, with secrets from there.
    pub fn new(spec: Arc<SinkSpec>, secrets: Arc<dyn Secrets>) -> Self {
        Self { spec, secrets }
    }
}

#[async_trait]
impl Builder for LocalBuilder {
    async fn build(&self) -> Result<Box<dyn Sink>, String> {
        let side = self
            .spec
            .far_side()
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let (format, secrets) = (self.spec.format(), &*self.secrets);
        Ok(match side {
            FarSide::Stdout(_) => Box::new(stdout::StdoutSink),
            FarSide::File(file) => Box::new(file::FileSink::new(file)),
            FarSide::Syslog(syslog) => Box::new(syslog::SyslogSink::new(syslog, secrets).await?),
            FarSide::Webhook(webhook) => Box::new(webhook::WebhookSink::new(webhook, secrets).await?),
            FarSide::SplunkHec(hec) => Box::new(splunk_hec::SplunkHecSink::new(hec, format, secrets).await?),
            FarSide::Elasticsearch(es) => {
                Box::new(elasticsearch::ElasticsearchSink::new(es, format, secrets).await?)
            }
            FarSide::Otlp(otlp) => Box::new(otlp::OtlpSink::new(otlp, secrets).await?),
            #[cfg(feature = "kafka")]
            FarSide::Kafka(kafka) => {
                Box::new(kafka::KafkaSink::new(kafka, self.spec.timeout.0.0, secrets).await?)
            }
            #[cfg(not(feature = "kafka"))]
            FarSide::Kafka(_) => {
                return Err("this controller was built without Kafka, as the images are: build one with \
                            `cargo build -p vedette-controller --features kafka`, or `kafka-tls` for TLS and SCRAM"
                    .to_owned());
            }
            FarSide::Nats(nats) => Box::new(nats::NatsSink::new(nats, secrets).await?),
            FarSide::Alertmanager(side) => {
                Box::new(alertmanager::AlertmanagerSink::new(side, secrets).await?)
            }
        })
    }
}
