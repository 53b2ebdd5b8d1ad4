//! The exit of a system call: the way into the handlers of file and network events.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_user, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use vedette_abi::{SOCKETCALL, SOCKETCALLS, SYSCALLS, header_flags};

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

    /// The same for the calls on sockets, which 32-bit programs also make through `socketcall(2)`: its arguments are
    /// the number of the call, and where the arguments of that one are.
    #[inline(always)]
    pub fn of_socket(ctx: &BtfTracePointContext) -> Option<Self> {
        let mut exit = Self::of(ctx)?;
        if exit.call != SOCKETCALL {
            return Some(exit);
        }
        let number = exit.args[0];
        exit.call = socketcall(number);
        if exit.call == 0 {
            return None;
        }
        let (at, count) = (exit.args[1], ARGUMENTS >> (3 * number) & 7);
        let mut i = 0;
        while i < 6 {
            let mut word = 0u32;
            if i < count {
                // What cannot be read stays zero.
                let _ = unsafe { bpf_probe_read_user((&raw mut word).cast(), 4, (at + 4 * i) as *const _) };
            }
            exit.args[i as usize] = u64::from(word);
            i += 1;
        }
        Some(exit)
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

/// Three bits for each number of `socketcall(2)`, from 0: how many arguments the call has (`net/socket.c`).
const ARGUMENTS: u64 = {
    let counts = [0, 3, 3, 3, 2, 3, 3, 3, 4, 4, 4, 6, 6, 2, 5, 5, 3, 3, 4, 5, 4];
    let (mut all, mut i) = (0, 0);
    while i < counts.len() {
        all |= counts[i] << (3 * i);
        i += 1;
    }
    all
};

/// The call that `socketcall(2)` leads to, 0 where it is not traced.
#[inline(always)]
fn socketcall(number: u64) -> u8 {
    if number > 20 {
        return 0;
    }
    CALLS.get(SYSCALLS + (number as u32 & (SOCKETCALLS - 1))).map_or(0, |entry| row(*entry, true))
}

/// Arguments: `pt_regs`, return value. Most calls end at the first line.
#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let regs = Regs::from_ptr(ctx.arg(0));
    let Some(entry) = entry(regs) else { return 0 };
    if entry == 0 {
        return 0;
    }
    let mut call = row(entry, Task::current().in_compat_call());
    if call == SOCKETCALL {
        call = socketcall(regs.args(true)[0]);
    }
    if call != 0 {
        // Comes back only where the handler is not loaded.
        unsafe { HANDLERS.tail_call(&ctx, u32::from(call)) }
    }
    0
}
