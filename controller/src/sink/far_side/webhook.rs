//! An HTTP server that takes alerts as JSON.

use async_trait::async_trait;

use super::http::{Http, Options, Verdict, is_stale, verdict};
use crate::sink::{Item, Outcome, Report, Sink, config, secrets::Secrets};

const JSON: &str = "application/json";

pub(super) struct WebhookSink {
    http: Http,
    url: String,
    array: bool,
}

impl WebhookSink {
    pub(super) async fn new(config: &config::WebhookSink, secrets: &dyn Secrets) -> Result<Self, String> {
        let options = Options {
            headers: Some(&config.headers),
            auth: config.auth.as_ref(),
            tls: config.tls.as_ref(),
            compression: config.compression,
            ..Options::default()
        };
        Ok(Self { http: Http::new(options, secrets).await?, url: config.url.clone(), array: config.array })
    }

    async fn send_array(&self, batch: &[Item]) -> Report {
        let mut body = vec![b'['];
        for (number, item) in batch.iter().enumerate() {
            if number > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&item.body);
        }
        body.push(b']');
        match self.http.post(&self.url, JSON, body).await {
            Ok(answer) => self.http.report(&answer, batch.len()),
            Err(reason) => Report::retry(batch.len(), reason),
        }
    }
}

#[async_trait]
impl Sink for WebhookSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        if self.array {
            return self.send_array(batch).await;
        }
        let mut report = Report::delivered(0);
        for item in batch {
            let answer = match self.http.post(&self.url, JSON, item.body.to_vec()).await {
                Ok(answer) => answer,
                Err(reason) => {
                    report.outcomes.resize(batch.len(), Outcome::Retry(reason));
                    return report;
                }
            };
            match verdict(answer.status) {
                Verdict::Delivered => report.outcomes.push(Outcome::Delivered),
                Verdict::Refused => report.outcomes.push(Outcome::Refused(self.http.reason(&answer))),
                Verdict::Retry => {
                    // Those behind it wait, so that their order stays.
                    report.outcomes.resize(batch.len(), Outcome::Retry(self.http.reason(&answer)));
                    report.retry_after = answer.retry_after;
                    report.stale = is_stale(answer.status);
                    return report;
                }
            }
        }
        report
    }
}
