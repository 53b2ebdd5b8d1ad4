//! Reading: the chains put together by sequence number.

use bytes::Bytes;

use super::*;

/// An alert as it is in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub sequence: u64,
    /// Its priority; 0 is the most urgent.
    pub priority: u8,
    /// What was added.
    pub payload: Bytes,
}

/// Bytes that are read of a segment at once.
const CHUNK: usize = 128 << 10;

/// Where a reader is.
#[derive(Debug, Default)]
pub struct Cursor {
    /// It has everything up to here.
    after: u64,
    chains: [Place; PRIORITIES],
}

/// Where a reader is in a chain.
#[derive(Debug, Default)]
struct Place {
    /// The segment's first number; 0 for none.
    segment: u64,
    /// What was read of it, and where in it that is.
    chunk: Bytes,
    offset: u64,
}

impl Cursor {
    /// Before the alert that follows the number.
    pub fn after(sequence: u64) -> Self {
        Self { after: sequence, chains: array::from_fn(|_| Place::default()) }
    }
}

impl<D: Disk> Log<D> {
    /// The next alerts, in order of their numbers: at most `count`, and about `bytes`. Only what is durable.
    pub fn read(&mut self, cursor: &mut Cursor, count: usize, bytes: usize) -> Vec<Stored> {
        let (mut out, mut size) = (Vec::new(), 0);
        while out.len() < count && size < bytes {
            let mut next: Option<(usize, format::RecordAt)> = None;
            for chain in 0..PRIORITIES {
                let Some(record) = self.peek(cursor, chain) else { continue };
                if next.as_ref().is_none_or(|(_, least)| record.sequence < least.sequence) {
                    next = Some((chain, record));
                }
            }
            let Some((chain, record)) = next else { break };
            let place = &mut cursor.chains[chain];
            // A copy, so that an alert that waits for its acknowledgement does not keep its neighbours.
            let payload = Bytes::copy_from_slice(&place.chunk[record.payload.clone()]);
            place.skip(record.payload.end);
            cursor.after = record.sequence;
            size += payload.len();
            out.push(Stored { sequence: record.sequence, priority: chain as u8, payload });
        }
        out
    }

    /// The next record of a chain that the reader does not have.
    fn peek(&mut self, cursor: &mut Cursor, chain: usize) -> Option<format::RecordAt> {
        let (after, place) = (cursor.after, &mut cursor.chains[chain]);
        let committed = self.figures.committed;
        loop {
            let segments = &self.chains[chain];
            // Where it was given up under the reader, the next one.
            let index = segments.partition_point(|segment| segment.first < place.segment);
            let segment = segments.get(index)?;
            if segment.last <= after || place.offset >= segment.len {
                // A later segment may be there; if not, more may come to this one.
                let next = segments.get(index + 1)?;
                *place = Place { segment: next.first, ..Place::default() };
                continue;
            }
            if place.segment != segment.first || place.offset == 0 {
                let offset = SEGMENT_HEADER as u64;
                *place = Place { segment: segment.first, chunk: Bytes::new(), offset };
            }
            match format::parse(&place.chunk) {
                format::Parsed::Record(record) if record.sequence <= after => {
                    place.skip(record.payload.end);
                }
                format::Parsed::Record(record) => return (record.sequence <= committed).then_some(record),
                format::Parsed::Bad(_) | format::Parsed::Nonsense => {
                    (place.offset, place.chunk) = self.repair(chain, index, place.offset);
                }
                parsed @ (format::Parsed::End | format::Parsed::Short(_)) => {
                    let needed = if let format::Parsed::Short(needed) = parsed { needed } else { 1 };
                    let there = usize::try_from(segment.len - place.offset).unwrap_or(usize::MAX);
                    let mut chunk = vec![0; CHUNK.max(needed).min(there)];
                    let read = segment.file.read_at(&mut chunk, place.offset).unwrap_or_else(|_| {
                        self.figures.errors += 1;
                        0
                    });
                    chunk.truncate(read);
                    place.chunk = chunk.into();
                    if read < needed {
                        (place.offset, place.chunk) = self.repair(chain, index, place.offset);
                    }
                }
            }
        }
    }

    /// Counts what of a segment cannot be read any more, once, and takes nothing more into it. Returns where reading goes
    /// on, from this place on, and what is there.
    fn repair(&mut self, chain: usize, index: usize, from: u64) -> (u64, Bytes) {
        let acknowledged = self.state.acknowledged;
        let Some(segment) = self.chains[chain].get_mut(index) else { return (from, Bytes::new()) };
        let bytes = segment.bytes().unwrap_or_default();
        let scan = format::scan(&bytes, segment.first);
        let good = scan.records.iter().filter(|(record, _)| record.sequence > acknowledged).count() as u64;
        let shed = Shed {
            count: segment.waiting.saturating_sub(good),
            first_sequence: segment.first,
            ..Shed::one(chain as u8, Reason::Corrupt, segment.last, 0)
        };
        segment.sealed = true;
        segment.waiting = good;
        segment.len = (scan.end as u64).max(SEGMENT_HEADER as u64);
        segment.last = scan.records.last().map_or(segment.first, |(record, _)| record.sequence);
        let mut starts = scan.records.iter().map(|(record, _)| record.payload.start - RECORD_HEADER);
        let rest = match starts.find(|start| *start as u64 >= from) {
            Some(start) => (start as u64, Bytes::from(bytes).slice(start..scan.end)),
            None => (segment.len.max(from), Bytes::new()),
        };
        if shed.count > 0 {
            self.figures.corrupt += shed.count;
            self.book(&shed);
        }
        rest
    }
}

impl Place {
    fn skip(&mut self, bytes: usize) {
        self.chunk = self.chunk.slice(bytes.min(self.chunk.len())..);
        self.offset += bytes as u64;
    }
}
