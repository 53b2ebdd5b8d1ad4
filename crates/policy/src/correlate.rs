//! Several events to one alert: `threshold`, `sequence`, `throttle`.
//!
//! Time comes from the events only, so a replay gives the same alerts as the live stream. State is bounded: each rule
//! holds at most [`Limits::keys`] keys, and each key a bounded number of entries. When a rule meets more keys, the one
//! unused for longest is forgotten and counted.

mod key;
mod sequence;
mod threshold;
mod throttle;

pub(crate) use key::Key;
pub(crate) use sequence::SequenceState;
pub(crate) use threshold::ThresholdState;
pub(crate) use throttle::{Admission, Suppressed, ThrottleState};

use serde::Serialize;
use serde_json::Value as Json;

use crate::rule::{Detection, Rule};

/// How much a rule may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many keys a rule holds.
    pub keys: usize,
    /// How many entries (times, values) a rule holds over all its keys.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keys: 8192, entries: 262_144 }
    }
}

/// What a rule with memory holds and had to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CorrelationStats {
    /// Keys held now.
    pub keys: usize,
    /// Keys forgotten for want of room, since the start.
    pub evicted: u64,
    /// Alerts that a throttle held back, since the start. Each is in a summary, or will be.
    pub suppressed: u64,
}

/// What a match says of the events before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Correlation {
    /// So many events.
    Threshold {
        /// How many events, or different values, made it match.
        count: u32,
        /// Time of the first of them, nanoseconds since 1970.
        first: u64,
        /// Time of the last.
        last: u64,
    },
    /// All steps, in order.
    Sequence {
        /// The events.
        steps: Vec<StepMatch>,
    },
    /// Alerts held back by a throttle.
    Summary {
        /// How many.
        suppressed: u64,
        /// Time of the first, nanoseconds since 1970.
        first: u64,
        /// Time of the last.
        last: u64,
    },
}

/// An event that was a step of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepMatch {
    /// The name of the step.
    pub name: String,
    /// When it happened, nanoseconds since 1970.
    pub time: u64,
    /// What is worth knowing of it, by field name.
    pub fields: Vec<(String, Json)>,
}

/// What a rule remembers.
#[derive(Debug, Default)]
pub(crate) struct RuleState {
    pub threshold: Option<ThresholdState>,
    pub sequence: Option<SequenceState>,
    pub throttle: Option<ThrottleState>,
}

impl RuleState {
    pub fn for_rule(rule: &Rule, limits: Limits) -> Self {
        let mut state = Self::default();
        match &rule.detection {
            Detection::Single(_) => {}
            Detection::Threshold(threshold) => state.threshold = Some(ThresholdState::new(threshold, limits)),
            Detection::Sequence(sequence) => state.sequence = Some(SequenceState::new(sequence, limits)),
        }
        state.throttle = rule.throttle.as_ref().map(|t| ThrottleState::new(t.interval, limits));
        state
    }

    /// `None` for a rule without memory.
    pub fn stats(&self) -> Option<CorrelationStats> {
        let parts = [
            self.threshold.as_ref().map(ThresholdState::stats),
            self.sequence.as_ref().map(SequenceState::stats),
            self.throttle.as_ref().map(ThrottleState::stats),
        ];
        parts.into_iter().flatten().reduce(|a, b| CorrelationStats {
            keys: a.keys + b.keys,
            evicted: a.evicted + b.evicted,
            suppressed: a.suppressed + b.suppressed,
        })
    }
}
