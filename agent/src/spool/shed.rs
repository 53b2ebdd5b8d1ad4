//! The book of alerts that were given up.

use prost::Message;

/// Why alerts were given up; the numbers are those of `vedette.v1.ShedReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The spool is as large as it may be.
    Full = 1,
    /// The disk did not take them, or did not give them back.
    Disk = 2,
    /// What the disk gave back was not what had been written.
    Corrupt = 3,
}

/// Alerts of one priority that were given up.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Shed {
    /// The number of the report; 0, as long as it may still grow.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Their priority; 0 is the most urgent.
    #[prost(uint32, tag = "2")]
    pub priority: u32,
    /// How many.
    #[prost(uint64, tag = "3")]
    pub count: u64,
    /// The first in time, nanoseconds of the Unix epoch; 0, if not known.
    #[prost(uint64, tag = "4")]
    pub first_time: u64,
    /// The last in time.
    #[prost(uint64, tag = "5")]
    pub last_time: u64,
    /// The least of their numbers.
    #[prost(uint64, tag = "6")]
    pub first_sequence: u64,
    /// The greatest of their numbers.
    #[prost(uint64, tag = "7")]
    pub last_sequence: u64,
    /// See [`Reason`].
    #[prost(uint32, tag = "8")]
    pub reason: u32,
}

impl Shed {
    /// One alert.
    pub fn one(priority: u8, reason: Reason, sequence: u64, time: u64) -> Self {
        Self {
            id: 0,
            priority: priority.into(),
            count: 1,
            first_time: time,
            last_time: time,
            first_sequence: sequence,
            last_sequence: sequence,
            reason: reason as u32,
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        if other.first_time != 0 && (self.first_time == 0 || other.first_time < self.first_time) {
            self.first_time = other.first_time;
        }
        self.last_time = self.last_time.max(other.last_time);
        self.first_sequence = self.first_sequence.min(other.first_sequence);
        self.last_sequence = self.last_sequence.max(other.last_sequence);
    }
}

/// Adds to the book: to the open line of the same priority and reason, so that it never has many lines.
pub fn add(book: &mut Vec<Shed>, shed: &Shed) {
    let same =
        |line: &&mut Shed| line.id == 0 && (line.priority, line.reason) == (shed.priority, shed.reason);
    match book.iter_mut().find(same) {
        Some(line) => line.absorb(shed),
        None => book.push(shed.clone()),
    }
}

/// The lines to be reported: those that were reported already, or else all, which get their numbers now. Returns whether
/// the book has changed.
pub fn close(book: &mut [Shed], last: &mut u64) -> bool {
    if book.is_empty() || book.iter().any(|line| line.id != 0) {
        return false;
    }
    for line in book {
        *last += 1;
        line.id = *last;
    }
    true
}
