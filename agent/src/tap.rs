//! The event stream for those who record it: `vedette record`, through a Unix socket.
//!
//! While nobody records, the engine does nothing here but look whether somebody has come. While somebody does, it
//! notes each record and each answer it got from the system (a process looked up, the name of a user), and hands the
//! notes over after each batch. It never waits: who cannot keep up loses records, is told how many, and gets a fresh
//! snapshot as soon as there is room again, so that the recording is true from there on.

mod log;
mod recorder;
mod server;

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, never};
use vedette_event::{
    Body, Knowledge, Metadata, Pod, Process, ProcessKey, Record, Usage, UserNames,
    recording::{Frame, NameKind, Snapshot, container_frame, pod_frame, snapshot},
};
use vedette_policy::pipeline::Pipeline;

use crate::names::Names;
use log::Log;
use recorder::Recorder;

pub use recorder::{Frames, Join};
pub use server::{Server, TapError};

/// Most bytes of a snapshot; processes beyond that are left out of it, and counted.
const SNAPSHOT: usize = 64 << 20;

/// Shortest time between two snapshots for the same recorder.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// The engine's end: who records, and what they have not been given yet.
#[derive(Debug)]
pub struct Tap {
    joins: Receiver<Join>,
    recorders: Vec<Recorder>,
    /// Behind a cell because answers are noted where the engine only asks.
    log: RefCell<Log>,
}

impl Tap {
    /// Nobody ever records.
    pub fn off() -> Self {
        Self::new(never())
    }

    /// Those who come through this channel record.
    pub fn new(joins: Receiver<Join>) -> Self {
        Self { joins, recorders: Vec::new(), log: RefCell::default() }
    }

    /// Where recorders come from.
    pub fn joins(&self) -> &Receiver<Join> {
        &self.joins
    }

    /// Whether anybody records.
    pub fn is_on(&self) -> bool {
        !self.recorders.is_empty()
    }

    /// Takes a recorder in, and gives it all that is known. `None`: nobody will come any more.
    pub fn join(&mut self, join: Option<Join>, pipeline: &Pipeline, names: Option<&Names>) {
        let Some(join) = join else {
            self.joins = never();
            return;
        };
        self.flush(pipeline, names);
        let mut recorder = Recorder::new(join);
        // Names that are asked for now are news for those who record already.
        let snapshot = self.snapshot(pipeline, names);
        self.flush(pipeline, names);
        if recorder.send_snapshot(snapshot) {
            self.recorders.push(recorder);
        }
    }

    /// The state has changed otherwise than by records: everybody gets a snapshot.
    pub fn resync(&mut self, pipeline: &Pipeline, names: Option<&Names>) {
        if !self.is_on() {
            return;
        }
        self.flush(pipeline, names);
        let snapshot = self.snapshot(pipeline, names);
        self.flush(pipeline, names);
        self.recorders
            .retain_mut(|recorder| recorder.is_behind() || recorder.send_snapshot(snapshot.clone()));
    }

    /// Everything known as frames: processes, control groups, names.
    fn snapshot(&self, pipeline: &Pipeline, names: Option<&Names>) -> Vec<u8> {
        let mut log = self.log.borrow_mut();
        for process in pipeline.state.processes.iter() {
            log.learn(process, names);
        }
        log.end_of_record();
        let mut frames = Vec::new();
        let known = Snapshot {
            number: pipeline.number(),
            last_prune: pipeline.state.last_prune(),
            times: pipeline.state.times(),
            gaps: pipeline.untold_gaps().to_vec(),
        };
        let left_out = snapshot::write(&pipeline.state, known, SNAPSHOT, &mut frames);
        if left_out > 0 {
            tracing::warn!(left_out, "a snapshot for a recording is too large: some processes are not in it");
        }
        log.write_names(&mut frames);
        frames
    }

    /// Before a record is processed: asks for the names that policies of a replay may want.
    pub fn before(&self, record: &Record<'_>, names: Option<&Names>) {
        if !self.is_on() {
            return;
        }
        let task = match &record.body {
            Body::ProcessFork(fork) => fork.task,
            Body::ProcessExec { facts, .. } => facts.task,
            _ => return,
        };
        let key = ProcessKey { tgid: task.tgid, start: task.start };
        let mut process = Process::unknown(key);
        process.task = task;
        self.log.borrow_mut().learn(&process, names);
    }

    /// After a record was processed.
    pub fn record(&self, bytes: &[u8]) {
        if self.is_on() {
            let mut log = self.log.borrow_mut();
            log.record(bytes);
            log.end_of_record();
        }
    }

    /// A process was looked up.
    pub fn looked_up(&self, key: ProcessKey, found: Option<&Process>, names: Option<&Names>) {
        if self.is_on() {
            let mut log = self.log.borrow_mut();
            log.frame(&Frame::Lookup { key, found: found.cloned().map(Box::new) });
            if let Some(process) = found {
                log.learn(process, names);
            }
        }
    }

    /// The name of a user, from the system unless it was asked for the same record already.
    pub fn user(&self, uid: u32, process: &Process, names: &Names) -> Option<Arc<str>> {
        self.log.borrow_mut().ask(NameKind::User, uid, process, || names.user(uid, process))
    }

    /// The same for a group.
    pub fn group(&self, gid: u32, process: &Process, names: &Names) -> Option<Arc<str>> {
        self.log.borrow_mut().ask(NameKind::Group, gid, process, || names.group(gid, process))
    }

    /// The home directory of a user.
    pub fn home(&self, uid: u32, process: &Process, names: &Names) -> Option<Arc<str>> {
        self.log.borrow_mut().ask(NameKind::Home, uid, process, || names.home(uid, process))
    }

    /// The login shell of a user.
    pub fn shell(&self, uid: u32, process: &Process, names: &Names) -> Option<Arc<str>> {
        self.log.borrow_mut().ask(NameKind::Shell, uid, process, || names.shell(uid, process))
    }

    /// What a process and a thread of it use, as `ask` says unless it was asked for the same record already.
    pub fn usage(&self, key: ProcessKey, tid: u32, ask: impl FnOnce() -> Option<Usage>) -> Option<Usage> {
        if self.is_on() { self.log.borrow_mut().ask_usage(key, tid, ask) } else { ask() }
    }

    /// Something became known about a container, or somebody asked.
    pub fn container(&self, id: &str, knowledge: Knowledge, metadata: &Metadata) {
        if self.is_on() {
            let mut log = self.log.borrow_mut();
            log.append(|out| container_frame(out, id, None, knowledge, metadata));
            log.end_of_record();
        }
    }

    /// Something became known about a pod.
    pub fn pod(&self, uid: &str, pod: Option<&Pod>) {
        if self.is_on() {
            self.log.borrow_mut().append(|out| pod_frame(out, uid, pod));
        }
    }

    /// It was quiet, and this is the time, nanoseconds since 1970.
    pub fn time(&self, now: u64) {
        if self.is_on() {
            self.log.borrow_mut().frame(&Frame::Time(now));
        }
    }

    /// Hands over what was noted.
    pub fn flush(&mut self, pipeline: &Pipeline, names: Option<&Names>) {
        if self.recorders.is_empty() {
            return;
        }
        let chunk = self.log.get_mut().take(pipeline.clock());
        self.recorders.retain_mut(|recorder| recorder.send(&chunk));
        let now = Instant::now();
        if self.recorders.iter().any(|r| r.wants_snapshot(now, SNAPSHOT_INTERVAL)) {
            let snapshot = self.snapshot(pipeline, names);
            // Names that were asked for just now are part of that snapshot, and news for the others.
            let chunk = self.log.get_mut().take(pipeline.clock());
            self.recorders.retain_mut(|recorder| {
                if recorder.wants_snapshot(now, SNAPSHOT_INTERVAL) {
                    recorder.send_snapshot(snapshot.clone())
                } else {
                    recorder.send(&chunk)
                }
            });
        }
        if self.recorders.is_empty() {
            *self.log.get_mut() = Log::default();
        }
    }
}

#[cfg(test)]
mod tests;
