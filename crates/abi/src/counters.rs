//! Counters that the BPF programs keep per CPU, and the state of a gap that waits to be reported.

use crate::{Gap, KINDS, RINGS, record_struct, wire_enum};

wire_enum! {
    /// Why a record that should have been made was not.
    pub enum ProbeError: u8 {
        /// A scratch buffer was not there.
        NoScratch = 0 => "no_scratch",
        /// The task or one of its structures could not be read.
        NoTask = 1 => "no_task",
        /// The descriptor led to no file.
        NoFile = 2 => "no_file",
        /// The record was larger than what is carried.
        TooLarge = 3 => "too_large",
    }
}

/// Rows of error counters per kind.
pub const PROBE_ERRORS: usize = 4;

record_struct! {
    /// One CPU's counters. `produced[k] = submitted[k] + ring_full[k] + Σ errors[k]` holds for every kind `k`.
    pub struct CpuState: 2080 {
        /// Last sequence number given, by ring.
        pub seq: [u64; RINGS],
        /// Events that passed the filter, by kind.
        pub produced: [u64; KINDS],
        /// Records handed to a ring, by kind.
        pub submitted: [u64; KINDS],
        /// Records for which the ring had no room, by kind.
        pub ring_full: [u64; KINDS],
        /// Events that the filter dropped, by kind.
        pub filtered: [u64; KINDS],
        /// Records that could not be made, by kind and [`ProbeError`].
        pub errors: [[u32; PROBE_ERRORS]; KINDS],
        /// A loss that has not been reported yet, by ring; `total` 0 means none.
        pub pending: [Gap; RINGS],
        /// Room for later counters.
        pub spare: [u64; 24],
    }
}
