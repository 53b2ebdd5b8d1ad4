//! The log: a chain of segments for each priority, one sequence for all.
//!
//! A segment has alerts of one priority, so that giving up the least urgent and oldest is removing a file. Readers put the
//! chains together by sequence number, and see only what is durable: so no number that was seen is ever given to another
//! alert.

use std::{array, collections::VecDeque, io};

use super::{
    disk::{Disk, DiskFile},
    format::{self, MAX_PAYLOAD, PRIORITIES, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader},
    shed::{self, Reason, Shed},
    state::{STATE_FILE, State, StateFile},
};

mod open;
mod read;
mod room;

pub use read::{Cursor, Stored};

/// Most bytes of all files that may be asked for.
pub const LARGEST: u64 = 4 << 30;
/// Most bytes after which a new segment begins.
const LARGEST_SEGMENT: u64 = 16 << 20;
/// Most segments. A disk that fails again and again makes more of them than there would be by size, and each is open.
const SEGMENTS: usize = 512;

/// How large a spool may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of all files.
    pub bytes: u64,
    /// Bytes after which a new segment begins.
    pub segment: u64,
}

impl Limits {
    /// Most bytes of all files, in segments that suit.
    pub fn of(bytes: u64) -> Self {
        // So that giving one up costs little, and there are not too many files: each is open.
        Self { bytes, segment: (bytes / 64).clamp(64 << 10, 4 << 20).max(bytes / 256).min(LARGEST_SEGMENT) }
    }
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the spool, under this number, and durable with the next commit.
    Kept(u64),
    /// It was given up, and that is in the book.
    Shed(u64),
}

/// Figures of a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of all files.
    pub bytes: u64,
    /// Alerts that have not been acknowledged.
    pub waiting: u64,
    /// Alerts given up since the start, by priority.
    pub shed: [u64; PRIORITIES],
    /// Alerts that have arrived since the start.
    pub arrived: u64,
    /// Failures of the disk since the start.
    pub errors: u64,
    /// Records that were not as written, and segments that could not be read, since the start.
    pub corrupt: u64,
    /// Greatest number that is durable.
    pub committed: u64,
    /// Everything up to here has arrived.
    pub acknowledged: u64,
}

/// A file of alerts of one priority.
struct Segment<F> {
    name: String,
    file: F,
    first: u64,
    /// The last number, and how many there are that have not been acknowledged.
    last: u64,
    waiting: u64,
    /// Bytes that are good.
    len: u64,
    /// Whether something was written since it was made durable.
    dirty: bool,
    /// Whether nothing more is to be written.
    sealed: bool,
}

/// The log.
pub struct Log<D: Disk> {
    disk: D,
    limits: Limits,
    state_file: StateFile<D::File>,
    state: State,
    state_dirty: bool,
    id: [u8; 16],
    chains: [VecDeque<Segment<D::File>>; PRIORITIES],
    /// Whether files were made since the directory was made durable.
    new_files: bool,
    next: u64,
    figures: Figures,
    buffer: Vec<u8>,
}

impl<D: Disk> Log<D> {
    /// Which spool it is.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Figures.
    pub fn figures(&self) -> Figures {
        Figures {
            bytes: self.bytes(),
            waiting: self.waiting(),
            acknowledged: self.state.acknowledged,
            ..self.figures
        }
    }

    /// Alerts that have not been acknowledged.
    fn waiting(&self) -> u64 {
        self.chains.iter().flatten().map(|segment| segment.waiting).sum()
    }

    /// Adds an alert: priority below [`PRIORITIES`], time in nanoseconds of the Unix epoch. It never fails: what cannot be
    /// kept is given up, and in the book.
    pub fn append(&mut self, priority: u8, time: u64, payload: &[u8]) -> Appended {
        let priority = priority.min(PRIORITIES as u8 - 1);
        let sequence = self.next;
        self.next += 1;
        if payload.len() > MAX_PAYLOAD {
            return self.give_up(Shed::one(priority, Reason::Full, sequence, time));
        }
        // The least urgent makes room as long as there is any; then the disk has only what is as urgent or more.
        loop {
            if !self.make_room(priority, payload.len()) {
                return self.give_up(Shed::one(priority, Reason::Full, sequence, time));
            }
            match self.write(priority, sequence, time, payload) {
                Ok(()) => return Appended::Kept(sequence),
                Err(error) if is_full(&error) && self.drop_least_urgent(priority, Reason::Disk) => {}
                Err(_) => return self.give_up(Shed::one(priority, Reason::Disk, sequence, time)),
            }
        }
    }

    /// Makes durable what was added; readers see it then.
    pub fn commit(&mut self) {
        if self.new_files && self.count(|log| log.disk.sync()) {
            self.new_files = false;
        }
        let mut failures = 0;
        for segment in self.chains.iter_mut().flatten().filter(|segment| segment.dirty) {
            segment.dirty = false;
            if segment.file.sync().is_err() {
                // The kernel has dropped what it could not write and will not say so again: what comes next goes
                // elsewhere, and what may still be read is sent.
                segment.sealed = true;
                failures += 1;
            }
        }
        self.figures.errors += failures;
        if self.state_dirty {
            self.save();
        }
        self.figures.committed = self.next - 1;
    }

    /// Lets readers see what was added, durable or not.
    pub fn release(&mut self) {
        self.figures.committed = self.next - 1;
    }

    /// Everything up to here has arrived, and may go.
    pub fn acknowledge(&mut self, sequence: u64) {
        let sequence = sequence.min(self.figures.committed);
        if sequence <= self.state.acknowledged {
            return;
        }
        self.state.acknowledged = sequence;
        let before = self.waiting();
        let mut gone = Vec::new();
        for chain in &mut self.chains {
            for segment in chain.iter_mut() {
                segment.acknowledge(sequence);
            }
            let arrived = |segment: &Segment<D::File>, active: bool| segment.last <= sequence && !active;
            while chain.front().is_some_and(|segment| arrived(segment, chain.len() == 1 && !segment.sealed)) {
                gone.extend(chain.pop_front());
            }
        }
        self.figures.arrived += before.saturating_sub(self.waiting());
        if !gone.is_empty() {
            // First the number is kept, then the files go: so no number is ever given away twice.
            self.save();
            for segment in gone {
                self.remove(&segment.name);
            }
        }
    }

    /// The reports that are to be sent, numbered; the same until they are acknowledged.
    pub fn sheds(&mut self) -> Vec<Shed> {
        if shed::close(&mut self.state.sheds, &mut self.state.last_shed) && !self.save() {
            // They must not be sent before they stay as they are.
            self.state.sheds.iter_mut().for_each(|line| line.id = 0);
        }
        self.state.sheds.iter().filter(|line| line.id != 0).cloned().collect()
    }

    /// The reports up to this number have arrived.
    pub fn acknowledge_sheds(&mut self, id: u64) {
        let before = self.state.sheds.len();
        self.state.sheds.retain(|line| line.id == 0 || line.id > id);
        self.state_dirty |= self.state.sheds.len() != before;
    }

    /// Makes everything durable for the end.
    pub fn close(&mut self) {
        self.state_dirty = true;
        self.commit();
    }

    fn write(&mut self, priority: u8, sequence: u64, time: u64, payload: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        format::encode_record(sequence, time, payload, &mut self.buffer);
        let chain = &self.chains[usize::from(priority)];
        if chain.back().is_none_or(|s| s.sealed || s.len >= self.limits.segment) {
            self.begin_segment(priority, sequence)?;
        }
        let Some(segment) = self.chains[usize::from(priority)].back_mut() else {
            return Err(io::Error::other("no segment"));
        };
        if let Err(error) = segment.file.write_at(&self.buffer, segment.len) {
            self.figures.errors += 1;
            // Of what was written nothing may be found again; else nothing must be written behind it.
            segment.sealed = !is_full(&error) | segment.file.truncate(segment.len).is_err();
            return Err(error);
        }
        segment.len += self.buffer.len() as u64;
        segment.last = sequence;
        segment.waiting += 1;
        segment.dirty = true;
        Ok(())
    }

    fn begin_segment(&mut self, priority: u8, first: u64) -> io::Result<()> {
        let name = segment_name(priority, first);
        let made = self.disk.create(&name).and_then(|file| {
            file.write_at(&SegmentHeader { priority, spool: self.id, first }.encode(), 0)?;
            Ok(file)
        });
        let file = made.inspect_err(|_| {
            self.figures.errors += 1;
            self.disk.remove(&name).unwrap_or_default();
        })?;
        self.new_files = true;
        self.chains[usize::from(priority)].push_back(Segment {
            name,
            file,
            first,
            last: first.saturating_sub(1),
            waiting: 0,
            len: SEGMENT_HEADER as u64,
            dirty: true,
            sealed: false,
        });
        Ok(())
    }

    fn give_up(&mut self, shed: Shed) -> Appended {
        let sequence = shed.last_sequence;
        self.book(&shed);
        Appended::Shed(sequence)
    }

    fn book(&mut self, shed: &Shed) {
        let counter = self.figures.shed.get_mut(shed.priority as usize);
        if let Some(counter) = counter {
            *counter += shed.count;
        }
        shed::add(&mut self.state.sheds, shed);
        self.state_dirty = true;
    }

    /// Keeps the state. Returns whether it could be done.
    fn save(&mut self) -> bool {
        self.state.next = self.next;
        let saved = self.state_file.save(&mut self.state);
        self.state_dirty = saved.is_err();
        self.figures.errors += u64::from(saved.is_err());
        saved.is_ok()
    }

    fn remove(&mut self, name: &str) {
        self.count(|log| log.disk.remove(name));
    }

    fn count(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) -> bool {
        let done = act(self).is_ok();
        self.figures.errors += u64::from(!done);
        done
    }
}

impl<F: DiskFile> Segment<F> {
    /// Counts again what waits. Numbers may be missing in a segment, so it is read where the border is within it.
    fn acknowledge(&mut self, sequence: u64) {
        if self.last <= sequence {
            self.waiting = 0;
        } else if self.first <= sequence
            && let Ok(bytes) = self.bytes()
        {
            let scan = format::scan(&bytes, self.first);
            self.waiting = scan.records.iter().filter(|(r, _)| r.sequence > sequence).count() as u64;
        }
    }

    /// All that is good of it.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(0)];
        let read = self.file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Whether there is no room on the disk.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Bytes that a record takes.
fn size(payload: usize) -> u64 {
    (RECORD_HEADER + payload) as u64
}

fn segment_name(priority: u8, first: u64) -> String {
    format!("{priority}-{first:020}.seg")
}
