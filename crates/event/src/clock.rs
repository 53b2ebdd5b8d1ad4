//! From the kernel's clock to the wall clock.

/// Kernel records bear `CLOCK_BOOTTIME`; people want `CLOCK_REALTIME`. The difference is taken once and kept with
/// a recording, so that a replay shows the times of the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds of the Unix epoch at boot.
    pub boot_epoch_ns: u64,
}

impl Clock {
    /// Nanoseconds since the Unix epoch for a kernel time.
    pub fn realtime(&self, boottime_ns: u64) -> u64 {
        self.boot_epoch_ns.saturating_add(boottime_ns)
    }

    /// The kernel time of a number of nanoseconds since the Unix epoch.
    pub fn boottime(&self, realtime_ns: u64) -> u64 {
        realtime_ns.saturating_sub(self.boot_epoch_ns)
    }
}
