//! Polling with a deadline, for what cannot be waited for in any other way.

use std::time::{Duration, Instant};

/// Asks until there is an answer.
///
/// # Panics
/// There is none in time.
pub fn until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "after {patience:?} still waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
