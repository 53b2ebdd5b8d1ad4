//! The registers of a system call: the one file that knows the instruction set.
//!
//! At the exit of a call x86-64 still holds the arguments as passed; the layout of `pt_regs` is fixed by the
//! kernel's entry code (`arch/x86/include/asm/ptrace.h`).

use super::kstruct;

kstruct!(
    /// `pt_regs`
    Regs
);

/// Byte offsets in x86-64's `pt_regs`.
mod x86_64 {
    pub const BP: usize = 32;
    pub const R10: usize = 56;
    pub const R9: usize = 64;
    pub const R8: usize = 72;
    pub const CX: usize = 88;
    pub const DX: usize = 96;
    pub const SI: usize = 104;
    pub const DI: usize = 112;
    pub const BX: usize = 40;
    pub const ORIG_AX: usize = 120;
}
use x86_64::*;

/// Set in the number of an x32 call; the tables are the same below it.
const X32_BIT: u64 = 0x4000_0000;

impl Regs {
    #[inline(always)]
    fn at(self, offset: usize) -> u64 {
        unsafe { core::ptr::read_volatile(self.0.byte_add(offset).cast::<u64>()) }
    }

    /// Number of the call.
    #[inline(always)]
    pub fn number(self) -> u64 {
        self.at(ORIG_AX) & !X32_BIT
    }

    /// The arguments; the 32-bit entry passes them in other registers.
    #[inline(always)]
    pub fn args(self, compat: bool) -> [u64; 6] {
        if compat {
            [self.at(BX), self.at(CX), self.at(DX), self.at(SI), self.at(DI), self.at(BP)]
                .map(|r| r & 0xffff_ffff)
        } else {
            [self.at(DI), self.at(SI), self.at(DX), self.at(R10), self.at(R8), self.at(R9)]
        }
    }
}
