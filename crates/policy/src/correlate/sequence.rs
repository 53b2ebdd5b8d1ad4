//! `sequence`: events one after the other, for the same key, within a time.
//!
//! For each key and each step the youngest run that has come so far is kept: no other run can complete where it
//! cannot, for it has the most time left. An event takes a run one step further at most. When the last step is
//! reached the rule matches and the key begins again.
//!
//! Where the order does not matter, the youngest event of each step is kept, and the rule matches when there is one of
//! each.

use super::key::{Key, Keys};
use super::{Correlation, CorrelationStats, Limits, StepMatch};
use crate::rule::Sequence;

/// The memory of a rule with a sequence.
#[derive(Debug)]
pub(crate) struct SequenceState {
    steps: usize,
    within: u64,
    any_order: bool,
    keys: Keys<Vec<Option<Vec<StepMatch>>>>,
}

impl SequenceState {
    pub fn new(sequence: &Sequence, limits: Limits) -> Self {
        let within = u64::try_from(sequence.within.as_nanos()).unwrap_or(u64::MAX);
        Self {
            steps: sequence.steps.len(),
            within,
            any_order: sequence.any_order,
            keys: Keys::new(limits.keys),
        }
    }

    /// An event is a step for a key; `describe` says what is worth keeping of it. Of an event that is several steps, the
    /// last comes first, so that it is not its own successor.
    pub fn advance(
        &mut self,
        key: Key,
        time: u64,
        step: usize,
        describe: impl FnOnce() -> StepMatch,
    ) -> Option<Correlation> {
        if self.keys.get(&key).is_none() {
            // A run begins with the first step only.
            if step != 0 && !self.any_order {
                return None;
            }
            self.keys.add(key.clone(), vec![None; self.steps]);
        }
        let runs = self.keys.get(&key)?;
        let start = time.saturating_sub(self.within);
        if self.any_order {
            *runs.get_mut(step)? = Some(vec![describe()]);
            let mut found: Vec<&StepMatch> = runs.iter().flatten().flatten().collect();
            found.retain(|event| event.time >= start);
            found.sort_by_key(|event| event.time);
            // One event is not two steps.
            if found.len() < self.steps || found.windows(2).any(|pair| pair[0].time == pair[1].time) {
                return None;
            }
            let steps = found.into_iter().cloned().collect();
            self.keys.remove(&key);
            return Some(Correlation::Sequence { steps });
        }
        let mut run = match step.checked_sub(1) {
            None => Vec::with_capacity(2),
            Some(before) => {
                runs.get(before)?.clone().filter(|run| run.first().is_some_and(|s| s.time >= start))?
            }
        };
        run.push(describe());
        if step + 1 == self.steps {
            self.keys.remove(&key);
            return Some(Correlation::Sequence { steps: run });
        }
        *runs.get_mut(step)? = Some(run);
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

    struct Stream(SequenceState);

    impl Stream {
        fn new(steps: usize, within: u64) -> Self {
            Self(SequenceState { steps, within, any_order: false, keys: Keys::new(4) })
        }

        /// The times of the steps, if the event completes a run.
        fn event(&mut self, key: u64, time: u64, steps: &[usize]) -> Option<Vec<u64>> {
            let key = Key::new([&[Value::Uint(key)][..]].into_iter());
            let describe = |step: usize| StepMatch { name: step.to_string(), time, fields: Vec::new() };
            let mut last_first = steps.iter().rev();
            match last_first.find_map(|s| self.0.advance(key.clone(), time, *s, || describe(*s)))? {
                Correlation::Sequence { steps } => Some(steps.iter().map(|s| s.time).collect()),
                _ => None,
            }
        }
    }

    #[test]
    fn in_order_for_the_same_key_in_time() {
        let mut stream = Stream::new(3, 10);
        assert_eq!(stream.event(1, 0, &[1]), None);
        assert_eq!(stream.event(1, 1, &[0]), None);
        assert_eq!(stream.event(2, 2, &[1]), None);
        assert_eq!(stream.event(1, 3, &[1]), None);
        assert_eq!(stream.event(1, 4, &[0]), None);
        assert_eq!(stream.event(1, 11, &[2]), Some(vec![1, 3, 11]));
        // The key has begun again.
        assert_eq!(stream.event(1, 12, &[2]), None);
    }

    #[test]
    fn too_late_and_one_event_for_two_steps() {
        let mut stream = Stream::new(2, 10);
        stream.event(1, 0, &[0]);
        assert_eq!(stream.event(1, 11, &[1]), None);
        // An event that is both steps begins a run and does not complete it by itself.
        assert_eq!(stream.event(1, 12, &[0, 1]), None);
        assert_eq!(stream.event(1, 13, &[0, 1]), Some(vec![12, 13]));
    }

    #[test]
    fn in_any_order() {
        let mut stream = Stream::new(2, 10);
        stream.0.any_order = true;
        assert_eq!(stream.event(1, 0, &[1]), None);
        assert_eq!(stream.event(2, 1, &[0]), None);
        assert_eq!(stream.event(1, 2, &[0]), Some(vec![0, 2]));
        assert_eq!(stream.event(1, 3, &[0]), None);
        assert_eq!(stream.event(1, 20, &[1]), None);
        assert_eq!(stream.event(3, 21, &[0, 1]), None);
        assert_eq!(stream.event(3, 22, &[0]), Some(vec![21, 22]));
    }

    #[test]
    fn the_youngest_run_counts() {
        let mut stream = Stream::new(2, 10);
        stream.event(1, 0, &[0]);
        stream.event(1, 8, &[0]);
        assert_eq!(stream.event(1, 15, &[1]), Some(vec![8, 15]));
    }
}
