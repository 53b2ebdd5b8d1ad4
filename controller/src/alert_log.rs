//! The alert log: every alert that was accepted, in one order, until all sinks have it and its time is over.

pub mod embedded;
pub mod jetstream;
pub mod memory;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

pub use embedded::EmbeddedLog;
pub use jetstream::JetStreamLog;
pub use memory::MemoryLog;

/// A place in the log: the number of the entry, from 1 upwards. 0 is the place before the first entry. Numbers grow
/// with each entry, but not always by one.
pub type Position = u64;

/// Most bytes of an alert's JSON that a log takes.
pub const MAX_JSON: usize = 4 << 20;
/// Most bytes of an alert's uid.
pub const MAX_UID: usize = 128;
/// Most bytes of a node's name (Kubernetes allows 253).
pub const MAX_NODE: usize = 1024;

/// An alert as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique id of the alert; an alert that is sent again bears the same.
    pub uid: String,
    /// Name of the node whose agent sent it.
    pub node: Arc<str>,
    /// Its number in the node's spool; grows with each alert of the node.
    pub sequence: u64,
    /// When the event happened.
    pub time: Timestamp,
    /// The alert in Vedette's own JSON, complete; every other format is made of it.
    pub json: Bytes,
}

impl Entry {
    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.uid.len() + self.json.len()
    }

    /// Checks that a log can take it.
    ///
    /// # Errors
    /// A part is larger than it may be.
    pub fn check(&self) -> Result<(), LogError> {
        let parts = [
            ("uid", self.uid.len(), MAX_UID),
            ("node", self.node.len(), MAX_NODE),
            ("JSON", self.json.len(), MAX_JSON),
        ];
        match parts.into_iter().find(|(_, size, most)| size > most) {
            Some((part, size, most)) => Err(LogError::TooLarge { part, size, most }),
            None => Ok(()),
        }
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Position of the last entry, now on disk.
    pub last: Position,
    /// How many were written.
    pub written: usize,
    /// How many were left out, because the log has an alert of their uid.
    pub repeated: usize,
}

/// What a log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Position of the first entry that is there; 0, if there is none.
    pub first: Position,
    /// Position of the last entry that is there; 0, if there is none.
    pub last: Position,
    /// Bytes in use.
    pub bytes: u64,
    /// Most bytes.
    pub limit: u64,
    /// Entries that were found damaged and cannot be read, since the log was opened.
    pub damaged: u64,
}

/// Why the log did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The log is as large as it may be, and its oldest alerts have not reached all sinks. Try again later.
    #[error(
        "the alert log is full: {used} of {limit} bytes wait for sinks; the metric vedette_controller_sink_lag says for which"
    )]
    Full {
        /// Bytes in use.
        used: u64,
        /// Most bytes.
        limit: u64,
    },
    /// An entry is larger than any log takes; it will not be taken later either.
    #[error("the {part} of the alert has {size} bytes, {most} at most")]
    TooLarge {
        /// Which part of the entry.
        part: &'static str,
        /// Its bytes.
        size: usize,
        /// Most bytes.
        most: usize,
    },
    /// The store cannot be used now. Try again later.
    #[error("alert log: {0}")]
    Store(String),
}

/// Keeps alerts durably and in order.
#[async_trait]
pub trait AlertLog: Send + Sync + 'static {
    /// Appends the entries and returns when they are durable. What the log has already of the same node (by uid, within
    /// what it remembers) is left out and counted.
    ///
    /// # Errors
    /// The log is full, or its store fails; then none of them counts as accepted, though some may be there.
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, LogError>;

    /// At most `limit` entries after the position, in order, with their positions; none, if there are none yet. There
    /// may be fewer than asked for and more behind them.
    ///
    /// # Errors
    /// The store fails.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<(Position, Entry)>, LogError>;

    /// Returns when there is an entry after the position. It may be dropped at any time.
    async fn wait(&self, after: Position);

    /// Positions of the first and of the last entry that are there; both 0, if there is none.
    ///
    /// # Errors
    /// The store fails.
    async fn range(&self) -> Result<(Position, Position), LogError> {
        self.usage().await.map(|usage| (usage.first, usage.last))
    }

    /// What is there, and how much room it takes.
    ///
    /// # Errors
    /// The store fails.
    async fn usage(&self) -> Result<Usage, LogError>;

    /// Up to where a sink has everything; nothing, if it is not known.
    ///
    /// # Errors
    /// The store fails.
    async fn cursor(&self, sink: &str) -> Result<Option<Position>, LogError>;

    /// Notes that the sink has everything up to the position. Entries that every sink has may go. It is on disk about a
    /// second later: who dies before that is given again what it has had.
    ///
    /// # Errors
    /// The store fails.
    async fn advance(&self, sink: &str, position: Position) -> Result<(), LogError>;

    /// Forgets a sink that is no more, so that nothing is kept for it.
    ///
    /// # Errors
    /// The store fails.
    async fn forget(&self, sink: &str) -> Result<(), LogError>;

    /// The names of the sinks whose cursors it keeps.
    ///
    /// # Errors
    /// The store fails.
    async fn sinks(&self) -> Result<Vec<String>, LogError>;

    /// Brings everything to disk. Nothing is appended afterwards.
    async fn close(&self);

    /// Returns, with the reason, when a part of the log has died by a fault of ours and nothing more can be appended; else
    /// never. Who runs the log then ends, so that it is started anew and not left standing as a log that takes nothing.
    async fn died(&self) -> String {
        std::future::pending().await
    }
}
