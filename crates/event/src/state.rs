//! What the records say about the node: processes and control groups, brought up to date one record at a time.

mod excerpt;
mod refresh;

use std::sync::Arc;

use vedette_abi::{Call, Kind, ProcessExec, TaskFacts};

use crate::{
    Body, Cgroups, Exec, Origin, Process, ProcessId, ProcessKey, ProcessTable, Record,
    process::{ExeFacts, Stdio},
};

pub use excerpt::Excerpt;

/// Bounds of the state.
#[derive(Clone, Copy, Debug)]
pub struct StateLimits {
    /// Most processes, ended ones included.
    pub processes: usize,
    /// Most control groups.
    pub cgroups: usize,
    /// The hierarchy whose groups name containers (0 for cgroup v2); groups of others are ignored. `None`: all count.
    pub hierarchy: Option<u32>,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { processes: 65_536, cgroups: 16_384, hierarchy: None }
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
    /// Something is missing about that process ([`Process::is_incomplete`]): somebody should look it up, and then call
    /// [`State::complete`] or [`State::give_up`].
    pub incomplete: bool,
}

/// When events happened, nanoseconds of the clock of the records; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTimes {
    /// The first event.
    pub first: u64,
    /// The event before the last one.
    pub previous: u64,
    /// The last one.
    pub last: u64,
}

impl EventTimes {
    fn note(&mut self, time: u64) {
        if self.first == 0 {
            (self.first, self.last) = (time, time);
        }
        (self.previous, self.last) = (self.last, time);
    }
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
    hierarchy: Option<u32>,
    times: EventTimes,
    /// What the process of the last record was before that record changed it.
    before: Option<TaskFacts>,
    /// What was known before the last record about the process, or where that is new, about its parent.
    known_before: Option<TaskFacts>,
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
            hierarchy: limits.hierarchy,
            times: EventTimes::default(),
            before: None,
            known_before: None,
        }
    }

    fn names_containers(&self, hierarchy: u32) -> bool {
        self.hierarchy.is_none_or(|h| h == hierarchy)
    }

    /// What was lost and mended.
    pub fn stats(&self) -> StateStats {
        self.stats
    }

    /// What the kernel held about the process of the record that was applied last before the call that the record
    /// tells of; `None` where that changed nothing that is known. As whom a call was made is a question of that, not of
    /// what the process is afterwards.
    pub fn before(&self) -> Option<&TaskFacts> {
        self.before.as_ref()
    }

    /// What was known, before the record that was applied last, about the process that it is about, or where that is
    /// new, about its parent; `None` where the record changed nothing of that kind. Neither a fork nor an exec changes
    /// the real ids, and the calls that do have records of their own: a difference was made by something else.
    pub fn known_before(&self) -> Option<&TaskFacts> {
        self.known_before.as_ref()
    }

    /// When events happened; the last is that of the record that was applied last, if it is one.
    pub fn times(&self) -> EventTimes {
        self.times
    }

    /// Forgets what ended long enough before `time`, nanoseconds of the clock of the records. Every record does it; on a
    /// quiet node, where none comes, somebody else has to.
    pub fn prune(&mut self, time: u64) {
        if time.saturating_sub(self.last_prune) >= PRUNE_EVERY {
            self.last_prune = time;
            self.processes.prune(time);
            self.cgroups.prune(time);
        }
    }

    /// Applies a record.
    pub fn apply(&mut self, record: &Record<'_>) -> Applied {
        let time = record.header.time;
        (self.before, self.known_before) = (None, None);
        self.prune(time);
        let nobody = Applied { process: None, incomplete: false };
        let applied = match &record.body {
            Body::ProcessFork(fork) => {
                let id = self.fork(&fork.task, Origin::Fork);
                self.known(id)
            }
            Body::ProcessSnapshot(fork) => {
                let id = self.fork(&fork.task, Origin::Snapshot);
                self.known(id)
            }
            Body::ProcessExec { facts, exe, filename, cwd, argv, env, stdio } => {
                let exec = Exec {
                    exe_path: (*exe).into(),
                    filename: (*filename).into(),
                    argv: (*argv).into(),
                    env: (*env).into(),
                    argv_total: facts.argv_total,
                    env_total: facts.env_total,
                    exe: ExeFacts(facts.exe),
                    stdio: Stdio::of(&facts.stdio, stdio),
                    time,
                    ..Exec::default()
                };
                let id = self.exec(facts, exec, cwd);
                self.known(id)
            }
            Body::ProcessExit(_) => {
                let key = ProcessKey { tgid: record.header.tgid, start: record.header.start };
                Applied { process: self.processes.exit(key, time), incomplete: false }
            }
            Body::CgroupMkdir { facts, path } => {
                if self.names_containers(facts.hierarchy) {
                    self.cgroups.insert_made(facts.id, &String::from_utf8_lossy(path), time);
                }
                nobody
            }
            Body::CgroupRmdir { facts, .. } => {
                if self.names_containers(facts.hierarchy) {
                    self.cgroups.retire(facts.id, time);
                }
                nobody
            }
            Body::Gap(gap) => {
                if record.kind == Kind::Gap && gap.ring == u32::from(vedette_abi::Ring::State as u8) {
                    self.stats.state_gaps += 1;
                    self.stats.state_lost += u64::from(gap.total);
                }
                nobody
            }
            Body::ProcessChange { task, syscall, strings } => {
                self.change(record, task, syscall.ret, strings.path)
            }
            Body::FileOpen { .. } | Body::NetCall { .. } | Body::Syscall { .. } => self.actor(record),
        };
        if let Some(id) = applied.process {
            self.follow(id, record);
            // What was there before is no event.
            if !matches!(record.body, Body::ProcessSnapshot(_)) {
                self.times.note(time);
            }
        }
        applied
    }

    /// A record's header names the group in which it happened, which is newer than what a fork or exec told: tasks are
    /// moved between groups without a record of their own.
    fn follow(&mut self, id: ProcessId, record: &Record<'_>) {
        let told_by_itself = !matches!(record.body, Body::ProcessFork(_) | Body::ProcessSnapshot(_));
        let cgroup = record.header.cgroup;
        if told_by_itself
            && cgroup != 0
            && let Some(process) = self.processes.get_mut(id)
        {
            process.task.cgroup = cgroup;
        }
    }

    fn known(&self, id: ProcessId) -> Applied {
        let incomplete = self.processes.get(id).is_some_and(Process::is_incomplete);
        Applied { process: Some(id), incomplete }
    }

    /// The process that a record's header names, made up from the header where it is not known.
    fn actor(&mut self, record: &Record<'_>) -> Applied {
        let key = ProcessKey { tgid: record.header.tgid, start: record.header.start };
        match self.processes.find(key) {
            Some(id) => self.known(id),
            None => {
                self.stats.unknown_processes += 1;
                let mut process = Process::unknown(key);
                process.task.cgroup = record.header.cgroup;
                let id = self.processes.insert(process);
                self.known(id)
            }
        }
    }

    /// A process changed what it is.
    fn change(&mut self, record: &Record<'_>, task: &TaskFacts, ret: i64, directory: &[u8]) -> Applied {
        let applied = self.actor(record);
        let Some(process) = applied.process.and_then(|id| self.processes.get_mut(id)) else { return applied };
        if process.origin == Origin::Header {
            return applied;
        }
        if record.header.tid == record.header.tgid {
            self.before = Some(process.task);
            self.known_before = self.before;
            process.task = *task;
        } else {
            // Names, ids, capabilities and namespaces belong to threads: those of the process are its leader's. These
            // are shared by all threads.
            let known = &mut process.task;
            (known.sid, known.pgid, known.vsid, known.vpgid) = (task.sid, task.pgid, task.vsid, task.vpgid);
            (known.tty, known.threads) = (task.tty, task.threads);
        }
        let moves = matches!(record.call, Some(Call::Chdir | Call::Fchdir));
        if moves && ret >= 0 && !directory.is_empty() {
            process.cwd = directory.into();
        }
        applied
    }

    fn parent_of(&self, task: &TaskFacts) -> Option<ProcessId> {
        self.processes.find(ProcessKey { tgid: task.parent_tgid, start: task.parent_start })
    }

    fn fork(&mut self, task: &TaskFacts, origin: Origin) -> ProcessId {
        let key = ProcessKey { tgid: task.tgid, start: task.start };
        let parent = self.parent_of(task);
        // The snapshot may find what a fork has told already, and more: the exec that followed. And a fork record may
        // be older than what the snapshot or a look-up has found.
        if let Some(id) = self.processes.find(key)
            && let Some(known) = self.processes.get(id).filter(|p| p.origin != Origin::Header)
        {
            if known.approximate_start {
                let exact = Process { key, task: *task, approximate_start: false, ..known.clone() };
                self.processes.insert(exact);
            }
            if parent.is_some() {
                self.processes.set_parent(id, parent);
            }
            return id;
        }
        // What was there before runs a program of its own, which is read elsewhere.
        let inherited = parent.and_then(|p| self.processes.get(p)).filter(|_| origin == Origin::Fork);
        self.known_before = inherited.filter(|p| p.has_facts()).map(|p| p.task);
        let exec = inherited.map(|p| Arc::clone(&p.exec)).unwrap_or_default();
        let cwd = inherited.map_or_else(|| Arc::from(&b""[..]), |p| Arc::clone(&p.cwd));
        let process = Process { parent, task: *task, exec, cwd, origin, ..Process::unknown(key) };
        self.processes.insert(process)
    }

    fn exec(&mut self, facts: &ProcessExec, exec: Exec, cwd: &[u8]) -> ProcessId {
        let task = &facts.task;
        let key = ProcessKey { tgid: task.tgid, start: task.start };
        let found = self.processes.find(key);
        self.known_before =
            found.and_then(|id| self.processes.get(id)).filter(|p| p.has_facts()).map(|p| p.task);
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

    /// Fills in what somebody read about a process in `/proc`. Records are better witnesses: of a process that is known
    /// from them only what is missing is taken over, and a program that was seen to start is never replaced by one that
    /// may have been read before. The parent is looked up by the key in `task`.
    pub fn complete(&mut self, mut process: Process) -> ProcessId {
        if process.parent.is_none() && process.task.parent_tgid != 0 {
            let parent = ProcessKey { tgid: process.task.parent_tgid, start: process.task.parent_start };
            process.parent = self.processes.find_near(parent);
        }
        process.origin = Origin::Healed;
        process.looked_up = true;
        let found = if process.approximate_start {
            self.processes.find_near(process.key)
        } else {
            self.processes.find(process.key)
        };
        if let Some(known) = found.and_then(|id| self.processes.get(id)) {
            if known.has_facts() {
                process.task = known.task;
                process.origin = known.origin;
            }
            // What has ended shows no program any more.
            if known.exec.time != 0 || !process.exec.is_known() {
                process.exec = Arc::clone(&known.exec);
                process.cwd = Arc::clone(&known.cwd);
            }
            // The parent that was there at the fork, not the one that took over.
            process.parent = known.parent.filter(|p| self.processes.get(*p).is_some()).or(process.parent);
        }
        self.processes.insert(process)
    }

    /// Takes note that a look-up found nothing, so that the process is not looked up again.
    pub fn give_up(&mut self, id: ProcessId) {
        if let Some(process) = self.processes.get_mut(id) {
            process.looked_up = true;
        }
    }

    /// The key of a process's parent where the parent is not in the table: what to look up next.
    pub fn missing_parent(&self, id: ProcessId) -> Option<ProcessKey> {
        let process = self.processes.get(id)?;
        let parent = ProcessKey { tgid: process.task.parent_tgid, start: process.task.parent_start };
        let known = process.parent.is_some_and(|p| self.processes.get(p).is_some());
        (!known && parent.tgid != 0 && self.processes.find_near(parent).is_none()).then_some(parent)
    }

    /// When the tables were pruned last, nanoseconds of the clock of the records.
    pub fn last_prune(&self) -> u64 {
        self.last_prune
    }

    /// Puts back what was known at some time: processes, each with its parent's key, in any order.
    #[cfg(feature = "recording")]
    pub(crate) fn restore(
        &mut self,
        mut processes: Vec<(Process, Option<ProcessKey>)>,
        last_prune: u64,
        times: EventTimes,
    ) {
        self.last_prune = last_prune;
        self.times = times;
        // Of those that had the same number one after the other, the latest has to come last.
        processes.sort_by_key(|(process, _)| (process.key.start, process.key.tgid));
        let mut links = Vec::with_capacity(processes.len());
        for (process, parent) in processes {
            let id = self.processes.insert(Process { parent: None, ..process });
            links.extend(parent.map(|parent| (id, parent)));
        }
        for (child, parent) in links {
            if let Some(parent) = self.processes.find(parent) {
                self.processes.set_parent(child, Some(parent));
            }
        }
        self.processes.sort_ended();
    }

    /// Links processes whose parents were not known yet when they came in.
    pub fn link_parents(&mut self) {
        let wanted: Vec<(ProcessId, ProcessKey)> = self
            .processes
            .entries()
            .filter(|(_, p)| p.parent.is_none() && p.task.parent_tgid != 0)
            .map(|(id, p)| (id, ProcessKey { tgid: p.task.parent_tgid, start: p.task.parent_start }))
            .collect();
        for (child, parent) in wanted {
            if let Some(parent) = self.processes.find_near(parent) {
                self.processes.set_parent(child, Some(parent));
            }
        }
    }
}
