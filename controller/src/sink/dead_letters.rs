//! Alerts that a far side refuses for good: a file of JSON lines for each sink, with the reason.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task;

use super::{Item, config, rotate::RotatedFile};

/// The dead letters of a sink.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    file: Arc<Mutex<RotatedFile>>,
    sink: String,
}

/// A line of the file.
#[derive(Serialize)]
struct Letter<'a> {
    /// When it was refused.
    time: Timestamp,
    sink: &'a str,
    /// Why.
    reason: &'a str,
    uid: &'a str,
    node: &'a str,
    position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a RawValue>,
    /// What is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl DeadLetters {
    /// Those of a sink, in a directory for all of them.
    pub fn new(directory: &Path, sink: &str, limits: config::DeadLetters) -> Self {
        let file =
            RotatedFile::new(path(directory, sink), limits.bytes.0, None, limits.files.saturating_sub(1));
        Self { file: Arc::new(Mutex::new(file)), sink: sink.to_owned() }
    }

    /// Writes alerts down, each with its reason; they are durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn park(&self, refused: &[(Item, String)]) -> io::Result<()> {
        let mut lines = Vec::new();
        let time = Timestamp::now();
        for (item, reason) in refused {
            let entry = &item.entry;
            let alert: Option<&RawValue> =
                serde_json::from_slice(&entry.json).ok().filter(|_| !entry.json.contains(&b'\n'));
            let text = alert.is_none().then(|| String::from_utf8_lossy(&entry.json).into_owned());
            let letter = Letter {
                time,
                sink: &self.sink,
                reason,
                uid: &entry.uid,
                node: &entry.node,
                position: item.position,
                alert,
                text,
            };
            serde_json::to_writer(&mut lines, &letter)?;
            lines.push(b'\n');
        }
        let file = Arc::clone(&self.file);
        let written =
            task::spawn_blocking(move || file.lock().unwrap_or_else(PoisonError::into_inner).append(&lines));
        written.await.map_err(io::Error::other)?
    }
}

/// The file of a sink.
pub fn path(directory: &Path, sink: &str) -> PathBuf {
    directory.join(format!("{sink}.jsonl"))
}
