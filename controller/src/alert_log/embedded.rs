//! The alert log in a directory of this machine, for one controller.
//!
//! Entries stand in blocks, blocks in segments, which are files that are only appended to ([`block`], [`segment`]). One
//! task writes: whatever callers brought while it wrote the last time is one write and one `fdatasync`. Readers that have everything but the
//! newest are served from memory. What was compared with it, and why it is not a database, is in
//! docs/decisions/alert-log.md.

mod block;
mod cursors;
mod segment;
mod store;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task,
    time::{MissedTickBehavior, interval},
};

use super::{AlertLog, Appended, Entry, LogError, Position, Usage};
use store::{Shared, Store};

/// How often cursors are saved and old segments are looked for.
const TIDY_EVERY: Duration = Duration::from_millis(500);
/// Most appends that wait for the writer; who comes later waits to be let in.
const WAITING: usize = 256;
/// When the appends of one write have so many bytes, the others wait for the next one.
const WRITE_BYTES: usize = 8 << 20;
/// The largest segment.
const MAX_SEGMENT: u64 = 64 << 20;

/// How an embedded log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where. It is made, if it is not there.
    pub directory: PathBuf,
    /// Most bytes on disk. When they are in use and wait for sinks, nothing more is accepted.
    pub limit: u64,
    /// What every sink has is kept until there are more bytes than these, for queries …
    pub keep_bytes: u64,
    /// … or until it is older than this.
    pub keep_age: Duration,
    /// How many alerts it knows again when they are sent again, the newest; 50 bytes of memory each.
    pub remembered: usize,
}

impl Options {
    /// Ten gibibytes, one of which for queries, for up to a week; a million alerts are known again.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            limit: 10 << 30,
            keep_bytes: 1 << 30,
            keep_age: Duration::from_hours(7 * 24),
            remembered: 1 << 20,
        }
    }

    /// Room is made a segment at a time, so a segment is a small part of the whole.
    fn segment_bytes(&self) -> u64 {
        (self.limit / 16).min(MAX_SEGMENT)
    }
}

enum Command {
    Append {
        entries: Vec<Entry>,
        reply: oneshot::Sender<Result<Appended, LogError>>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
    /// A fault of ours, for tests.
    #[cfg(test)]
    Fault,
}

/// An alert log in a directory. Its writer is a task of the runtime that opened it.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    /// Why the writer has died, once it has.
    died: watch::Receiver<Option<String>>,
}

impl EmbeddedLog {
    /// Opens the log in the directory, or makes it.
    ///
    /// # Errors
    /// The directory cannot be used, or another process uses it. Damage within is no error: it is reported
    /// and counted ([`Usage::damaged`]).
    pub async fn open(options: Options) -> Result<Self, LogError> {
        let store = task::spawn_blocking(|| Store::open(options))
            .await
            .map_err(|error| LogError::Store(format!("open: {error}")))??;
        let shared = store.shared();
        let (commands, received) = mpsc::channel(WAITING);
        let (dead, died) = watch::channel(None);
        task::spawn(async move {
            if let Err(why) = write(store, received).await {
                dead.send_replace(Some(why));
            }
        });
        Ok(Self { shared, commands, died })
    }
}

/// The task that writes.
async fn write(mut store: Store, mut received: mpsc::Receiver<Command>) -> Result<(), String> {
    let mut tidy = interval(TIDY_EVERY);
    tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closing = None;
    while closing.is_none() {
        let (mut groups, mut replies) = (Vec::new(), Vec::new());
        #[cfg(test)]
        let mut fault = false;
        tokio::select! {
            command = received.recv() => {
                let mut next = command;
                if next.is_none() {
                    break;
                }
                let mut bytes = 0;
                while let Some(command) = next {
                    match command {
                        Command::Append { entries, reply } => {
                            bytes += entries.iter().map(Entry::size).sum::<usize>();
                            groups.push(entries);
                            replies.push(reply);
                        }
                        Command::Close { reply } => closing = Some(reply),
                        #[cfg(test)]
                        Command::Fault => fault = true,
                    }
                    let more = bytes < WRITE_BYTES && closing.is_none();
                    next = if more { received.try_recv().ok() } else { None };
                }
            }
            _ = tidy.tick() => if !store.needs_tidying() { continue },
        }
        let done = task::spawn_blocking(move || {
            #[cfg(test)]
            assert!(!fault, "as a test wants it");
            if groups.is_empty() {
                store.tidy();
                return store;
            }
            match store.commit(groups) {
                // Who has gone meanwhile will send again, and be told that it is there.
                Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| {
                    let _ = reply.send(Ok(answer));
                }),
                Err(error) => replies.into_iter().for_each(|reply| {
                    let _ = reply.send(Err(error.clone()));
                }),
            }
            store
        });
        match done.await {
            Ok(back) => store = back,
            Err(error) => {
                return Err(if error.is_panic() {
                    "its writer panicked"
                } else {
                    "its writer was cancelled"
                }
                .into());
            }
        }
    }
    let done = task::spawn_blocking(move || {
        store.tidy();
        drop(store);
    });
    if let Err(error) = done.await {
        tracing::error!(%error, "the cursors of the alert log were not saved");
    }
    if let Some(reply) = closing {
        let _ = reply.send(());
    }
    Ok(())
}

fn stopped() -> LogError {
    LogError::Store("it takes nothing any more".to_owned())
}

#[async_trait]
impl AlertLog for EmbeddedLog {
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, LogError> {
        entries.iter().try_for_each(Entry::check)?;
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Append { entries, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<(Position, Entry)>, LogError> {
        let mut from = after;
        loop {
            let (reader, to) = {
                let mut index = self.shared.index();
                if let Some(entries) = index.recent(from, limit) {
                    return Ok(entries);
                }
                let Some(segment) = index.segment_after(from) else {
                    if from > after
                        && let Some(last) = index.give_up(after, from)
                    {
                        // So that nobody waits for what will never be read.
                        self.shared.last.send_if_modified(|seen| {
                            *seen != last && {
                                *seen = last;
                                true
                            }
                        });
                    }
                    return Ok(Vec::new());
                };
                (segment.reader(from), segment.last)
            };
            let shared = Arc::clone(&self.shared);
            let read = task::spawn_blocking(move || {
                reader.read(from, limit, |before, count| shared.index().report_gap(before, count))
            });
            let entries = match read.await {
                Ok(Ok(entries)) => entries,
                Ok(Err(error)) => return Err(LogError::Store(format!("read after {from}: {error}"))),
                Err(error) => return Err(LogError::Store(format!("read after {from}: {error}"))),
            };
            if !entries.is_empty() {
                return Ok(entries);
            }
            // Nothing in it can be read: go on with the segment behind it.
            from = to;
        }
    }

    async fn wait(&self, after: Position) {
        // The sender is in `self.shared`, so this ends only with an entry.
        let _ = self.shared.last.subscribe().wait_for(|last| *last > after).await;
    }

    async fn usage(&self) -> Result<Usage, LogError> {
        Ok(self.shared.index().usage(self.shared.limit))
    }

    async fn cursor(&self, sink: &str) -> Result<Option<Position>, LogError> {
        Ok(self.shared.index().cursors.get(sink))
    }

    async fn advance(&self, sink: &str, position: Position) -> Result<(), LogError> {
        self.shared.index().cursors.advance(sink, position);
        Ok(())
    }

    async fn forget(&self, sink: &str) -> Result<(), LogError> {
        self.shared.index().cursors.forget(sink);
        Ok(())
    }

    async fn sinks(&self) -> Result<Vec<String>, LogError> {
        Ok(self.shared.index().cursors.names())
    }

    async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Close { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn died(&self) -> String {
        let mut died = self.died.clone();
        let why = died.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            // Closed, as it was asked to be.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            uid: "u".into(),
            node: "n".into(),
            sequence: 1,
            time: jiff::Timestamp::UNIX_EPOCH,
            json: "{}".into(),
        }
    }

    #[tokio::test]
    async fn a_dead_writer_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(Options::new(directory.path())).await.unwrap();
        log.append(vec![entry()]).await.unwrap();
        assert!(log.commands.send(Command::Fault).await.is_ok());
        let died = tokio::time::timeout(Duration::from_secs(20), log.died()).await.unwrap();
        assert_eq!(died, "its writer panicked");
        assert!(matches!(log.append(vec![entry()]).await, Err(LogError::Store(_))));
        log.close().await;

        // What was there is there, and one that was closed is not dead.
        drop(log);
        let log = EmbeddedLog::open(Options::new(directory.path())).await.unwrap();
        assert_eq!(log.range().await.unwrap(), (1, 1));
        log.close().await;
        assert!(tokio::time::timeout(Duration::from_millis(50), log.died()).await.is_err());
    }
}
