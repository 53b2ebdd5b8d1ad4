//! Segments that a disk has spoilt in whatever way: what is read is what was written, in order, and reading ends.

use std::{fs, path::Path};

use futures_util::FutureExt as _;
use vedette_controller::alert_log::{AlertLog, EmbeddedLog, Entry, Position, embedded::Options};

use crate::support::{entry, large, soon};

/// Kinds of damage that are tried, each made of a seed.
const SEEDS: u64 = 150;
/// Alerts of the log.
const ALERTS: u64 = 40;

fn options(directory: &Path) -> Options {
    // Small segments, so that there are several.
    Options { limit: 16 * 4096, ..Options::new(directory) }
}

fn alert(number: u64) -> Entry {
    if number.is_multiple_of(3) { large(number, 700) } else { entry(number) }
}

/// Spoils bytes, one to three times.
fn spoil(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..=3) {
        let at = random.usize(..=bytes.len());
        let some = random.usize(..200).min(bytes.len() - at);
        match random.u8(..6) {
            0 => bytes.truncate(at),
            1 => bytes[at..at + some].fill(0),
            2 => bytes[at..at + some].iter_mut().for_each(|byte| *byte = random.u8(..)),
            3 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            // What was written elsewhere: whole blocks, in another place.
            4 => bytes.extend_from_within(..at),
            _ => bytes.drain(at..at + some).for_each(drop),
        }
    }
}

/// Reads as a sink does: what comes after what it has, until it would have to wait.
async fn read(log: &dyn AlertLog) -> Vec<(Position, Entry)> {
    let mut all: Vec<(Position, Entry)> = Vec::new();
    let mut after = 0;
    loop {
        let some = log.read(after, 7).await.unwrap();
        let Some((last, _)) = some.last() else {
            assert!(log.wait(after).now_or_never().is_none(), "it is said that there is more after {after}");
            return all;
        };
        assert!(*last > after, "a reader that goes on gets on");
        after = *last;
        all.extend(some);
    }
}

#[tokio::test]
async fn whatever_is_spoilt_what_is_read_is_what_was_written() {
    let made = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(options(made.path())).await.unwrap();
    for number in 0..ALERTS {
        assert_eq!(log.append(vec![alert(number)]).await.unwrap().last, number + 1);
    }
    log.close().await;
    let files: Vec<_> = fs::read_dir(made.path().join("segments"))
        .unwrap()
        .map(|item| item.unwrap())
        .map(|item| (item.file_name(), fs::read(item.path()).unwrap()))
        .collect();
    assert!(files.len() > 3);
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let directory = tempfile::tempdir().unwrap();
        let segments = directory.path().join("segments");
        fs::create_dir(&segments).unwrap();
        for (name, bytes) in &files {
            let mut bytes = bytes.clone();
            if random.bool() {
                spoil(&mut bytes, &mut random);
            }
            fs::write(segments.join(name), bytes).unwrap();
        }
        let log = soon(EmbeddedLog::open(options(directory.path()))).await.unwrap();
        let all = soon(read(&log)).await;
        assert!(all.is_sorted_by(|one, next| one.0 < next.0), "seed {seed}");
        for (position, entry) in &all {
            assert_eq!(*entry, alert(position - 1), "seed {seed}");
        }
        // It can be read again, and goes on.
        assert_eq!(soon(read(&log)).await, all, "seed {seed}");
        let new = log.append(vec![entry(ALERTS)]).await.unwrap();
        assert!(all.last().is_none_or(|(last, _)| *last < new.last), "seed {seed}");
        assert_eq!(soon(read(&log)).await.last(), Some(&(new.last, entry(ALERTS))), "seed {seed}");
        log.close().await;
    }
}
