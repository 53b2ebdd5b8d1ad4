//! What is on disk: segments, cursors, and which alerts are there.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use super::{
    Options,
    block::{Encoder, Key, key},
    cursors::Cursors,
    segment::{self, Segment},
};
use crate::alert_log::{Appended, Entry, LogError, Position, Usage};

/// Most entries that are kept in memory for sinks that have everything before them.
const TAIL_ENTRIES: usize = 8192;
/// Most bytes of them.
const TAIL_BYTES: usize = 8 << 20;

/// What readers and the writer share.
pub(super) struct Shared {
    pub(super) index: Mutex<Index>,
    pub(super) last: watch::Sender<Position>,
    pub(super) limit: u64,
}

impl Shared {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is. The last segment is the one that is written to.
pub(super) struct Index {
    pub(super) segments: VecDeque<Segment>,
    pub(super) cursors: Cursors,
    tail: VecDeque<(Position, Entry)>,
    tail_bytes: usize,
    /// Damaged places that were reported, by the position before.
    gaps: BTreeSet<Position>,
    damaged: u64,
}

impl Index {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    pub(super) fn usage(&self, limit: u64) -> Usage {
        let mut full = self.segments.iter().filter(|segment| segment.last >= segment.base);
        let first = full.next();
        let last = full.next_back().or(first);
        Usage {
            first: first.map_or(0, |segment| segment.base),
            last: last.map_or(0, |segment| segment.last),
            bytes: self.bytes(),
            limit,
            damaged: self.damaged,
        }
    }

    /// The entries after a position from memory, if all of them are there.
    pub(super) fn recent(&self, after: Position, limit: usize) -> Option<Vec<(Position, Entry)>> {
        let (first, _) = self.tail.front()?;
        if *first > after + 1 {
            return None;
        }
        let from = self.tail.partition_point(|(position, _)| *position <= after);
        Some(self.tail.iter().skip(from).take(limit).cloned().collect())
    }

    /// The segment that has what comes first after the position.
    pub(super) fn segment_after(&self, after: Position) -> Option<&Segment> {
        let index = self.segments.partition_point(|segment| segment.last <= after);
        self.segments.get(index).filter(|segment| !segment.is_empty())
    }

    /// Takes note that nothing between two positions can be read, and that there is nothing behind them. Returns the last
    /// position that can be read; nothing, if there is more by now.
    pub(super) fn give_up(&mut self, after: Position, to: Position) -> Option<Position> {
        if self.segments.iter().any(|segment| segment.last > to) {
            return None;
        }
        for segment in self.segments.iter_mut().filter(|segment| segment.last > after) {
            segment.last = after.max(segment.base.saturating_sub(1));
        }
        Some(self.usage(0).last)
    }

    /// Counts entries that cannot be read, once.
    pub(super) fn report_gap(&mut self, before: Position, count: u64) {
        if self.gaps.insert(before) {
            self.damaged += count;
            tracing::error!(after = before, count, "alerts in the log are damaged and cannot be read");
        }
    }

    fn remember(&mut self, entries: impl Iterator<Item = (Position, Entry)>) {
        for (position, entry) in entries {
            self.tail_bytes += entry.size();
            self.tail.push_back((position, entry));
        }
        while self.tail.len() > TAIL_ENTRIES || self.tail_bytes > TAIL_BYTES {
            let Some((_, entry)) = self.tail.pop_front() else { break };
            self.tail_bytes -= entry.size();
        }
    }
}

/// The keys of the last alerts.
struct Known {
    keys: HashSet<Key>,
    order: VecDeque<Key>,
    most: usize,
}

impl Known {
    fn insert(&mut self, key: Key) {
        if self.keys.insert(key) {
            self.order.push_back(key);
        }
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }
}

/// What writes.
pub(super) struct Store {
    options: Options,
    segments: PathBuf,
    shared: Arc<Shared>,
    known: Known,
    encoder: Encoder,
    next: Position,
    /// A write failed: what is on disk of the last segment is not known, so nothing is appended to it any more.
    broken: bool,
    /// Held as long as the store is open.
    _lock: File,
}

/// Blocks that are ready to be written.
#[derive(Default)]
struct Blocks {
    bytes: Vec<u8>,
    /// First and last position of each, where it begins, and how long it is.
    places: Vec<(Position, Position, u64, u64)>,
}

/// Alerts tell of command lines and paths, so nobody else reads them.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

impl Store {
    /// Opens the log and makes good what a crash left behind.
    pub(super) fn open(options: Options) -> Result<Self, LogError> {
        let segments = options.directory.join("segments");
        let fail = |what: &str, error: io::Error| {
            LogError::Store(format!("{what} {}: {error}", options.directory.display()))
        };
        make_private(&segments).map_err(|error| fail("make", error))?;
        let lock = File::create(options.directory.join("lock")).map_err(|error| fail("lock", error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                LogError::Store(format!("{} is in use by another process", options.directory.display()))
            }
            TryLockError::Error(error) => fail("lock", error),
        })?;
        let cursors =
            Cursors::open(&options.directory).map_err(|error| fail("read the cursors in", error))?;
        let mut known = Known { keys: HashSet::new(), order: VecDeque::new(), most: options.remembered };
        let (all, gaps) =
            open_segments(&segments, &mut known).map_err(|error| fail("open the segments in", error))?;
        // A position that a sink has passed must not be given to another alert.
        let last = all.back().map_or(0, |segment| segment.last).max(cursors.most().unwrap_or(0));
        let mut index = Index {
            segments: all,
            cursors,
            tail: VecDeque::new(),
            tail_bytes: 0,
            gaps: BTreeSet::new(),
            damaged: 0,
        };
        gaps.into_iter().for_each(|(before, count)| index.report_gap(before, count));
        if index.segments.back().is_none_or(|segment| segment.last != last) {
            let new =
                Segment::create(&segments, last + 1).map_err(|error| fail("make a segment in", error))?;
            index.segments.push_back(new);
        }
        let visible = index.usage(0).last;
        let shared =
            Shared { index: Mutex::new(index), last: watch::Sender::new(visible), limit: options.limit };
        let encoder = Encoder::new().map_err(|error| fail("compress for", error))?;
        let shared = Arc::new(shared);
        Ok(Self { options, segments, shared, known, encoder, next: last + 1, broken: false, _lock: lock })
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Appends what several callers bring, with one write. An error is for all of them.
    pub(super) fn commit(&mut self, groups: Vec<Vec<Entry>>) -> Result<Vec<Appended>, LogError> {
        let mut answers = Vec::with_capacity(groups.len());
        let (mut new, mut keys) = (Vec::new(), Vec::new());
        let mut here = HashSet::new();
        for group in groups {
            let given = group.len();
            let before = new.len();
            for entry in group {
                let key = key(&entry.node, &entry.uid);
                if !self.known.keys.contains(&key) && here.insert(key) {
                    keys.push(key);
                    new.push(entry);
                }
            }
            let written = new.len() - before;
            let last = self.next + new.len() as u64 - 1;
            answers.push(Appended { last, written, repeated: given - written });
        }
        if new.is_empty() {
            return Ok(answers);
        }
        let written = now();
        let blocks = self.encode(&new, &keys, written).map_err(|error| self.failed("encode", &error))?;
        self.make_room(blocks.bytes.len() as u64)?;
        if let Err(error) = self.write(&blocks, written) {
            return Err(self.failed("write to", &error));
        }
        let first = self.next;
        self.next += new.len() as u64;
        keys.into_iter().for_each(|key| self.known.insert(key));
        self.shared.index().remember((first..).zip(new));
        self.shared.last.send_replace(self.next - 1);
        Ok(answers)
    }

    fn encode(&mut self, entries: &[Entry], keys: &[Key], written: u64) -> io::Result<Blocks> {
        let mut blocks = Blocks::default();
        let mut first = self.next;
        let mut finish = |encoder: &mut Encoder, blocks: &mut Blocks| {
            let start = blocks.bytes.len() as u64;
            let count = encoder.finish(first, written, &mut blocks.bytes)?;
            blocks.places.push((first, first + count - 1, start, blocks.bytes.len() as u64 - start));
            first += count;
            io::Result::Ok(())
        };
        for (entry, key) in entries.iter().zip(keys) {
            self.encoder.push(*key, entry);
            if self.encoder.is_full() {
                finish(&mut self.encoder, &mut blocks)?;
            }
        }
        if !self.encoder.is_empty() {
            finish(&mut self.encoder, &mut blocks)?;
        }
        Ok(blocks)
    }

    /// Writes blocks to the last segment, or to a new one, and makes them durable.
    fn write(&mut self, blocks: &Blocks, written: u64) -> io::Result<()> {
        let (len, file) = {
            let index = self.shared.index();
            index.segments.back().map_or((0, None), |segment| (segment.len, Some(Arc::clone(&segment.file))))
        };
        let full = len > 0 && len + blocks.bytes.len() as u64 > self.options.segment_bytes();
        let (offset, file) = match file.filter(|_| !full && !self.broken) {
            Some(file) => (len, file),
            None => (0, self.roll()?),
        };
        let done = file.write_all_at(&blocks.bytes, offset).and_then(|()| file.sync_data());
        if let Err(error) = done {
            self.broken = true;
            // If this fails too, the next opening finds out what is good.
            let _ = file.set_len(offset);
            return Err(error);
        }
        let mut index = self.shared.index();
        if let Some(segment) = index.segments.back_mut() {
            for (first, last, start, len) in &blocks.places {
                segment.add(*first, *last, offset + start, *len, written);
            }
        }
        Ok(())
    }

    /// Begins a new segment.
    fn roll(&mut self) -> io::Result<Arc<File>> {
        let segment = Segment::create(&self.segments, self.next)?;
        let file = Arc::clone(&segment.file);
        let mut index = self.shared.index();
        // A segment without entries has the same name as the new one, and has become it.
        index.segments.pop_back_if(|last| last.is_empty());
        index.segments.push_back(segment);
        self.broken = false;
        Ok(file)
    }

    /// Makes room for so many bytes by what every sink has, whatever its age.
    fn make_room(&mut self, wanted: u64) -> Result<(), LogError> {
        loop {
            let (used, only) = {
                let index = self.shared.index();
                let used = index.bytes();
                if used + wanted <= self.options.limit {
                    return Ok(());
                }
                let kept = index.cursors.least().unwrap_or(Position::MAX);
                if index.segments.front().is_none_or(|oldest| oldest.is_empty() || oldest.last > kept) {
                    return Err(LogError::Full { used, limit: self.options.limit });
                }
                (used, index.segments.len() == 1)
            };
            tracing::debug!(used, wanted, "makes room in the alert log");
            if only {
                self.roll().map_err(|error| self.failed("make a segment in", &error))?;
            }
            self.remove_oldest().map_err(|error| self.failed("remove a segment in", &error))?;
        }
    }

    fn remove_oldest(&mut self) -> io::Result<()> {
        let path = self.shared.index().segments.front().map(|segment| segment.path.clone());
        let Some(path) = path else { return Ok(()) };
        fs::remove_file(path)?;
        self.shared.index().segments.pop_front();
        Ok(())
    }

    /// Whether [`Self::tidy`] has something to do.
    pub(super) fn needs_tidying(&self) -> bool {
        self.shared.index().cursors.is_dirty() || self.has_outlived()
    }

    /// Saves the cursors, and removes what every sink has and nobody will ask for.
    pub(super) fn tidy(&mut self) {
        let save = self.shared.index().cursors.take_changes();
        if let Some(Err(error)) = save.map(super::cursors::Save::write) {
            self.shared.index().cursors.not_saved();
            tracing::error!(%error, directory = %self.options.directory.display(), "cannot save the cursors");
        }
        while self.has_outlived() {
            if let Err(error) = self.remove_oldest() {
                tracing::error!(%error, "cannot remove old alerts");
                break;
            }
        }
    }

    /// Whether the oldest segment has been kept long enough.
    fn has_outlived(&self) -> bool {
        let index = self.shared.index();
        let Some(oldest) = index.segments.front().filter(|_| index.segments.len() > 1) else { return false };
        let everybody_has_it = index.cursors.least().is_none_or(|least| oldest.last <= least);
        let age = Duration::from_millis(now().saturating_sub(oldest.written));
        everybody_has_it && (age > self.options.keep_age || index.bytes() > self.options.keep_bytes)
    }

    fn failed(&self, what: &str, error: &io::Error) -> LogError {
        let error = LogError::Store(format!("{what} {}: {error}", self.options.directory.display()));
        tracing::error!("{error}");
        error
    }
}

/// Places where entries are missing: the position before, and how many.
type Gaps = Vec<(Position, u64)>;

/// Opens all segments. Also says where entries are missing.
fn open_segments(directory: &Path, known: &mut Known) -> io::Result<(VecDeque<Segment>, Gaps)> {
    let files = segment::list(directory)?;
    let mut files = files.into_iter().peekable();
    let mut all: VecDeque<Segment> = VecDeque::with_capacity(files.len());
    let mut gaps = Vec::new();
    while let Some((base, path)) = files.next() {
        let next = files.peek().map(|(base, _)| *base);
        let (segment, found) = Segment::open(path, base, next, |key| known.insert(key))?;
        if let Some(before) = all.back().filter(|before| before.last + 1 < base) {
            gaps.push((before.last, base - before.last - 1));
        }
        gaps.extend(found.gaps);
        if found.torn > 0 {
            tracing::warn!(path = %segment.path.display(), bytes = found.torn, "a write did not end; cut off");
            segment.file.set_len(segment.len)?;
            segment.file.sync_all()?;
        }
        if segment.is_empty() && next.is_some() {
            fs::remove_file(&segment.path)?;
            continue;
        }
        all.push_back(segment);
    }
    Ok((all, gaps))
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
