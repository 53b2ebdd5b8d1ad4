//! The two clocks that matter here.

use nix::time::{ClockId, clock_gettime};
use vedette_event::Clock;

/// `CLOCK_BOOTTIME` in nanoseconds, the clock of the kernel's records.
pub fn boottime() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// The difference between the clock of the records and the wall clock, now.
pub fn wall_clock() -> Clock {
    // The readings are not simultaneous: take the pair that lies closest together.
    let mut best = (u64::MAX, 0);
    for _ in 0..5 {
        let before = boottime();
        let real = read(ClockId::CLOCK_REALTIME);
        let width = boottime().saturating_sub(before);
        if width < best.0 {
            best = (width, real.saturating_sub(before + width / 2));
        }
    }
    Clock { boot_epoch_ns: best.1 }
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec().unsigned_abs() * 1_000_000_000 + t.tv_nsec().unsigned_abs())
}
