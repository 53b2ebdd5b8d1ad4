//! `throttle`: the first alert at once, then one summary for each interval in which there were more.
//!
//! Nothing is lost: what is held back is counted, and the summary comes when the interval is over, when the key has to
//! make room, or when the evaluator ends.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;

use super::key::{Key, Keys};
use super::{Correlation, CorrelationStats, Limits};

/// The memory of a rule with a throttle.
#[derive(Debug)]
pub(crate) struct ThrottleState {
    interval: u64,
    keys: Keys<Window>,
    /// When each window ends.
    deadlines: BTreeSet<(u64, Key)>,
    suppressed: u64,
}

/// An interval in which alerts are held back.
#[derive(Debug)]
struct Window {
    end: u64,
    held: Option<Suppressed>,
}

/// Alerts held back: how many, and the last of them.
#[derive(Debug, Clone)]
pub(crate) struct Suppressed {
    pub count: u64,
    pub first: u64,
    pub last: u64,
    pub output: String,
    pub output_fields: Vec<(String, Json)>,
}

impl Suppressed {
    pub fn correlation(&self) -> Correlation {
        Correlation::Summary { suppressed: self.count, first: self.first, last: self.last }
    }
}

/// What becomes of an alert.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is raised. A key that made room for it may have a summary due.
    Now(Option<Suppressed>),
    /// It is held back; the caller tells its text with [`ThrottleState::hold`].
    Held,
}

impl ThrottleState {
    pub fn new(interval: Duration, limits: Limits) -> Self {
        Self {
            interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            keys: Keys::new(limits.keys),
            deadlines: BTreeSet::new(),
            suppressed: 0,
        }
    }

    /// When the next window ends, if there is one.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(end, _)| *end)
    }

    /// An alert for a key. Windows that are over must be closed first, with [`ThrottleState::due`].
    pub fn admit(&mut self, key: &Key, time: u64) -> Admission {
        if self.keys.get(key).is_some() {
            return Admission::Held;
        }
        let end = time.saturating_add(self.interval);
        self.deadlines.insert((end, key.clone()));
        let gone = self.keys.add(key.clone(), Window { end, held: None });
        Admission::Now(gone.and_then(|(key, window)| {
            self.deadlines.remove(&(window.end, key));
            window.held
        }))
    }

    /// The text of an alert that was held back.
    pub fn hold(&mut self, key: &Key, time: u64, output: String, output_fields: Vec<(String, Json)>) {
        let Some(window) = self.keys.get(key) else { return };
        self.suppressed += 1;
        let (count, first) = window.held.as_ref().map_or((0, time), |h| (h.count, h.first));
        window.held = Some(Suppressed { count: count + 1, first, last: time, output, output_fields });
    }

    /// The next summary that is due at that time. A window with a summary is followed by another.
    pub fn due(&mut self, time: u64) -> Option<Suppressed> {
        while self.next_deadline().is_some_and(|end| end <= time) {
            let (end, key) = self.deadlines.pop_first()?;
            let Some(window) = self.keys.get(&key) else { continue };
            match window.held.take() {
                Some(held) => {
                    // Quiet intervals in between need no window.
                    let passed = (time - end) / self.interval.max(1);
                    window.end = end.saturating_add(self.interval.saturating_mul(passed + 1));
                    self.deadlines.insert((window.end, key));
                    return Some(held);
                }
                None => {
                    self.keys.remove(&key);
                }
            }
        }
        None
    }

    pub fn stats(&self) -> CorrelationStats {
        CorrelationStats { keys: self.keys.len(), evicted: self.keys.evicted, suppressed: self.suppressed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn key(n: u64) -> Key {
        Key::new([&[Value::Uint(n)][..]].into_iter())
    }

    /// What comes out for an alert at that time: summaries first, then whether the alert is raised.
    fn alert(state: &mut ThrottleState, n: u64, time: u64) -> (Vec<u64>, bool) {
        let mut summaries = Vec::new();
        while let Some(held) = state.due(time) {
            summaries.push(held.count);
        }
        match state.admit(&key(n), time) {
            Admission::Now(gone) => {
                summaries.extend(gone.map(|h| h.count));
                (summaries, true)
            }
            Admission::Held => {
                state.hold(&key(n), time, String::new(), Vec::new());
                (summaries, false)
            }
        }
    }

    #[test]
    fn the_first_at_once_then_summaries() {
        let mut state = ThrottleState::new(Duration::from_nanos(10), Limits::default());
        assert_eq!(alert(&mut state, 1, 0), (vec![], true));
        assert_eq!(alert(&mut state, 1, 1), (vec![], false));
        assert_eq!(alert(&mut state, 2, 2), (vec![], true));
        assert_eq!(alert(&mut state, 1, 9), (vec![], false));
        // The window ends with a summary and another begins.
        assert_eq!(alert(&mut state, 1, 10), (vec![2], false));
        assert_eq!(alert(&mut state, 1, 100), (vec![1], false));
        assert_eq!(alert(&mut state, 1, 300), (vec![1], false));
        // A window without any ends silently.
        assert_eq!(alert(&mut state, 2, 301), (vec![], true));
        assert_eq!(state.stats().suppressed, 5);
    }

    #[test]
    fn a_key_that_makes_room_tells_what_it_held() {
        let mut state = ThrottleState::new(Duration::from_secs(1), Limits { keys: 1, entries: 1 });
        alert(&mut state, 1, 0);
        alert(&mut state, 1, 1);
        assert_eq!(alert(&mut state, 2, 2), (vec![1], true));
        assert_eq!(state.deadlines.len(), 1);
        assert_eq!(state.stats().evicted, 1);
    }
}
