//! What every alert log promises.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use vedette_controller::alert_log::{
    AlertLog, Appended, EmbeddedLog, Entry, LogError, MAX_JSON, MemoryLog, embedded::Options,
};

use crate::support::{entries, entry, large, numbers, read_all, soon};

/// Checks a log that is empty and takes about `limit` bytes.
pub async fn check(log: Arc<dyn AlertLog>, limit: usize) {
    empty(&*log).await;
    order_and_repetitions(&*log).await;
    nodes_apart(&*log).await;
    waiting(Arc::clone(&log)).await;
    cursors(&*log).await;
    too_large(&*log).await;
    fullness(&*log, limit).await;
}

async fn empty(log: &dyn AlertLog) {
    assert_eq!(log.range().await.unwrap(), (0, 0));
    assert_eq!(log.read(0, 10).await.unwrap(), []);
    assert_eq!(log.cursor("a").await.unwrap(), None);
    assert_eq!(log.append(Vec::new()).await.unwrap().written, 0);
}

async fn order_and_repetitions(log: &dyn AlertLog) {
    let first = log.append(entries(0..10)).await.unwrap();
    assert_eq!((first.written, first.repeated), (10, 0));
    // Sent again with something new, and something twice.
    let again = [entries(5..15), entries(14..15)].concat();
    let second = log.append(again).await.unwrap();
    assert_eq!((second.written, second.repeated), (5, 6));
    let third = log.append(entries(3..4)).await.unwrap();
    assert_eq!((third.written, third.repeated), (0, 1));
    let all = read_all(log, 0).await;
    assert_eq!(all.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>(), entries(0..15));
    assert!(all.is_sorted_by(|(a, _), (b, _)| a < b));
    assert_eq!(log.range().await.unwrap(), (all[0].0, all[14].0));
    assert_eq!(second.last, all[14].0);
    // From the middle, in pieces.
    let from = all[6].0;
    assert_eq!(log.read(from, 3).await.unwrap(), all[7..10]);
    assert_eq!(numbers(log, from).await, (7..15).collect::<Vec<_>>());
    assert_eq!(log.read(second.last, 10).await.unwrap(), []);
}

/// A node that knows the uid of another's alert cannot keep that alert out.
async fn nodes_apart(log: &dyn AlertLog) {
    let entry = entries(9000..9001).remove(0);
    let stranger = Entry { node: "another".into(), json: "{}".into(), ..entry.clone() };
    assert_eq!(log.append(vec![stranger]).await.unwrap().written, 1);
    assert_eq!(log.append(vec![entry.clone()]).await.unwrap().written, 1);
    assert_eq!(log.append(vec![entry]).await.unwrap().repeated, 1);
}

async fn waiting(log: Arc<dyn AlertLog>) {
    let (_, last) = log.range().await.unwrap();
    // What is there need not be waited for.
    soon(log.wait(last - 1)).await;
    let early = tokio::time::timeout(Duration::from_millis(50), log.wait(last)).await;
    assert!(early.is_err(), "there was nothing to wait for");
    let waiting = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            log.wait(last).await;
            numbers(&*log, last).await
        }
    });
    log.append(vec![entry(15)]).await.unwrap();
    assert_eq!(soon(waiting).await.unwrap(), [15]);
}

async fn cursors(log: &dyn AlertLog) {
    log.advance("a", 3).await.unwrap();
    log.advance("b", 5).await.unwrap();
    log.advance("a", 7).await.unwrap();
    // It does not go back.
    log.advance("a", 2).await.unwrap();
    assert_eq!(log.cursor("a").await.unwrap(), Some(7));
    assert_eq!(log.cursor("b").await.unwrap(), Some(5));
    assert_eq!(log.sinks().await.unwrap(), ["a", "b"]);
    log.forget("a").await.unwrap();
    log.forget("nobody").await.unwrap();
    assert_eq!(log.cursor("a").await.unwrap(), None);
}

async fn too_large(log: &dyn AlertLog) {
    let json = Bytes::from(vec![b' '; MAX_JSON + 1]);
    let answer = log.append(vec![entry(100), Entry { json, ..entry(101) }]).await;
    assert!(matches!(answer, Err(LogError::TooLarge { .. })), "{answer:?}");
}

async fn fullness(log: &dyn AlertLog, limit: usize) {
    let start = log.range().await.unwrap().1;
    log.advance("b", start).await.unwrap();
    let size = limit / 40;
    let mut number = 1000;
    let full = loop {
        match log.append(vec![large(number, size)]).await {
            Ok(Appended { written, .. }) => assert_eq!(written, 1),
            Err(error) => break error,
        }
        number += 1;
        assert!(number < 1100, "it never gets full");
    };
    assert!(matches!(full, LogError::Full { .. }), "{full:?}");
    assert!(number > 1020, "{number}");
    // Nothing that the sink lacks was given up for it.
    assert_eq!(numbers(log, start).await, (1000..number).collect::<Vec<_>>());
    // The one that was refused is not there, and is taken when there is room.
    log.advance("b", log.range().await.unwrap().1).await.unwrap();
    let answer = soon(async {
        loop {
            match log.append(vec![large(number, size)]).await {
                Ok(answer) => break answer,
                Err(LogError::Full { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert_eq!(answer.await.written, 1);
    let (first, last) = log.range().await.unwrap();
    assert!(first > 1 && last > first, "{first} {last}");
}

#[tokio::test]
async fn the_log_in_memory() {
    check(Arc::new(MemoryLog::new(400_000)), 400_000).await;
}

#[tokio::test]
async fn the_embedded_log() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { limit: 400_000, ..Options::new(directory.path()) };
    check(Arc::new(EmbeddedLog::open(options).await.unwrap()), 400_000).await;
}
