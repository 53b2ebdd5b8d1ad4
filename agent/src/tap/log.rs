//! The engine's notes since they were last handed over, as frames.

use std::{collections::HashMap, sync::Arc};

use vedette_event::{
    Clock, Process, ProcessKey, Usage, UserNames,
    recording::{Frame, NameKind},
};

use crate::names::Names;

/// Most names that are remembered as told; with more, all are told anew.
const NAMES: usize = 65_536;

/// Where the time is in a record's header ([`vedette_abi::Header::time`]).
const TIME: std::ops::Range<usize> = 16..24;

type NameKey = (u32, NameKind, u32);
type Name = Option<Arc<str>>;

#[derive(Debug, Default)]
pub(super) struct Log {
    frames: Vec<u8>,
    records: u64,
    /// Time of the first and the last of them, by the clock of the records.
    span: Option<(u64, u64)>,
    /// Names as they were told last.
    told: HashMap<NameKey, Name>,
    /// Names as they were asked for while the current record is processed: whatever the system says a moment later,
    /// one record sees one name.
    answers: Vec<(NameKey, Name)>,
    /// The same for what processes use.
    usages: Vec<(ProcessKey, u32, Option<Usage>)>,
}

/// Frames on their way to those who record.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub frames: Arc<Vec<u8>>,
    pub records: u64,
    /// Time of the first and the last record, nanoseconds since 1970.
    pub span: (u64, u64),
}

impl Log {
    pub fn frame(&mut self, frame: &Frame<'_>) {
        frame.encode(&mut self.frames);
    }

    /// A frame that is written without a copy of what it holds.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.frames);
    }

    pub fn record(&mut self, bytes: &[u8]) {
        self.frame(&Frame::Record(bytes));
        self.records += 1;
        let time = bytes.get(TIME).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        let span = self.span.get_or_insert((time, time));
        span.1 = time;
    }

    pub fn end_of_record(&mut self) {
        self.answers.clear();
        self.usages.clear();
    }

    /// The name that `ask` gives, or gave for the same record.
    pub fn ask(&mut self, kind: NameKind, id: u32, process: &Process, ask: impl FnOnce() -> Name) -> Name {
        let key = (process.task.ns_mnt, kind, id);
        if let Some((_, name)) = self.answers.iter().find(|(asked, _)| *asked == key) {
            return name.clone();
        }
        let name = ask();
        self.answers.push((key, name.clone()));
        if self.told.get(&key) != Some(&name) {
            if self.told.len() >= NAMES {
                self.told.clear();
            }
            self.told.insert(key, name.clone());
            self.frame(&name_frame(key, &name));
        }
        name
    }

    /// What `ask` says about a process and a thread of it, or said for the same record.
    pub fn ask_usage(
        &mut self,
        key: ProcessKey,
        tid: u32,
        ask: impl FnOnce() -> Option<Usage>,
    ) -> Option<Usage> {
        if let Some((.., usage)) = self.usages.iter().find(|(k, t, _)| (*k, *t) == (key, tid)) {
            return *usage;
        }
        let usage = ask();
        self.usages.push((key, tid, usage));
        self.frame(&Frame::Usage { key, tid, usage });
        usage
    }

    /// Asks for the names of a process's users and groups that have not been told yet.
    pub fn learn(&mut self, process: &Process, names: Option<&Names>) {
        let Some(names) = names else { return };
        let task = &process.task;
        let login = (task.loginuid != u32::MAX).then_some(task.loginuid);
        for uid in [Some(task.uid), Some(task.euid), login].into_iter().flatten() {
            if !self.told.contains_key(&(task.ns_mnt, NameKind::User, uid)) {
                self.ask(NameKind::User, uid, process, || names.user(uid, process));
            }
        }
        if !self.told.contains_key(&(task.ns_mnt, NameKind::Home, task.euid)) {
            self.ask(NameKind::Home, task.euid, process, || names.home(task.euid, process));
            self.ask(NameKind::Shell, task.euid, process, || names.shell(task.euid, process));
        }
        for gid in [task.gid, task.egid] {
            if !self.told.contains_key(&(task.ns_mnt, NameKind::Group, gid)) {
                self.ask(NameKind::Group, gid, process, || names.group(gid, process));
            }
        }
    }

    /// Appends all names that have been told.
    pub fn write_names(&self, out: &mut Vec<u8>) {
        for (key, name) in self.told.iter().filter(|(_, name)| name.is_some()) {
            name_frame(*key, name).encode(out);
        }
    }

    /// What was noted since the last time.
    pub fn take(&mut self, clock: Clock) -> Chunk {
        let span = self.span.take().unwrap_or_default();
        Chunk {
            frames: Arc::new(std::mem::take(&mut self.frames)),
            records: std::mem::take(&mut self.records),
            span: (clock.realtime(span.0), clock.realtime(span.1)),
        }
    }
}

fn name_frame(key: NameKey, name: &Name) -> Frame<'_> {
    Frame::Name { ns_mnt: key.0, kind: key.1, id: key.2, name: name.as_deref() }
}
