//! The system calls that are traced, and where the kernel's numbers for them come from.

use crate::{Kind, wire_enum};

wire_enum! {
    /// A traced system call. Zero in the dispatch table means "not traced".
    pub enum Call: u8 {
        /// `open(2)`
        Open = 1 => "open",
        /// `creat(2)`
        Creat = 2 => "creat",
        /// `openat(2)`
        Openat = 3 => "openat",
        /// `openat2(2)`
        Openat2 = 4 => "openat2",
        /// `connect(2)`
        Connect = 5 => "connect",
        /// `execve(2)`; carried by `sched_process_exec`, so it is not in the dispatch table.
        Execve = 6 => "execve",
        /// `execveat(2)`; carried by `sched_process_exec`, so it is not in the dispatch table.
        Execveat = 7 => "execveat",
        /// `clone(2)`, `fork(2)` and the like; carried by `sched_process_fork`.
        Clone = 8 => "clone",
        /// `exit_group(2)` or death by signal; carried by `sched_process_exit`.
        Exit = 9 => "procexit",
    }
}

/// Rows of the dispatch table for one instruction set: Linux numbers stay below this.
pub const SYSCALLS: u32 = 512;

/// The dispatch table's second half holds 32-bit compatibility calls.
pub const COMPAT_BASE: u32 = SYSCALLS;

impl Call {
    /// The event kind that reports this call.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Open | Self::Creat | Self::Openat | Self::Openat2 => Kind::FileOpen,
            Self::Connect => Kind::NetConnect,
            Self::Execve | Self::Execveat => Kind::ProcessExec,
            Self::Clone => Kind::ProcessFork,
            Self::Exit => Kind::ProcessExit,
        }
    }

    /// Rows of the dispatch table that lead to this call on this architecture (native, then compat).
    ///
    /// Numbers: `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl` of the kernel.
    #[cfg(any(target_arch = "x86_64", target_arch = "bpf"))]
    pub const fn rows(self) -> &'static [u32] {
        const C: u32 = COMPAT_BASE;
        match self {
            Self::Open => &[2, C + 5],
            Self::Creat => &[85, C + 8],
            Self::Openat => &[257, C + 295],
            Self::Openat2 => &[437, C + 437],
            Self::Connect => &[42, C + 362],
            Self::Execve | Self::Execveat | Self::Clone | Self::Exit => &[],
        }
    }
}

/// Linux number of `execveat`, native and compat, to tell it from `execve` at the exec tracepoint.
pub const NR_EXECVEAT: (u64, u64) = (322, 358);
