//! The spool: alerts on disk until the controller has them.
//!
//! An append-only log in segments, a chain of them for each priority (`format.rs` has the bytes). Alerts get a sequence
//! number when they are added, are made durable together, and may be read then. When the spool is as large as it may be,
//! or the disk is full, what has arrived goes first, then the least urgent and oldest, a segment at a time; each alert
//! that is given up is counted by priority, with times and numbers, and the report is kept until the controller has it.
//! What a crash has cut is cut off, what the disk has spoilt is left out and reported the same way.

mod disk;
mod format;
mod log;
mod shed;
mod state;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::Message;
use tokio::sync::watch;
use vedette_event::alert::{Alert, write_json};
use vedette_proto::v1;

use disk::{Directory, Disk};
pub use format::PRIORITIES;
use log::Log;
pub use log::{Appended, Cursor, Figures, LARGEST, Limits, Stored};
pub use shed::Shed;

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the spool {path}: {source}")]
pub struct SpoolError {
    /// Its directory.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

/// A spool. One thread adds, another reads; each call takes it for a moment, or for as long as the disk takes.
pub struct Spool {
    log: Mutex<Log<Directory>>,
    /// As they were when the log was last let go: who only asks how it stands does not wait for the disk.
    figures: Mutex<Figures>,
    committed: watch::Sender<u64>,
    id: String,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("id", &self.id).field("figures", &self.figures()).finish()
    }
}

impl Spool {
    /// Opens the spool in a directory; a new one, if there is none.
    ///
    /// # Errors
    /// The directory cannot be used, or another process has it.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, SpoolError> {
        let fail = |source| SpoolError { path: path.to_owned(), source };
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| fail(io::Error::other(error)))?;
        let log = Directory::open(path).and_then(|disk| Log::open(disk, limits, random)).map_err(fail)?;
        let id = log.id().iter().map(|byte| format!("{byte:02x}")).collect();
        let figures = log.figures();
        let (committed, _) = watch::channel(figures.committed);
        Ok(Self { log: Mutex::new(log), figures: Mutex::new(figures), committed, id })
    }

    /// Names the spool; another one begins when the disk was lost.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Changes whenever there may be more to read or to report.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Adds an alert, and makes it durable.
    pub fn add(&self, alert: &Alert) -> Appended {
        let appended = self.with(|log| log.append_alert(alert));
        self.commit(true);
        appended
    }

    /// Adds what is no alert of this agent's engine: for tests and simulations.
    pub fn add_raw(&self, alert: &v1::Alert, time: u64) -> Appended {
        let priority = u8::try_from(alert.priority.saturating_sub(1)).unwrap_or(u8::MAX);
        self.with(|log| log.append(priority, time, &alert.encode_to_vec()))
    }

    /// Makes durable what was added, so that it can be read. Without `sync` it only says so.
    pub fn commit(&self, sync: bool) {
        self.with(|log| if sync { log.commit() } else { log.release() });
        self.committed.send_replace(self.figures().committed);
    }

    /// Makes everything durable for the end.
    pub fn close(&self) {
        self.with(Log::close);
        self.committed.send_replace(self.figures().committed);
    }

    /// The next alerts, in order: at most `count`, and about `bytes`. One that cannot be understood is left out.
    pub fn read(&self, cursor: &mut Cursor, count: usize, bytes: usize) -> Vec<v1::Alert> {
        let stored = self.with(|log| log.read(cursor, count, bytes));
        let decode = |stored: Stored| {
            let mut alert = v1::Alert::decode(stored.payload).ok()?;
            alert.sequence = stored.sequence;
            Some(alert)
        };
        stored.into_iter().filter_map(decode).collect()
    }

    /// Everything up to here has arrived, and may go.
    pub fn acknowledge(&self, sequence: u64) {
        self.with(|log| log.acknowledge(sequence));
    }

    /// The reports of what was given up that are to be sent; the same until they are acknowledged.
    pub fn sheds(&self) -> Vec<Shed> {
        self.with(Log::sheds)
    }

    /// The reports up to this number have arrived.
    pub fn acknowledge_sheds(&self, id: u64) {
        self.with(|log| log.acknowledge_sheds(id));
    }

    /// Figures. They do not wait for the disk.
    pub fn figures(&self) -> Figures {
        *lock(&self.figures)
    }

    /// Does several things at once.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Log<Directory>) -> T) -> T {
        let mut log = lock(&self.log);
        let done = act(&mut log);
        *lock(&self.figures) = log.figures();
        done
    }
}

/// Nothing under these locks panics halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Disk> Log<D> {
    /// Adds an alert.
    pub(crate) fn append_alert(&mut self, alert: &Alert) -> Appended {
        let mut json = Vec::with_capacity(2048);
        // Writing to memory does not fail; an alert that JSON could not hold would go without.
        let _ = write_json(alert, &mut json);
        let time = alert.time.0;
        let message = v1::Alert {
            uid: alert.uid.to_string(),
            sequence: 0,
            time: Some(prost_types::Timestamp {
                seconds: (time / 1_000_000_000) as i64,
                nanos: (time % 1_000_000_000) as i32,
            }),
            rule: alert.rule.clone(),
            priority: alert.priority as i32 + 1,
            json: json.into(),
        };
        self.append(alert.priority as u8, time, &message.encode_to_vec())
    }
}

#[cfg(test)]
mod tests;
