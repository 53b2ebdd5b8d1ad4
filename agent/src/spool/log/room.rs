//! Making room: what has arrived goes first, then the least urgent and oldest.

use super::*;

impl<D: Disk> Log<D> {
    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        STATE_FILE + self.chains.iter().flatten().map(|segment| segment.len).sum::<u64>()
    }

    /// Makes room for one more alert. Returns whether there is room; if not, all that is there is more urgent.
    pub(super) fn make_room(&mut self, priority: u8, payload: usize) -> bool {
        // It may be the first of its segment.
        let needed = size(payload) + SEGMENT_HEADER as u64;
        let has_none = |log: &Self| {
            log.bytes() + needed > log.limits.bytes
                || log.chains.iter().map(VecDeque::len).sum::<usize>() >= SEGMENTS
        };
        while has_none(self) {
            if !self.drop_least_urgent(priority, Reason::Full) {
                return false;
            }
        }
        true
    }

    /// Drops a segment that has arrived, or else gives up the oldest of the least urgent ones, unless that is more urgent
    /// than `priority`. Returns whether there was one.
    pub(super) fn drop_least_urgent(&mut self, priority: u8, reason: Reason) -> bool {
        if let Some(arrived) = self.chains.iter().position(|c| c.front().is_some_and(|s| s.waiting == 0)) {
            self.save();
            if let Some(segment) = self.chains[arrived].pop_front() {
                self.remove(&segment.name);
            }
            return true;
        }
        let Some(victim) = self.chains.iter().rposition(|chain| !chain.is_empty()) else { return false };
        if victim < usize::from(priority) {
            return false;
        }
        let Some(segment) = self.chains[victim].front() else { return false };
        let shed = lost(victim as u8, reason, segment, self.state.acknowledged);
        let name = segment.name.clone();
        let (book, giving_up, counted) =
            (self.state.sheds.clone(), self.state.giving_up.clone(), self.figures.shed);
        self.book(&shed);
        // Counted first, and by name, so that a crash before the file is gone does not count it twice.
        self.state.giving_up.clone_from(&name);
        if !self.save() {
            // What is durable does not go as long as that cannot be told.
            (self.state.sheds, self.state.giving_up, self.figures.shed) = (book, giving_up, counted);
            return false;
        }
        self.chains[victim].pop_front();
        self.remove(&name);
        true
    }
}

/// What is given up with a segment.
fn lost<F: DiskFile>(priority: u8, reason: Reason, segment: &Segment<F>, acknowledged: u64) -> Shed {
    let mut lines = Vec::new();
    if let Ok(bytes) = segment.bytes() {
        for (record, _) in format::scan(&bytes, segment.first).records {
            if record.sequence > acknowledged {
                shed::add(&mut lines, &Shed::one(priority, reason, record.sequence, record.time));
            }
        }
    }
    lines.pop().unwrap_or(Shed {
        count: segment.waiting,
        first_sequence: segment.first,
        last_sequence: segment.last,
        ..Shed::one(priority, reason, segment.last, 0)
    })
}
