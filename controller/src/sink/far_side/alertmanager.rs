//! Prometheus' Alertmanager, version 2 of its interface.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use vedette_event::alert::Alert;

use super::http::{Http, Options, join};
use crate::sink::{Item, Outcome, Report, Sink, config, secrets::Secrets};

pub(super) struct AlertmanagerSink {
    http: Http,
    url: String,
    labels: BTreeMap<String, String>,
    resolve_after: SignedDuration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

impl AlertmanagerSink {
    pub(super) async fn new(
        config: &config::AlertmanagerSink,
        secrets: &dyn Secrets,
    ) -> Result<Self, String> {
        let options = Options { auth: config.auth.as_ref(), tls: config.tls.as_ref(), ..Options::default() };
        let resolve_after = config.resolve_after.map_or(SignedDuration::from_mins(5), |after| {
            SignedDuration::try_from(after.0).unwrap_or(SignedDuration::from_mins(5))
        });
        Ok(Self {
            http: Http::new(options, secrets).await?,
            url: join(&config.url, "api/v2/alerts"),
            labels: config.labels.clone(),
            resolve_after,
        })
    }

    fn post<'a>(&'a self, item: &'a Item, alert: &'a Alert, now: Timestamp) -> Posted<'a> {
        let k8s = alert.k8s.as_ref();
        let container = alert.container.as_ref();
        let mut labels: BTreeMap<&str, &str> =
            self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let known = [
            ("alertname", Some(alert.rule.as_str())),
            ("severity", Some(severity(alert))),
            ("priority", Some(alert.priority.as_str())),
            ("source", Some("vedette")),
            ("node", Some(&*item.entry.node)),
            ("policy", alert.policy.as_ref().map(|policy| policy.name.as_str())),
            ("namespace", k8s.and_then(|k8s| k8s.namespace.as_deref())),
            ("pod", k8s.and_then(|k8s| k8s.pod.as_deref())),
            ("container", container.and_then(|container| container.name.as_deref())),
        ];
        labels.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?))));
        // An empty label is one that is not there, and Alertmanager refuses it.
        labels.retain(|_, value| !value.is_empty());
        let mut annotations = BTreeMap::from([
            ("summary", alert.output.clone()),
            ("uid", item.entry.uid.clone()),
            ("process", alert.process.cmdline.clone()),
        ]);
        if !alert.description.is_empty() {
            annotations.insert("description", alert.description.clone());
        }
        if let Some(guide) = &alert.guide {
            annotations.insert("response", guide.response.clone());
        }
        // What is late is still news: it counts from now on.
        let ends_at = now.max(item.entry.time).saturating_add(self.resolve_after).unwrap_or(Timestamp::MAX);
        Posted { labels, annotations, starts_at: item.entry.time.min(now), ends_at }
    }
}

/// The words that people use in Alertmanager's routes.
fn severity(alert: &Alert) -> &'static str {
    use vedette_event::alert::Priority;
    match alert.priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => "critical",
        Priority::Error | Priority::Warning => "warning",
        Priority::Notice | Priority::Informational | Priority::Debug => "info",
    }
}

#[async_trait]
impl Sink for AlertmanagerSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let now = Timestamp::now();
        let (mut posted, mut outcomes) = (Vec::new(), Vec::with_capacity(batch.len()));
        for item in batch {
            match item.alert() {
                Some(alert) => {
                    posted.push(self.post(item, alert, now));
                    outcomes.push(None);
                }
                None => {
                    outcomes.push(Some(Outcome::Refused("this version cannot read the alert".to_owned())));
                }
            }
        }
        let sent = if posted.is_empty() {
            Report::delivered(0)
        } else {
            let body = match serde_json::to_vec(&posted) {
                Ok(body) => body,
                Err(error) => return Report::all(batch.len(), Outcome::RefusedTogether(error.to_string())),
            };
            match self.http.post(&self.url, "application/json", body).await {
                Ok(answer) => self.http.report(&answer, posted.len()),
                Err(reason) => Report::retry(posted.len(), reason),
            }
        };
        let mut answers = sent.outcomes.into_iter();
        let outcomes = outcomes.into_iter().filter_map(|known| known.or_else(|| answers.next())).collect();
        Report { outcomes, retry_after: sent.retry_after, stale: sent.stale }
    }
}
