//! Records on their way from the rings to the engine: one buffer, one index, in the order of time.

/// One record in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// `CLOCK_BOOTTIME` nanoseconds.
    time: u64,
    /// Order of arrival, which decides between equal times.
    order: u32,
    offset: u32,
    len: u32,
}

/// Copies of records.
#[derive(Debug, Default)]
pub struct Batch {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where the time is in a header ([`vedette_abi::Header::time`]).
const TIME: std::ops::Range<usize> = 16..24;

impl Batch {
    /// Adds a record. What has no header takes part in the order with time 0 and fails in the decoder, where it
    /// is counted.
    pub fn push(&mut self, record: &[u8]) {
        let time = Self::time_of(record);
        let (offset, len) = (self.data.len() as u32, record.len() as u32);
        self.entries.push(Entry { time, order: self.entries.len() as u32, offset, len });
        self.data.extend_from_slice(record);
    }

    /// The time in a record's header, 0 where there is none.
    pub fn time_of(record: &[u8]) -> u64 {
        record.get(TIME).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records in the order they are held.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|e| self.record(e))
    }

    fn record(&self, entry: &Entry) -> &[u8] {
        &self.data[entry.offset as usize..(entry.offset + entry.len) as usize]
    }

    /// Brings the records into the order of time, and moves those later than `horizon` to `later`.
    pub fn settle(&mut self, horizon: u64, later: &mut Self) {
        self.entries.sort_unstable();
        let split = self.entries.partition_point(|e| e.time <= horizon);
        for entry in &self.entries[split..] {
            later.push(&self.data[entry.offset as usize..(entry.offset + entry.len) as usize]);
        }
        self.entries.truncate(split);
    }

    /// Adds another batch behind this one.
    pub fn append(&mut self, other: &Self) {
        for entry in &other.entries {
            self.push(other.record(entry));
        }
    }

    /// Empties it and keeps its memory, unless that has grown beyond what a burst should leave behind.
    pub fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        self.data.clear();
        self.entries.clear();
        self.data.shrink_to(KEEP);
        self.entries.shrink_to(KEEP / 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: u64, tag: u8) -> Vec<u8> {
        let mut bytes = vec![tag; 32];
        bytes[TIME].copy_from_slice(&time.to_le_bytes());
        bytes
    }

    fn tags(batch: &Batch) -> Vec<u8> {
        batch.iter().map(|r| r[0]).collect()
    }

    #[test]
    fn records_are_put_in_order_and_the_future_is_kept_for_later() {
        let (mut batch, mut later) = (Batch::default(), Batch::default());
        for (time, tag) in [(30, 3), (10, 1), (50, 5), (20, 2), (20, 9), (40, 4)] {
            batch.push(&record(time, tag));
        }
        batch.settle(30, &mut later);
        assert_eq!(tags(&batch), [1, 2, 9, 3], "equal times keep the order of arrival");
        later.settle(u64::MAX, &mut Batch::default());
        assert_eq!(tags(&later), [4, 5]);
    }

    #[test]
    fn a_record_without_a_header_is_passed_on() {
        let mut batch = Batch::default();
        batch.push(&[1, 2, 3]);
        batch.settle(0, &mut Batch::default());
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&[1u8, 2, 3][..]]);
    }
}
