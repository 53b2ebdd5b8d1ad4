//! The programs of the object: where each is hooked, and what is lost without it.

use vedette_abi::Kind;

use crate::btf::Btf;

/// How a program gets to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A BTF-typed tracepoint, with the arguments that the program reads.
    Tracepoint {
        /// Name of the tracepoint.
        name: &'static str,
        /// Arguments that the program reads at least.
        args: u32,
    },
    /// Called by the program hooked to `sys_exit`, for one kind of event.
    SyscallExit(Kind),
    /// One of io_uring's tracepoints, attached together and only when an operation is wanted.
    IoUring {
        /// Its names and the numbers of arguments that are understood, newest kernels first.
        tracepoints: &'static [(&'static str, &'static [u32])],
    },
    /// A task iterator, run once at the start.
    TaskIterator,
}

/// One program of the object.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    /// Where it is hooked.
    pub hook: Hook,
    /// What is lost without it.
    pub without: &'static str,
    /// Whether it runs whatever the policies say.
    pub always: bool,
}

impl Program {
    /// What it attaches to in the kernel with these types.
    ///
    /// # Errors
    /// The tracepoint is not there, or passes something else than the program reads; the sentence says which.
    pub fn target(&self, btf: &Btf) -> Result<&'static str, String> {
        match self.hook {
            Hook::Tracepoint { name, args: needed } => match btf.tracepoint_args(name) {
                Some(has) if has < needed => {
                    Err(format!("tracepoint {name} passes {has} arguments, {needed} are needed"))
                }
                _ => Ok(name),
            },
            Hook::IoUring { tracepoints } => {
                let found = tracepoints.iter().find_map(|(name, args)| {
                    btf.tracepoint_args(name).map(|has| (*name, args.contains(&has), has))
                });
                match found {
                    Some((name, true, _)) => Ok(name),
                    Some((name, false, has)) => {
                        Err(format!("tracepoint {name} passes {has} arguments, which is of another kernel"))
                    }
                    None => Err("this kernel has no such tracepoint".into()),
                }
            }
            Hook::SyscallExit(_) => Ok("sys_exit"),
            Hook::TaskIterator => Ok("task"),
        }
    }
}

/// All programs. The order is the order of attachment: state first, events last.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "process_fork",
        hook: Hook::Tracepoint { name: "sched_process_fork", args: 2 },
        without: "processes are known only from their exec on",
        always: true,
    },
    Program {
        name: "process_exec",
        hook: Hook::Tracepoint { name: "sched_process_exec", args: 3 },
        without: "no exec is seen, and no rule about one can match",
        always: true,
    },
    Program {
        name: "process_exit",
        hook: Hook::Tracepoint { name: "sched_process_exit", args: 1 },
        without: "ended processes stay in the process table until it is full",
        always: true,
    },
    Program {
        name: "cgroup_mkdir",
        hook: Hook::Tracepoint { name: "cgroup_mkdir", args: 2 },
        without: "containers that start later are known only after a rescan",
        always: true,
    },
    Program {
        name: "cgroup_rmdir",
        hook: Hook::Tracepoint { name: "cgroup_rmdir", args: 2 },
        without: "ended containers stay in the table until it is full",
        always: true,
    },
    Program {
        name: "process_rename",
        hook: Hook::Tracepoint { name: "task_rename", args: 2 },
        without: "a process that renames itself keeps its old name until its next exec",
        always: true,
    },
    Program {
        name: "process_move",
        hook: Hook::Tracepoint { name: "cgroup_attach_task", args: 3 },
        without: "a process that is moved into a container is known to be there only with its next event",
        always: true,
    },
    Program {
        name: "file_open",
        hook: Hook::SyscallExit(Kind::FileOpen),
        without: "no open is seen, and no rule about one can match",
        always: false,
    },
    Program {
        name: "net_connect",
        hook: Hook::SyscallExit(Kind::NetConnect),
        without: "no connect is seen, and no rule about one can match",
        always: false,
    },
    Program {
        name: "fd_dup",
        hook: Hook::SyscallExit(Kind::FdDup),
        without: "no duplication of a descriptor is seen",
        always: false,
    },
    Program {
        name: "file_change",
        hook: Hook::SyscallExit(Kind::FileChange),
        without: "no rename, link, removal or change of attributes is seen",
        always: false,
    },
    Program {
        name: "file_mount",
        hook: Hook::SyscallExit(Kind::FileMount),
        without: "no change of mounts is seen",
        always: false,
    },
    Program {
        name: "process_control",
        hook: Hook::SyscallExit(Kind::ProcessControl),
        without: "no tracing, reading or signalling of other processes is seen",
        always: false,
    },
    Program {
        name: "process_change",
        hook: Hook::SyscallExit(Kind::ProcessChange),
        without: "changes of ids, names and directories are seen only with the next exec",
        always: false,
    },
    Program {
        name: "kernel_control",
        hook: Hook::SyscallExit(Kind::KernelControl),
        without: "no module, BPF program, key or clock change is seen",
        always: false,
    },
    Program {
        name: "memory",
        hook: Hook::SyscallExit(Kind::Memory),
        without: "no executable memory is seen",
        always: false,
    },
    Program {
        name: "io_uring",
        hook: Hook::SyscallExit(Kind::IoUring),
        without: "io_uring itself is not seen",
        always: false,
    },
    Program {
        name: "exec_failed",
        hook: Hook::SyscallExit(Kind::ExecFailed),
        without: "programs that could not be started are not seen",
        always: false,
    },
    Program {
        name: "sys_exit",
        hook: Hook::Tracepoint { name: "sys_exit", args: 2 },
        without: "no system call is seen but exec",
        always: false,
    },
    Program {
        name: "io_uring_complete",
        // Up to 6.14 it passes the result's parts, then a pointer to all of them.
        hook: Hook::IoUring { tracepoints: &[("io_uring_complete", &[3, 7])] },
        without: "nothing that is done through io_uring is seen",
        always: false,
    },
    Program {
        name: "io_uring_overflow",
        hook: Hook::IoUring { tracepoints: &[("io_uring_cqe_overflow", &[5])] },
        without: "operations through io_uring whose results find no room in their ring are not seen",
        always: false,
    },
    Program {
        name: "io_uring_submit",
        // Renamed in 6.3.
        hook: Hook::IoUring { tracepoints: &[("io_uring_submit_req", &[1]), ("io_uring_submit_sqe", &[2])] },
        without: "nothing that is done through io_uring is seen",
        always: false,
    },
    Program {
        name: "process_snapshot",
        hook: Hook::TaskIterator,
        without: "processes that were there before the agent are read from /proc, their start times to 10 ms",
        always: true,
    },
];

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramState {
    /// In the kernel, not running because no loaded policy needs it.
    Loaded,
    /// Running.
    Attached,
    /// Not available; the sentence says why.
    Unavailable(String),
}

/// A program and what became of it.
#[derive(Clone, Debug)]
pub struct ProgramStatus {
    /// The program.
    pub program: &'static Program,
    /// What became of it.
    pub state: ProgramState,
    /// Instructions that the verifier walked (a measure of complexity), where the kernel tells.
    pub verified_instructions: Option<u32>,
}

impl ProgramStatus {
    /// One sentence for a person, where something is missing.
    pub fn degradation(&self) -> Option<String> {
        match &self.state {
            ProgramState::Unavailable(why) => {
                Some(format!("{}: {} ({why})", self.program.name, self.program.without))
            }
            _ => None,
        }
    }
}
