//! What the embedded alert log was compared with: the same work for fjall, redb, and our own segments.
//!
//! `cargo run --release -p vedette-controller --features store-comparison --example stores [-- STORE [BATCHES]]`
//! prints a row for each store, each measured in a process of its own. The figures that decided are in
//! docs/decisions/alert-log.md.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on has failed")]

use std::{
    env, fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use redb::ReadableDatabase;
use uuid::Uuid;
use vedette_controller::alert_log::{AlertLog, EmbeddedLog, Entry, embedded::Options};

/// Alerts in each durable batch.
const BATCH: u64 = 100;
/// Batches, unless told otherwise: 200,000 alerts of 2 KiB.
const BATCHES: u64 = 2000;

fn main() {
    let mut arguments = env::args().skip(1);
    let Some(store) = arguments.next() else {
        println!(
            "store      alerts/s  batch p50   batch p99   read alerts/s  disk bytes/alert  after removing half  RSS MiB"
        );
        for store in ["segments", "fjall", "redb"] {
            Command::new(env::current_exe().unwrap()).arg(store).status().unwrap();
        }
        return;
    };
    let batches = arguments.next().map_or(BATCHES, |number| number.parse().unwrap());
    let directory = env::current_dir().unwrap().join("target").join(format!("stores-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let figures = match store.as_str() {
        "segments" => segments(&directory, batches),
        "fjall" => with_fjall(&directory, batches),
        "redb" => with_redb(&directory, batches),
        other => panic!("`{other}` is none of segments, fjall, redb"),
    };
    let alerts = (batches * BATCH) as f64;
    println!(
        "{store:9} {:>9.0} {:>7.2} ms {:>8.2} ms {:>14.0} {:>17.0} {:>20.0} {:>8}",
        alerts / figures.written.as_secs_f64(),
        figures.p50.as_secs_f64() * 1e3,
        figures.p99.as_secs_f64() * 1e3,
        alerts / figures.read.as_secs_f64(),
        figures.bytes as f64 / alerts,
        figures.bytes_after as f64 / alerts,
        peak_rss_mib(),
    );
    fs::remove_dir_all(directory).unwrap();
}

struct Figures {
    written: Duration,
    p50: Duration,
    p99: Duration,
    read: Duration,
    bytes: u64,
    bytes_after: u64,
}

/// An alert of about 2 KiB, as varied as real ones: the same words, other numbers.
fn alert(number: u64) -> Entry {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let ancestors: Vec<String> = (0..8)
        .map(|_| {
            let (pid, start) = (next() % 4_000_000, next() % 1_000_000_000_000);
            format!(r#"{{"pid":{pid},"id":"{pid}:{start}","name":"bash","exe_path":"/usr/bin/bash","cmdline":"bash -c {:x}","cwd":"/srv/app","start":"2026-11-24T05:{:02}:00.{:09}Z"}}"#, next(), pid % 60, start % 1_000_000_000)
        })
        .collect();
    let uid = Uuid::from_u128(u128::from(next()) << 64 | u128::from(next())).to_string();
    let json = format!(
        r#"{{"time":"2026-11-24T05:40:34.{:09}Z","uid":"{uid}","rule":"Sensitive file opened","priority":"Warning","source":"syscall","hostname":"n{}.example.org","output":"05:40:34: Warning Sensitive file opened for reading (file=/etc/shadow process=cat)","tags":["host","T1003.008"],"output_fields":{{"fd.name":"/etc/shadow","proc.name":"cat","proc.pid":{}}},"process":{{"pid":{},"ancestors":[{}]}},"container":{{"id":"{:016x}{:016x}{:016x}{:016x}"}}}}"#,
        next() % 1_000_000_000,
        number % 500,
        next() % 4_000_000,
        next() % 4_000_000,
        ancestors.join(","),
        next(),
        next(),
        next(),
        next(),
    );
    Entry {
        uid,
        node: format!("n{}", number % 500).into(),
        sequence: number,
        time: Timestamp::from_second(1_795_496_400).unwrap(),
        json: Bytes::from(json),
    }
}

fn batch(number: u64) -> Vec<Entry> {
    (number * BATCH..(number + 1) * BATCH).map(alert).collect()
}

/// Writes all batches and times each; making the alerts is not counted.
fn write(batches: u64, mut each: impl FnMut(u64, Vec<Entry>)) -> (Duration, Duration, Duration) {
    let mut times: Vec<Duration> = (0..batches)
        .map(|number| {
            let entries = batch(number);
            let start = Instant::now();
            each(number, entries);
            start.elapsed()
        })
        .collect();
    let written = times.iter().sum();
    times.sort_unstable();
    (written, times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Bytes on disk of all files below a directory.
fn disk(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let items = fs::read_dir(directory).unwrap().map(Result::unwrap);
    items
        .map(|item| match item.metadata().unwrap() {
            data if data.is_dir() => disk(&item.path()),
            data => data.blocks() * 512,
        })
        .sum()
}

fn peak_rss_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

fn segments(directory: &Path, batches: u64) -> Figures {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Segments of 16 MiB, so that there is one to remove.
    let options = Options { keep_bytes: 0, limit: 256 << 20, ..Options::new(directory) };
    runtime.block_on(async {
        let log = EmbeddedLog::open(options).await.unwrap();
        log.advance("sink", 0).await.unwrap();
        let (written, p50, p99) = write(batches, |_, entries| {
            let append = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(log.append(entries))
            });
            assert_eq!(append.unwrap().written as u64, BATCH);
        });
        let start = Instant::now();
        let mut after = 0;
        loop {
            let some = log.read(after, 1000).await.unwrap();
            let Some((last, _)) = some.last() else { break };
            after = *last;
        }
        let read = start.elapsed();
        assert_eq!(after, batches * BATCH);
        let bytes = disk(directory);
        log.advance("sink", after / 2).await.unwrap();
        log.close().await;
        Figures { written, p50, p99, read, bytes, bytes_after: disk(directory) }
    })
}

/// A key-value store's value: what is not in the key, in a form that costs next to nothing.
fn value(entry: &Entry) -> Vec<u8> {
    [entry.uid.as_bytes(), b"\0", entry.node.as_bytes(), b"\0", &entry.json].concat()
}

fn with_fjall(directory: &Path, batches: u64) -> Figures {
    let separated = fjall::KvSeparationOptions::default();
    let options = || fjall::KeyspaceCreateOptions::default().with_kv_separation(Some(separated.clone()));
    let database = fjall::Database::builder(directory).open().unwrap();
    let entries = database.keyspace("entries", options).unwrap();
    let (written, p50, p99) = write(batches, |number, batch| {
        let mut transaction = database.batch();
        for (index, entry) in batch.iter().enumerate() {
            let position = number * BATCH + index as u64 + 1;
            transaction.insert(&entries, position.to_be_bytes(), value(entry));
        }
        transaction.commit().unwrap();
        database.persist(fjall::PersistMode::SyncData).unwrap();
    });
    let start = Instant::now();
    let mut count = 0;
    for guard in entries.iter() {
        let (_, value) = guard.into_inner().unwrap();
        count += u64::from(!value.is_empty());
    }
    let read = start.elapsed();
    assert_eq!(count, batches * BATCH);
    let bytes = disk(directory);
    for position in 1..=count / 2 {
        entries.remove(position.to_be_bytes()).unwrap();
    }
    entries.rotate_memtable_and_wait().unwrap();
    entries.major_compact().unwrap();
    Figures { written, p50, p99, read, bytes, bytes_after: disk(directory) }
}

fn with_redb(directory: &Path, batches: u64) -> Figures {
    const ENTRIES: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("entries");
    let mut database = redb::Database::create(directory.join("redb")).unwrap();
    let (written, p50, p99) = write(batches, |number, batch| {
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(ENTRIES).unwrap();
        for (index, entry) in batch.iter().enumerate() {
            table.insert(number * BATCH + index as u64 + 1, value(entry).as_slice()).unwrap();
        }
        drop(table);
        transaction.commit().unwrap();
    });
    let start = Instant::now();
    let transaction = database.begin_read().unwrap();
    let table = transaction.open_table(ENTRIES).unwrap();
    let mut count = 0;
    for item in table.range(0..).unwrap() {
        let (_, value) = item.unwrap();
        count += u64::from(!value.value().to_vec().is_empty());
    }
    let read = start.elapsed();
    drop((table, transaction));
    assert_eq!(count, batches * BATCH);
    let bytes = disk(directory);
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(ENTRIES).unwrap();
    table.retain_in(1..=count / 2, |_, _| false).unwrap();
    drop(table);
    transaction.commit().unwrap();
    while database.compact().unwrap() {}
    Figures { written, p50, p99, read, bytes, bytes_after: disk(directory) }
}
