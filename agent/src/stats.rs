//! What happened to the events that came up, counted where everybody can read it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use vedette_abi::{KINDS, Kind};

/// Counters of the user side. They only ever grow.
#[derive(Debug, Default)]
pub struct Stats {
    delivered: [AtomicU64; KINDS],
    /// Records that the decoder refused.
    pub undecodable: AtomicU64,
    /// Events that some rule matched.
    pub matches: AtomicU64,
    /// Alerts handed to the sinks.
    pub alerts: AtomicU64,
    /// Records that gap records reported as lost.
    pub gap_lost: AtomicU64,
    /// Gaps.
    pub gaps: AtomicU64,
    /// Processes read from `/proc` because records about them were missing.
    pub healed: AtomicU64,
    /// Comparisons of the process table with `/proc`, one after each loss of process state.
    pub sweeps: AtomicU64,
    /// Processes whose end only such a comparison told.
    pub sweep_ended: AtomicU64,
    /// Policy reloads that succeeded.
    pub reloads: AtomicU64,
    /// Policy reloads that failed; the old policies stayed.
    pub reload_failures: AtomicU64,
    /// Processes in the table.
    pub processes: AtomicU64,
    /// Processes evicted because the table was full.
    pub evicted: AtomicU64,
    /// Events of processes that were not known.
    pub unknown_processes: AtomicU64,
    /// Control groups in the table.
    pub cgroups: AtomicU64,
    /// Events that waited for the metadata of their container.
    pub held: AtomicU64,
    /// Of these, events that were evaluated without it.
    pub held_gave_up: AtomicU64,
    /// Events that found no room to wait.
    pub held_refused: AtomicU64,
    /// Nanoseconds that the engine worked.
    pub busy_ns: AtomicU64,
}

impl Stats {
    /// Counts a record that reached the engine.
    pub fn deliver(&self, kind: Kind) {
        self.delivered[kind as usize].fetch_add(1, Relaxed);
    }

    /// Records of one kind that reached the engine.
    pub fn delivered(&self, kind: Kind) -> u64 {
        self.delivered[kind as usize].load(Relaxed)
    }

    /// All records that reached the engine, gap records left out.
    pub fn delivered_events(&self) -> u64 {
        Kind::ALL.iter().filter(|k| **k != Kind::Gap).map(|k| self.delivered(*k)).sum()
    }
}
