//! Processes: what is known about one, and the table of all.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use vedette_abi::{InodeFacts, StdFile, TaskFacts, task_flags};

mod table;

pub use table::{GRACE, MAX_ANCESTORS, ProcessTable, TICK, TableStats};

/// Names a process for as long as the machine runs: process ids come back, together with the start they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Process id in the initial pid namespace.
    pub tgid: u32,
    /// Start of the thread group leader, `CLOCK_BOOTTIME` nanoseconds.
    pub start: u64,
}

/// A place in the table. It stays valid until the process is pruned; then it names nothing, never another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    index: u32,
    generation: u32,
}

/// Where knowledge of a process comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was there at the start.
    Snapshot,
    /// Its fork was seen.
    Fork,
    /// Its exec was seen, its fork was not.
    Exec,
    /// It was read from `/proc`, where no record told of it.
    Healed,
    /// Only the header of one of its events was seen.
    Header,
}

/// What an exec set. Shared by a process and the children it forks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exec {
    /// Path of the executable, symbolic links resolved.
    pub exe_path: Box<[u8]>,
    /// File name as passed to exec.
    pub filename: Box<[u8]>,
    /// Arguments, each ended by a zero byte.
    pub argv: Box<[u8]>,
    /// Environment, likewise; empty where no rule asks for it.
    pub env: Box<[u8]>,
    /// Bytes of arguments that the kernel held; more than `argv` when they were cut.
    pub argv_total: u32,
    /// Bytes of environment that the kernel held.
    pub env_total: u32,
    /// The executable file.
    pub exe: ExeFacts,
    /// Its standard descriptors when it began; `None` where nobody asked for them.
    pub stdio: Option<Box<Stdio>>,
    /// When, `CLOCK_BOOTTIME` nanoseconds; 0 where it was before the agent.
    pub time: u64,
    /// The command line once somebody has asked for it.
    pub line: Line,
}

/// The descriptors 0, 1 and 2 of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Stdio {
    /// What is behind each; a mode of 0 where it is closed.
    pub files: [StdFile; 3],
    /// Their paths.
    pub paths: [Box<[u8]>; 3],
}

impl Stdio {
    /// As a record has them; `None` where none is open, as when nobody asked.
    pub fn of(files: &[StdFile; 3], paths: &[&[u8]; 3]) -> Option<Box<Self>> {
        let open = files.iter().any(|file| file.mode != 0);
        open.then(|| Box::new(Self { files: *files, paths: paths.map(Into::into) }))
    }
}

/// A command line as text, made when it is first asked for: rules ask for that of a process and its ancestors with
/// every event, and it does not change.
#[derive(Clone, Debug, Default)]
pub struct Line(OnceLock<(Box<[u8]>, usize)>);

impl Line {
    /// The line, made now if there is none yet, and the length of the name in it.
    fn get(&self, exec: &Exec, name: &[u8]) -> (&[u8], usize) {
        let (line, len) = self.0.get_or_init(|| (exec.make_line(name).into(), name.len()));
        (line, *len)
    }
}

impl PartialEq for Line {
    /// It follows from the arguments, so that it makes no difference.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// [`InodeFacts`], with a default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExeFacts(pub InodeFacts);

impl Default for ExeFacts {
    fn default() -> Self {
        Self(zerocopy::FromZeros::new_zeroed())
    }
}

impl Exec {
    /// The arguments, `argv[0]` first.
    pub fn args(&self) -> impl Iterator<Item = &[u8]> {
        split_strings(&self.argv)
    }

    /// A name and the arguments without `argv[0]`, joined by blanks.
    fn make_line(&self, name: &[u8]) -> Vec<u8> {
        let mut line = Vec::with_capacity(name.len() + 1 + self.argv.len());
        line.extend_from_slice(name);
        for arg in self.args().skip(1) {
            line.push(b' ');
            line.extend_from_slice(arg);
        }
        line
    }

    /// Whether anything is known about the program.
    pub fn is_known(&self) -> bool {
        self.time != 0 || !self.exe_path.is_empty() || !self.argv.is_empty()
    }

    /// Whether arguments are missing at the end.
    pub fn is_cut(&self) -> bool {
        self.argv_total as usize > self.argv.len()
    }
}

/// Splits strings that are each ended by a zero byte. The last may lack its end where it was cut.
pub fn split_strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let empty = bytes.is_empty();
    bytes.split(|b| *b == 0).filter(move |_| !empty)
}

/// What is known about a process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name for good.
    pub key: ProcessKey,
    /// Who made it; kept when the parent dies, because that is what an investigation asks for.
    pub parent: Option<ProcessId>,
    /// What the kernel held when it last said something about it.
    pub task: TaskFacts,
    /// Its program.
    pub exec: Arc<Exec>,
    /// Working directory at its exec, or its parent's.
    pub cwd: Arc<[u8]>,
    /// Where this knowledge comes from.
    pub origin: Origin,
    /// When it ended.
    pub exited: Option<u64>,
    /// Whether `key.start` is only good to a clock tick (read from `/proc`).
    pub approximate_start: bool,
    /// Nobody needs to look it up any more.
    pub(crate) looked_up: bool,
    pub(crate) children: u32,
    /// Its command line where its name is not the one that the line in `exec` was made with: children bear the name of
    /// the thread that forked them.
    pub(crate) line: Line,
}

impl Process {
    /// A process of which only the name is known.
    pub fn unknown(key: ProcessKey) -> Self {
        let mut task: TaskFacts = zerocopy::FromZeros::new_zeroed();
        task.tgid = key.tgid;
        task.start = key.start;
        task.loginuid = u32::MAX;
        task.audit_session = u32::MAX;
        Self {
            key,
            parent: None,
            task,
            exec: Arc::default(),
            cwd: Arc::from(&b""[..]),
            origin: Origin::Header,
            exited: None,
            approximate_start: false,
            looked_up: false,
            children: 0,
            line: Line::default(),
        }
    }

    /// The task's name, at most 15 bytes.
    pub fn comm(&self) -> &[u8] {
        let comm = &self.task.comm;
        &comm[..comm.iter().position(|b| *b == 0).unwrap_or(comm.len())]
    }

    /// Its name and the arguments without `argv[0]`, joined by blanks.
    pub fn cmdline(&self) -> Cow<'_, [u8]> {
        let name = self.comm();
        for line in [&self.exec.line, &self.line] {
            let (line, len) = line.get(&self.exec, name);
            if line.get(..len) == Some(name) {
                return Cow::Borrowed(line);
            }
        }
        Cow::Owned(self.exec.make_line(name))
    }

    /// The arguments without `argv[0]`, joined by blanks.
    pub fn args_line(&self) -> &[u8] {
        let (line, len) = self.exec.line.get(&self.exec, self.comm());
        let rest = line.get(len..).unwrap_or_default();
        rest.strip_prefix(b" ").unwrap_or(rest)
    }

    /// Whether it is a kernel thread.
    pub fn is_kthread(&self) -> bool {
        self.task.flags & task_flags::KTHREAD != 0
    }

    /// Whether anything but its key is known: the ids of a process that only a header named are zeros, not root's.
    pub fn has_facts(&self) -> bool {
        self.origin != Origin::Header
    }

    /// Whether somebody should look it up in `/proc`: either nothing but its key is known, or its program is not,
    /// because it was there before the agent or its parent was not known when it was forked. Never after it has been
    /// looked up, successfully or not, and not after its end.
    pub fn is_incomplete(&self) -> bool {
        let complete = self.has_facts() && (self.is_kthread() || self.exec.is_known());
        !complete && !self.looked_up && self.exited.is_none()
    }
}
