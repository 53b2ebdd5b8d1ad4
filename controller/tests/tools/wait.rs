//! Waiting for what must come.

use std::time::{Duration, Instant};

/// How long something may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it holds.
pub fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = holds() {
            return result;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until it holds, and lets others go on meanwhile.
pub async fn soon<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = holds().await {
            return result;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A moment between two looks of a poll that has its deadline elsewhere.
pub fn a_moment() {
    std::thread::sleep(Duration::from_millis(10));
}
