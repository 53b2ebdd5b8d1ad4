//! An alert log in memory, for tests, and for a controller that may forget.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{AlertLog, Appended, Entry, LogError, Position, Usage};

/// Keeps alerts until the process ends.
#[derive(Debug)]
pub struct MemoryLog {
    limit: u64,
    state: Mutex<State>,
    last: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<(Position, Entry)>,
    uids: BTreeSet<(Arc<str>, String)>,
    bytes: u64,
    last: Position,
    cursors: BTreeMap<String, Position>,
}

impl MemoryLog {
    /// An empty log of at most so many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::default(), last: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

impl State {
    /// Drops the oldest entries that every sink has, until there is room.
    fn make_room(&mut self, wanted: u64, limit: u64) -> bool {
        let kept = self.cursors.values().copied().min().unwrap_or(Position::MAX);
        while self.bytes + wanted > limit {
            let Some((_, entry)) = self.entries.pop_front_if(|(position, _)| *position <= kept) else {
                return false;
            };
            self.bytes -= entry.size() as u64;
            self.uids.remove(&(entry.node, entry.uid));
        }
        true
    }
}

#[async_trait]
impl AlertLog for MemoryLog {
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, LogError> {
        entries.iter().try_for_each(Entry::check)?;
        let mut state = self.state();
        let given = entries.len();
        let mut seen = BTreeSet::new();
        let mut new = entries;
        new.retain(|entry| {
            let key = (Arc::clone(&entry.node), entry.uid.clone());
            !state.uids.contains(&key) && seen.insert(key)
        });
        let wanted = new.iter().map(|entry| entry.size() as u64).sum();
        if !state.make_room(wanted, self.limit) {
            return Err(LogError::Full { used: state.bytes, limit: self.limit });
        }
        let written = new.len();
        for entry in new {
            state.last += 1;
            state.uids.insert((Arc::clone(&entry.node), entry.uid.clone()));
            let position = state.last;
            state.entries.push_back((position, entry));
        }
        state.bytes += wanted;
        let last = state.last;
        drop(state);
        self.last.send_replace(last);
        Ok(Appended { last, written, repeated: given - written })
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<(Position, Entry)>, LogError> {
        let state = self.state();
        let from = state.entries.partition_point(|(position, _)| *position <= after);
        Ok(state.entries.iter().skip(from).take(limit).cloned().collect())
    }

    async fn wait(&self, after: Position) {
        // The sender lives as long as `self`, so this ends only with an entry.
        let _ = self.last.subscribe().wait_for(|last| *last > after).await;
    }

    async fn usage(&self) -> Result<Usage, LogError> {
        let state = self.state();
        Ok(Usage {
            first: state.entries.front().map_or(0, |(position, _)| *position),
            last: state.entries.back().map_or(0, |(position, _)| *position),
            bytes: state.bytes,
            limit: self.limit,
            damaged: 0,
        })
    }

    async fn cursor(&self, sink: &str) -> Result<Option<Position>, LogError> {
        Ok(self.state().cursors.get(sink).copied())
    }

    async fn advance(&self, sink: &str, position: Position) -> Result<(), LogError> {
        let mut state = self.state();
        let cursor = state.cursors.entry(sink.to_owned()).or_default();
        *cursor = position.max(*cursor);
        Ok(())
    }

    async fn forget(&self, sink: &str) -> Result<(), LogError> {
        self.state().cursors.remove(sink);
        Ok(())
    }

    async fn sinks(&self) -> Result<Vec<String>, LogError> {
        Ok(self.state().cursors.keys().cloned().collect())
    }

    async fn close(&self) {}
}
