//! Sending the spool.
//!
//! Batches go up in order, a few before the first is acknowledged; each acknowledgement lets the spool forget. When the
//! stream ends, the next one begins after what was acknowledged, so everything arrives at least once, and in order.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{sync::mpsc, task::spawn_blocking, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use vedette_proto::v1::{self, push_request::Message};

use super::{UplinkStats, backoff::Backoff, channel::Client};
use crate::spool::{Cursor, Shed, Spool};

/// Alerts and bytes of a batch.
const BATCH: (usize, usize) = (500, 512 << 10);
/// Batches on their way.
const WINDOW: usize = 4;
/// Longest time for which the controller may make us wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often the spool is looked at though nothing tells of something new: a disk that failed a moment ago may have held
/// back alerts or reports.
const LOOK: Duration = Duration::from_secs(10);

/// The task.
pub(super) struct Push {
    pub node: String,
    pub spool: Arc<Spool>,
    pub stats: Arc<UplinkStats>,
}

/// What was sent and is not acknowledged.
#[derive(Default)]
struct Flight {
    /// The last alert of each batch.
    batches: std::collections::VecDeque<u64>,
    /// The last report; 0 for none.
    shed: u64,
}

impl Push {
    pub async fn run(self, client: &Client) {
        let mut backoff = Backoff::default();
        let mut pause = None;
        loop {
            let error = match self.session(client, &mut backoff, &mut pause).await {
                Ok(()) => Status::unavailable("the controller has ended the stream"),
                Err(error) => error,
            };
            self.stats.connected.store(false, Relaxed);
            self.stats.failures.fetch_add(1, Relaxed);
            if let Some(until) = pause.take() {
                tokio::time::sleep_until(until).await;
            }
            backoff.wait("sending alerts", &error).await;
        }
    }

    async fn session(
        &self,
        client: &Client,
        backoff: &mut Backoff,
        pause: &mut Option<Instant>,
    ) -> Result<(), Status> {
        let gone = || Status::unavailable("the stream has ended");
        let (out, requests) = mpsc::channel(1);
        let mut changes = self.spool.changes();
        let acknowledged = self.spool.figures().acknowledged;
        let hello = v1::PushHello {
            node: self.node.clone(),
            spool: self.spool.id().to_owned(),
            oldest: acknowledged + 1,
        };
        out.try_send(v1::PushRequest { message: Some(Message::Hello(hello)) }).map_err(|_| gone())?;
        let mut answers = client.alerts().push(ReceiverStream::new(requests)).await?.into_inner();
        let Some(first) = answers.message().await? else { return Ok(()) };
        backoff.connected();
        self.stats.connections.fetch_add(1, Relaxed);
        self.stats.connected.store(true, Relaxed);
        self.acknowledge(&first).await?;
        let mut cursor = Cursor::after(acknowledged.max(first.acknowledged));
        let mut flight = Flight::default();
        let mut more = true;
        loop {
            let waits = pause.is_some_and(|until| until > Instant::now());
            if more && !waits && flight.batches.len() < WINDOW {
                changes.mark_unchanged();
                let (batch, read) = self.next(cursor, flight.shed == 0).await?;
                cursor = read;
                more = !batch.alerts.is_empty();
                if more || !batch.shed.is_empty() {
                    flight.note(&batch);
                    let message = v1::PushRequest { message: Some(Message::Batch(batch)) };
                    out.send(message).await.map_err(|_| gone())?;
                    continue;
                }
            }
            tokio::select! {
                answer = answers.message() => {
                    let Some(answer) = answer? else { return Ok(()) };
                    flight.arrived(&answer);
                    self.acknowledge(&answer).await?;
                    if let Some(wait) = answer.pause.and_then(|wait| Duration::try_from(wait).ok()) {
                        *pause = Some(Instant::now() + wait.min(LONGEST_PAUSE));
                    }
                    more |= flight.shed == 0;
                }
                changed = changes.changed() => {
                    changed.map_err(|_| gone())?;
                    more = true;
                }
                () = until(*pause), if waits => {}
                () = tokio::time::sleep(LOOK) => more = true,
            }
        }
    }

    /// What is to be sent next. Reading is the disk's time, so it is done elsewhere.
    async fn next(&self, mut cursor: Cursor, sheds: bool) -> Result<(v1::PushBatch, Cursor), Status> {
        let spool = Arc::clone(&self.spool);
        spawn_blocking(move || {
            let shed = if sheds { spool.sheds().iter().map(report).collect() } else { Vec::new() };
            let alerts = spool.read(&mut cursor, BATCH.0, BATCH.1);
            (v1::PushBatch { alerts, shed }, cursor)
        })
        .await
        .map_err(|error| Status::internal(error.to_string()))
    }

    async fn acknowledge(&self, answer: &v1::PushResponse) -> Result<(), Status> {
        let (sequence, sheds) = (answer.acknowledged, answer.shed_acknowledged);
        let spool = Arc::clone(&self.spool);
        spawn_blocking(move || {
            spool.acknowledge(sequence);
            if sheds > 0 {
                spool.acknowledge_sheds(sheds);
            }
        })
        .await
        .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Flight {
    fn note(&mut self, batch: &v1::PushBatch) {
        self.batches.extend(batch.alerts.last().map(|alert| alert.sequence));
        if let Some(last) = batch.shed.last() {
            self.shed = last.id;
        }
    }

    fn arrived(&mut self, answer: &v1::PushResponse) {
        while self.batches.front().is_some_and(|last| *last <= answer.acknowledged) {
            self.batches.pop_front();
        }
        if answer.shed_acknowledged >= self.shed {
            self.shed = 0;
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn report(shed: &Shed) -> v1::Shed {
    let time = |nanos: u64| {
        (nanos != 0).then_some(prost_types::Timestamp {
            seconds: (nanos / 1_000_000_000) as i64,
            nanos: (nanos % 1_000_000_000) as i32,
        })
    };
    v1::Shed {
        priority: shed.priority as i32 + 1,
        count: shed.count,
        first_time: time(shed.first_time),
        last_time: time(shed.last_time),
        first_sequence: shed.first_sequence,
        last_sequence: shed.last_sequence,
        id: shed.id,
        reason: shed.reason as i32,
    }
}
