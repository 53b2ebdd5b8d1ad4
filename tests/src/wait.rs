//! Polling with a deadline, for what cannot be waited for in any other way.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
///
/// # Panics
/// There is none in time.
pub fn until_some<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "after {PATIENCE:?} still waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
