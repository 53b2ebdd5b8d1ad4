//! A log, and the sink that is tested.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;
use vedette_controller::{
    alert_log::{AlertLog, Entry, MemoryLog},
    sink::{config, dead_letters, secrets::LocalSecrets, set::Sinks, status::SinkStatus},
};

use crate::wait::until;

const ALERT: &str = include_str!("../data/alert.json");

/// A log and a sink that is called `x`.
pub struct Rig {
    pub log: Arc<MemoryLog>,
    pub sinks: Sinks,
    pub directory: tempfile::TempDir,
}

/// The uid of an alert.
pub fn uid(number: u64) -> String {
    Uuid::from_u128(0xa1e7_0000 + u128::from(number)).to_string()
}

/// An alert, as agents send them; `number` is also the id of its process.
pub fn alert(number: u64) -> Entry {
    let mut json: Value = serde_json::from_str(ALERT).unwrap();
    json["uid"] = uid(number).into();
    json["process"]["pid"] = number.into();
    Entry {
        uid: uid(number),
        node: "n7".into(),
        sequence: number,
        time: json["time"].as_str().unwrap().parse::<Timestamp>().unwrap(),
        json: Bytes::from(json.to_string()),
    }
}

impl Rig {
    /// A sink with these settings.
    pub async fn start(settings: &str) -> Self {
        let log = Arc::new(MemoryLog::default());
        let directory = tempfile::tempdir().unwrap();
        let sinks = Sinks::new(Arc::clone(&log) as _, directory.path(), Arc::new(LocalSecrets));
        let rig = Self { log, sinks, directory };
        let quick = "batch: {delay: 20ms}\nretry: {initial: 20ms, max: 2s}\n";
        let text =
            if settings.contains("batch:") { settings.to_owned() } else { format!("{quick}{settings}") };
        let sink = config::parse("x.yaml", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
        rig.sinks.apply(vec![sink]).await.unwrap();
        rig
    }

    /// Alerts of these numbers come.
    pub async fn append(&self, numbers: std::ops::Range<u64>) {
        self.log.append(numbers.map(alert).collect()).await.unwrap();
    }

    pub async fn status(&self) -> SinkStatus {
        self.sinks.statuses().await.remove(0)
    }

    /// Waits until the sink is as it should be.
    pub async fn until(&self, what: &str, holds: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        until(what, async || Some(self.status().await).filter(|status| holds(status))).await
    }

    /// Waits until the sink has so many alerts behind it.
    pub async fn settled(&self, count: u64) -> SinkStatus {
        let last = until("the alerts are settled", async || {
            let status = self.status().await;
            let done = status.delivered + status.refused >= count && status.lag == 0;
            if !done && let Some((_, error)) = &status.last_error {
                println!("{error}");
            }
            done.then_some(status)
        });
        last.await
    }

    /// The reason why the sink does not deliver.
    pub async fn trouble(&self) -> String {
        self.until("something goes wrong", |status| status.last_error.is_some()).await.last_error.unwrap().1
    }

    /// What was parked.
    pub fn letters(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(dead_letters::path(self.directory.path(), "x")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
