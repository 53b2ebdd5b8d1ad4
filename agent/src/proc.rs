//! Processes as `/proc` shows them: what the kernel's own records leave out, and what was lost of them.
//!
//! Three uses: completing the snapshot of the task iterator, which carries no strings ([`Proc::complete`]), looking up
//! a process after a loss (the same), and the snapshot itself where the iterator does not load ([`Proc::snapshot`]).
//! The files are parsed here and not by a library, because names, paths and arguments are bytes that an attacker
//! chooses, and because reading has to stay bounded and tied to one process.
//!
//! Every file of a process is opened relative to one descriptor of its `/proc/PID` directory. The kernel ties that to
//! the process and not to the number: once the start time has been checked, a reused number can only make later reads
//! fail, never mix two processes. An exec between two reads shows in the addresses of the arguments and of the
//! environment; then everything is read again.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open, openat, readlinkat},
    sys::stat::Mode,
};
use vedette_abi::TaskFacts;
use vedette_event::{Process, ProcessKey, State, process::TICK};

use crate::identity::Hierarchy;

mod program;
mod stat;
mod sweep;
mod usage;

pub use stat::{Stat, namespace};
pub use sweep::{Sweep, Swept, SweptGroup};

/// Most bytes that are read of a file with lines.
const TEXT_CAP: u64 = 64 * 1024;

/// How often a process is read again when it changes under the reader's eyes.
const ATTEMPTS: u32 = 4;

/// Why a process could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    /// It has ended.
    #[error("process {0} is gone")]
    Gone(u32),
    /// The number belongs to another process now.
    #[error("process id {0} belongs to another process now")]
    Reused(u32),
    /// It replaced its program each time it was read.
    #[error("process {0} does not hold still")]
    Busy(u32),
    /// The kernel refused.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// A file has not the shape that `proc(5)` describes.
    #[error("/proc/{tgid}/{file} is malformed")]
    Malformed {
        /// The process.
        tgid: u32,
        /// The file.
        file: &'static str,
    },
}

/// A proc file system.
#[derive(Clone, Debug)]
pub struct Proc {
    root: PathBuf,
    hierarchy: Option<Hierarchy>,
    environment: bool,
}

impl Default for Proc {
    fn default() -> Self {
        Self::new("/proc")
    }
}

impl Proc {
    /// The proc file system mounted at `root`. Process ids are those of the pid namespace it was mounted in; they
    /// agree with the kernel's records only if that is the initial one.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), hierarchy: None, environment: false }
    }

    /// Tells control group ids by this hierarchy; without one they stay 0.
    #[must_use]
    pub fn with_hierarchy(mut self, hierarchy: Hierarchy) -> Self {
        self.hierarchy = Some(hierarchy);
        self
    }

    /// The hierarchy by which control groups are told.
    pub fn hierarchy(&self) -> Option<&Hierarchy> {
        self.hierarchy.as_ref()
    }

    /// Whether environments are read.
    #[must_use]
    pub fn with_environment(mut self, environment: bool) -> Self {
        self.environment = environment;
        self
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Ids of all processes, ascending.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn pids(&self) -> Result<Vec<u32>, ProcError> {
        let read = |error| ProcError::Read { path: self.root.clone(), error };
        let mut pids = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(read)? {
            if let Some(pid) = entry.map_err(read)?.file_name().to_str().and_then(|n| n.parse().ok()) {
                pids.push(pid);
            }
        }
        pids.sort_unstable();
        Ok(pids)
    }

    /// Everything about the process with this key. The key's start may be exact or good to a tick; it is kept.
    /// The result is what [`vedette_event::State::complete`] takes.
    ///
    /// # Errors
    /// [`ProcError::Gone`] and [`ProcError::Reused`] are the ordinary ones: the process has ended.
    pub fn complete(&self, key: ProcessKey) -> Result<Process, ProcError> {
        let (stat, mut process) = self.read(key.tgid, Some(key.start / TICK))?;
        process.key = key;
        process.task.start = key.start;
        // A start that a record gave is exact, but for one chance in ten million.
        process.approximate_start = key.start == stat.start_ticks * TICK;
        Ok(process)
    }

    /// Everything about the process with this number now; its start is only good to a clock tick.
    ///
    /// # Errors
    /// As for [`Self::complete`].
    pub fn process(&self, tgid: u32) -> Result<Process, ProcError> {
        self.read(tgid, None).map(|(_, process)| process)
    }

    /// All processes, where the kernel's task iterator is not to be had. What ends meanwhile is an error in its place.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn snapshot(&self) -> Result<impl Iterator<Item = Result<Process, ProcError>> + '_, ProcError> {
        Ok(self.pids()?.into_iter().map(|pid| self.process(pid)))
    }

    /// Puts into the state what the task iterator has left out (on some machines, process 1). Returns how many there
    /// were.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn fill_in(&self, state: &mut State) -> Result<usize, ProcError> {
        let mut found = 0;
        for pid in self.pids()? {
            if state.processes.latest(pid).is_none()
                && let Ok(process) = self.process(pid)
            {
                state.complete(process);
                found += 1;
            }
        }
        state.link_parents();
        Ok(found)
    }

    /// Whether the process with this key is still running, a zombie not counted.
    pub fn is_running(&self, key: ProcessKey) -> bool {
        self.open(key.tgid)
            .and_then(|dir| dir.stat())
            .is_ok_and(|stat| stat.start_ticks == key.start / TICK && !stat.is_ended())
    }

    /// The control group of a process, by id and path; `None` where it is gone or no hierarchy is known.
    pub fn group(&self, tgid: u32) -> Option<(u64, String)> {
        self.group_in(&self.open(tgid).ok()?)
    }

    fn group_in(&self, dir: &Dir) -> Option<(u64, String)> {
        let hierarchy = self.hierarchy.as_ref()?;
        let text = dir.text("cgroup").ok()?;
        let text = String::from_utf8_lossy(&text);
        let path = hierarchy.path_in(&text)?;
        Some((hierarchy.id_of(path)?, path.to_owned()))
    }

    fn open(&self, tgid: u32) -> Result<Dir, ProcError> {
        let path = self.root.join(tgid.to_string());
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match open(&path, flags, Mode::empty()) {
            Ok(fd) => Ok(Dir { tgid, fd, path }),
            Err(error) => Err(failed(tgid, path, error.into())),
        }
    }

    fn read(&self, tgid: u32, ticks: Option<u64>) -> Result<(Stat, Process), ProcError> {
        let dir = self.open(tgid)?;
        let mut before = dir.stat()?;
        if ticks.is_some_and(|ticks| ticks != before.start_ticks) {
            return Err(ProcError::Reused(tgid));
        }
        for _ in 0..ATTEMPTS {
            let process = self.read_once(&dir, &before)?;
            let after = dir.stat()?;
            if before.same_program(&after) {
                return Ok((after, process));
            }
            before = after;
        }
        Err(ProcError::Busy(tgid))
    }

    fn read_once(&self, dir: &Dir, stat: &Stat) -> Result<Process, ProcError> {
        let key = ProcessKey { tgid: dir.tgid, start: stat.start_ticks * TICK };
        let mut process = Process::unknown(key);
        process.approximate_start = true;
        process.origin = vedette_event::Origin::Healed;
        stat.fill(&mut process.task);
        self.fill(dir, &mut process.task)?;
        if stat.is_ended() {
            process.exited = Some(key.start);
        } else if !stat.is_kthread() {
            process.exec = program::exec(dir, stat, self.environment)?.into();
            process.cwd = program::cwd(dir).into();
        }
        Ok(process)
    }

    fn fill(&self, dir: &Dir, task: &mut TaskFacts) -> Result<(), ProcError> {
        stat::fill_from_status(&dir.text("status")?, task);
        // Kernels without the audit system lack these two.
        let number = |file| str::from_utf8(&dir.text(file).ok()?).ok()?.trim().parse().ok();
        task.loginuid = number("loginuid").unwrap_or(u32::MAX);
        task.audit_session = number("sessionid").unwrap_or(u32::MAX);
        let namespace = |file: &str| namespace(&dir.link(file)?).filter(|inode| *inode != 0);
        for (file, inode) in [
            ("ns/mnt", &mut task.ns_mnt),
            ("ns/pid", &mut task.ns_pid),
            ("ns/net", &mut task.ns_net),
            ("ns/user", &mut task.ns_user),
            ("ns/uts", &mut task.ns_uts),
            ("ns/ipc", &mut task.ns_ipc),
            ("ns/cgroup", &mut task.ns_cgroup),
            ("ns/time", &mut task.ns_time),
        ] {
            *inode = namespace(file).unwrap_or(0);
        }
        task.cgroup = self.group_in(dir).map_or(0, |(id, _)| id);
        // A parent that ends meanwhile shows as another parent in the second look at `stat`.
        if task.parent_tgid != 0
            && let Ok(parent) = self.open(task.parent_tgid).and_then(|dir| dir.stat())
        {
            task.parent_start = parent.start_ticks * TICK;
            task.parent_comm = stat::padded(&parent.comm);
        }
        Ok(())
    }
}

/// The `/proc/PID` directory of one process.
struct Dir {
    tgid: u32,
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    fn stat(&self) -> Result<Stat, ProcError> {
        Stat::parse(&self.text("stat")?).ok_or(ProcError::Malformed { tgid: self.tgid, file: "stat" })
    }

    fn text(&self, file: &str) -> Result<Vec<u8>, ProcError> {
        self.bytes(file, TEXT_CAP)
    }

    /// The first `cap` bytes of a file.
    fn bytes(&self, file: &str, cap: u64) -> Result<Vec<u8>, ProcError> {
        let mut out = Vec::new();
        self.openat(file, OFlag::O_RDONLY)
            .map_err(io::Error::from)
            .and_then(|fd| File::from(fd).take(cap).read_to_end(&mut out))
            .map_err(|error| failed(self.tgid, self.path.join(file), error))?;
        Ok(out)
    }

    fn link(&self, file: &str) -> Option<Vec<u8>> {
        readlinkat(&self.fd, file).ok().map(OsString::into_encoded_bytes)
    }

    fn openat<P: ?Sized + nix::NixPath>(&self, file: &P, flags: OFlag) -> Result<OwnedFd, Errno> {
        openat(&self.fd, file, flags | OFlag::O_CLOEXEC, Mode::empty())
    }
}

fn failed(tgid: u32, path: PathBuf, error: io::Error) -> ProcError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ESRCH) => ProcError::Gone(tgid),
        _ => ProcError::Read { path, error },
    }
}

#[cfg(test)]
mod tests;
