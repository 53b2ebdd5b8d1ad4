//! The kernel's books, summed over CPUs.

use std::collections::BTreeMap;

use vedette_abi::{CpuState, Kind, ProbeError};

/// What became of the events of one kind, in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCount {
    /// Passed the filter.
    pub produced: u64,
    /// Handed to a ring.
    pub submitted: u64,
    /// Lost because the ring was full.
    pub ring_full: u64,
    /// Dropped by the filter: nobody wanted them.
    pub filtered: u64,
    /// Lost because the record could not be made.
    pub errors: u64,
}

impl KindCount {
    /// `produced = submitted + dropped`, which always holds.
    pub fn balances(&self) -> bool {
        self.produced == self.submitted + self.ring_full + self.errors
    }
}

/// All kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By kind.
    pub kinds: BTreeMap<Kind, KindCount>,
    /// By kind and reason, only what happened.
    pub errors: BTreeMap<(Kind, ProbeError), u64>,
    /// Runs of programs that the kernel skipped because the same program was running on that CPU.
    pub missed_runs: u64,
}

impl Counters {
    /// Sums per-CPU states.
    pub fn sum<'a>(cpus: impl IntoIterator<Item = &'a CpuState>) -> Self {
        let mut out = Self::default();
        for cpu in cpus {
            for kind in Kind::ALL {
                let row = *kind as usize;
                let count = out.kinds.entry(*kind).or_default();
                count.produced += cpu.produced[row];
                count.submitted += cpu.submitted[row];
                count.ring_full += cpu.ring_full[row];
                count.filtered += cpu.filtered[row];
                for error in ProbeError::ALL {
                    let n = u64::from(cpu.errors[row][*error as usize]);
                    count.errors += n;
                    if n > 0 {
                        *out.errors.entry((*kind, *error)).or_default() += n;
                    }
                }
            }
        }
        out
    }

    /// One kind.
    pub fn of(&self, kind: Kind) -> KindCount {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// All kinds together, gap records left out: they report losses and are not events.
    pub fn total(&self) -> KindCount {
        self.kinds.iter().filter(|(k, _)| **k != Kind::Gap).fold(KindCount::default(), |a, (_, b)| {
            KindCount {
                produced: a.produced + b.produced,
                submitted: a.submitted + b.submitted,
                ring_full: a.ring_full + b.ring_full,
                filtered: a.filtered + b.filtered,
                errors: a.errors + b.errors,
            }
        })
    }
}
