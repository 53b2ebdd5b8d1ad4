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
        /// A file was opened, or the attempt failed.
        FileOpen = 16 => "file_open",
        /// A socket was connected, or the attempt failed.
        NetConnect = 17 => "net_connect",
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
            Self::FileOpen | Self::NetConnect => Ring::Events,
            _ => Ring::State,
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
