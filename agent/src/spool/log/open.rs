//! Opening: what the last run left, whole or not.

use super::{format::RecordAt, *};

/// Numbers that are left out at each start. What was given away before and is not known any more, because the disk did
/// not keep its promise, is not given to another alert.
const LEAP: u64 = 1 << 20;

impl<D: Disk> Log<D> {
    /// Opens the spool in a directory, a new one if there is none. `random` names a new one.
    ///
    /// # Errors
    /// The disk cannot be used at all. What is not as it should be is left out, and counted.
    pub fn open(disk: D, limits: Limits, random: [u8; 16]) -> io::Result<Self> {
        let fresh = || State { spool: random.to_vec(), next: 1, ..State::default() };
        let (state_file, state) = StateFile::open(&disk, fresh)?;
        let id = state.spool.first_chunk().copied().unwrap_or(random);
        let mut log = Self {
            disk,
            limits,
            state_file,
            state_dirty: false,
            id,
            chains: array::from_fn(|_| VecDeque::new()),
            new_files: false,
            next: state.next.max(state.acknowledged.saturating_add(1)),
            figures: Figures::default(),
            buffer: Vec::new(),
            state,
        };
        log.find_segments()?;
        if log.next > 1 {
            log.next = log.next.div_ceil(LEAP).saturating_mul(LEAP).saturating_add(1);
        }
        // Everything that was found is on the disk; from here on that is known, and who was given up is gone.
        log.state.giving_up.clear();
        log.commit();
        log.save();
        // The limit may be another one, and what had gone may have come back.
        while log.bytes() > log.limits.bytes && log.drop_least_urgent(0, Reason::Full) {}
        Ok(log)
    }

    fn find_segments(&mut self) -> io::Result<()> {
        let mut names: Vec<String> =
            self.disk.list()?.into_iter().filter(|name| name.ends_with(".seg")).collect();
        // By priority, then by number.
        names.sort_unstable();
        for name in names {
            if name == self.state.giving_up {
                self.remove(&name);
                continue;
            }
            match self.load(&name) {
                Ok(Some(segment)) => {
                    if let Some(chain) = self.chains.get_mut(segment.0) {
                        chain.push_back(segment.1);
                    }
                }
                // Nothing in it that anybody waits for.
                Ok(None) => self.remove(&name),
                Err(_) => self.figures.errors += 1,
            }
        }
        Ok(())
    }

    /// Reads a segment. Nothing, if there is nothing of use in it.
    fn load(&mut self, name: &str) -> io::Result<Option<(usize, Segment<D::File>)>> {
        let file = self.disk.open(name)?;
        let most = LARGEST_SEGMENT.max(self.limits.segment) + size(MAX_PAYLOAD) + SEGMENT_HEADER as u64;
        let mut bytes = vec![0; usize::try_from(file.len()?.min(most)).unwrap_or(0)];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let header = match SegmentHeader::decode(&bytes) {
            Some(header)
                if header.spool == self.id && name == segment_name(header.priority, header.first) =>
            {
                header
            }
            header => {
                // One that was cut when it was made has nothing yet.
                self.figures.corrupt += u64::from(bytes.len() > SEGMENT_HEADER);
                // What another spool had waiting, where ours has lost who it was.
                if let Some(header) = header {
                    let records = format::scan(&bytes, header.first).records;
                    for (record, _) in &records {
                        let RecordAt { sequence, time, .. } = *record;
                        self.book(&Shed::one(header.priority, Reason::Corrupt, sequence, time));
                    }
                }
                return Ok(None);
            }
        };
        let scan = format::scan(&bytes, header.first);
        if scan.bad > 0 {
            self.figures.corrupt += scan.bad;
            let last = scan.records.last().map_or(header.first, |(record, _)| record.sequence);
            let report = Shed::one(header.priority, Reason::Corrupt, last, 0);
            self.book(&Shed { count: scan.bad, first_sequence: header.first, ..report });
        }
        let Some((last, _)) = scan.records.last() else { return Ok(None) };
        let acknowledged = self.state.acknowledged;
        let waiting = scan.records.iter().filter(|(record, _)| record.sequence > acknowledged).count() as u64;
        self.next = self.next.max(last.sequence.saturating_add(1));
        if waiting == 0 {
            return Ok(None);
        }
        // What was cut when the last run ended was never durable.
        let cut = scan.tail == 0 || file.truncate(scan.end as u64).is_ok();
        Ok(Some((
            usize::from(header.priority),
            Segment {
                name: name.to_owned(),
                first: header.first,
                last: last.sequence,
                waiting,
                len: scan.end as u64,
                dirty: true,
                // A segment that had bad records may be on a bad place of the disk.
                sealed: !cut || scan.bad > 0,
                file,
            },
        )))
    }
}
