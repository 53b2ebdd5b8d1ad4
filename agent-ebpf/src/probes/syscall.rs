//! The exit of a system call: the way into the handlers of file and network events.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{SYSCALLS, header_flags};

use crate::{
    kernel::{Regs, Task},
    maps::{CALLS, HANDLERS},
};

/// A traced call that has just returned.
pub struct Exit {
    /// Which call.
    pub call: u8,
    /// Whether it came by the 32-bit entry.
    pub compat: bool,
    /// Its arguments.
    pub args: [u64; 6],
    /// What it returned.
    pub ret: i64,
    /// Who called.
    pub task: Task,
}

impl Exit {
    /// Reads the call again inside a handler; `None` where it is not traced any more.
    #[inline(always)]
    pub fn of(ctx: &BtfTracePointContext) -> Option<Self> {
        let regs = Regs::from_ptr(ctx.arg(0));
        let entry = entry(regs)?;
        let task = Task::current();
        let compat = task.in_compat_call();
        let call = row(entry, compat);
        (call != 0).then(|| Self { call, compat, args: regs.args(compat), ret: ctx.arg(1), task })
    }

    /// [`header_flags`] of the record.
    #[inline(always)]
    pub fn flags(&self) -> u16 {
        if self.compat { header_flags::COMPAT } else { 0 }
    }
}

#[inline(always)]
fn entry(regs: Regs) -> Option<u16> {
    let number = regs.number();
    if number >= u64::from(SYSCALLS) {
        return None;
    }
    CALLS.get(number as u32).copied()
}

#[inline(always)]
fn row(entry: u16, compat: bool) -> u8 {
    if compat { (entry >> 8) as u8 } else { entry as u8 }
}

/// Arguments: `pt_regs`, return value. Most calls end at the first line.
#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let Some(entry) = entry(Regs::from_ptr(ctx.arg(0))) else { return 0 };
    if entry == 0 {
        return 0;
    }
    let call = row(entry, Task::current().in_compat_call());
    if call != 0 {
        // Comes back only where the handler is not loaded.
        unsafe { HANDLERS.tail_call(&ctx, u32::from(call)) }
    }
    0
}
