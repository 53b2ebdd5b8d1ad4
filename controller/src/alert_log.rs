//! The alert log: every alert that was accepted, in one order, until all sinks have it and its time is over.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

/// A place in the log: the number of the entry, from 1 upwards. 0 is the place before the first entry.
pub type Position = u64;

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

/// Why the log did not do it.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log is as large as it may be, and its oldest alerts have not reached all sinks. Try again later.
    #[error("the alert log is full: {used} of {limit} bytes wait for sinks; see `vedette status` for which")]
    Full {
        /// Bytes in use.
        used: u64,
        /// Most bytes.
        limit: u64,
    },
    /// The store cannot be used.
    #[error("alert log: {0}")]
    Store(String),
}

/// Keeps alerts durably and in order.
#[async_trait]
pub trait AlertLog: Send + Sync + 'static {
    /// Appends the entries and returns when they are durable. What the log has already (by uid, within the time that
    /// it remembers) is left out and counted.
    ///
    /// # Errors
    /// The log is full, or its store fails; then none of them counts as accepted.
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, LogError>;

    /// At most `limit` entries after the position, in order, with their positions; none, if there are none yet.
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
    async fn range(&self) -> Result<(Position, Position), LogError>;

    /// Up to where a sink has everything; nothing, if it is not known.
    ///
    /// # Errors
    /// The store fails.
    async fn cursor(&self, sink: &str) -> Result<Option<Position>, LogError>;

    /// Keeps durably that the sink has everything up to the position. Entries that every sink has may go.
    ///
    /// # Errors
    /// The store fails.
    async fn advance(&self, sink: &str, position: Position) -> Result<(), LogError>;

    /// Forgets a sink that is no more, so that nothing is kept for it.
    ///
    /// # Errors
    /// The store fails.
    async fn forget(&self, sink: &str) -> Result<(), LogError>;
}
