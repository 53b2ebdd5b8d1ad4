//! Standard output, a line for each alert.

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use crate::sink::{Item, Report, Sink};

pub(super) struct StdoutSink;

#[async_trait]
impl Sink for StdoutSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let mut lines = Vec::with_capacity(batch.iter().map(|item| item.body.len() + 1).sum());
        for item in batch {
            lines.extend_from_slice(&item.body);
            lines.push(b'\n');
        }
        let mut out = tokio::io::stdout();
        let written = match out.write_all(&lines).await {
            Ok(()) => out.flush().await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => Report::delivered(batch.len()),
            Err(error) => Report::retry(batch.len(), format!("standard output: {error}")),
        }
    }
}
