//! A file, rotated by size and age, a line for each alert.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task;

use crate::sink::{Item, Report, Sink, config, rotate::RotatedFile};

/// When it is rotated, unless told otherwise.
const ROTATE_BYTES: u64 = 100 << 20;
/// How many rotated ones are kept, unless told otherwise.
const KEEP: u32 = 10;

pub(super) struct FileSink {
    file: Arc<Mutex<RotatedFile>>,
    name: String,
}

impl FileSink {
    pub(super) fn new(config: &config::FileSink) -> Self {
        let bytes = config.rotate_bytes.map_or(ROTATE_BYTES, |bytes| bytes.0);
        let after = config.rotate_after.map(|after| after.0);
        let file = RotatedFile::new(config.path.clone(), bytes, after, config.keep.unwrap_or(KEEP));
        Self { file: Arc::new(Mutex::new(file)), name: config.path.display().to_string() }
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let bodies: Vec<_> = batch.iter().map(|item| item.body.clone()).collect();
        let file = Arc::clone(&self.file);
        // A disk may take its time, and whoever waits may give up: each line is then there whole or not at all.
        let written = task::spawn_blocking(move || {
            let mut lines = Vec::with_capacity(bodies.iter().map(|body| body.len() + 1).sum());
            for body in bodies {
                lines.extend_from_slice(&body);
                lines.push(b'\n');
            }
            file.lock().unwrap_or_else(PoisonError::into_inner).append(&lines)
        });
        match written.await {
            Ok(Ok(())) => Report::delivered(batch.len()),
            Ok(Err(error)) => Report::retry(batch.len(), format!("{}: {error}", self.name)),
            Err(error) => Report::retry(batch.len(), format!("{}: {error}", self.name)),
        }
    }
}
