//! Blocks: how entries stand on disk.
//!
//! ```text
//! magic 4 │ checksum of what follows up to the body 4 │ position of the first entry 8 │ entries 4 │
//! bytes of the entries 4 │ bytes of the body 4 │ checksum of the body 4 │ when it was written, ms 8 │
//! key of each entry 16 … │ body: the entries, compressed (zstd)
//! ```
//!
//! All numbers are little-endian, checksums are CRC-32C. The keys stand outside of the body, so that opening a log finds
//! out which alerts it has without unpacking them.

use std::{io, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::alert_log::{Entry, MAX_JSON, Position};

/// A uid as 16 bytes.
pub(super) type Key = u128;

/// Bytes before the keys.
pub(super) const HEAD: usize = 40;
pub(super) const MAGIC: [u8; 4] = *b"VAL1";
/// Most entries in a block.
pub(super) const MAX_ENTRIES: usize = 8192;
/// When so many bytes of entries are in a block, the next entry begins another one.
pub(super) const FULL: usize = 4 << 20;
/// Most bytes that the entries of a block can have.
const MAX_RAW: usize = FULL + MAX_JSON + 4096;
/// Level of compression: the quickest, which already makes an alert a fifth.
const LEVEL: i32 = 1;

/// The name space of keys of uids that are no UUIDs (a random UUID, fixed once).
const KEYS: Uuid = Uuid::from_u128(0x2f0b_8d1c_5a64_4ed1_9c36_7e08_b1f4_55a2);

/// The key of an alert: of its uid, and of the node that sent it, so that no node can take the place of another's alert.
pub(super) fn key(node: &str, uid: &str) -> Key {
    // No text has this byte.
    Uuid::new_v5(&KEYS, &[node.as_bytes(), &[0xff], uid.as_bytes()].concat()).as_u128()
}

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) first: Position,
    pub(super) count: u32,
    raw: u32,
    pub(super) body: u32,
    body_checksum: u32,
    /// When it was written, in milliseconds since the Unix epoch.
    pub(super) written: u64,
}

impl Head {
    /// Reads it, without the checksum; nothing, if it is none.
    pub(super) fn parse(bytes: &[u8; HEAD]) -> Option<Self> {
        let u32_at =
            |at: usize| bytes[at..].first_chunk().map(|b| u32::from_le_bytes(*b)).unwrap_or_default();
        let u64_at =
            |at: usize| bytes[at..].first_chunk().map(|b| u64::from_le_bytes(*b)).unwrap_or_default();
        let head = Self {
            first: u64_at(8),
            count: u32_at(16),
            raw: u32_at(20),
            body: u32_at(24),
            body_checksum: u32_at(28),
            written: u64_at(32),
        };
        let good = bytes.starts_with(&MAGIC)
            && (1..=MAX_ENTRIES as u32).contains(&head.count)
            && head.first >= 1
            && head.first.checked_add(u64::from(head.count)).is_some()
            && head.raw as usize <= MAX_RAW
            && head.body as usize <= zstd::zstd_safe::compress_bound(MAX_RAW);
        good.then_some(head)
    }

    /// Position of its last entry.
    pub(super) fn last(&self) -> Position {
        self.first + u64::from(self.count) - 1
    }

    /// Bytes of the keys.
    pub(super) fn keys_len(&self) -> usize {
        self.count as usize * size_of::<Key>()
    }

    /// Bytes of the whole block.
    pub(super) fn len(&self) -> u64 {
        (HEAD + self.keys_len()) as u64 + u64::from(self.body)
    }

    /// Whether the checksum of head and keys is right.
    pub(super) fn is_sound(bytes: &[u8; HEAD], keys: &[u8]) -> bool {
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[8..]), keys);
        bytes[4..8] == sum.to_le_bytes()
    }

    /// Whether the checksum of the body is right.
    pub(super) fn has_body(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_checksum
    }
}

/// The keys of a block.
pub(super) fn keys(bytes: &[u8]) -> impl Iterator<Item = Key> {
    bytes.as_chunks().0.iter().map(|bytes| Key::from_le_bytes(*bytes))
}

/// Makes blocks.
pub(super) struct Encoder {
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    keys: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { compressor: zstd::bulk::Compressor::new(LEVEL)?, raw: Vec::new(), keys: Vec::new() })
    }

    /// Whether another entry belongs into the next block.
    pub(super) fn is_full(&self) -> bool {
        self.raw.len() >= FULL || self.keys.len() >= MAX_ENTRIES * size_of::<Key>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes in an entry, whose parts are as large as they may be ([`Entry::check`]).
    pub(super) fn push(&mut self, key: Key, entry: &Entry) {
        self.keys.extend_from_slice(&key.to_le_bytes());
        let raw = &mut self.raw;
        raw.push(entry.uid.len() as u8);
        raw.extend_from_slice(&(entry.node.len() as u16).to_le_bytes());
        raw.extend_from_slice(&(entry.json.len() as u32).to_le_bytes());
        raw.extend_from_slice(&entry.sequence.to_le_bytes());
        raw.extend_from_slice(&entry.time.as_nanosecond().to_le_bytes());
        raw.extend_from_slice(entry.uid.as_bytes());
        raw.extend_from_slice(entry.node.as_bytes());
        raw.extend_from_slice(&entry.json);
    }

    /// Appends the block of what was taken in since the last one. Returns how many entries it has.
    pub(super) fn finish(&mut self, first: Position, written: u64, out: &mut Vec<u8>) -> io::Result<u64> {
        let body = self.compressor.compress(&self.raw)?;
        let count = (self.keys.len() / size_of::<Key>()) as u32;
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&first.to_le_bytes());
        for number in [count, self.raw.len() as u32, body.len() as u32, crc32c::crc32c(&body)] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&written.to_le_bytes());
        out.extend_from_slice(&self.keys);
        let sum = crc32c::crc32c(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&body);
        self.raw.clear();
        // One large alert must not hold its memory for ever.
        self.raw.shrink_to(2 * FULL);
        self.keys.clear();
        Ok(u64::from(count))
    }
}

/// Unpacks a body whose checksum is right.
pub(super) fn decode(head: &Head, body: &[u8]) -> io::Result<Vec<(Position, Entry)>> {
    let raw = Bytes::from(zstd::bulk::decompress(body, head.raw as usize)?);
    let mut rest = Cursor { raw: &raw, at: 0 };
    let mut entries: Vec<(Position, Entry)> = Vec::with_capacity(head.count as usize);
    for position in head.first..=head.last() {
        let same = entries.last().map(|(_, entry)| &entry.node);
        let entry = rest.entry(same).ok_or_else(|| io::Error::other("a block ends within an entry"))?;
        entries.push((position, entry));
    }
    Ok(entries)
}

struct Cursor<'a> {
    raw: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, len: usize) -> Option<Bytes> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.raw.len())?;
        let part = self.raw.slice(self.at..end);
        self.at = end;
        Some(part)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.as_ref().try_into().ok()
    }

    fn text(&mut self, len: usize) -> Option<String> {
        String::from_utf8(self.take(len)?.to_vec()).ok()
    }

    fn entry(&mut self, before: Option<&Arc<str>>) -> Option<Entry> {
        let uid_len = usize::from(self.array::<1>()?[0]);
        let node_len = usize::from(u16::from_le_bytes(self.array()?));
        let json_len = u32::from_le_bytes(self.array()?) as usize;
        let sequence = u64::from_le_bytes(self.array()?);
        let time = Timestamp::from_nanosecond(i128::from_le_bytes(self.array()?)).ok()?;
        let uid = self.text(uid_len)?;
        let node = self.text(node_len)?;
        let node = before.filter(|name| ***name == *node).cloned().unwrap_or_else(|| node.into());
        Some(Entry { uid, node, sequence, time, json: self.take(json_len)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Entry {
        Entry {
            uid: Uuid::from_u128(u128::from(number)).to_string(),
            node: format!("n{}", number / 2).into(),
            sequence: number,
            time: Timestamp::from_nanosecond(i128::from(number) * 1_000_000_007).unwrap(),
            json: Bytes::from(format!("{{\"number\":{number}}}")),
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut encoder = Encoder::new().unwrap();
        let entries: Vec<Entry> = (0..5).map(entry).collect();
        entries.iter().for_each(|entry| encoder.push(key(&entry.node, &entry.uid), entry));
        let mut bytes = Vec::new();
        assert_eq!(encoder.finish(7, 99, &mut bytes).unwrap(), 5);
        assert!(encoder.is_empty());
        let start = bytes.first_chunk().unwrap();
        let head = Head::parse(start).unwrap();
        assert_eq!((head.first, head.last(), head.written, head.len()), (7, 11, 99, bytes.len() as u64));
        let (keys_part, body) = bytes[HEAD..].split_at(head.keys_len());
        assert!(Head::is_sound(start, keys_part) && head.has_body(body));
        let given: Vec<Key> = entries.iter().map(|entry| key(&entry.node, &entry.uid)).collect();
        assert_eq!(keys(keys_part).collect::<Vec<_>>(), given);
        let expected: Vec<_> = (7..).zip(entries).collect();
        assert_eq!(decode(&head, body).unwrap(), expected);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut encoder = Encoder::new().unwrap();
        encoder.push(1, &entry(1));
        let mut bytes = Vec::new();
        encoder.finish(1, 0, &mut bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let start = bad.first_chunk().unwrap();
            let sound = Head::parse(start).is_some_and(|head| {
                let (keys_part, body) = bad[HEAD..].split_at(head.keys_len().min(bad.len() - HEAD));
                Head::is_sound(start, keys_part) && head.has_body(body)
            });
            assert!(!sound, "bit {bit}");
        }
    }

    #[test]
    fn uids_that_differ_have_keys_that_differ() {
        let uid = "6f3c27b1-94d8-4a0e-8b5d-e1f207c93a64";
        let all = [uid, &uid.to_uppercase(), &uid.replace('-', ""), "", "x", "y"].map(|uid| key("n", uid));
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
    }
}
