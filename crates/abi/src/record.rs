//! The records: a header, a fixed body, then byte strings whose lengths the body names.

use crate::record_struct;

/// Longest path that is carried, in bytes (the kernel's `PATH_MAX`).
pub const PATH_CAP: usize = 4096;
/// Most bytes of an argument vector that are carried; what is cut is marked.
pub const ARGV_CAP: usize = 8192;
/// Most bytes of an environment that are carried; what is cut is marked.
pub const ENV_CAP: usize = 4096;
/// Most bytes of the path of a standard descriptor that are carried; of a longer one, the beginning is missing.
pub const STDIO_PATH_CAP: usize = 512;
/// Length of a task's name, terminator included (the kernel's `TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;
/// Bytes of the largest record.
pub const RECORD_CAP: usize = 0x8000;

record_struct! {
    /// What every record begins with. Times are `CLOCK_BOOTTIME` nanoseconds.
    pub struct Header: 56 {
        /// Bytes of the whole record, this header included.
        pub len: u32,
        /// A [`crate::Kind`].
        pub kind: u16,
        /// [`crate::ABI_VERSION`].
        pub version: u8,
        /// A [`crate::Call`], or 0.
        pub call: u8,
        /// Sequence number of this CPU and ring, from 1, without holes: a lost record takes its number along.
        pub seq: u64,
        /// When it happened.
        pub time: u64,
        /// The control group of the task (see the agent's choice of hierarchy).
        pub cgroup: u64,
        /// When the task's thread group leader started.
        pub start: u64,
        /// Process id, as the initial pid namespace numbers it.
        pub tgid: u32,
        /// Thread id, as the initial pid namespace numbers it.
        pub tid: u32,
        /// CPU that made the record.
        pub cpu: u16,
        /// [`header_flags`].
        pub flags: u16,
        /// With [`header_flags::IO_URING`]: the `IORING_OP_*` number.
        pub io_uring_op: u32,
    }

    /// What the kernel holds about a process, the same in every record that carries it.
    pub struct TaskFacts: 224 {
        /// Start of the thread group leader: with `tgid` it names the process.
        pub start: u64,
        /// The same for the parent (`real_parent`).
        pub parent_start: u64,
        /// Control group.
        pub cgroup: u64,
        /// `CapInh`, as a bit set of `CAP_*` numbers.
        pub cap_inheritable: u64,
        /// `CapPrm`.
        pub cap_permitted: u64,
        /// `CapEff`.
        pub cap_effective: u64,
        /// `CapBnd`.
        pub cap_bounding: u64,
        /// `CapAmb`.
        pub cap_ambient: u64,
        /// Process id in the initial pid namespace.
        pub tgid: u32,
        /// Parent's process id in the initial pid namespace.
        pub parent_tgid: u32,
        /// Real user id, as the initial user namespace numbers it; so are the following ids.
        pub uid: u32,
        /// Real group id.
        pub gid: u32,
        /// Effective user id.
        pub euid: u32,
        /// Effective group id.
        pub egid: u32,
        /// Saved user id.
        pub suid: u32,
        /// Saved group id.
        pub sgid: u32,
        /// User id for file access.
        pub fsuid: u32,
        /// Group id for file access.
        pub fsgid: u32,
        /// Login user id of the audit system, `u32::MAX` where unset.
        pub loginuid: u32,
        /// Session number of the audit system, `u32::MAX` where unset.
        pub audit_session: u32,
        /// Session id (initial pid namespace).
        pub sid: u32,
        /// Process group id (initial pid namespace).
        pub pgid: u32,
        /// Process id in its own pid namespace.
        pub vpid: u32,
        /// Session id in its own pid namespace.
        pub vsid: u32,
        /// Process group id in its own pid namespace.
        pub vpgid: u32,
        /// Controlling terminal as `major << 20 | minor`, 0 for none.
        pub tty: u32,
        /// Inode number of the mount namespace; so are the following.
        pub ns_mnt: u32,
        /// Pid namespace (of the process, not for its children).
        pub ns_pid: u32,
        /// Network namespace.
        pub ns_net: u32,
        /// User namespace.
        pub ns_user: u32,
        /// UTS namespace.
        pub ns_uts: u32,
        /// IPC namespace.
        pub ns_ipc: u32,
        /// Control group namespace.
        pub ns_cgroup: u32,
        /// Time namespace, 0 where the kernel has none.
        pub ns_time: u32,
        /// [`task_flags`].
        pub flags: u32,
        /// Threads in the process.
        pub threads: u32,
        /// Name of the task, padded with zeros.
        pub comm: [u8; 16],
        /// Parent's task name, padded with zeros.
        pub parent_comm: [u8; 16],
        /// Level of its pid namespace, 0 for the initial one.
        pub pid_level: u32,
        /// Zero.
        pub pad: u32,
        /// Start of its pid namespace's first process, which is when the namespace began; 0 where unknown.
        pub ns_pid_start: u64,
    }

    /// What the kernel holds about a file.
    pub struct InodeFacts: 72 {
        /// Inode number.
        pub ino: u64,
        /// Change time, seconds of `CLOCK_REALTIME`.
        pub ctime_sec: i64,
        /// Modification time, seconds of `CLOCK_REALTIME`.
        pub mtime_sec: i64,
        /// Magic number of the file system (`statfs(2)`).
        pub magic: u64,
        /// Nanoseconds of the change time.
        pub ctime_nsec: u32,
        /// Nanoseconds of the modification time.
        pub mtime_nsec: u32,
        /// Device of the file system as `major << 20 | minor`.
        pub dev: u32,
        /// Owner (initial user namespace).
        pub uid: u32,
        /// Group (initial user namespace).
        pub gid: u32,
        /// Number of links.
        pub nlink: u32,
        /// Type and permissions (`st_mode`).
        pub mode: u32,
        /// [`path_flags`] of the path that goes with it.
        pub path_flags: u32,
        /// Device number of a device node, else 0.
        pub rdev: u32,
        /// Zero.
        pub pad: u32,
    }

    /// Body of [`crate::Kind::ProcessFork`] and [`crate::Kind::ProcessSnapshot`].
    pub struct ProcessFork: 224 {
        /// The new process.
        pub task: TaskFacts,
    }

    /// One of the descriptors 0, 1 and 2 of a program that starts; all zero where it is closed, or nobody asks.
    pub struct StdFile: 88 {
        /// The socket; all zero where it is none.
        pub socket: SocketFacts,
        /// Inode number.
        pub ino: u64,
        /// Magic number of the file system.
        pub magic: u64,
        /// Type and permissions (`st_mode`); never 0 for a descriptor that is open.
        pub mode: u32,
        /// [`path_flags`] of its path.
        pub path_flags: u32,
        /// Bytes of its path.
        pub path_len: u16,
        /// Zero.
        pub pad: [u16; 3],
    }

    /// Body of [`crate::Kind::ProcessExec`]. Strings: exe path, file name as passed, working directory, argv, environment,
    /// paths of the three standard descriptors.
    pub struct ProcessExec: 600 {
        /// The process, after the exec.
        pub task: TaskFacts,
        /// The executable.
        pub exe: InodeFacts,
        /// Bytes of the argument vector as the kernel holds it (terminators included); more than `argv_len` when cut.
        pub argv_total: u32,
        /// Bytes of the environment as the kernel holds it.
        pub env_total: u32,
        /// Number of arguments.
        pub argc: u32,
        /// Number of environment strings.
        pub envc: u32,
        /// Thread that called exec, before it became the leader.
        pub old_tid: u32,
        /// [`path_flags`] of the working directory.
        pub cwd_flags: u32,
        /// Bytes of the executable's path.
        pub exe_len: u16,
        /// Bytes of the file name as passed to exec.
        pub filename_len: u16,
        /// Bytes of the working directory.
        pub cwd_len: u16,
        /// Bytes of argv: strings, each ended by a zero byte.
        pub argv_len: u16,
        /// Bytes of the environment, likewise.
        pub env_len: u16,
        /// Zero.
        pub pad: [u16; 3],
        /// Descriptors 0, 1 and 2.
        pub stdio: [StdFile; 3],
    }

    /// Body of [`crate::Kind::ProcessExit`].
    pub struct ProcessExit: 8 {
        /// As `wait(2)` reports it: exit status in the second byte, signal in the low seven bits, 0x80 for a core dump.
        pub status: u32,
        /// Zero.
        pub pad: u32,
    }

    /// Body of [`crate::Kind::CgroupMkdir`] and [`crate::Kind::CgroupRmdir`]. String: path in its hierarchy.
    pub struct CgroupDir: 16 {
        /// Id of the control group.
        pub id: u64,
        /// Hierarchy number, 0 for cgroup v2.
        pub hierarchy: u32,
        /// Bytes of the path.
        pub path_len: u16,
        /// Zero.
        pub pad: u16,
    }

    /// Body of [`crate::Kind::FileOpen`]. Strings: path, path as passed, directory that it begins in, alias.
    pub struct FileOpen: 112 {
        /// The descriptor, or a negative error number.
        pub ret: i64,
        /// The file; all zero when the open failed.
        pub inode: InodeFacts,
        /// Flags as passed (`O_*`).
        pub flags: u32,
        /// Mode as passed.
        pub mode: u32,
        /// The kernel's `f_mode` of the opened file.
        pub f_mode: u32,
        /// Directory descriptor as passed (`AT_FDCWD` = -100).
        pub dirfd: i32,
        /// Bytes of the path as the kernel resolved it.
        pub path_len: u16,
        /// Bytes of the path as passed.
        pub raw_len: u16,
        /// `RESOLVE_*` of `openat2`, low half.
        pub resolve: u32,
        /// Bytes of the directory that the path as passed begins in (the root directory of a process that has one of its
        /// own, where it is absolute). Carried only where `base_end` does not tell it.
        pub cwd_len: u16,
        /// Bytes of the names that the file has without the bind mount it was opened through, a zero byte between them.
        pub alias_len: u16,
        /// One more than the bytes of the resolved path that are the directory which the path as passed begins in; 0
        /// where the resolved path does not lie in that directory.
        pub base_end: u16,
        /// Zero.
        pub pad: u16,
    }

    /// What the kernel holds about a socket; all zero where there is none.
    pub struct SocketFacts: 56 {
        /// Local address; IPv4 in the first four bytes.
        pub local: [u8; 16],
        /// Remote address; IPv4 in the first four bytes. Of a call that names one, the one it names.
        pub remote: [u8; 16],
        /// Inode number of the socket.
        pub ino: u64,
        /// Local port, host byte order.
        pub local_port: u16,
        /// Remote port, host byte order.
        pub remote_port: u16,
        /// `AF_*` of the addresses above.
        pub family: u16,
        /// `AF_*` of the socket itself.
        pub sock_family: u16,
        /// `SOCK_*`.
        pub sock_type: u16,
        /// `IPPROTO_*`.
        pub protocol: u16,
        /// `TCP_*` state after the call.
        pub state: u16,
        /// [`socket_flags`].
        pub flags: u16,
    }

    /// Body of [`crate::Kind::NetConnect`], [`crate::Kind::NetSocket`], [`crate::Kind::NetSend`] and
    /// [`crate::Kind::NetReceive`]. Strings: path of a Unix socket (a leading zero byte: abstract), data.
    pub struct NetCall: 128 {
        /// What the call returned.
        pub ret: i64,
        /// Its arguments.
        pub args: [u64; 6],
        /// The socket.
        pub socket: SocketFacts,
        /// The descriptor of `socket`.
        pub fd: i32,
        /// Bytes of the Unix socket path.
        pub path_len: u16,
        /// Bytes of the data that was sent or received, as far as it is carried.
        pub data_len: u16,
        /// Zero.
        pub pad: [u32; 2],
    }

    /// Body of every other system call. Strings: those of `lens`.
    pub struct Syscall: 264 {
        /// What the call returned.
        pub ret: i64,
        /// Its arguments.
        pub args: [u64; 6],
        /// What its pointers lead to, as [`crate::CallSpec`] says, as little-endian words: `mem` from the first,
        /// `mem2` from the fifth.
        pub values: [u64; 8],
        /// The file behind the descriptor that it is about; all zero where there is none.
        pub inode: InodeFacts,
        /// The socket behind that descriptor; all zero where it is none.
        pub socket: SocketFacts,
        /// Bytes of each string: see [`strings`].
        pub lens: [u16; 8],
    }

    /// Body of [`crate::Kind::ProcessChange`]: the process after the call, and the call.
    pub struct ProcessChange: 488 {
        /// The process.
        pub task: TaskFacts,
        /// The call; all zero where the change has no call of its own. String 0 is the new working directory or root.
        pub syscall: Syscall,
    }

    /// Body of [`crate::Kind::Gap`].
    pub struct Gap: 168 {
        /// First lost sequence number.
        pub first_seq: u64,
        /// Last lost sequence number.
        pub last_seq: u64,
        /// When the first was lost.
        pub first_time: u64,
        /// When the last was lost.
        pub last_time: u64,
        /// All that were lost, whatever their place in `losses`.
        pub total: u32,
        /// The ring that was full, a [`crate::Ring`].
        pub ring: u32,
            /// By kind and control group.
        pub losses: [GapLoss; 8],
    }

    /// Losses of one kind in one control group.
    pub struct GapLoss: 16 {
        /// Control group, 0 in an unused row and in the last row when it gathers what found no place.
        pub cgroup: u64,
        /// Number of records; 0 in an unused row.
        pub count: u32,
        /// A [`crate::Kind`], or [`KIND_MIXED`] for what found no row of its own.
        pub kind: u32,
    }
}

/// In [`GapLoss::kind`]: several kinds and control groups that found no row of their own.
pub const KIND_MIXED: u32 = u32::MAX;

/// Bits of [`Header::flags`].
pub mod header_flags {
    /// A 32-bit compatibility call.
    pub const COMPAT: u16 = 1;
    /// Done by an io_uring operation, not by a call.
    pub const IO_URING: u16 = 2;
    /// A kernel thread took the operation from the queue (`IORING_SETUP_SQPOLL`).
    pub const SQPOLL: u16 = 4;
    /// The operation's descriptor is a place in the ring's own table of files, not one of the process's descriptors.
    pub const DIRECT: u16 = 8;
    /// Reported before it was done, because nobody would have told of its end; it is taken to have succeeded.
    pub const UNCONFIRMED: u16 = 16;
}

/// Bits of [`TaskFacts::flags`].
pub mod task_flags {
    /// A kernel thread.
    pub const KTHREAD: u32 = 1;
    /// The exec raised privileges (`bprm->secureexec`).
    pub const SECUREEXEC: u32 = 2;
    /// The first process of its pid namespace.
    pub const NS_INIT: u32 = 4;
}

/// Bits that tell how a path was found.
pub mod path_flags {
    /// Longer than what is carried: the beginning is missing.
    pub const CUT: u32 = 1;
    /// The file has been unlinked.
    pub const DELETED: u32 = 2;
    /// The walk did not end at the root of a mount namespace (a detached mount).
    pub const UNREACHABLE: u32 = 4;
    /// Not in a directory tree at all: a pipe, a socket, a memory file.
    pub const PSEUDO: u32 = 8;
    /// Passed by the caller and could not be read.
    pub const UNREADABLE: u32 = 16;
    /// In the upper layer of an overlay.
    pub const UPPER_LAYER: u32 = 32;
    /// In the lower layer of an overlay.
    pub const LOWER_LAYER: u32 = 64;
    /// On a file system that is mounted read-only.
    pub const READ_ONLY: u32 = 256;
    /// The process has a root of its own (`chroot`): the path as passed means something else than it says.
    pub const CHROOTED: u32 = 128;
}

/// Bits of [`SocketFacts::flags`].
pub mod socket_flags {
    /// The socket had a remote end before the call.
    pub const CONNECTED: u16 = 1;
    /// The remote end is another than that of the last call on this socket.
    pub const NAME_CHANGED: u16 = 2;
    /// The local end accepted the connection or listens.
    pub const SERVER: u16 = 4;
}

/// Places in [`Syscall::lens`], and the order of the strings behind the body.
pub mod strings {
    /// Path of the file behind the descriptor, as the kernel resolved it.
    pub const PATH: usize = 0;
    /// First path as passed.
    pub const RAW: usize = 1;
    /// Second path, or another name, as passed.
    pub const RAW2: usize = 2;
    /// Directory that the first path is relative to; empty where it is absolute.
    pub const BASE: usize = 3;
    /// Directory that the second path is relative to.
    pub const BASE2: usize = 4;
    /// Another string or buffer, by call.
    pub const DATA: usize = 5;
    /// First path, resolved by user space, symbolic links included; empty in the ring.
    pub const TARGET: usize = 6;
    /// Second path, likewise.
    pub const TARGET2: usize = 7;
}
