//! Splunk's HTTP Event Collector
//! (<https://docs.splunk.com/Documentation/Splunk/latest/Data/HECRESTendpoints>), with the indexer's acknowledgement
//! where it is asked for.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::http::{Answer, Http, Options, is_stale, join};
use crate::sink::{
    Item, Outcome, Report, Sink,
    config::{self, Format},
    secrets::{SecretText, Secrets},
};

const JSON: &str = "application/json";
const CHANNEL: &str = "X-Splunk-Request-Channel";

pub(super) struct SplunkHecSink {
    http: Http,
    events: String,
    acks: String,
    index: Option<String>,
    source: String,
    sourcetype: String,
    channel: String,
    ack: Option<Ack>,
}

struct Ack {
    poll: Duration,
    timeout: Duration,
}

#[derive(Serialize)]
struct Event<'a> {
    /// Seconds since the Unix epoch, with milliseconds.
    time: String,
    host: &'a str,
    source: &'a str,
    sourcetype: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    event: Payload<'a>,
    fields: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

/// Indexed fields: what an alert that came twice is told by.
#[derive(Serialize)]
struct Fields<'a> {
    vedette_uid: &'a str,
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    code: Option<i64>,
    #[serde(default, rename = "ackId")]
    ack_id: Option<u64>,
    #[serde(default, rename = "invalid-event-number")]
    invalid: Option<usize>,
}

#[derive(Deserialize)]
struct Acks {
    acks: BTreeMap<String, bool>,
}

impl SplunkHecSink {
    pub(super) async fn new(
        config: &config::SplunkHecSink,
        format: Format,
        secrets: &dyn Secrets,
    ) -> Result<Self, String> {
        let token = secrets.read(&config.token).await.map_err(|error| format!("token: {error}"))?;
        let options = Options {
            tls: config.tls.as_ref(),
            compression: config.compression,
            authorization: Some(SecretText::new(format!("Splunk {}", token.expose()))),
            ..Options::default()
        };
        let usual = match format {
            Format::Vedette => "vedette:alert",
            Format::Falco => "falco:alert",
            Format::Ocsf => "ocsf:detection_finding",
            Format::Ecs => "ecs:alert",
            Format::Text => "vedette:text",
        };
        Ok(Self {
            http: Http::new(options, secrets).await?,
            events: join(&config.url, "services/collector/event"),
            acks: join(&config.url, "services/collector/ack"),
            index: config.index.clone(),
            source: config.source.clone().unwrap_or_else(|| "vedette".to_owned()),
            sourcetype: config.sourcetype.clone().unwrap_or_else(|| usual.to_owned()),
            // A channel is a client's own: acknowledgements are numbered in it.
            channel: channel(),
            ack: config.ack.as_ref().map(|ack| Ack {
                poll: ack.poll.map_or(Duration::from_secs(1), |poll| poll.0),
                timeout: ack.timeout.map_or(Duration::from_mins(2), |timeout| timeout.0),
            }),
        })
    }

    fn body(&self, batch: &[Item]) -> Result<Vec<u8>, serde_json::Error> {
        let mut body = Vec::with_capacity(batch.iter().map(|item| item.body.len() + 300).sum());
        for item in batch {
            let text = String::from_utf8_lossy(&item.body);
            let event = match serde_json::from_str::<&RawValue>(&text) {
                Ok(json) => Payload::Json(json),
                Err(_) => Payload::Text(&text),
            };
            let millis = item.entry.time.as_millisecond();
            let event = Event {
                time: format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000)),
                host: item.hostname(),
                source: &self.source,
                sourcetype: &self.sourcetype,
                index: self.index.as_deref(),
                event,
                fields: Fields { vedette_uid: &item.entry.uid },
            };
            serde_json::to_writer(&mut body, &event)?;
            body.push(b'\n');
        }
        Ok(body)
    }

    /// What became of a batch, without regard to the indexer.
    fn report(&self, answer: &Answer, count: usize) -> Report {
        let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason = || self.http.reason(answer);
        let mut report = match (said.code, said.invalid) {
            _ if answer.status.is_success() => Report::delivered(count),
            // No such index, no or a wrong channel, acknowledgements that are off: our settings are at fault.
            (Some(7 | 10 | 11 | 14), _) => Report::retry(count, reason()),
            // This one is at fault. Those before it may have been taken; they bear their uid.
            (Some(_), Some(number)) if answer.status == 400 && number < count => {
                let mut outcomes =
                    vec![Outcome::Retry("another alert of the batch was refused".to_owned()); count];
                outcomes[number] = Outcome::Refused(reason());
                Report { outcomes, retry_after: None, stale: false }
            }
            _ => self.http.report(answer, count),
        };
        report.retry_after = answer.retry_after;
        report.stale = is_stale(answer.status);
        report
    }

    /// Waits until the indexer has what the id stands for. Nothing: it has.
    async fn acknowledged(&self, ack: &Ack, id: u64) -> Option<String> {
        let end = Instant::now() + ack.timeout;
        let url = format!("{}?channel={}", self.acks, self.channel);
        let mut last = None;
        while Instant::now() < end {
            sleep(ack.poll).await;
            let body = format!("{{\"acks\":[{id}]}}").into_bytes();
            match self.http.post_with(&url, JSON, body, &[(CHANNEL, &self.channel)]).await {
                Ok(answer) if answer.status.is_success() => {
                    match serde_json::from_slice::<Acks>(&answer.body) {
                        Ok(acks) if acks.acks.get(&id.to_string()) == Some(&true) => return None,
                        Ok(_) => last = None,
                        Err(error) => last = Some(format!("the answer cannot be read: {error}")),
                    }
                }
                Ok(answer) => last = Some(self.http.reason(&answer)),
                Err(reason) => last = Some(reason),
            }
        }
        let why = last.map_or_else(String::new, |reason| format!(" ({reason})"));
        Some(format!("the indexer did not acknowledge within {}s{why}", ack.timeout.as_secs()))
    }
}

fn channel() -> String {
    Uuid::from_u128(fastrand::u128(..)).to_string()
}

#[async_trait]
impl Sink for SplunkHecSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let count = batch.len();
        let body = match self.body(batch) {
            Ok(body) => body,
            Err(error) => return Report::all(count, Outcome::RefusedTogether(error.to_string())),
        };
        let headers = [(CHANNEL, self.channel.as_str())];
        let answer = match self.http.post_with(&self.events, JSON, body, &headers).await {
            Ok(answer) => answer,
            Err(reason) => return Report::retry(count, reason),
        };
        let report = self.report(&answer, count);
        let Some(ack) = self.ack.as_ref().filter(|_| answer.status.is_success()) else { return report };
        let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(id) = said.ack_id else {
            let reason = "the token gives no acknowledgements: switch them on (useACK), or leave `ack` out";
            return Report::retry(count, reason);
        };
        match self.acknowledged(ack, id).await {
            None => report,
            Some(reason) => {
                // What comes late must not be taken for what is sent next.
                self.channel = channel();
                Report::retry(count, reason)
            }
        }
    }

    fn patience(&self) -> Duration {
        self.ack.as_ref().map_or(Duration::ZERO, |ack| ack.timeout + ack.poll)
    }
}
