//! The embedded log: what is on disk.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use vedette_controller::alert_log::{AlertLog, EmbeddedLog, LogError, embedded::Options};

use crate::support::{entries, entry, large, numbers, read_all, soon};

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(directory.join("segments")).unwrap().map(|item| item.unwrap().path()).collect();
    all.sort();
    all
}

async fn open(directory: &Path) -> EmbeddedLog {
    EmbeddedLog::open(Options::new(directory)).await.unwrap()
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    log.append(entries(0..100)).await.unwrap();
    log.advance("a", 42).await.unwrap();
    log.close().await;
    assert!(matches!(log.append(entries(0..1)).await, Err(LogError::Store(_))));

    let log = open(directory.path()).await;
    let answer = log.append(entries(90..110)).await.unwrap();
    assert_eq!((answer.written, answer.repeated, answer.last), (10, 10, 110));
    assert_eq!(numbers(&log, 0).await, (0..110).collect::<Vec<_>>());
    assert_eq!(log.cursor("a").await.unwrap(), Some(42));
    assert_eq!(log.usage().await.unwrap().damaged, 0);
}

#[tokio::test]
async fn nobody_else_may_look_into_it() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("alerts");
    let log = open(&directory).await;
    for made in [directory.clone(), directory.join("segments")] {
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700, "{made:?}");
    }
    log.close().await;
}

#[tokio::test]
async fn one_directory_has_one_user() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    let error = EmbeddedLog::open(Options::new(directory.path())).await.err().unwrap();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    log.close().await;
    open(directory.path()).await;
}

#[tokio::test]
async fn many_callers_at_once_share_writes_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = Arc::new(open(directory.path()).await);
    let callers: Vec<_> = (0..50)
        .map(|caller| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for batch in 0..10 {
                    let first = caller * 1000 + batch * 10;
                    assert_eq!(log.append(entries(first..first + 10)).await.unwrap().written, 10);
                }
            })
        })
        .collect();
    for caller in callers {
        soon(caller).await.unwrap();
    }
    let all = numbers(&*log, 0).await;
    assert_eq!(all.len(), 5000);
    for caller in 0..50 {
        let own: Vec<u64> = all.iter().copied().filter(|number| number / 1000 == caller).collect();
        assert_eq!(own, (caller * 1000..caller * 1000 + 100).collect::<Vec<_>>());
    }
}

/// Whatever is left of the last write: what was there before it stays, and the log goes on behind it.
#[tokio::test]
async fn a_write_that_did_not_end_is_cut_off() {
    let made = tempfile::tempdir().unwrap();
    let log = open(made.path()).await;
    log.append(entries(0..3)).await.unwrap();
    let whole = fs::metadata(&segments(made.path())[0]).unwrap().len();
    log.append(entries(3..5)).await.unwrap();
    log.close().await;
    let bytes = fs::read(&segments(made.path())[0]).unwrap();
    for len in whole as usize..bytes.len() {
        for zeros in [0, 100] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("segments").join(segments(made.path())[0].file_name().unwrap());
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(&path, [&bytes[..len], &vec![0; zeros]].concat()).unwrap();
            let log = open(directory.path()).await;
            assert_eq!(numbers(&log, 0).await, [0, 1, 2], "{len}");
            assert_eq!(log.usage().await.unwrap().damaged, 0);
            assert_eq!(log.append(entries(3..6)).await.unwrap().written, 3);
            assert_eq!(numbers(&log, 0).await, [0, 1, 2, 3, 4, 5], "{len}");
        }
    }
}

#[tokio::test]
async fn damage_is_counted_and_the_rest_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    for batch in 0..10 {
        log.append(entries(batch * 10..batch * 10 + 10)).await.unwrap();
    }
    log.close().await;
    let path = &segments(directory.path())[0];
    let bytes = fs::read(path).unwrap();
    let block = bytes.len() / 10;
    let intact: Vec<u64> = (0..50).chain(60..100).collect();
    // In the body of the sixth block, in its keys, and in its length.
    for at in [block * 5 + block - 20, block * 5 + 60, block * 5 + 24] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x55;
        fs::write(path, bad).unwrap();
        let log = open(directory.path()).await;
        assert_eq!(numbers(&log, 0).await, intact, "{at}");
        assert_eq!(log.usage().await.unwrap().damaged, 10, "{at}");
        log.close().await;
    }
    fs::write(path, &bytes).unwrap();
    let log = open(directory.path()).await;
    assert_eq!(numbers(&log, 0).await.len(), 100);
}

#[tokio::test]
async fn damage_that_only_a_reader_sees_is_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    // Small segments: the damaged one is not the last, whose bodies are looked at when it is opened.
    let options = || Options { limit: 16 * 4096, ..Options::new(directory.path()) };
    let log = EmbeddedLog::open(options()).await.unwrap();
    for number in 0..20 {
        log.append(vec![large(number, 1000)]).await.unwrap();
    }
    log.close().await;
    let paths = segments(directory.path());
    assert!(paths.len() > 3);
    let mut bytes = fs::read(&paths[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&paths[1], bytes).unwrap();
    // A whole segment of nothing readable.
    let lost = fs::read(&paths[2]).unwrap().len();
    fs::write(&paths[2], vec![7; lost]).unwrap();
    let log = EmbeddedLog::open(options()).await.unwrap();
    let first = numbers(&log, 0).await;
    assert_eq!(first, numbers(&log, 0).await);
    assert_eq!(log.usage().await.unwrap().damaged, 20 - first.len() as u64);
    assert!(first.contains(&0) && first.contains(&19) && first.len() < 19, "{first:?}");
}

#[tokio::test]
async fn damaged_cursors_start_every_sink_at_the_oldest_alert() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    log.append(entries(0..5)).await.unwrap();
    log.advance("a", 4).await.unwrap();
    log.close().await;
    fs::write(directory.path().join("cursors.json"), "{\"version\":1,\"cur").unwrap();
    let log = open(directory.path()).await;
    assert_eq!(log.cursor("a").await.unwrap(), Some(0));
}

/// Files of alerts that are gone: the numbers that sinks have passed are not given anew.
#[tokio::test]
async fn a_position_is_never_given_twice() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    let last = log.append(entries(0..5)).await.unwrap().last;
    log.advance("a", last).await.unwrap();
    log.close().await;
    for path in segments(directory.path()) {
        fs::remove_file(path).unwrap();
    }
    let log = open(directory.path()).await;
    assert_eq!(log.range().await.unwrap(), (0, 0));
    assert_eq!(log.append(vec![entry(7)]).await.unwrap().last, last + 1);
    assert_eq!(numbers(&log, last).await, [7]);
}

#[tokio::test]
async fn what_every_sink_has_goes_when_there_is_enough_for_queries() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        limit: 64 * 4096,
        keep_bytes: 20_000,
        keep_age: Duration::from_hours(1),
        ..Options::new(directory.path())
    };
    let log = EmbeddedLog::open(options).await.unwrap();
    for number in 0..100 {
        log.append(vec![large(number, 1000)]).await.unwrap();
    }
    log.advance("slow", 20).await.unwrap();
    log.advance("quick", 100).await.unwrap();
    soon(async {
        while log.usage().await.unwrap().first == 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(log.usage().await.unwrap().first <= 21, "the slow sink still needs it");
    log.forget("slow").await.unwrap();
    soon(async {
        while log.usage().await.unwrap().bytes > 20_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(log.usage().await.unwrap().bytes > 4096);
    let kept = read_all(&log, 0).await;
    assert_eq!(kept.last().unwrap().0, 100);
    assert_eq!(kept.len() as u64, 101 - kept[0].0);
}

#[tokio::test]
async fn old_repetitions_are_forgotten_and_memory_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options { remembered: 10, ..Options::new(directory.path()) };
    let log = EmbeddedLog::open(options()).await.unwrap();
    log.append(entries(0..20)).await.unwrap();
    assert_eq!(log.append(entries(10..20)).await.unwrap().written, 0);
    assert_eq!(log.append(entries(0..10)).await.unwrap().written, 10);
    log.close().await;
    let log = EmbeddedLog::open(options()).await.unwrap();
    assert_eq!(log.append(entries(0..10)).await.unwrap().written, 0);
    assert_eq!(log.append(entries(10..11)).await.unwrap().written, 1);
}

/// What is written last of a segment is spoilt, and there is nothing behind it: nobody waits for it without end, and
/// nobody is told that there is more when there is not.
#[tokio::test]
async fn damage_at_the_very_end_is_no_reason_to_ask_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    log.append(entries(0..10)).await.unwrap();
    let good = fs::metadata(&segments(directory.path())[0]).unwrap().len();
    log.append(entries(10..20)).await.unwrap();
    log.advance("a", 20).await.unwrap();
    log.close().await;
    // A segment without an entry behind it, as a write that failed leaves it.
    let path = &segments(directory.path())[0];
    fs::write(path.with_file_name(format!("{:020}.log", 21)), "").unwrap();
    let mut bytes = fs::read(path).unwrap();
    let last = bytes.len() - 5;
    assert!(last as u64 > good);
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();

    let log = open(directory.path()).await;
    assert_eq!(numbers(&log, 0).await, (0..10).collect::<Vec<_>>());
    let usage = log.usage().await.unwrap();
    assert_eq!((usage.first, usage.last, usage.damaged), (1, 10, 10));
    assert!(log.wait(10).now_or_never().is_none(), "there is nothing after it");
    assert_eq!(log.append(entries(20..22)).await.unwrap().last, 22);
    soon(log.wait(10)).await;
    assert_eq!(numbers(&log, 10).await, [20, 21]);
    assert_eq!(log.usage().await.unwrap().damaged, 10);
}
