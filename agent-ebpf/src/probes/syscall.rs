//! The exit of a system call: the way into the handlers of file and network events.

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use vedette_abi::{SYSCALLS, header_flags};

use super::io_uring::Kept;
use crate::{
    kernel::{File, Regs, Task},
    maps::{CALLS, HANDLERS},
    record::Record,
};

/// A traced call that has just returned, or an operation of io_uring that has ended and does the same.
pub struct Exit {
    /// Which call.
    pub call: u8,
    /// Whether it came by the 32-bit entry.
    pub compat: bool,
    /// Its arguments.
    pub args: [u64; 6],
    /// What it returned.
    pub ret: i64,
    /// Who called. Of an operation of io_uring: the task that it ended in, which has the caller's files.
    pub task: Task,
    /// What was kept of an operation of io_uring since it was submitted.
    pub kept: Option<Kept>,
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
        (call != 0).then(|| Self { call, compat, args: regs.args(compat), ret: ctx.arg(1), task, kept: None })
    }

    /// [`header_flags`] of the record.
    #[inline(always)]
    pub fn flags(&self) -> u16 {
        if self.compat { header_flags::COMPAT } else { 0 }
    }

    /// Appends a string that was passed: the first or second of the call, at that address.
    #[inline(always)]
    pub fn append_str(&self, record: &mut Record, place: usize, at: u64) -> Option<u16> {
        match &self.kept {
            None => record.append_user_str(at as *const u8),
            Some(kept) => {
                let name = kept.names[place];
                if name.is_null() { None } else { Some(record.append_kernel_str(name)) }
            }
        }
    }

    /// Copies memory that was passed; what cannot be read stays as it is. Of io_uring only one piece is kept.
    #[inline(always)]
    pub fn read(&self, to: *mut u8, bytes: u32, at: u64) {
        let _ = match &self.kept {
            None => unsafe { bpf_probe_read_user(to.cast(), bytes, at as *const _) },
            Some(kept) => unsafe { bpf_probe_read_kernel(to.cast(), bytes, kept.memory().cast()) },
        };
    }

    /// Appends memory that was passed, from an offset in it; returns how many bytes.
    #[inline(always)]
    pub fn append(&self, record: &mut Record, at: u64, offset: u64, bytes: u64) -> u16 {
        match &self.kept {
            None => record.append_user(at + offset, bytes),
            Some(kept) => record.append_kernel(kept.memory().wrapping_add(offset as usize), bytes),
        }
    }

    /// The file behind the descriptor that the call is about.
    #[inline(always)]
    pub fn file(&self, fd: u32) -> File {
        match &self.kept {
            None => self.task.files().file(fd),
            Some(kept) => kept.request.file(),
        }
    }

    /// The file behind the descriptor that the call returned.
    #[inline(always)]
    pub fn returned_file(&self) -> File {
        match &self.kept {
            Some(kept) if kept.is_direct() => kept.request.ring().fixed_file(self.ret as u32),
            _ => self.own_file(self.ret as u32),
        }
    }

    /// The file behind a descriptor of the caller; null where it cannot be told.
    #[inline(always)]
    pub fn own_file(&self, fd: u32) -> File {
        if self.is_elsewhere() { File::none() } else { self.task.files().file(fd) }
    }

    /// Whether the task it ended in is not one of the caller's, so that its files and directories are not the caller's.
    #[inline(always)]
    pub fn is_elsewhere(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.tgid() != self.task.tgid())
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
