//! Alerts to put into logs.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;
use vedette_controller::alert_log::{AlertLog, Entry, Position};

/// Alert number `number`, always the same.
pub fn entry(number: u64) -> Entry {
    Entry {
        uid: Uuid::from_u128(u128::from(number) + 1).to_string(),
        node: format!("n{}", number % 3).into(),
        sequence: number,
        time: Timestamp::from_nanosecond(1_795_496_400_000_000_000 + i128::from(number)).unwrap(),
        json: Bytes::from(format!("{{\"rule\":\"Rule {number}\",\"number\":{number}}}")),
    }
}

/// Alerts of these numbers.
pub fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(entry).collect()
}

/// An alert that is not easily compressed, of so many bytes.
pub fn large(number: u64, size: usize) -> Entry {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    Entry { json: noise.take(size).collect::<Vec<u8>>().into(), ..entry(number) }
}

/// Everything after a position.
pub async fn read_all(log: &dyn AlertLog, mut after: Position) -> Vec<(Position, Entry)> {
    let mut all = Vec::new();
    loop {
        let mut some = log.read(after, 1000).await.unwrap();
        let Some((last, _)) = some.last() else { return all };
        after = *last;
        all.append(&mut some);
    }
}

/// The numbers of all alerts after a position.
pub async fn numbers(log: &dyn AlertLog, after: Position) -> Vec<u64> {
    read_all(log, after).await.into_iter().map(|(_, entry)| entry.sequence).collect()
}

/// Waits for something that must come.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap()
}
