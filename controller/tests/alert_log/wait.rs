//! Waiting for what must come.

/// A moment between two looks.
pub fn a_moment() {
    std::thread::sleep(std::time::Duration::from_millis(10));
}
