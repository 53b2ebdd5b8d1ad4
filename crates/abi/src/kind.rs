//! Event kinds and the rings that carry them.

use crate::wire_enum;

wire_enum! {
    /// What a record is about. The number is also the kind's bit in the filter and its row in the counters.
    pub enum Kind: u16 {
        /// Records were lost before this one; the body says which and how many.
        Gap = 0 => "gap",
        /// A process (not a thread) came into being.
        ProcessFork = 1 => "process_fork",
        /// A process replaced its program.
        ProcessExec = 2 => "process_exec",
        /// The last thread of a process ended.
        ProcessExit = 3 => "process_exit",
        /// A process that was there before the hooks were; from the task iterator, not from a ring.
        ProcessSnapshot = 4 => "process_snapshot",
        /// A control group directory was made.
        CgroupMkdir = 5 => "cgroup_mkdir",
        /// A control group directory was removed.
        CgroupRmdir = 6 => "cgroup_rmdir",
        /// A process changed what it is: its ids, capabilities, name, session, namespaces, directories. An event, too,
        /// for policies that ask for the call.
        ProcessChange = 7 => "process_change",
        /// A file was opened, or the attempt failed.
        FileOpen = 16 => "file_open",
        /// A socket was connected, or the attempt failed.
        NetConnect = 17 => "net_connect",
        /// A socket was made, bound, listened on, accepted from or set up.
        NetSocket = 18 => "net_socket",
        /// Data was sent through a socket.
        NetSend = 19 => "net_send",
        /// Data was received from a socket.
        NetReceive = 20 => "net_receive",
        /// A descriptor was duplicated.
        FdDup = 21 => "fd_dup",
        /// A file or directory was renamed, linked, removed, made, or had its attributes changed.
        FileChange = 22 => "file_change",
        /// Mounts were changed.
        FileMount = 23 => "file_mount",
        /// A process acted on a process: traced, read, written, signalled, restricted.
        ProcessControl = 24 => "process_control",
        /// The kernel was changed: modules, programs, keys, clocks, names.
        KernelControl = 25 => "kernel_control",
        /// Executable or anonymous memory was made.
        Memory = 26 => "memory",
        /// io_uring itself; what is done through it is reported as what it does.
        IoUring = 27 => "io_uring",
        /// A program could not be started.
        ExecFailed = 28 => "exec_failed",
    }
}

/// Rows in the tables that are indexed by kind.
pub const KINDS: usize = 32;

const _: () = {
    let mut i = 0;
    while i < Kind::ALL.len() {
        assert!((Kind::ALL[i] as usize) < KINDS);
        i += 1;
    }
};

impl Kind {
    /// The ring that carries this kind.
    pub const fn ring(self) -> Ring {
        match self {
            Self::Gap
            | Self::ProcessFork
            | Self::ProcessExec
            | Self::ProcessExit
            | Self::ProcessSnapshot
            | Self::CgroupMkdir
            | Self::CgroupRmdir
            | Self::ProcessChange => Ring::State,
            _ => Ring::Events,
        }
    }

    /// Kinds that keep the process and container tables true; they are never filtered.
    pub const fn is_state(self) -> bool {
        matches!(self.ring(), Ring::State)
    }
}

wire_enum! {
    /// The two ring buffers: a storm of events cannot starve the state of processes.
    pub enum Ring: u8 {
        /// fork, exec, exit, control groups.
        State = 0 => "state",
        /// Everything that policies ask for.
        Events = 1 => "events",
    }
}

/// Number of rings.
pub const RINGS: usize = 2;
