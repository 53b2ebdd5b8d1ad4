//! How long to wait before the next attempt.

use std::time::Duration;

use super::config::Retry;

/// Twice as long each time, up to a limit, and between half of that and all of it by chance, so that many who failed at
/// the same time do not come back at the same time.
#[derive(Debug)]
pub(super) struct Backoff {
    initial: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(retry: Retry) -> Self {
        let (initial, max) = (retry.initial.0, retry.max.0);
        Self { initial, max, next: initial }
    }

    /// The next attempt is the first one again.
    pub(super) fn reset(&mut self) {
        self.next = self.initial;
    }

    /// How long to wait now. What the far side asked for is the least, but for the limit.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let whole = self.next.min(self.max);
        self.next = (whole * 2).min(self.max);
        let by_chance = whole.mul_f64(0.5 + fastrand::f64() / 2.0);
        by_chance.max(asked.unwrap_or_default()).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Interval;
    use super::*;

    #[test]
    fn it_doubles_up_to_the_limit_and_starts_anew() {
        let mut backoff =
            Backoff::new(Retry { initial: Interval::from_millis(100), max: Interval::from_millis(1000) });
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next(None).as_millis();
            assert!((expected / 2..=expected).contains(&wait), "{wait} of {expected}");
        }
        backoff.reset();
        assert!(backoff.next(None) <= Duration::from_millis(100));
    }

    #[test]
    fn what_the_far_side_asks_for_counts_up_to_the_limit() {
        let retry = Retry { initial: Interval::from_millis(100), max: Interval::from_secs(10) };
        let mut backoff = Backoff::new(retry);
        assert_eq!(backoff.next(Some(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(backoff.next(Some(Duration::from_hours(1))), Duration::from_secs(10));
    }
}
