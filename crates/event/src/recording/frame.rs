//! The entries of a recording.

use std::sync::Arc;

use zerocopy::IntoBytes;

use vedette_abi::StdFile;

use super::fields::{In, Out};
use crate::{
    Exec, Knowledge, Metadata, Origin, Pod, Process, ProcessKey,
    alert::GapInfo,
    process::{ExeFacts, Stdio},
};

/// Whose name a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A user's.
    User,
    /// A group's.
    Group,
}

/// What the engine knew besides its tables when a snapshot was taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Number of the last event.
    pub number: u64,
    /// When the tables were pruned last, nanoseconds of the clock of the records.
    pub last_prune: u64,
    /// Losses that no alert had told yet.
    pub gaps: Vec<GapInfo>,
}

/// One entry. Answers ([`Frame::Lookup`], [`Frame::Name`]) stand before the record that asked for them.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, and most are records")]
pub enum Frame<'a> {
    /// A record as it came from the kernel.
    Record(&'a [u8]),
    /// What follows, up to [`Frame::SnapshotEnd`], replaces all that was known.
    SnapshotBegin(Snapshot),
    /// A process of the snapshot and the key of its parent. `process.parent` is empty.
    Process {
        /// The process.
        process: Box<Process>,
        /// Its parent, which may stand later.
        parent: Option<ProcessKey>,
    },
    /// A control group of the snapshot.
    Cgroup {
        /// Its id.
        id: u64,
        /// Its path.
        path: &'a str,
        /// When it was removed, if it was.
        retired: Option<u64>,
    },
    /// What is known about a container from here on, or in a snapshot.
    Container {
        /// Its id, 64 hex digits.
        id: &'a str,
        /// In a snapshot: when its control group was made.
        made: Option<u64>,
        /// How the metadata stands.
        knowledge: Knowledge,
        /// What its runtime said.
        metadata: Box<Metadata>,
    },
    /// What the API server says about a pod from here on, or in a snapshot.
    Pod {
        /// Its uid.
        uid: &'a str,
        /// The pod; `None` when it is gone.
        pod: Option<Box<Pod>>,
    },
    /// The snapshot is whole, but for this many processes that found no room in it.
    SnapshotEnd {
        /// Processes left out.
        left_out: u64,
    },
    /// A process was looked up, and this was found.
    Lookup {
        /// The key that was asked for.
        key: ProcessKey,
        /// The process; `None` when it was gone.
        found: Option<Box<Process>>,
    },
    /// The name of a user or group in a mount namespace, from here on.
    Name {
        /// Inode number of the mount namespace.
        ns_mnt: u32,
        /// User or group.
        kind: NameKind,
        /// The number.
        id: u32,
        /// The name; `None` where there is none.
        name: Option<&'a str>,
    },
    /// The recorder could not keep up: so many records are missing here. A snapshot follows.
    Lost {
        /// How many.
        records: u64,
        /// When the first was lost, nanoseconds since the Unix epoch.
        from: u64,
        /// When the last was lost.
        to: u64,
    },
    /// It was quiet, and the engine took note of the time: nanoseconds since the Unix epoch.
    Time(u64),
    /// The recording was ended on purpose.
    End,
}

const RECORD: u8 = 1;
const SNAPSHOT_BEGIN: u8 = 2;
const PROCESS: u8 = 3;
const CGROUP: u8 = 4;
const CONTAINER: u8 = 5;
const SNAPSHOT_END: u8 = 6;
const LOOKUP: u8 = 7;
const NAME: u8 = 8;
const LOST: u8 = 9;
const TIME: u8 = 10;
const END: u8 = 11;
const POD: u8 = 12;

/// Bytes before the body of a frame: kind and length.
pub(super) const FRAME_HEAD: usize = 5;

impl<'a> Frame<'a> {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Record(bytes) => frame(out, RECORD, |o| o.0.extend_from_slice(bytes)),
            Self::SnapshotBegin(snapshot) => frame(out, SNAPSHOT_BEGIN, |o| {
                o.u64(snapshot.number);
                o.u64(snapshot.last_prune);
                // Plain data: it always has a JSON form.
                o.bytes(&serde_json::to_vec(&snapshot.gaps).unwrap_or_default());
            }),
            Self::Process { process, parent } => process_frame(out, process, *parent),
            Self::Cgroup { id, path, retired } => frame(out, CGROUP, |o| {
                o.u64(*id);
                o.option(*retired);
                o.bytes(path.as_bytes());
            }),
            Self::Container { id, made, knowledge, metadata } => {
                container_frame(out, id, *made, *knowledge, metadata);
            }
            Self::Pod { uid, pod } => pod_frame(out, uid, pod.as_deref()),
            Self::SnapshotEnd { left_out } => frame(out, SNAPSHOT_END, |o| o.u64(*left_out)),
            Self::Lookup { key, found } => frame(out, LOOKUP, |o| {
                write_key(o, *key);
                o.u8(u8::from(found.is_some()));
                if let Some(process) = found {
                    write_process(o, process, None);
                }
            }),
            Self::Name { ns_mnt, kind, id, name } => frame(out, NAME, |o| {
                o.u32(*ns_mnt);
                o.u8(u8::from(*kind == NameKind::Group));
                o.u32(*id);
                o.u8(u8::from(name.is_some()));
                o.bytes(name.unwrap_or_default().as_bytes());
            }),
            Self::Lost { records, from, to } => frame(out, LOST, |o| {
                o.u64(*records);
                o.u64(*from);
                o.u64(*to);
            }),
            Self::Time(time) => frame(out, TIME, |o| o.u64(*time)),
            Self::End => frame(out, END, |_| {}),
        }
    }

    /// Whether this build knows the kind of an encoded frame.
    pub(super) fn is_known(raw: &[u8]) -> bool {
        raw.first().is_some_and(|kind| (RECORD..=POD).contains(kind))
    }

    /// Decodes a frame with its head.
    pub(super) fn decode(raw: &'a [u8]) -> Result<Self, &'static str> {
        let Some(([kind, ..], body)) = raw.split_at_checked(FRAME_HEAD) else { return Err("a frame is cut") };
        let mut i = In(body);
        let frame = match *kind {
            RECORD => Some(Self::Record(body)),
            SNAPSHOT_BEGIN => snapshot(&mut i).map(Self::SnapshotBegin),
            PROCESS => process_of(&mut i),
            CGROUP => cgroup(&mut i),
            CONTAINER => container(&mut i),
            SNAPSHOT_END => i.u64().map(|left_out| Self::SnapshotEnd { left_out }),
            LOOKUP => lookup(&mut i),
            NAME => name(&mut i),
            LOST => lost(&mut i),
            TIME => i.u64().map(Self::Time),
            END => Some(Self::End),
            POD => pod(&mut i),
            _ => return Err("a frame of an unknown kind"),
        };
        frame.ok_or("a frame is not what its kind says")
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Out<'_>)) {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(&mut Out(out));
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

/// Appends the frame of a process of a snapshot, without a copy of the process.
pub(super) fn process_frame(out: &mut Vec<u8>, process: &Process, parent: Option<ProcessKey>) {
    frame(out, PROCESS, |o| write_process(o, process, parent));
}

/// Appends what is known about a container, without a copy of it.
pub fn container_frame(
    out: &mut Vec<u8>,
    id: &str,
    made: Option<u64>,
    knowledge: Knowledge,
    metadata: &Metadata,
) {
    frame(out, CONTAINER, |o| {
        o.bytes(id.as_bytes());
        o.option(made);
        o.u8(Knowledge::ALL.iter().position(|x| *x == knowledge).unwrap_or(0) as u8);
        // Plain data: it always has a JSON form.
        o.bytes(&serde_json::to_vec(metadata).unwrap_or_default());
    });
}

/// Appends what is known about a pod.
pub fn pod_frame(out: &mut Vec<u8>, uid: &str, pod: Option<&Pod>) {
    frame(out, POD, |o| {
        o.bytes(uid.as_bytes());
        o.u8(u8::from(pod.is_some()));
        o.bytes(&pod.and_then(|pod| serde_json::to_vec(pod).ok()).unwrap_or_default());
    });
}

fn write_key(o: &mut Out<'_>, key: ProcessKey) {
    o.u32(key.tgid);
    o.u64(key.start);
}

fn read_key(i: &mut In<'_>) -> Option<ProcessKey> {
    Some(ProcessKey { tgid: i.u32()?, start: i.u64()? })
}

const ORIGINS: [Origin; 5] = [Origin::Snapshot, Origin::Fork, Origin::Exec, Origin::Healed, Origin::Header];

fn write_process(o: &mut Out<'_>, process: &Process, parent: Option<ProcessKey>) {
    write_key(o, process.key);
    o.u8(u8::from(parent.is_some()));
    write_key(o, parent.unwrap_or(ProcessKey { tgid: 0, start: 0 }));
    o.u8(ORIGINS.iter().position(|x| *x == process.origin).unwrap_or(0) as u8);
    o.u8(u8::from(process.approximate_start));
    o.option(process.exited);
    o.0.extend_from_slice(process.task.as_bytes());
    o.bytes(&process.cwd);
    let exec = &*process.exec;
    for bytes in [&exec.exe_path, &exec.filename, &exec.argv, &exec.env] {
        o.bytes(bytes);
    }
    o.u32(exec.argv_total);
    o.u32(exec.env_total);
    o.u64(exec.time);
    o.0.extend_from_slice(exec.exe.0.as_bytes());
    o.u8(u8::from(exec.stdio.is_some()));
    if let Some(stdio) = &exec.stdio {
        o.0.extend_from_slice(stdio.files.as_bytes());
        stdio.paths.iter().for_each(|path| o.bytes(path));
    }
}

fn read_process(i: &mut In<'_>) -> Option<(Process, Option<ProcessKey>)> {
    let mut process = Process::unknown(read_key(i)?);
    let has_parent = i.u8()? != 0;
    let parent = read_key(i)?;
    process.origin = *ORIGINS.get(usize::from(i.u8()?))?;
    process.approximate_start = i.u8()? != 0;
    process.exited = i.option()?;
    process.task = i.value()?;
    process.cwd = i.bytes()?.into();
    process.exec = Arc::new(Exec {
        exe_path: i.bytes()?.into(),
        filename: i.bytes()?.into(),
        argv: i.bytes()?.into(),
        env: i.bytes()?.into(),
        argv_total: i.u32()?,
        env_total: i.u32()?,
        time: i.u64()?,
        exe: ExeFacts(i.value()?),
        stdio: stdio(i)?,
        ..Exec::default()
    });
    Some((process, has_parent.then_some(parent)))
}

fn stdio(i: &mut In<'_>) -> Option<Option<Box<Stdio>>> {
    if i.u8()? == 0 {
        return Some(None);
    }
    let files: [StdFile; 3] = [i.value()?, i.value()?, i.value()?];
    let paths: [Box<[u8]>; 3] = [i.bytes()?.into(), i.bytes()?.into(), i.bytes()?.into()];
    Some(Some(Box::new(Stdio { files, paths })))
}

fn process_of<'a>(i: &mut In<'_>) -> Option<Frame<'a>> {
    let (process, parent) = read_process(i)?;
    Some(Frame::Process { process: Box::new(process), parent })
}

fn snapshot(i: &mut In<'_>) -> Option<Snapshot> {
    let (number, last_prune) = (i.u64()?, i.u64()?);
    Some(Snapshot { number, last_prune, gaps: serde_json::from_slice(i.bytes()?).ok()? })
}

fn cgroup<'a>(i: &mut In<'a>) -> Option<Frame<'a>> {
    let (id, retired) = (i.u64()?, i.option()?);
    Some(Frame::Cgroup { id, retired, path: i.text()? })
}

fn optional_text<'a>(i: &mut In<'a>) -> Option<Option<&'a str>> {
    let (some, text) = (i.u8()? != 0, i.text()?);
    Some(some.then_some(text))
}

fn container<'a>(i: &mut In<'a>) -> Option<Frame<'a>> {
    let (id, made, knowledge) = (i.text()?, i.option()?, *Knowledge::ALL.get(usize::from(i.u8()?))?);
    Some(Frame::Container { id, made, knowledge, metadata: serde_json::from_slice(i.bytes()?).ok()? })
}

fn pod<'a>(i: &mut In<'a>) -> Option<Frame<'a>> {
    let (uid, is_there, json) = (i.text()?, i.u8()? != 0, i.bytes()?);
    let pod = if is_there { Some(serde_json::from_slice(json).ok()?) } else { None };
    Some(Frame::Pod { uid, pod })
}

fn lookup<'a>(i: &mut In<'_>) -> Option<Frame<'a>> {
    let key = read_key(i)?;
    let found = match i.u8()? {
        0 => None,
        _ => Some(Box::new(read_process(i)?.0)),
    };
    Some(Frame::Lookup { key, found })
}

fn name<'a>(i: &mut In<'a>) -> Option<Frame<'a>> {
    let ns_mnt = i.u32()?;
    let kind = if i.u8()? == 0 { NameKind::User } else { NameKind::Group };
    Some(Frame::Name { ns_mnt, kind, id: i.u32()?, name: optional_text(i)? })
}

fn lost<'a>(i: &mut In<'_>) -> Option<Frame<'a>> {
    Some(Frame::Lost { records: i.u64()?, from: i.u64()?, to: i.u64()? })
}

/// The frames of a decompressed block.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    /// Frames of kinds that this build does not know, which were passed over.
    pub unknown: u64,
}

impl<'a> Frames<'a> {
    /// The frames in these bytes.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, unknown: 0 }
    }

    /// Takes the next frame undecoded, head included.
    pub(super) fn next_raw(&mut self) -> Result<Option<&'a [u8]>, &'static str> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut i = In(self.rest);
        let len = i.u8().and_then(|_| i.u32()).ok_or("a frame is cut")? as usize;
        i.take(len).ok_or("a frame is longer than its block")?;
        let (raw, rest) = self.rest.split_at(FRAME_HEAD + len);
        self.rest = rest;
        Ok(Some(raw))
    }

    /// Takes the next frame of a known kind.
    ///
    /// # Errors
    /// Says what is wrong with the bytes. After that there is no next frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'a>>, &'static str> {
        loop {
            match self.next_raw().inspect_err(|_| self.rest = &[])? {
                None => return Ok(None),
                Some(raw) if Frame::is_known(raw) => {
                    return Frame::decode(raw).map(Some).inspect_err(|_| self.rest = &[]);
                }
                Some(_) => self.unknown += 1,
            }
        }
    }
}
