//! The bytes of a segment.
//!
//! ```text
//! segment = header record*
//! header  = "VEDSPOOL" version:u16 priority:u8 0:u8 0:u32 spool:[u8;16] first:u64 crc:u32     44 bytes
//! record  = length:u32 crc:u32 sequence:u64 time:u64 payload:[u8;length]                      24 bytes and the payload
//! ```
//! Numbers are little-endian. A `crc` is CRC-32C (RFC 3720, B.4): the header's of the 40 bytes before it, a record's of
//! sequence, time and payload. `time` is in nanoseconds of the Unix epoch, `first` the least sequence number that the
//! segment may have, and they grow from record to record. What the payload means is not the format's affair.

use std::ops::Range;

/// What a segment begins with.
const MAGIC: &[u8; 8] = b"VEDSPOOL";
/// The version that is written and read.
const VERSION: u16 = 1;
/// Bytes of a segment's header.
pub const SEGMENT_HEADER: usize = 44;
/// Bytes before a record's payload.
pub const RECORD_HEADER: usize = 24;
/// Most bytes of a payload.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// How many priorities there are; 0 is the most urgent.
pub const PRIORITIES: usize = 8;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The priority of all its records, below [`PRIORITIES`].
    pub priority: u8,
    /// The spool that it belongs to.
    pub spool: [u8; 16],
    /// The least sequence number it may have.
    pub first: u64,
}

impl SegmentHeader {
    /// As bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10] = self.priority;
        out[16..32].copy_from_slice(&self.spool);
        out[32..40].copy_from_slice(&self.first.to_le_bytes());
        let crc = crc32c::crc32c(&out[..40]);
        out[40..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads one; nothing, if it is none that we know.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEGMENT_HEADER] = bytes.first_chunk()?;
        let header = Self {
            priority: bytes[10],
            spool: *bytes[16..].first_chunk()?,
            first: u64::from_le_bytes(*bytes[32..].first_chunk()?),
        };
        (header.encode() == *bytes && usize::from(header.priority) < PRIORITIES).then_some(header)
    }
}

/// Appends a record. The payload must not be longer than [`MAX_PAYLOAD`].
pub fn encode_record(sequence: u64, time: u64, payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len() as u32;
    out.reserve(RECORD_HEADER + payload.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc(sequence, time, payload).to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&time.to_le_bytes());
    out.extend_from_slice(payload);
}

fn crc(sequence: u64, time: u64, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&sequence.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &time.to_le_bytes()), payload)
}

/// A record that is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAt {
    /// Its number.
    pub sequence: u64,
    /// When it happened, nanoseconds of the Unix epoch.
    pub time: u64,
    /// Where the payload is in the bytes that were looked at.
    pub payload: Range<usize>,
}

/// What the bytes begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Nothing: they are at their end.
    End,
    /// A record.
    Record(RecordAt),
    /// The beginning of a record, maybe: so many bytes are needed to say.
    Short(usize),
    /// A record that is not as it was written. The next one may begin after so many bytes.
    Bad(usize),
    /// Nothing that a record begins with.
    Nonsense,
}

/// Looks at what the bytes begin with.
pub fn parse(bytes: &[u8]) -> Parsed {
    if bytes.is_empty() {
        return Parsed::End;
    }
    let Some((head, _)) = bytes.split_first_chunk::<RECORD_HEADER>() else {
        return Parsed::Short(RECORD_HEADER);
    };
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    let length = (word(0) & u64::from(u32::MAX)) as usize;
    let (wanted, sequence, time) = ((word(0) >> 32) as u32, word(8), word(16));
    if length > MAX_PAYLOAD {
        return Parsed::Nonsense;
    }
    let payload = RECORD_HEADER..RECORD_HEADER + length;
    match bytes.get(payload.clone()) {
        None => Parsed::Short(payload.end),
        Some(content) if crc(sequence, time, content) == wanted => {
            Parsed::Record(RecordAt { sequence, time, payload })
        }
        Some(_) => Parsed::Bad(payload.end),
    }
}

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The good records, with the place of each after which the next one begins.
    pub records: Vec<(RecordAt, usize)>,
    /// Where the last good record ends.
    pub end: usize,
    /// Records that are not as they were written, before the last good one.
    pub bad: u64,
    /// Bytes after the last good record.
    pub tail: usize,
}

/// How far apart the numbers of two records of a segment may be: each start of the agent leaves out a million. Where the
/// beginning of a record is looked for, what is further away is taken for chance.
const FURTHEST: u64 = 1 << 32;
/// Bytes that are held against checksums at most while the beginning of a record is looked for.
const SEARCHED: usize = 64 << 20;

/// Where the next good record begins, from this place on, if there is one: a length that is spoilt does not tell.
fn next_good(bytes: &[u8], from: usize, least: u64, searched: &mut usize) -> Option<usize> {
    for at in from..(bytes.len() + 1).saturating_sub(RECORD_HEADER) {
        let rest = &bytes[at..];
        let Some((head, _)) = rest.split_first_chunk::<RECORD_HEADER>() else { break };
        let length = u32::from_le_bytes(std::array::from_fn(|i| head[i])) as usize;
        let sequence = u64::from_le_bytes(std::array::from_fn(|i| head[8 + i]));
        let likely = sequence >= least && sequence - least < FURTHEST;
        if !likely || length > MAX_PAYLOAD || length > rest.len() - RECORD_HEADER {
            continue;
        }
        *searched += length + RECORD_HEADER;
        if *searched > SEARCHED {
            break;
        }
        if matches!(parse(rest), Parsed::Record(_)) {
            return Some(at);
        }
    }
    None
}

/// How many records lie between two places, as far as their lengths tell.
fn count_bad(bytes: &[u8], from: usize, to: usize) -> u64 {
    let (mut at, mut count) = (from, 0);
    while at < to {
        match parse(&bytes[at..]) {
            Parsed::Bad(next) if at + next <= to => (at, count) = (at + next, count + 1),
            _ => return 1,
        }
    }
    count
}

/// Reads all of a segment behind its header; payloads are places in `bytes`. Numbers that do not grow make a record bad.
/// Behind a record that is not as it was written, the next good one is looked for.
pub fn scan(bytes: &[u8], first: u64) -> Scan {
    let mut scan = Scan { end: SEGMENT_HEADER.min(bytes.len()), ..Scan::default() };
    let (mut at, mut bad, mut least, mut searched) = (scan.end, 0, first, 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match parse(rest) {
            Parsed::Record(mut record) if record.sequence >= least => {
                least = record.sequence.saturating_add(1);
                record.payload = at + record.payload.start..at + record.payload.end;
                at = record.payload.end;
                scan.records.push((record, at));
                (scan.end, scan.bad) = (at, scan.bad + bad);
                bad = 0;
            }
            Parsed::Record(record) => {
                bad += 1;
                at += record.payload.end;
            }
            Parsed::Bad(_) | Parsed::Short(_) | Parsed::Nonsense => {
                let Some(next) = next_good(bytes, at + 1, least, &mut searched) else { break };
                bad += count_bad(bytes, at, next);
                at = next;
            }
            Parsed::End => break,
        }
    }
    scan.tail = bytes.len() - scan.end;
    scan
}
