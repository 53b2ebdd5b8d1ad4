//! Waiting for what must come.

use std::time::{Duration, Instant};

/// How long something may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it holds.
pub async fn until<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = holds().await {
            return result;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A moment between two looks.
pub fn a_moment() {
    std::thread::sleep(Duration::from_millis(10));
}
