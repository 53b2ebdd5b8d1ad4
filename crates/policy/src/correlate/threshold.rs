//! `threshold`: so many events, or so many different values, within a sliding window.
//!
//! When the count is reached the rule matches and the key begins again, so that the next match takes as many again.

use std::collections::VecDeque;

use super::key::{Key, Keys};
use super::{Correlation, CorrelationStats, Limits};
use crate::rule::Threshold;

/// The memory of a rule with a threshold.
#[derive(Debug)]
pub(crate) struct ThresholdState {
    count: usize,
    within: u64,
    entry_limit: usize,
    keys: Keys<VecDeque<Entry>>,
    /// Entries over all keys.
    entries: usize,
}

/// An event that counts.
#[derive(Debug, Clone, Copy)]
struct Entry {
    time: u64,
    /// The value that must differ; 0 where events are counted.
    value: u64,
}

impl ThresholdState {
    pub fn new(threshold: &Threshold, limits: Limits) -> Self {
        Self {
            count: threshold.count as usize,
            within: u64::try_from(threshold.within.as_nanos()).unwrap_or(u64::MAX),
            entry_limit: limits.entries.max(threshold.count as usize),
            keys: Keys::new(limits.keys),
            entries: 0,
        }
    }

    /// An event counts for a key. `value` is a hash of the value that must differ, if values are counted.
    pub fn hit(&mut self, key: Key, time: u64, value: Option<u64>) -> Option<Correlation> {
        if self.keys.get(&key).is_none() {
            let gone = self.keys.add(key.clone(), VecDeque::new());
            self.entries -= gone.map_or(0, |(_, entries)| entries.len());
        }
        let entries = self.keys.get(&key)?;
        let before = entries.len();
        let start = time.saturating_sub(self.within);
        while entries.front().is_some_and(|e| e.time < start) {
            entries.pop_front();
        }
        if let Some(value) = value {
            // A value seen again counts once, at its last time.
            entries.retain(|e| e.value != value);
        }
        entries.push_back(Entry { time, value: value.unwrap_or(0) });
        let (first, len) = (entries.front().map_or(time, |e| e.time), entries.len());
        if len >= self.count {
            self.keys.remove(&key);
            self.entries -= before;
            return Some(Correlation::Threshold { count: len as u32, first, last: time });
        }
        self.entries = self.entries + len - before;
        while self.entries > self.entry_limit {
            let Some(gone) = self.keys.evict() else { break };
            self.entries -= gone.len();
        }
        None
    }

    pub fn stats(&self) -> CorrelationStats {
        CorrelationStats { keys: self.keys.len(), evicted: self.keys.evicted, suppressed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn state(count: usize, within: u64, keys: usize, entries: usize) -> ThresholdState {
        ThresholdState { count, within, entry_limit: entries, keys: Keys::new(keys), entries: 0 }
    }

    fn key(n: u64) -> Key {
        Key::new([&[Value::Uint(n)][..]].into_iter())
    }

    #[test]
    fn a_sliding_window_that_begins_again() {
        let mut state = state(3, 10, 8, 100);
        let hits: Vec<bool> =
            [0, 5, 12, 14, 15, 16, 17].iter().map(|t| state.hit(key(1), *t, None).is_some()).collect();
        assert_eq!(hits, [false, false, false, true, false, false, true]);
    }

    #[test]
    fn different_values() {
        let mut state = state(3, 100, 8, 100);
        assert!(state.hit(key(1), 0, Some(1)).is_none());
        assert!(state.hit(key(1), 1, Some(1)).is_none());
        assert!(state.hit(key(1), 2, Some(2)).is_none());
        let hit = state.hit(key(1), 3, Some(3));
        assert_eq!(hit, Some(Correlation::Threshold { count: 3, first: 1, last: 3 }));
    }

    #[test]
    fn keys_and_entries_are_bounded_and_counted() {
        let mut state = state(100, u64::MAX, 4, 50);
        for n in 0..1000 {
            state.hit(key(n % 10), n, None);
            assert!(state.entries <= 50 && state.keys.len() <= 4);
        }
        assert!(state.stats().evicted > 900);
    }
}
