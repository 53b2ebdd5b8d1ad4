//! A recording in memory.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    sync::Arc,
};

use vedette_event::{
    Body, Clock, Process, ProcessKey, Record, State, StateLimits, UserNames, View, decode,
    recording::{Frame, NameKind, Reader, RecordingError, snapshot::Restore},
};
use vedette_policy::{EventTypes, LiveFacts, facts::live_event_type, pipeline::Outside};

/// What the recorder's system answered.
#[derive(Clone, Default)]
pub struct Answers {
    processes: HashMap<ProcessKey, Process>,
    names: HashMap<(u32, NameKind, u32), Arc<str>>,
}

impl UserNames for Answers {
    fn user(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        self.names.get(&(process.task.ns_mnt, NameKind::User, uid)).cloned()
    }
    fn group(&self, gid: u32, process: &Process) -> Option<Arc<str>> {
        self.names.get(&(process.task.ns_mnt, NameKind::Group, gid)).cloned()
    }
}

impl Outside for Answers {
    fn process(&mut self, key: ProcessKey) -> Option<Process> {
        self.processes.get(&key).cloned()
    }
    fn names(&self) -> &dyn UserNames {
        self
    }
}

/// Everything of a recording's first segment.
pub struct Stream {
    data: Vec<u8>,
    ends: Vec<usize>,
    snapshot: Vec<u8>,
    answers: Answers,
    /// Types of which there are events.
    pub event_types: EventTypes,
}

/// Every process of a recording stays in the state that events are looked at with.
const LIMITS: StateLimits = StateLimits { processes: 1 << 20, cgroups: 1 << 16, hierarchy: None };

impl Stream {
    /// Reads a recording.
    ///
    /// # Errors
    /// It is none, or damaged.
    pub fn read(input: impl Read) -> Result<Self, RecordingError> {
        let mut reader = Reader::new(input);
        let mut stream = Self {
            data: Vec::new(),
            ends: Vec::new(),
            snapshot: Vec::new(),
            answers: Answers::default(),
            event_types: EventTypes::NONE,
        };
        let mut in_snapshot = false;
        let mut seen = false;
        loop {
            // Another segment knows nothing of this one's processes.
            if reader.next_segment()? && reader.segments() > 1 {
                break;
            }
            let Some(frame) = reader.next_frame()? else { break };
            match &frame {
                Frame::SnapshotBegin(_) => in_snapshot = !seen,
                Frame::Record(bytes) => {
                    stream.data.extend_from_slice(bytes);
                    stream.ends.push(stream.data.len());
                }
                Frame::Lookup { found: Some(found), key } => {
                    stream.answers.processes.insert(*key, Process::clone(found));
                }
                Frame::Name { ns_mnt, kind, id, name: Some(name) } => {
                    stream.answers.names.insert((*ns_mnt, *kind, *id), Arc::from(*name));
                }
                _ => {}
            }
            if in_snapshot {
                frame.encode(&mut stream.snapshot);
            }
            if matches!(frame, Frame::SnapshotEnd { .. }) {
                (in_snapshot, seen) = (false, true);
            }
        }
        let types = stream.bytes().filter_map(|b| live_event_type(&decode(b).ok()?)).collect();
        stream.event_types = types;
        Ok(stream)
    }

    /// The records.
    pub fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.data[start..*end])
    }

    /// Number of records.
    pub fn records(&self) -> usize {
        self.ends.len()
    }

    /// Number of records by kind.
    pub fn kinds(&self) -> BTreeMap<&'static str, u64> {
        let mut kinds = BTreeMap::new();
        for record in self.bytes().filter_map(|b| decode(b).ok()) {
            *kinds.entry(record.kind.name()).or_default() += 1;
        }
        kinds
    }

    /// What the system answered.
    pub fn outside(&self) -> Answers {
        self.answers.clone()
    }

    /// The state at the beginning.
    pub fn first_state(&self) -> State {
        let mut restore = Restore::new(LIMITS);
        let mut frames = vedette_event::recording::Frames::new(&self.snapshot);
        while let Ok(Some(frame)) = frames.next_frame() {
            if let Some(restored) = restore.frame(&frame) {
                return restored.into_state();
            }
        }
        State::new(LIMITS)
    }

    /// Decodes all events, and finds their processes in a state that has them all.
    pub fn prepare(&self) -> Prepared<'_> {
        let mut state = self.first_state();
        let mut events = Vec::with_capacity(self.records());
        for bytes in self.bytes() {
            let Ok(record) = decode(bytes) else { continue };
            let key = match &record.body {
                Body::ProcessFork(fork) => ProcessKey { tgid: fork.task.tgid, start: fork.task.start },
                _ => ProcessKey { tgid: record.header.tgid, start: record.header.start },
            };
            // Without their ends, processes stay.
            if !matches!(record.body, Body::ProcessExit(_)) {
                let applied = state.apply(&record);
                if let (true, Some(found)) = (applied.incomplete, self.answers.processes.get(&key)) {
                    state.complete(found.clone());
                }
            }
            if live_event_type(&record).is_some() {
                events.push((record, key));
            }
        }
        let events =
            events.into_iter().filter_map(|(r, key)| Some((r, state.processes.find(key)?))).collect();
        Prepared { events, state, names: &self.answers }
    }
}

/// Decoded events and one state for all of them.
pub struct Prepared<'s> {
    events: Vec<(Record<'s>, vedette_event::ProcessId)>,
    state: State,
    names: &'s Answers,
}

impl Prepared<'_> {
    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The facts of one event.
    pub fn nth(&self, index: usize) -> Option<LiveFacts<'_>> {
        let (record, id) = self.events.get(index)?;
        LiveFacts::new(View {
            record,
            number: index as u64 + 1,
            process: self.state.processes.get(*id)?,
            id: *id,
            state: &self.state,
            clock: Clock::default(),
            hostname: "node",
            names: self.names,
        })
    }

    /// The facts of all events.
    pub fn facts(&self) -> impl Iterator<Item = LiveFacts<'_>> {
        (0..self.events.len()).filter_map(|index| self.nth(index))
    }
}
