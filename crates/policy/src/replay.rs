//! A recording through the pipeline: the alerts that these policies would have raised.

use std::{
    collections::{HashMap, VecDeque},
    io::Read,
    sync::Arc,
};

use vedette_event::{
    Process, ProcessKey, State, StateLimits, Usage, UserNames,
    abi::{KINDS, Kind},
    alert::{GapInfo, Time},
    decode,
    recording::{Ending, Frame, Header, NameKind, Reader, RecordingError, snapshot::Restore},
};

use crate::{
    EventTypes, PolicySet, RuleMatching,
    pipeline::{Outside, Pipeline, Raised},
};

/// What a recording held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayStats {
    /// Records by kind.
    pub records: [u64; KINDS],
    /// Runs of the recorder.
    pub segments: u64,
    /// Records that this build cannot decode.
    pub undecodable: u64,
    /// Frames of kinds that this build does not know.
    pub unknown_frames: u64,
    /// Records that the recorder lost.
    pub lost: u64,
    /// Records that the kernel lost.
    pub gap_lost: u64,
    /// Processes that found no room in a snapshot.
    pub left_out: u64,
    /// Time of the first and of the last record, nanoseconds since 1970.
    pub span: Option<(u64, u64)>,
    /// Event types of which there was at least one event.
    pub event_types: EventTypes,
}

impl ReplayStats {
    /// Number of all records.
    pub fn total(&self) -> u64 {
        self.records.iter().sum()
    }

    /// Records of one kind.
    pub fn of_kind(&self, kind: Kind) -> u64 {
        self.records[kind as usize]
    }
}

/// Runs a recording through policies. The same recording and policies give the same alerts.
///
/// What rules remember (thresholds, sequences, throttles) begins empty, and does so anew with each run of the
/// recorder.
///
/// # Errors
/// The recording cannot be read any further; alerts of what is before that have been handed over.
pub fn replay<R: Read>(
    input: R,
    policies: &Arc<PolicySet>,
    matching: RuleMatching,
    mut on_alert: impl FnMut(Raised<'_>),
) -> (ReplayStats, Result<Ending, RecordingError>) {
    let mut player = Player::new(input, matching);
    let result = loop {
        match player.step(policies, &mut on_alert) {
            Ok(true) => {}
            Ok(false) => break Ok(player.reader.ending()),
            Err(error) => break Err(error),
        }
    };
    player.pipeline.stop_waiting(&player.recorded, &mut on_alert);
    player.pipeline.set_policies(None, &mut on_alert);
    player.stats.segments = player.reader.segments();
    player.stats.unknown_frames = player.reader.unknown();
    (player.stats, result)
}

struct Player<R> {
    reader: Reader<R>,
    pipeline: Pipeline,
    restore: Restore,
    recorded: Recorded,
    stats: ReplayStats,
    segment: u64,
}

impl<R: Read> Player<R> {
    fn new(input: R, matching: RuleMatching) -> Self {
        let header = Header::default();
        Self {
            reader: Reader::new(input),
            pipeline: Pipeline::new(State::new(header.limits()), header.clock(), header.node(), matching),
            restore: Restore::new(StateLimits::default()),
            recorded: Recorded::default(),
            stats: ReplayStats::default(),
            segment: 0,
        }
    }

    /// Plays a frame. False at the end.
    fn step(
        &mut self,
        policies: &Arc<PolicySet>,
        on_alert: &mut impl FnMut(Raised<'_>),
    ) -> Result<bool, RecordingError> {
        let Self { reader, pipeline, restore, recorded, stats, segment } = self;
        // The header and its frame are looked at together below, which one borrow of the reader does not allow.
        if reader.next_segment()? {
            let header = reader.header();
            pipeline.stop_waiting(recorded, &mut *on_alert);
            pipeline.set_policies(None, &mut *on_alert);
            pipeline.change_node(header.node(), header.clock());
            pipeline.restore(State::new(header.limits()), 0, Vec::new());
            pipeline.set_policies(Some(Arc::clone(policies)), &mut *on_alert);
            *restore = Restore::new(header.limits());
            *recorded = Recorded::default();
            *segment += 1;
        }
        let Some(frame) = reader.next_frame()? else { return Ok(false) };
        match frame {
            Frame::Record(bytes) => match decode(bytes) {
                Ok(record) => {
                    let time = pipeline.clock().realtime(record.header.time);
                    let span = stats.span.get_or_insert((time, time));
                    *span = (span.0.min(time), span.1.max(time));
                    stats.records[record.kind as usize] += 1;
                    if let Some(event_type) = crate::facts::live_event_type(&record) {
                        stats.event_types.insert(event_type);
                    }
                    if let vedette_event::Body::Gap(gap) = &record.body {
                        stats.gap_lost += u64::from(gap.total);
                    }
                    pipeline.record(&record, recorded, &mut *on_alert);
                    recorded.forget();
                }
                Err(_) => stats.undecodable += 1,
            },
            Frame::Lookup { key, found } => {
                if recorded.lookups.len() < MAX_LOOKUPS {
                    recorded.lookups.push_back((key, found));
                }
            }
            Frame::Name { ns_mnt, kind, id, name } => {
                if recorded.names.len() < MAX_NAMES {
                    recorded.names.insert((ns_mnt, kind, id), name.map(Arc::from));
                }
            }
            Frame::Usage { key, tid, usage } => {
                if recorded.usages.len() < MAX_LOOKUPS {
                    recorded.usages.push((key, tid, usage));
                }
            }
            Frame::Time(now) => pipeline.advance(now, &mut *on_alert),
            Frame::Lost { records, from, to } => {
                stats.lost += records;
                pipeline.note_gap(GapInfo {
                    ring: "recording".to_owned(),
                    cpu: 0,
                    kind: "mixed".to_owned(),
                    cgroup: None,
                    count: records,
                    from: Time(from),
                    to: Time(to),
                });
            }
            Frame::End => {}
            Frame::Container { id, knowledge, metadata, .. } if !restore.is_open() => {
                pipeline.container(id, knowledge, *metadata, recorded, &mut *on_alert);
                recorded.forget();
            }
            Frame::Pod { uid, pod } if !restore.is_open() => pipeline.pod(uid, pod.map(|pod| *pod)),
            frame => {
                if let Some(mut restored) = restore.frame(&frame) {
                    stats.left_out += restored.left_out;
                    let (number, gaps) = (restored.number(), restored.take_gaps());
                    pipeline.restore(restored.into_state(), number, gaps);
                    pipeline.settle(recorded, &mut *on_alert);
                }
            }
        }
        Ok(true)
    }
}

/// More answers than a recorder writes for one record: a file is not to be trusted.
const MAX_LOOKUPS: usize = 64;
/// More names than a recorder keeps.
const MAX_NAMES: usize = 1 << 20;

/// The answers that were recorded.
#[derive(Debug, Default)]
struct Recorded {
    /// For the next record, in the order in which they were asked for.
    lookups: VecDeque<(ProcessKey, Option<Box<Process>>)>,
    names: HashMap<(u32, NameKind, u32), Option<Arc<str>>>,
    /// For the next record.
    usages: Vec<(ProcessKey, u32, Option<Usage>)>,
}

impl Recorded {
    /// What was asked for at one moment is no answer at the next.
    fn forget(&mut self) {
        self.lookups.clear();
        self.usages.clear();
    }

    fn name(&self, kind: NameKind, id: u32, process: &Process) -> Option<Arc<str>> {
        self.names.get(&(process.task.ns_mnt, kind, id)).cloned().flatten()
    }
}

impl UserNames for Recorded {
    fn user(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        self.name(NameKind::User, uid, process)
    }

    fn group(&self, gid: u32, process: &Process) -> Option<Arc<str>> {
        self.name(NameKind::Group, gid, process)
    }

    fn home(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        self.name(NameKind::Home, uid, process)
    }

    fn shell(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        self.name(NameKind::Shell, uid, process)
    }

    fn usage(&self, process: &Process, tid: u32) -> Option<Usage> {
        let (.., usage) = self.usages.iter().find(|(key, t, _)| (*key, *t) == (process.key, tid))?;
        *usage
    }
}

impl Outside for Recorded {
    fn process(&mut self, key: ProcessKey) -> Option<Process> {
        let at = self.lookups.iter().position(|(asked, _)| *asked == key)?;
        self.lookups.remove(at).and_then(|(_, found)| found).map(|found| *found)
    }

    fn names(&self) -> &dyn UserNames {
        self
    }
}
