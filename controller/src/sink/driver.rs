//! What takes alerts from the log to one sink.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    Builder, Item, Outcome, Report, Sink,
    backoff::Backoff,
    config::{Format, SinkSpec},
    dead_letters::DeadLetters,
    metrics::SinkMetrics,
    status::{SinkState, StatusCell},
};
use crate::alert_log::{AlertLog, Position};

/// How long the last attempt may go on when everything is to end.
const GRACE: Duration = Duration::from_secs(3);

/// A sink with its place in the log.
#[derive(Clone)]
pub(super) struct Driver {
    pub(super) name: String,
    pub(super) spec: Arc<SinkSpec>,
    pub(super) format: Format,
    pub(super) log: Arc<dyn AlertLog>,
    pub(super) builder: Arc<dyn Builder>,
    pub(super) dead: DeadLetters,
    pub(super) metrics: SinkMetrics,
    pub(super) status: StatusCell,
    pub(super) stop: CancellationToken,
}

/// It was told to stop.
struct Stopped;

/// What changes while it runs.
struct Run {
    sink: Option<Box<dyn Sink>>,
    backoff: Backoff,
    /// Up to where everything was taken from the log.
    taken: Position,
    /// How many alerts are sent at once: fewer while the far side refuses batches as a whole.
    width: usize,
}

impl Driver {
    /// Runs until it is told to stop.
    pub(super) async fn run(self) {
        let mut run = Run {
            sink: None,
            backoff: Backoff::new(self.spec.retry),
            taken: self.status.get().cursor,
            width: self.most(),
        };
        while let Ok(items) = self.take(&mut run).await {
            if self.deliver(&mut run, items).await.is_err() {
                break;
            }
        }
        if let Some(sink) = &mut run.sink {
            let _ = timeout(GRACE, sink.close()).await;
        }
        self.status.update(|status| status.state = SinkState::Stopped);
    }

    fn most(&self) -> usize {
        self.spec.batch.alerts as usize
    }

    /// Takes the next batch from the log.
    async fn take(&self, run: &mut Run) -> Result<Vec<Item>, Stopped> {
        let (mut items, mut bytes, mut deadline) = (Vec::new(), 0, None);
        let enough = usize::try_from(self.spec.batch.bytes.0).unwrap_or(usize::MAX);
        loop {
            let read = self.or_stop(self.log.read(run.taken, self.most() - items.len())).await?;
            let entries = match read {
                Ok(entries) => entries,
                Err(error) => {
                    self.wait_after(run, &error.to_string(), None).await?;
                    continue;
                }
            };
            if entries.is_empty() {
                let more = self.log.wait(run.taken);
                match deadline {
                    None => self.or_stop(more).await?,
                    Some(deadline) if self.or_stop(timeout_at(deadline, more)).await?.is_err() => {
                        return Ok(items);
                    }
                    Some(_) => {}
                }
                continue;
            }
            deadline.get_or_insert_with(|| Instant::now() + self.spec.batch.delay.0);
            for (position, entry) in entries {
                if !items.is_empty() && bytes + entry.json.len() > enough {
                    return Ok(items);
                }
                bytes += entry.json.len();
                run.taken = position;
                match Item::new(position, entry, self.format) {
                    (item, None) => items.push(item),
                    (item, Some(reason)) => self.park(run, vec![(item, reason)]).await?,
                }
            }
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline) && !items.is_empty();
            if items.len() >= self.most() || bytes >= enough || late {
                return Ok(items);
            }
        }
    }

    /// Sends until nothing of the batch is left.
    async fn deliver(&self, run: &mut Run, items: Vec<Item>) -> Result<(), Stopped> {
        let mut pending = items;
        let before = pending.len();
        if let Some(least) = self.spec.minimum_priority {
            // The higher a priority, the less it is.
            pending.retain(|item| item.priority() <= least.into());
            self.metrics.skipped.inc_by((before - pending.len()) as u64);
        }
        while !pending.is_empty() {
            let width = run.width.min(pending.len());
            let report = self.attempt(run, &pending[..width]).await?;
            let progress = self.settle(run, &mut pending, width, report).await?;
            let done = pending.first().map_or(run.taken, |first| first.position - 1);
            self.advance(done).await;
            if let Progress::Wait(reason, asked) = progress {
                self.wait_after(run, &reason, asked).await?;
            }
        }
        self.advance(run.taken).await;
        Ok(())
    }

    /// One attempt. Without a sink, makes one first.
    async fn attempt(&self, run: &mut Run, batch: &[Item]) -> Result<Report, Stopped> {
        let count = batch.len();
        let time = self.spec.timeout.0.0;
        if run.sink.is_none() {
            let built = self.or_stop(timeout(time, self.builder.build())).await?;
            run.sink = match built {
                Ok(Ok(sink)) => Some(sink),
                Ok(Err(reason)) => return Ok(Report::retry(count, reason)),
                Err(_) => None,
            };
        }
        let Some(sink) = &mut run.sink else {
            return Ok(Report::retry(count, format!("no connection within {}", self.spec.timeout.0)));
        };
        let begun = Instant::now();
        let sent = {
            let send = timeout(time + sink.patience(), sink.send(batch));
            tokio::pin!(send);
            tokio::select! {
                sent = &mut send => sent,
                // What is on its way may arrive yet.
                () = self.stop.cancelled() => timeout(GRACE, send).await.map_err(|_| Stopped)?,
            }
        };
        self.metrics.seconds.observe(begun.elapsed().as_secs_f64());
        let mut report = match sent {
            Ok(report) => report,
            Err(_) => Report::retry(count, format!("no answer within {}", self.spec.timeout.0)),
        };
        report
            .outcomes
            .resize(count, Outcome::Retry("the far side did not say what became of it".to_owned()));
        if report.stale {
            run.sink = None;
        }
        Ok(report)
    }

    /// Does what the outcomes of an attempt ask for; what is to be sent again stays in `pending`.
    async fn settle(
        &self,
        run: &mut Run,
        pending: &mut Vec<Item>,
        width: usize,
        report: Report,
    ) -> Result<Progress, Stopped> {
        let rest = pending.split_off(width);
        let (mut again, mut refused, mut reason, mut together) = (Vec::new(), Vec::new(), None, false);
        let mut delivered = 0;
        for (item, outcome) in std::mem::take(pending).into_iter().zip(report.outcomes) {
            match outcome {
                Outcome::Delivered => delivered += 1,
                Outcome::Refused(why) => refused.push((item, why)),
                Outcome::RefusedTogether(why) if width == 1 => refused.push((item, why)),
                Outcome::RefusedTogether(_) => {
                    together = true;
                    again.push(item);
                }
                Outcome::Retry(why) => {
                    reason.get_or_insert(why);
                    again.push(item);
                }
            }
        }
        self.metrics.delivered.inc_by(delivered);
        self.status.update(|status| status.delivered += delivered);
        let settled = delivered > 0 || !refused.is_empty();
        if !refused.is_empty() {
            self.park(run, refused).await?;
        }
        again.extend(rest);
        *pending = again;
        if settled {
            run.backoff.reset();
        }
        if together {
            // Which of them it is shows when they are sent apart.
            run.width = width.div_ceil(2).min(width - 1).max(1);
        } else if reason.is_none() {
            run.width = (run.width * 2).min(self.most());
        }
        match reason {
            Some(reason) => {
                self.metrics.retried.inc();
                Ok(Progress::Wait(reason, report.retry_after))
            }
            None => {
                if settled && self.status.succeeded() {
                    tracing::info!(sink = self.name, "the sink delivers again");
                }
                self.metrics.retrying.set(0);
                Ok(Progress::GoOn)
            }
        }
    }

    /// Parks alerts, however long it takes: they must not be lost.
    async fn park(&self, run: &mut Run, refused: Vec<(Item, String)>) -> Result<(), Stopped> {
        while let Err(error) = self.dead.park(&refused).await {
            self.wait_after(run, &format!("the dead letters cannot be written: {error}"), None).await?;
        }
        let count = refused.len() as u64;
        self.metrics.refused.inc_by(count);
        self.status.update(|status| status.refused += count);
        if let Some((item, reason)) = refused.first() {
            tracing::warn!(
                sink = self.name,
                count,
                uid = item.entry.uid,
                reason,
                "alerts are parked as dead letters"
            );
        }
        Ok(())
    }

    async fn advance(&self, position: Position) {
        self.status.update(|status| status.cursor = status.cursor.max(position));
        if let Err(error) = self.log.advance(&self.name, position).await {
            // The next one takes its place; until then, some alerts may be sent twice.
            tracing::warn!(sink = self.name, %error, "the cursor of the sink was not moved on");
        }
        if let Ok((_, last)) = self.log.range().await {
            let lag = last.saturating_sub(position);
            self.metrics.lag.set(lag);
            self.status.update(|status| status.lag = lag);
        }
    }

    /// Waits as long as it takes after a failure.
    async fn wait_after(&self, run: &mut Run, reason: &str, asked: Option<Duration>) -> Result<(), Stopped> {
        if self.status.failed(reason) {
            tracing::warn!(sink = self.name, reason, "the sink does not deliver; it is tried again");
        }
        self.metrics.retrying.set(1);
        self.or_stop(sleep(run.backoff.next(asked))).await
    }

    async fn or_stop<F: Future>(&self, future: F) -> Result<F::Output, Stopped> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Stopped),
            output = future => Ok(output),
        }
    }
}

/// How it goes on after an attempt.
enum Progress {
    GoOn,
    /// For this reason, and for as long as the far side asks for, if it does.
    Wait(String, Option<Duration>),
}
