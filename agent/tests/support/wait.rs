//! Polling with a deadline, for what cannot be waited for in any other way.

#![allow(dead_code, reason = "shared by test targets")]

use std::time::{Duration, Instant};

/// Asks until there is an answer.
///
/// # Panics
/// There is none in time.
pub fn until_some<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "after {patience:?} still waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks until it is so.
///
/// # Panics
/// It is not so after ten seconds.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_some(what, Duration::from_secs(10), || is_so().then_some(()));
}
