//! Elasticsearch and OpenSearch, by `_bulk`. An alert's uid is its `_id` and it is only ever created, so one that is
//! sent again is there once.

use std::borrow::Cow;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::http::{Http, Options, Verdict, join, verdict};
use crate::sink::{
    Item, Outcome, Report, Sink,
    config::{self, Format},
    secrets::Secrets,
};

const NDJSON: &str = "application/x-ndjson";

pub(super) struct ElasticsearchSink {
    http: Http,
    url: String,
    index: String,
    /// Whether documents have `@timestamp` by themselves.
    has_timestamp: bool,
}

#[derive(Serialize)]
struct Act<'a> {
    create: Target<'a>,
}

#[derive(Serialize)]
struct Target<'a> {
    _index: Cow<'a, str>,
    _id: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<ItemAnswer>,
}

#[derive(Deserialize)]
struct ItemAnswer {
    create: Created,
}

#[derive(Deserialize)]
struct Created {
    status: u16,
    #[serde(default)]
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
}

impl ElasticsearchSink {
    pub(super) async fn new(
        config: &config::ElasticsearchSink,
        format: Format,
        secrets: &dyn Secrets,
    ) -> Result<Self, String> {
        let options = Options {
            headers: Some(&config.headers),
            auth: config.auth.as_ref(),
            tls: config.tls.as_ref(),
            compression: config.compression,
            ..Options::default()
        };
        let mut url = join(&config.url, "_bulk?filter_path=errors,items.*.status,items.*.error");
        if let Some(pipeline) = &config.pipeline {
            url = format!("{url}&pipeline={pipeline}");
        }
        Ok(Self {
            http: Http::new(options, secrets).await?,
            url,
            index: config.index.clone(),
            has_timestamp: format == Format::Ecs,
        })
    }

    fn body(&self, batch: &[Item]) -> Result<Vec<u8>, serde_json::Error> {
        let mut body = Vec::with_capacity(batch.iter().map(|item| item.body.len() + 200).sum());
        for item in batch {
            let index = if self.index.contains("{date}") {
                self.index.replace("{date}", &item.entry.time.strftime("%Y.%m.%d").to_string()).into()
            } else {
                Cow::Borrowed(self.index.as_str())
            };
            serde_json::to_writer(
                &mut body,
                &Act { create: Target { _index: index, _id: &item.entry.uid } },
            )?;
            body.push(b'\n');
            // A data stream takes no document without it.
            match item.body.strip_prefix(b"{").filter(|_| !self.has_timestamp) {
                Some(rest) => {
                    let empty = rest.trim_ascii_start().starts_with(b"}");
                    let comma = if empty { "" } else { "," };
                    body.extend_from_slice(
                        format!("{{\"@timestamp\":\"{:.9}\"{comma}", item.entry.time).as_bytes(),
                    );
                    body.extend_from_slice(rest);
                }
                None => body.extend_from_slice(&item.body),
            }
            body.push(b'\n');
        }
        Ok(body)
    }
}

fn outcome(created: &Created) -> Outcome {
    let reason = || {
        let fault = created.error.as_ref();
        let text = fault.map(|fault| format!("{}: {}", fault.kind, fault.reason)).unwrap_or_default();
        format!("status {}: {}", created.status, super::excerpt(text.as_bytes()))
    };
    match (created.status, StatusCode::from_u16(created.status).map(verdict)) {
        // It is there already.
        (409, _) | (_, Ok(Verdict::Delivered)) => Outcome::Delivered,
        (_, Ok(Verdict::Refused)) => Outcome::Refused(reason()),
        _ => Outcome::Retry(reason()),
    }
}

#[async_trait]
impl Sink for ElasticsearchSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let count = batch.len();
        let body = match self.body(batch) {
            Ok(body) => body,
            Err(error) => return Report::all(count, Outcome::RefusedTogether(error.to_string())),
        };
        let answer = match self.http.post(&self.url, NDJSON, body).await {
            Ok(answer) => answer,
            Err(reason) => return Report::retry(count, reason),
        };
        if !answer.status.is_success() {
            return self.http.report(&answer, count);
        }
        match serde_json::from_slice::<Answer>(&answer.body) {
            Ok(said) if said.items.len() == count => Report {
                outcomes: said.items.iter().map(|item| outcome(&item.create)).collect(),
                retry_after: answer.retry_after,
                stale: false,
            },
            Ok(said) => {
                Report::retry(count, format!("the answer is about {} of {count} alerts", said.items.len()))
            }
            Err(error) => Report::retry(count, format!("the answer cannot be read: {error}")),
        }
    }
}
