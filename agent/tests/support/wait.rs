//! Waiting for what tells nobody that it happened.

use std::time::{Duration, Instant};

/// Asks again and again until it is so.
///
/// # Panics
/// It is not so after ten seconds.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not after ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}
