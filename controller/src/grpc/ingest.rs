//! Bringing alerts of many agents into the log with few writes: while the log makes some durable, others gather.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Counters;
use crate::alert_log::{AlertLog, Entry, LogError};

/// Most entries of one write. A batch that is larger by itself goes alone.
const MOST: usize = 4096;

/// Batches that wait. More wait with their agents.
const WAITING: usize = 256;

/// Why alerts were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The log is full; later.
    #[error("{0}")]
    Full(String),
    /// The log fails, or everything stops.
    #[error("{0}")]
    Failed(String),
}

struct Batch {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<(), IngestError>>,
}

/// Takes batches from everybody. Clones go to the same log.
#[derive(Clone, Debug)]
pub struct Ingest(mpsc::Sender<Batch>);

impl Ingest {
    /// Where to send batches, and what brings them into the log until it is told to stop.
    pub fn new(
        log: Arc<dyn AlertLog>,
        counters: Counters,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), run(log, counters, receiver, stop))
    }

    /// Returns when the entries are durable.
    ///
    /// # Errors
    /// They are not, or that is not known.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<(), IngestError> {
        let stopped = || IngestError::Failed("the controller stops".into());
        let (done, result) = oneshot::channel();
        self.0.send(Batch { entries, done }).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }
}

async fn run(
    log: Arc<dyn AlertLog>,
    counters: Counters,
    mut batches: mpsc::Receiver<Batch>,
    stop: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            // What has come is brought in first, so that it need not come again.
            biased;
            batch = batches.recv() => batch,
            () = stop.cancelled() => return,
        };
        let Some(first) = first else { return };
        let (mut entries, mut done) = (first.entries, vec![first.done]);
        while entries.len() < MOST
            && let Ok(next) = batches.try_recv()
        {
            entries.extend(next.entries);
            done.push(next.done);
        }
        let result = match log.append(entries).await {
            Ok(appended) => {
                counters.alerts.inc_by(appended.written as u64);
                counters.repeated.inc_by(appended.repeated as u64);
                Ok(())
            }
            Err(error @ LogError::Full { .. }) => Err(IngestError::Full(error.to_string())),
            Err(error @ (LogError::Store(_) | LogError::TooLarge { .. })) => {
                tracing::error!(%error, "alerts could not be kept");
                Err(IngestError::Failed(error.to_string()))
            }
        };
        if result.is_err() {
            counters.refused.inc();
        }
        for done in done {
            // Whoever has gone sends it again.
            let _ = done.send(result.clone());
        }
    }
}
