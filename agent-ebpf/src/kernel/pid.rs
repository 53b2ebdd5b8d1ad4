//! `pid` and `upid`: one number per pid namespace.

use aya_ebpf::Global;

use super::{PID_NUMBERS, Ptr, kfields, kstruct, probed};

/// `sizeof(struct upid)`.
#[unsafe(no_mangle)]
pub static UPID_SIZE: Global<u32> = Global::new(16);

kstruct!(
    /// `pid`
    Pid
);
kfields!(direct Pid {
    level: u32 = PID_LEVEL;
});

impl Pid {
    /// The number and namespace at `level`. The row is computed, hence the probed read.
    #[inline(always)]
    pub fn upid(self, level: u32) -> Upid {
        if self.is_null() {
            return Upid(core::ptr::null());
        }
        let row = PID_NUMBERS.load() + level * UPID_SIZE.load();
        Upid(self.0.wrapping_byte_add(row as usize))
    }

    /// The number in the initial pid namespace.
    #[inline(always)]
    pub fn global(self) -> u32 {
        self.upid(0).nr()
    }

    /// The same, for a pointer that the verifier knows nothing about.
    #[inline(always)]
    pub fn global_probed(self) -> u32 {
        if self.is_null() {
            return 0;
        }
        Upid(self.0.wrapping_byte_add(PID_NUMBERS.load() as usize)).nr()
    }

    /// The number in its own pid namespace.
    #[inline(always)]
    pub fn own(self) -> u32 {
        self.upid(self.level()).nr()
    }
}

kstruct!(
    /// `upid`
    Upid
);
kfields!(probed Upid {
    nr: u32 = UPID_NR;
});

impl Upid {
    /// Inode number of its pid namespace.
    #[inline(always)]
    pub fn ns_inum(self) -> u32 {
        let ns: Ptr = probed(self.0, &super::UPID_NS);
        probed(ns.0, &super::PID_NS_INUM)
    }

    /// When the first process of its pid namespace started.
    #[inline(always)]
    pub fn ns_start(self) -> u64 {
        let ns: Ptr = probed(self.0, &super::UPID_NS);
        let first: Ptr = probed(ns.0, &super::PID_NS_CHILD_REAPER);
        probed(first.0, &super::TASK_START_BOOTTIME)
    }
}
