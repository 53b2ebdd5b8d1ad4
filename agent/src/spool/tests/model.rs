//! The spool against a model of it, on a disk that fails at every moment.
//!
//! What must hold: an alert that was durable is read again, in order and as it was, until it is acknowledged; or it is in
//! the book of what was given up. Nothing is read that was never added.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::faulty::{Fault, FaultyDisk};
use crate::spool::{
    Appended, Cursor, Limits,
    log::{Log, Stored},
    shed::Shed,
};

const LIMITS: Limits = Limits { bytes: 8192 + 4096, segment: 512 };

#[derive(Clone, Debug)]
enum Op {
    Append(u8, usize),
    Commit,
    /// Reads so many, and acknowledges them or not.
    Read(usize, bool),
    Sheds(bool),
    Fail(u64, Fault),
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let fault = prop_oneof![3 => Just(Fault::Crash), 2 => Just(Fault::NoSpace), 1 => Just(Fault::Broken)];
    prop_oneof![
        12 => (0u8..8, 0usize..300).prop_map(|(priority, size)| Op::Append(priority, size)),
        5 => Just(Op::Commit),
        3 => (1usize..12, any::<bool>()).prop_map(|(count, ack)| Op::Read(count, ack)),
        1 => any::<bool>().prop_map(Op::Sheds),
        2 => (0u64..30, fault).prop_map(|(after, fault)| Op::Fail(after, fault)),
        1 => Just(Op::Crash),
    ]
}

/// What is known of the alerts that were added.
#[derive(Default)]
struct Model {
    /// By number: priority, payload, and whether it is durable.
    added: BTreeMap<u64, (u8, Vec<u8>, bool)>,
    /// What was given up at once; if the disk has it all the same, it may be read after a crash.
    refused: BTreeMap<u64, Vec<u8>>,
    acknowledged: u64,
    /// The reports that have arrived, by number.
    reported: BTreeMap<u64, Shed>,
    count: u64,
    /// Whether the disk has lied, so that what was durable may be lost, and is in the book.
    broken: bool,
}

impl Model {
    fn append(&mut self, log: &mut Log<FaultyDisk>, priority: u8, size: usize) {
        self.count += 1;
        let mut payload = self.count.to_le_bytes().to_vec();
        payload.resize(8 + size, priority);
        match log.append(priority, 1000 + self.count, &payload) {
            Appended::Kept(sequence) => {
                let before = self.added.insert(sequence, (priority, payload, false));
                assert!(before.is_none_or(|(_, _, durable)| !durable), "{sequence} was given away twice");
            }
            Appended::Shed(sequence) => {
                self.refused.insert(sequence, payload);
            }
        }
    }

    /// Checks what was read from the beginning: in order, as it was added, and nothing durable missing that is in no report.
    fn check(&self, log: &mut Log<FaultyDisk>) {
        let read = log.read(&mut Cursor::after(self.acknowledged), usize::MAX, usize::MAX);
        assert!(read.windows(2).all(|pair| pair[0].sequence < pair[1].sequence), "out of order");
        let read: BTreeMap<u64, &Stored> = read.iter().map(|stored| (stored.sequence, stored)).collect();
        let mut book = log.sheds();
        book.extend(self.reported.values().cloned());
        // The reports that have no number yet come when these have arrived.
        log.acknowledge_sheds(u64::MAX);
        let rest = log.sheds();
        let known: Vec<u64> = book.iter().map(|shed| shed.id).collect();
        book.extend(rest.into_iter().filter(|shed| !known.contains(&shed.id)));
        let mut missing: BTreeMap<u8, u64> = BTreeMap::new();
        for (sequence, (priority, payload, durable)) in &self.added {
            match read.get(sequence) {
                Some(stored) => {
                    assert_eq!(
                        (stored.priority, &stored.payload[..]),
                        (*priority, &payload[..]),
                        "{sequence}"
                    );
                }
                None if *durable && *sequence > self.acknowledged => {
                    *missing.entry(*priority).or_default() += 1;
                    let told = book.iter().any(|shed| {
                        shed.priority == u32::from(*priority)
                            && (shed.first_sequence..=shed.last_sequence).contains(sequence)
                    });
                    assert!(told, "{sequence} of priority {priority} is gone and in no report: {book:?}");
                }
                None => {}
            }
        }
        for (priority, count) in missing {
            let told: u64 = book.iter().filter(|s| s.priority == u32::from(priority)).map(|s| s.count).sum();
            assert!(told >= count, "{count} of priority {priority} are gone, {told} are reported");
        }
        for (sequence, stored) in read {
            let refused = || self.refused.get(&sequence).is_some_and(|payload| *payload == stored.payload);
            assert!(self.added.contains_key(&sequence) || refused(), "{sequence} was never added");
        }
    }
}

fn open(disk: &FaultyDisk) -> Log<FaultyDisk> {
    Log::open(disk.clone(), LIMITS, [7; 16]).unwrap()
}

fn run(ops: Vec<Op>, choices: Vec<usize>) {
    let disk = FaultyDisk::default();
    let (mut log, mut model) = (open(&disk), Model::default());
    let mut choices = choices.into_iter().cycle();
    for op in ops {
        match op {
            Op::Append(priority, size) => model.append(&mut log, priority, size),
            Op::Commit => {
                let errors = log.figures().errors;
                log.commit();
                if log.figures().errors == errors && !disk.has_crashed() && !model.broken {
                    model.added.values_mut().for_each(|(_, _, durable)| *durable = true);
                }
                model.broken |= log.figures().errors != errors;
            }
            Op::Read(count, acknowledge) => {
                let read = log.read(&mut Cursor::after(model.acknowledged), count, usize::MAX);
                for stored in &read {
                    let added = model.added.get(&stored.sequence).map(|(_, payload, _)| payload);
                    let payload = added.or_else(|| model.refused.get(&stored.sequence));
                    assert_eq!(Some(&stored.payload[..]), payload.map(Vec::as_slice), "{}", stored.sequence);
                }
                if let Some(last) = read.last()
                    && acknowledge
                {
                    log.acknowledge(last.sequence);
                    model.acknowledged = last.sequence;
                }
            }
            Op::Sheds(acknowledge) => {
                let sheds = log.sheds();
                for shed in &sheds {
                    let before = model.reported.insert(shed.id, shed.clone());
                    assert!(before.is_none_or(|before| before == *shed), "a report has changed");
                }
                if let Some(last) = sheds.last()
                    && acknowledge
                {
                    log.acknowledge_sheds(last.id);
                }
            }
            Op::Fail(after, fault) => disk.fail_after(after, fault),
            Op::Crash => disk.fail_after(0, Fault::Crash),
        }
        assert!(log.figures().bytes <= LIMITS.bytes, "{} bytes", log.figures().bytes);
        if disk.has_crashed() {
            drop(log);
            disk.reboot(|most| choices.next().unwrap_or(0) % (most + 1));
            log = open(&disk);
            // Nobody was told about the ones that were not durable, and these may be gone.
            let there: Vec<u64> = log
                .read(&mut Cursor::after(0), usize::MAX, usize::MAX)
                .iter()
                .map(|stored| stored.sequence)
                .collect();
            let gone = model
                .added
                .extract_if(.., |sequence, (_, _, durable)| !*durable && !there.contains(sequence));
            // A removed file may come back with the next crash.
            model.refused.extend(gone.map(|(sequence, (_, payload, _))| (sequence, payload)));
            model.broken = false;
        }
    }
    // Faults that are still to come are not about the check.
    disk.fail_after(u64::MAX, Fault::Broken);
    model.check(&mut log);
    drop(log);
    disk.reboot(|most| most);
    let mut log = open(&disk);
    model.added.retain(|_, (_, _, durable)| *durable);
    let read = log.read(&mut Cursor::after(model.acknowledged), usize::MAX, usize::MAX);
    assert!(read.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
}

proptest! {
    #[test]
    fn nothing_durable_is_lost_in_silence(
        ops in prop::collection::vec(op(), 1..120),
        choices in prop::collection::vec(0usize..1000, 1..40),
    ) {
        run(ops, choices);
    }
}

/// The same run, with a crash at each of its operations in turn.
#[test]
fn a_crash_at_every_operation() {
    let mut ops = Vec::new();
    for round in 0..12 {
        ops.extend([
            Op::Append(round % 8, 200),
            Op::Append(7, 90),
            Op::Commit,
            Op::Append(3, 150),
            Op::Read(2, round % 3 == 0),
            Op::Commit,
        ]);
    }
    for at in 0..400 {
        for choice in 0..4 {
            let mut ops = ops.clone();
            ops.insert(0, Op::Fail(at, Fault::Crash));
            run(ops, vec![choice, 1, 0, choice * 7]);
        }
    }
}
