//! `AlertService.Push`: alerts up, acknowledgements down.

use std::{borrow::Cow, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use vedette_proto::v1::{self, push_request::Message};

use super::{
    Counters,
    agents::{AgentQuota, Entered, Registry},
    duration,
    ingest::{Ingest, IngestError},
    room::Taken,
    shed,
};
use crate::{alert_log::Entry, config::Limits};

/// How long an agent is to wait when the log is full.
const PAUSE: Duration = Duration::from_secs(2);

/// How long an agent may leave its answers lying.
const ANSWER: Duration = Duration::from_secs(30);

/// Most alerts of a batch.
const ALERTS: usize = 4096;
/// Most reports of what was given up, of a batch.
const SHEDS: usize = 64;
/// Most characters of a uid.
const UID: usize = 128;

/// One stream of alerts.
pub(super) struct Pusher {
    pub registry: Arc<Registry>,
    pub entered: Entered,
    pub ingest: Ingest,
    pub counters: Counters,
    pub limits: Limits,
    pub quota: Arc<AgentQuota>,
    pub taken: Taken,
    pub node: Arc<str>,
    pub spool: String,
    /// Everything up to here is durable.
    pub acknowledged: u64,
    /// Told when the agent may not speak any more.
    pub lost: oneshot::Receiver<Status>,
    pub out: mpsc::Sender<Result<v1::PushResponse, Status>>,
}

impl Pusher {
    /// Runs until one of the two sides ends it.
    pub async fn run(mut self, mut incoming: Streaming<v1::PushRequest>, stop: CancellationToken) {
        let hello = v1::PushResponse { acknowledged: self.acknowledged, ..Default::default() };
        if self.out.send(Ok(hello)).await.is_err() {
            return;
        }
        loop {
            let message = tokio::select! {
                () = stop.cancelled() => return self.end(Status::unavailable("the controller stops")).await,
                () = self.entered.replaced.cancelled() => {
                    let why = "another stream of this node has taken the place of this one";
                    return self.end(Status::aborted(why)).await;
                }
                () = self.out.closed() => return,
                Ok(status) = &mut self.lost => return self.end(status).await,
                message = incoming.message() => message,
            };
            let batch = match message {
                Ok(Some(v1::PushRequest { message: Some(Message::Batch(batch)) })) => batch,
                Ok(Some(_)) => {
                    let why = "after the hello there are only batches";
                    return self.end(Status::invalid_argument(why)).await;
                }
                Ok(None) => return,
                Err(status) => return self.end(status).await,
            };
            let bytes = batch.alerts.iter().map(|alert| alert.json.len()).sum();
            let count = batch.alerts.len();
            let taken = self.take(batch).await;
            self.taken.done();
            let response = match taken {
                Ok(response) => response,
                Err(status) => return self.end(status).await,
            };
            match tokio::time::timeout(ANSWER, self.out.send(Ok(response))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                // Nor can it be told why.
                Err(_) => return tracing::debug!(node = &*self.node, "an agent does not take its answers"),
            }
            // Who sends too much waits, and its spool keeps the rest. Nothing of it is in memory meanwhile.
            let wait = self.quota.wait(&self.limits, count, bytes);
            tokio::select! {
                () = wait => {}
                () = stop.cancelled() => {}
                () = self.entered.replaced.cancelled() => {}
            }
        }
    }

    async fn end(self, status: Status) {
        // Nobody may be there any more.
        let _ = self.out.send(Err(status)).await;
    }

    /// Brings a batch into the log.
    async fn take(&mut self, batch: v1::PushBatch) -> Result<v1::PushResponse, Status> {
        if batch.alerts.len() > ALERTS || batch.shed.len() > SHEDS {
            return Err(Status::invalid_argument(format!(
                "a batch has at most {ALERTS} alerts and {SHEDS} reports"
            )));
        }
        let (count, mut last) = (batch.alerts.len(), self.acknowledged);
        let mut entries = Vec::with_capacity(count + batch.shed.len());
        let (mut shed_acknowledged, mut shed) = (0, 0u64);
        for report in batch.shed {
            shed_acknowledged = shed_acknowledged.max(report.id);
            shed = shed.saturating_add(report.count);
            entries.push(shed::entry(&self.node, &self.spool, &report));
        }
        for alert in batch.alerts {
            if alert.sequence <= last {
                return Err(Status::invalid_argument("sequence numbers grow"));
            }
            last = alert.sequence;
            let refused = |why: &String| shed::refused(&self.node, &self.spool, &alert, why);
            entries.push(entry(&self.node, &alert).unwrap_or_else(|why| {
                self.counters.malformed.inc();
                refused(&why)
            }));
        }
        match self.ingest.append(entries).await {
            // Not before: what is not taken comes again.
            Ok(()) => _ = self.counters.shed.inc_by(shed),
            Err(IngestError::Full(why)) => {
                let pause = Some(duration(PAUSE));
                let wait = v1::PushResponse { acknowledged: self.acknowledged, pause, shed_acknowledged: 0 };
                // Holding the batch would hold the memory of all agents: it comes again.
                let _ = self.out.send(Ok(wait)).await;
                return Err(Status::resource_exhausted(why));
            }
            Err(IngestError::Failed(why)) => return Err(Status::unavailable(why)),
        }
        if last > self.acknowledged && self.entered.is_current() {
            self.registry.set_pushed(&self.node, &self.spool, last);
        }
        self.acknowledged = last;
        Ok(v1::PushResponse { acknowledged: last, pause: None, shed_acknowledged })
    }
}

/// What must be in an alert's JSON; the rest is not the protocol's affair.
#[derive(Deserialize)]
struct Necessary<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    /// The node, as the alert has it.
    #[serde(borrow, default)]
    hostname: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    k8s: Option<Place<'a>>,
}

/// The node once more, in a cluster.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow, default)]
    node: Option<Cow<'a, str>>,
}

impl Necessary<'_> {
    /// Whether it names no other node.
    fn is_of(&self, node: &str) -> bool {
        let place = self.k8s.as_ref().and_then(|place| place.node.as_ref());
        self.hostname.iter().chain(place).all(|name| **name == *node)
    }
}

/// The log's entry of an alert.
fn entry(node: &Arc<str>, alert: &v1::Alert) -> Result<Entry, String> {
    let bad = |why: &str| why.to_owned();
    if alert.uid.is_empty() || alert.uid.len() > UID {
        return Err(bad("it has no uid, or one that is too long"));
    }
    if alert.json.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad("its JSON is no object"));
    }
    match serde_json::from_slice::<Necessary<'_>>(&alert.json) {
        Ok(necessary) if necessary.uid != alert.uid => return Err(bad("its JSON has another uid")),
        Ok(necessary) if !necessary.is_of(node) => {
            return Err(bad("its JSON is of another node"));
        }
        Ok(_) => {}
        Err(error) => return Err(bad(&format!("its JSON: {error}"))),
    }
    let time = alert.time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
    let Some(time) = time else { return Err(bad("it has no time")) };
    let entry = Entry {
        uid: alert.uid.clone(),
        node: Arc::clone(node),
        sequence: alert.sequence,
        time,
        json: alert.json.clone(),
    };
    entry.check().map_err(|error| error.to_string())?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_what_it_says() {
        let good = v1::Alert {
            uid: "u1".into(),
            sequence: 7,
            time: Some(prost_types::Timestamp { seconds: 5, nanos: 6 }),
            json: r#"{"rule":"r","uid":"u1","hostname":"n","output_fields":{"a":[1,2]}}"#.into(),
            ..Default::default()
        };
        let node: Arc<str> = "n".into();
        let taken = entry(&node, &good).unwrap();
        assert_eq!((taken.sequence, taken.time.as_nanosecond()), (7, 5_000_000_006));
        let bad = [
            v1::Alert { uid: String::new(), ..good.clone() },
            v1::Alert { uid: "u2".into(), ..good.clone() },
            v1::Alert { uid: "u".repeat(200), ..good.clone() },
            v1::Alert { time: None, ..good.clone() },
            v1::Alert { time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..good.clone() },
            v1::Alert { json: r#"{"uid":"u1""#.into(), ..good.clone() },
            v1::Alert { json: r#"["u1"]"#.into(), ..good.clone() },
            v1::Alert { json: r#"{"uid":"u1","hostname":"n2"}"#.into(), ..good.clone() },
            v1::Alert { json: r#"{"uid":"u1","k8s":{"node":"n2"}}"#.into(), ..good.clone() },
            v1::Alert { json: r#"{"uid":"u1","hostname":"n2","hostname":"n"}"#.into(), ..good.clone() },
            v1::Alert { json: vec![b'['; 100_000].into(), ..good.clone() },
            v1::Alert { json: vec![0xff; 10].into(), ..good },
        ];
        for alert in bad {
            let why = entry(&node, &alert).unwrap_err();
            let instead = shed::refused(&node, "s", &alert, &why);
            serde_json::from_slice::<vedette_event::alert::Alert>(&instead.json).unwrap();
            assert_eq!(instead.uid, shed::refused(&node, "s", &alert, &why).uid);
        }
    }
}
