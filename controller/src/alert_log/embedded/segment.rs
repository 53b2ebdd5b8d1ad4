//! Segments: files of blocks. The name of one is the position that it begins with.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use memchr::memmem;

use super::block::{self, HEAD, Head, Key};
use crate::alert_log::{Entry, Position};

/// The end of a segment's file name.
const EXTENSION: &str = ".log";
/// Where blocks begin is remembered once in so many bytes.
const MARK_EVERY: u64 = 64 << 10;
/// How much is looked through at once for the next block after a damaged one.
const SEARCH: usize = 256 << 10;
/// When so many bytes of entries were read, those do for now.
pub(super) const READ_BYTES: usize = 8 << 20;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: Position,
    /// Position of its last entry; the one before `base`, if it has none.
    pub(super) last: Position,
    /// Bytes that are good.
    pub(super) len: u64,
    /// When its last block was written, in milliseconds since the Unix epoch.
    pub(super) written: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    marks: Vec<(Position, u64)>,
}

/// What opening a segment found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where entries are missing between others: the position before, and how many.
    pub(super) gaps: Vec<(Position, u64)>,
    /// Bytes at the end that are no block: a write that did not end.
    pub(super) torn: u64,
}

/// The positions that the files of a directory begin with, sorted, with their paths.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(Position, PathBuf)>> {
    let mut all = Vec::new();
    for item in directory.read_dir()? {
        let path = item?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(base) = name.strip_suffix(EXTENSION).and_then(|number| number.parse().ok()) {
            all.push((base, path));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// Makes what happened to the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Segment {
    /// Makes a new one.
    pub(super) fn create(directory: &Path, base: Position) -> io::Result<Self> {
        let path = directory.join(format!("{base:020}{EXTENSION}"));
        // One of this name can only be the rest of an attempt that failed, or it would begin elsewhere.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        sync_directory(directory)?;
        let file = Arc::new(file);
        Ok(Self { base, last: base.saturating_sub(1), len: 0, written: 0, path, file, marks: Vec::new() })
    }

    /// Opens one and finds out what it has. The keys of its entries are passed on in order. `next` is where the segment
    /// behind it begins; without one, bodies are looked at too, else who reads them finds out.
    pub(super) fn open(
        path: PathBuf,
        base: Position,
        next: Option<Position>,
        mut each_key: impl FnMut(Key),
    ) -> io::Result<(Self, Found)> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let size = file.metadata()?.len();
        let last = base.saturating_sub(1);
        let mut segment =
            Self { base, last, len: 0, written: 0, path, file: Arc::new(file), marks: Vec::new() };
        let mut found = Found::default();
        let mut at = 0;
        while let Some((offset, head, keys)) = next_block(&segment.file, at, size)? {
            // A write that failed, and could not be taken back; what it had was written to the next segment.
            if next.is_some_and(|next| head.last() >= next) {
                break;
            }
            if next.is_none()
                && !read_body(&segment.file, offset, &head)?.is_some_and(|body| head.has_body(&body))
            {
                at = offset + 1;
                continue;
            }
            at = offset + head.len();
            if head.first <= segment.last {
                continue;
            }
            if head.first > segment.last + 1 {
                found.gaps.push((segment.last, head.first - segment.last - 1));
            }
            segment.add(head.first, head.last(), offset, head.len(), head.written);
            block::keys(&keys).for_each(&mut each_key);
        }
        found.torn = size - segment.len;
        Ok((segment, found))
    }

    /// Notes a block that is there now.
    pub(super) fn add(&mut self, first: Position, last: Position, offset: u64, len: u64, written: u64) {
        if self.marks.last().is_none_or(|(_, marked)| offset - marked >= MARK_EVERY) {
            self.marks.push((first, offset));
        }
        self.last = last;
        self.len = offset + len;
        self.written = written;
    }

    /// Whether it has no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is needed to read what comes after the position.
    pub(super) fn reader(&self, after: Position) -> Reader {
        let mark = self.marks.partition_point(|(first, _)| *first <= after + 1);
        let offset =
            mark.checked_sub(1).and_then(|index| self.marks.get(index)).map_or(0, |(_, offset)| *offset);
        Reader { file: Arc::clone(&self.file), offset, len: self.len, last: self.last }
    }
}

/// A part of a segment, which stays readable when the segment is removed.
pub(super) struct Reader {
    file: Arc<File>,
    offset: u64,
    len: u64,
    last: Position,
}

impl Reader {
    /// Reads entries after the position, at most `limit`. Gaps between them are passed on: the position before, and
    /// how many are missing.
    pub(super) fn read(
        &self,
        after: Position,
        limit: usize,
        mut gap: impl FnMut(Position, u64),
    ) -> io::Result<Vec<(Position, Entry)>> {
        let mut entries = Vec::new();
        let (mut at, mut bytes, mut before) = (self.offset, 0, None);
        while let Some((offset, head, _)) = next_block(&self.file, at, self.len)? {
            if head.last() <= after {
                at = offset + head.len();
                before = Some(head.last());
                continue;
            }
            let body = read_body(&self.file, offset, &head)?.filter(|body| head.has_body(body));
            let Some(block) = body.and_then(|body| block::decode(&head, &body).ok()) else {
                at = offset + 1;
                continue;
            };
            at = offset + head.len();
            if let Some(before) = before.filter(|before| before + 1 < head.first) {
                gap(before, head.first - before - 1);
            }
            before = Some(head.last());
            for (position, entry) in block.into_iter().filter(|(position, _)| *position > after) {
                if entries.len() == limit {
                    return Ok(entries);
                }
                bytes += entry.size();
                entries.push((position, entry));
            }
            if bytes >= READ_BYTES {
                return Ok(entries);
            }
        }
        if let Some(before) = before.filter(|before| *before < self.last) {
            gap(before, self.last - before);
        }
        Ok(entries)
    }
}

/// The first sound head at or after an offset, with its keys.
fn next_block(file: &File, mut at: u64, len: u64) -> io::Result<Option<(u64, Head, Vec<u8>)>> {
    let mut buffer = Vec::new();
    loop {
        if let Some((head, keys)) = head_at(file, at, len)? {
            return Ok(Some((at, head, keys)));
        }
        // Damaged, or a write that did not end: look for the next one.
        at += 1;
        loop {
            let size = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX).min(SEARCH);
            if size < HEAD {
                return Ok(None);
            }
            buffer.resize(size, 0);
            file.read_exact_at(&mut buffer, at)?;
            match memmem::find(&buffer, &block::MAGIC) {
                Some(found) => {
                    at += found as u64;
                    break;
                }
                // The magic may stand across the border.
                None => at += (size - block::MAGIC.len() + 1) as u64,
            }
        }
    }
}

fn head_at(file: &File, at: u64, len: u64) -> io::Result<Option<(Head, Vec<u8>)>> {
    if len.saturating_sub(at) < HEAD as u64 {
        return Ok(None);
    }
    let mut bytes = [0; HEAD];
    file.read_exact_at(&mut bytes, at)?;
    let Some(head) = Head::parse(&bytes).filter(|head| head.len() <= len - at) else { return Ok(None) };
    let mut keys = vec![0; head.keys_len()];
    file.read_exact_at(&mut keys, at + HEAD as u64)?;
    Ok(Head::is_sound(&bytes, &keys).then_some((head, keys)))
}

/// The body of a block; nothing, if the file ends before it.
fn read_body(file: &File, offset: u64, head: &Head) -> io::Result<Option<Vec<u8>>> {
    let mut body = vec![0; head.body as usize];
    match file.read_exact_at(&mut body, offset + (HEAD + head.keys_len()) as u64) {
        Ok(()) => Ok(Some(body)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
