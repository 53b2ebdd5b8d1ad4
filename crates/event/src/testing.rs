//! Makes records as the BPF programs would, for tests of this crate and of those that use it.
//!
//! ```
//! use vedette_event::{ProcessKey, decode, testing::RecordBuilder};
//!
//! let cat = ProcessKey { tgid: 7, start: 9 };
//! let bytes = RecordBuilder::file_open(cat, "/etc/shadow", "/tmp/x").ret(3).time(100).build();
//! assert_eq!(decode(&bytes)?.header.time, 100);
//! # Ok::<(), vedette_event::DecodeError>(())
//! ```

mod traffic;

use std::net::SocketAddr;

use vedette_abi::{
    ABI_VERSION, Call, CgroupDir, FileOpen, Gap, Header, InodeFacts, Kind, NetCall, ProcessChange,
    ProcessExec, ProcessExit, ProcessFork, Ring, Syscall, TaskFacts,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::{Process, ProcessKey};

pub use traffic::{A_DAY, Traffic};

/// A fixed body that can be followed by strings.
pub trait Body: FromBytes + IntoBytes + Immutable {
    /// Writes the lengths of the strings into the body.
    fn set_lengths(&mut self, lengths: &[u16]);
    /// The facts about the task, where the body has them.
    fn task(&mut self) -> Option<&mut TaskFacts> {
        None
    }
}

macro_rules! bodies {
    ($($body:ident { $($index:literal: $len:ident),* } $($task:ident)?;)*) => {$(
        impl Body for $body {
            fn set_lengths(&mut self, _lengths: &[u16]) {
                $(self.$len = _lengths[$index];)*
            }
            $(fn task(&mut self) -> Option<&mut TaskFacts> {
                Some(&mut self.$task)
            })?
        }
    )*};
}
bodies! {
    ProcessFork {} task;
    ProcessExit {};
    CgroupDir { 0: path_len };
    FileOpen { 0: path_len, 1: raw_len, 2: cwd_len, 3: alias_len };
    NetCall { 0: path_len, 1: data_len };
    Gap {};
}

impl Body for ProcessExec {
    fn set_lengths(&mut self, lengths: &[u16]) {
        if let [exe, filename, cwd, argv, env, stdio @ ..] = lengths {
            (self.exe_len, self.filename_len, self.cwd_len) = (*exe, *filename, *cwd);
            (self.argv_len, self.env_len) = (*argv, *env);
            self.stdio.iter_mut().zip(stdio).for_each(|(file, len)| file.path_len = *len);
        }
    }
    fn task(&mut self) -> Option<&mut TaskFacts> {
        Some(&mut self.task)
    }
}

impl Body for Syscall {
    fn set_lengths(&mut self, lengths: &[u16]) {
        self.lens.copy_from_slice(lengths);
    }
}

impl Body for ProcessChange {
    fn set_lengths(&mut self, lengths: &[u16]) {
        self.syscall.lens.copy_from_slice(lengths);
    }
    fn task(&mut self) -> Option<&mut TaskFacts> {
        Some(&mut self.task)
    }
}

/// A record in the making. What is not set is zero, or the plain case: a successful call of uid 0 on CPU 0.
#[derive(Clone, Debug)]
pub struct RecordBuilder<B> {
    /// The header; `len` is set by [`Self::build`].
    pub header: Header,
    /// The body; the lengths of strings are set by [`Self::build`].
    pub body: B,
    /// The strings, in the order in which the body's documentation names them.
    pub strings: Vec<Vec<u8>>,
}

impl<B: Body> RecordBuilder<B> {
    fn new(kind: Kind, call: Option<Call>, key: ProcessKey, strings: &[&[u8]]) -> Self {
        let mut header = Header::new_zeroed();
        header.kind = kind as u16;
        header.version = ABI_VERSION;
        header.call = call.map_or(0, |call| call as u8);
        header.seq = 1;
        header.start = key.start;
        header.tgid = key.tgid;
        header.tid = key.tgid;
        Self { header, body: B::new_zeroed(), strings: strings.iter().map(|s| s.to_vec()).collect() }
    }

    /// When it happened, nanoseconds of `CLOCK_BOOTTIME`.
    pub fn time(mut self, time: u64) -> Self {
        self.header.time = time;
        self
    }

    /// Sequence number.
    pub fn seq(mut self, seq: u64) -> Self {
        self.header.seq = seq;
        self
    }

    /// Control group of the task, in the header and in its facts.
    pub fn cgroup(mut self, cgroup: u64) -> Self {
        self.header.cgroup = cgroup;
        self.facts(|task| task.cgroup = cgroup)
    }

    /// The system call.
    pub fn call(mut self, call: Call) -> Self {
        self.header.call = call as u8;
        self
    }

    /// Changes the facts about the task; nothing happens in a record without them.
    pub fn facts(mut self, change: impl FnOnce(&mut TaskFacts)) -> Self {
        if let Some(task) = self.body.task() {
            change(task);
        }
        self
    }

    /// Changes the body.
    pub fn with(mut self, change: impl FnOnce(&mut B)) -> Self {
        change(&mut self.body);
        self
    }

    /// Name of the task.
    pub fn comm(self, comm: &str) -> Self {
        self.facts(|task| task.comm = padded(comm))
    }

    /// All user ids of the task.
    pub fn uid(self, uid: u32) -> Self {
        self.facts(|task| (task.uid, task.euid, task.suid, task.fsuid) = (uid, uid, uid, uid))
    }

    /// The record. Strings longer than their length field can say are cut.
    pub fn build(mut self) -> Vec<u8> {
        for string in &mut self.strings {
            string.truncate(usize::from(u16::MAX));
        }
        let lengths: Vec<u16> = self.strings.iter().map(|s| s.len() as u16).collect();
        self.body.set_lengths(&lengths);
        let strings: usize = self.strings.iter().map(Vec::len).sum();
        self.header.len = (size_of::<Header>() + size_of::<B>() + strings) as u32;
        let parts = [self.header.as_bytes(), self.body.as_bytes()];
        parts.into_iter().chain(self.strings.iter().map(Vec::as_slice)).collect::<Vec<_>>().concat()
    }
}

/// A task's name as the kernel holds it.
fn padded(comm: &str) -> [u8; 16] {
    let mut out = [0; 16];
    let len = comm.len().min(15);
    out[..len].copy_from_slice(&comm.as_bytes()[..len]);
    out
}

/// What the kernel would say about a process: its name for good, its parent's, and defaults.
pub fn task(key: ProcessKey, parent: ProcessKey) -> TaskFacts {
    let mut task = Process::unknown(key).task;
    task.parent_tgid = parent.tgid;
    task.parent_start = parent.start;
    task.vpid = key.tgid;
    task.threads = 1;
    task
}

/// Strings, each ended by a zero byte.
fn ended(strings: &[&str]) -> Vec<u8> {
    strings.iter().flat_map(|s| [s.as_bytes(), b"\0"]).flatten().copied().collect()
}

impl RecordBuilder<ProcessFork> {
    /// `parent` forked `child`.
    pub fn process_fork(child: ProcessKey, parent: ProcessKey) -> Self {
        let mut record = Self::new(Kind::ProcessFork, Some(Call::Clone), parent, &[]);
        record.body.task = task(child, parent);
        record
    }

    /// `process` was there before.
    pub fn process_snapshot(process: ProcessKey, parent: ProcessKey) -> Self {
        let mut record = Self::new(Kind::ProcessSnapshot, None, process, &[]);
        record.body.task = task(process, parent);
        record
    }
}

impl RecordBuilder<ProcessExec> {
    /// `process` runs `exe` now, with these arguments. Its name is the last component; its parent is not told.
    pub fn process_exec(process: ProcessKey, exe: &str, args: &[&str]) -> Self {
        let argv = ended(args);
        let strings = [exe.as_bytes(), exe.as_bytes(), b"/", &argv, b"", b"", b"", b""];
        let mut record = Self::new(Kind::ProcessExec, Some(Call::Execve), process, &strings);
        record.body.argv_total = argv.len() as u32;
        record.body.argc = args.len() as u32;
        record.body.old_tid = process.tgid;
        record.body.task = task(process, ProcessKey { tgid: 0, start: 0 });
        record.body.exe = regular_file();
        let name = exe.rsplit('/').next().unwrap_or(exe).to_owned();
        record.comm(&name)
    }

    /// The parent.
    pub fn parent(self, parent: ProcessKey) -> Self {
        self.facts(|task| (task.parent_tgid, task.parent_start) = (parent.tgid, parent.start))
    }

    /// The working directory.
    pub fn cwd(mut self, cwd: &str) -> Self {
        self.strings[2] = cwd.into();
        self
    }

    /// The environment.
    pub fn env(mut self, env: &[&str]) -> Self {
        self.strings[4] = ended(env);
        self.body.env_total = self.strings[4].len() as u32;
        self.body.envc = env.len() as u32;
        self
    }
}

impl RecordBuilder<ProcessExec> {
    /// A standard descriptor: its type (`st_mode`) and path.
    pub fn stdio(mut self, number: usize, mode: u32, path: &str) -> Self {
        self.strings[5 + number] = path.into();
        self.body.stdio[number].mode = mode;
        self
    }
}

/// A file of root's that all may run.
fn regular_file() -> InodeFacts {
    let mut inode = InodeFacts::new_zeroed();
    inode.ino = 2;
    inode.nlink = 1;
    inode.mode = 0o100_755;
    inode
}

impl RecordBuilder<ProcessExit> {
    /// `process` ended well.
    pub fn process_exit(process: ProcessKey) -> Self {
        Self::new(Kind::ProcessExit, Some(Call::Exit), process, &[])
    }

    /// As `wait(2)` reports the end.
    pub fn status(self, status: u32) -> Self {
        self.with(|exit| exit.status = status)
    }
}

impl RecordBuilder<CgroupDir> {
    /// A control group was made.
    pub fn cgroup_mkdir(id: u64, path: &str) -> Self {
        Self::cgroup_dir(Kind::CgroupMkdir, id, path)
    }

    /// A control group was removed.
    pub fn cgroup_rmdir(id: u64, path: &str) -> Self {
        Self::cgroup_dir(Kind::CgroupRmdir, id, path)
    }

    fn cgroup_dir(kind: Kind, id: u64, path: &str) -> Self {
        Self::new(kind, None, ProcessKey { tgid: 1, start: 1 }, &[path.as_bytes()]).with(|dir| dir.id = id)
    }

    /// Number of the hierarchy.
    pub fn hierarchy(self, hierarchy: u32) -> Self {
        self.with(|dir| dir.hierarchy = hierarchy)
    }
}

impl RecordBuilder<FileOpen> {
    /// `process` opened `raw`, which led to `path`, by `openat`, for reading, as descriptor 3.
    pub fn file_open(process: ProcessKey, path: &str, raw: &str) -> Self {
        let strings = [path.as_bytes(), raw.as_bytes(), b"", b""];
        Self::new(Kind::FileOpen, Some(Call::Openat), process, &strings).ret(3).with(|open| {
            open.dirfd = -100;
            open.inode = regular_file();
        })
    }

    /// Flags as passed.
    pub fn flags(self, flags: u32) -> Self {
        self.with(|open| open.flags = flags)
    }

    /// The descriptor or the error. A failed open led to no file.
    pub fn ret(mut self, ret: i64) -> Self {
        if ret < 0 {
            self.strings[0].clear();
            self.body.inode = InodeFacts::new_zeroed();
        }
        self.with(|open| open.ret = ret)
    }

    /// The working directory, which a failed open carries.
    pub fn cwd(mut self, cwd: &str) -> Self {
        self.strings[2] = cwd.into();
        self
    }
}

/// `AF_UNIX`, `AF_INET` and `AF_INET6` of `<sys/socket.h>`.
const AF: (u16, u16, u16) = (1, 2, 10);
/// `SOCK_STREAM`.
const SOCK_STREAM: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u16 = 6;

impl RecordBuilder<NetCall> {
    /// `process` connected a TCP socket to `remote`.
    pub fn net_connect(process: ProcessKey, remote: SocketAddr) -> Self {
        Self::new(Kind::NetConnect, Some(Call::Connect), process, &[b"", b""]).with(|connect| {
            let socket = &mut connect.socket;
            (socket.family, socket.sock_type, socket.protocol) = (AF.1, SOCK_STREAM, TCP);
            match remote {
                SocketAddr::V4(v4) => socket.remote[..4].copy_from_slice(&v4.ip().octets()),
                SocketAddr::V6(v6) => {
                    socket.family = AF.2;
                    socket.remote = v6.ip().octets();
                }
            }
            socket.sock_family = socket.family;
            socket.remote_port = remote.port();
            connect.fd = 3;
        })
    }

    /// `process` connected to a Unix socket; a leading zero byte stands for an abstract one.
    pub fn unix_connect(process: ProcessKey, path: &str) -> Self {
        Self::new(Kind::NetConnect, Some(Call::Connect), process, &[path.as_bytes(), b""]).with(|connect| {
            let socket = &mut connect.socket;
            (socket.family, socket.sock_type) = (AF.0, SOCK_STREAM);
            socket.sock_family = socket.family;
            connect.fd = 3;
        })
    }

    /// 0 or the error.
    pub fn ret(self, ret: i64) -> Self {
        self.with(|connect| connect.ret = ret)
    }
}

impl RecordBuilder<Syscall> {
    /// `process` made a call that has no body of its own.
    pub fn syscall(process: ProcessKey, call: Call) -> Self {
        Self::new(call.kind(), Some(call), process, &[b"".as_slice(); 8])
    }

    /// Its arguments; those not given are zero.
    pub fn args(self, args: &[u64]) -> Self {
        self.with(|call| call.args[..args.len()].copy_from_slice(args))
    }

    /// What it returned.
    pub fn ret(self, ret: i64) -> Self {
        self.with(|call| call.ret = ret)
    }

    /// A string, by its place in [`vedette_abi::strings`].
    pub fn string(mut self, place: usize, text: &str) -> Self {
        self.strings[place] = text.as_bytes().to_vec();
        self
    }
}

impl RecordBuilder<ProcessChange> {
    /// `process` changed itself by a call, or, without one, by other means.
    pub fn process_change(process: ProcessKey, call: Option<Call>) -> Self {
        Self::new(Kind::ProcessChange, call, process, &[b"".as_slice(); 8])
            .facts(|task| (task.tgid, task.start) = (process.tgid, process.start))
    }

    /// A string of the call, by its place in [`vedette_abi::strings`].
    pub fn string(mut self, place: usize, text: &str) -> Self {
        self.strings[place] = text.as_bytes().to_vec();
        self
    }
}

impl RecordBuilder<Gap> {
    /// `total` records, the first of them with this number, found no room in a ring.
    pub fn gap(ring: Ring, first_seq: u64, total: u32) -> Self {
        Self::new(Kind::Gap, None, ProcessKey { tgid: 0, start: 0 }, &[]).with(|gap| {
            gap.ring = u32::from(ring as u8);
            gap.total = total;
            gap.first_seq = first_seq;
            gap.last_seq = first_seq + u64::from(total.max(1)) - 1;
        })
    }
}
