//! What the records say about the node: processes and control groups, brought up to date one record at a time.

use std::sync::Arc;

use vedette_abi::{Kind, ProcessExec, TaskFacts};

use crate::{
    Body, Cgroups, Exec, Origin, Process, ProcessId, ProcessKey, ProcessTable, Record, process::ExeFacts,
};

/// Bounds of the state.
#[derive(Clone, Copy, Debug)]
pub struct StateLimits {
    /// Most processes, ended ones included.
    pub processes: usize,
    /// Most control groups.
    pub cgroups: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { processes: 65_536, cgroups: 16_384 }
    }
}

/// What was lost and mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateStats {
    /// Events of processes that were not known.
    pub unknown_processes: u64,
    /// Gaps reported by the state ring.
    pub state_gaps: u64,
    /// Records lost in the state ring.
    pub state_lost: u64,
}

/// What one record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The process the record is about: who did it; for a fork, the child.
    pub process: Option<ProcessId>,
    /// That process was not known, only its key is: somebody should look it up.
    pub incomplete: bool,
}

/// Processes and control groups of the node.
#[derive(Debug)]
pub struct State {
    /// Processes.
    pub processes: ProcessTable,
    /// Control groups.
    pub cgroups: Cgroups,
    stats: StateStats,
    last_prune: u64,
}

/// Nanoseconds of event time between two prunings.
const PRUNE_EVERY: u64 = 250_000_000;

impl State {
    /// An empty state.
    pub fn new(limits: StateLimits) -> Self {
        Self {
            processes: ProcessTable::new(limits.processes),
            cgroups: Cgroups::new(limits.cgroups),
            stats: StateStats::default(),
            last_prune: 0,
        }
    }

    /// What was lost and mended.
    pub fn stats(&self) -> StateStats {
        self.stats
    }

    /// Applies a record.
    pub fn apply(&mut self, record: &Record<'_>) -> Applied {
        let time = record.header.time;
        if time.saturating_sub(self.last_prune) >= PRUNE_EVERY {
            self.last_prune = time;
            self.processes.prune(time);
        }
        let known = |process| Applied { process: Some(process), incomplete: false };
        let nobody = Applied { process: None, incomplete: false };
        match &record.body {
            Body::ProcessFork(fork) => known(self.fork(&fork.task, Origin::Fork)),
            Body::ProcessSnapshot(fork) => known(self.fork(&fork.task, Origin::Snapshot)),
            Body::ProcessExec { facts, exe, filename, cwd, argv, env } => {
                let exec = Exec {
                    exe_path: (*exe).into(),
                    filename: (*filename).into(),
                    argv: (*argv).into(),
                    env: (*env).into(),
                    argv_total: facts.argv_total,
                    env_total: facts.env_total,
                    exe: ExeFacts(facts.exe),
                    time,
                };
                known(self.exec(facts, exec, cwd))
            }
            Body::ProcessExit(_) => {
                let key = ProcessKey { tgid: record.header.tgid, start: record.header.start };
                Applied { process: self.processes.exit(key, time), incomplete: false }
            }
            Body::CgroupMkdir { facts, path } => {
                if let Ok(path) = std::str::from_utf8(path) {
                    self.cgroups.insert(facts.id, path);
                }
                nobody
            }
            Body::CgroupRmdir { facts, .. } => {
                self.cgroups.remove(facts.id);
                nobody
            }
            Body::Gap(gap) => {
                if record.kind == Kind::Gap && gap.ring == u32::from(vedette_abi::Ring::State as u8) {
                    self.stats.state_gaps += 1;
                    self.stats.state_lost += u64::from(gap.total);
                }
                nobody
            }
            Body::FileOpen { .. } | Body::NetConnect { .. } => self.actor(record),
        }
    }

    /// The process that a record's header names, made up from the header where it is not known.
    fn actor(&mut self, record: &Record<'_>) -> Applied {
        let key = ProcessKey { tgid: record.header.tgid, start: record.header.start };
        match self.processes.find(key) {
            Some(id) => {
                let incomplete = self.processes.get(id).is_some_and(|p| p.origin == Origin::Header);
                Applied { process: Some(id), incomplete }
            }
            None => {
                self.stats.unknown_processes += 1;
                let mut process = Process::unknown(key);
                process.task.cgroup = record.header.cgroup;
                Applied { process: Some(self.processes.insert(process)), incomplete: true }
            }
        }
    }

    fn parent_of(&self, task: &TaskFacts) -> Option<ProcessId> {
        self.processes.find(ProcessKey { tgid: task.parent_tgid, start: task.parent_start })
    }

    fn fork(&mut self, task: &TaskFacts, origin: Origin) -> ProcessId {
        let key = ProcessKey { tgid: task.tgid, start: task.start };
        let parent = self.parent_of(task);
        // A snapshot may find what a fork has told already, and more: the exec that followed.
        if origin == Origin::Snapshot
            && let Some(id) = self.processes.find(key)
        {
            if parent.is_some() {
                self.processes.set_parent(id, parent);
            }
            return id;
        }
        let inherited = parent.and_then(|p| self.processes.get(p));
        let exec = inherited.map(|p| Arc::clone(&p.exec)).unwrap_or_default();
        let cwd = inherited.map_or_else(|| Arc::from(&b""[..]), |p| Arc::clone(&p.cwd));
        let process = Process { parent, task: *task, exec, cwd, origin, ..Process::unknown(key) };
        self.processes.insert(process)
    }

    fn exec(&mut self, facts: &ProcessExec, exec: Exec, cwd: &[u8]) -> ProcessId {
        let task = &facts.task;
        let key = ProcessKey { tgid: task.tgid, start: task.start };
        let found = self.processes.find(key);
        let parent = match found.and_then(|id| self.processes.get(id)).and_then(|p| p.parent) {
            Some(parent) => Some(parent),
            None => self.parent_of(task),
        };
        let origin = found.and_then(|id| self.processes.get(id)).map_or(Origin::Exec, |p| match p.origin {
            Origin::Header => Origin::Exec,
            known => known,
        });
        let process = Process {
            parent,
            task: *task,
            exec: Arc::new(exec),
            cwd: cwd.into(),
            origin,
            ..Process::unknown(key)
        };
        self.processes.insert(process)
    }

    /// Fills in what somebody found out about a process from elsewhere (`/proc`).
    pub fn complete(&mut self, process: Process) -> ProcessId {
        self.processes.insert(process)
    }

    /// Links processes whose parents were not known yet when they came in.
    pub fn link_parents(&mut self) {
        let wanted: Vec<(ProcessKey, ProcessKey)> = self
            .processes
            .iter()
            .filter(|p| p.parent.is_none() && p.task.parent_tgid != 0)
            .map(|p| (p.key, ProcessKey { tgid: p.task.parent_tgid, start: p.task.parent_start }))
            .collect();
        for (child, parent) in wanted {
            if let (Some(child), Some(parent)) = (self.processes.find(child), self.processes.find(parent)) {
                self.processes.set_parent(child, Some(parent));
            }
        }
    }
}
