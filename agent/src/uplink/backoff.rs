//! How long to wait before the next attempt.

use std::time::Duration;

use tokio::time::Instant;

/// The first wait, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// A connection that lasted so long was a good one. One that ended sooner is a failure like others: a controller that takes
/// everybody in and then fails must not be asked without end.
const STEADY: Duration = Duration::from_secs(5);

/// Doubles with each failure. Each wait is drawn between nothing and its length, so that many agents that lost the same
/// controller do not come back at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    reported: bool,
    /// When it last worked, while it does.
    since: Option<Instant>,
}

impl Backoff {
    /// It works again.
    pub fn connected(&mut self) {
        if std::mem::take(&mut self.reported) {
            tracing::info!("connected to the controller again");
        }
        self.since = Some(Instant::now());
    }

    /// Waits after a failure. The first of a row is told.
    pub async fn wait(&mut self, what: &str, error: &tonic::Status) {
        if self.since.take().is_some_and(|since| since.elapsed() >= STEADY) {
            self.failures = 0;
        }
        if self.failures == 2 {
            tracing::warn!(error = error.message(), code = ?error.code(), "{what}: no connection; trying on");
            self.reported = true;
        }
        let wait = self.next();
        tokio::time::sleep(wait).await;
    }

    fn next(&mut self) -> Duration {
        let most = WAITS.0.saturating_mul(1 << self.failures.min(10)).min(WAITS.1);
        self.failures = self.failures.saturating_add(1);
        let mut random = [0; 4];
        // Without random bytes everybody waits half of it.
        let part = match getrandom::fill(&mut random) {
            Ok(()) => u32::from_le_bytes(random),
            Err(_) => u32::MAX / 2,
        };
        most.mul_f64(f64::from(part) / f64::from(u32::MAX)).max(Duration::from_millis(20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_differ() {
        let longest: Vec<Duration> = (0..12u32)
            .map(|failures| {
                (0..200).map(|_| Backoff { failures, ..Default::default() }.next()).max().unwrap_or_default()
            })
            .collect();
        assert!(longest[0] <= WAITS.0 && longest[3] > longest[0]);
        assert!(longest[11] <= WAITS.1 && longest[11] > WAITS.1 / 2);
        assert_ne!(Backoff::default().next(), Backoff { failures: 9, ..Default::default() }.next());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_lasts_makes_good() {
        let mut backoff = Backoff::default();
        let error = tonic::Status::unavailable("x");
        for failures in 1..4 {
            backoff.connected();
            backoff.wait("x", &error).await;
            assert_eq!(backoff.failures, failures);
        }
        backoff.connected();
        tokio::time::advance(STEADY).await;
        backoff.wait("x", &error).await;
        assert_eq!(backoff.failures, 1);
    }
}
