//! The agent's books, as it serves them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// So many events may be under way when the agent counts as having caught up: the machine is never quite at rest.
const UNDER_WAY: u64 = 200;

/// What came up and what was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Events that passed the filter in the kernel, by kind.
    pub produced: BTreeMap<String, u64>,
    /// Records that reached the engine.
    pub delivered: u64,
    /// Events lost.
    pub dropped: u64,
}

impl Books {
    /// Reads them once the agent has caught up with what came up.
    ///
    /// # Errors
    /// When it does not answer, or does not catch up in time.
    pub fn at_rest(address: &str, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        loop {
            let books = Self::read(address).with_context(|| format!("ask {address} for metrics"))?;
            let produced: u64 = books.produced.values().sum();
            if produced.saturating_sub(books.delivered + books.dropped) <= UNDER_WAY {
                return Ok(books);
            }
            if Instant::now() > deadline {
                bail!("the agent has not caught up within {patience:?}: {books:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What was added since.
    pub fn since(&self, before: &Self) -> Self {
        let produced = self.produced.iter().map(|(kind, count)| {
            (kind.clone(), count.saturating_sub(before.produced.get(kind).copied().unwrap_or(0)))
        });
        Self {
            produced: produced.collect(),
            delivered: self.delivered.saturating_sub(before.delivered),
            dropped: self.dropped.saturating_sub(before.dropped),
        }
    }

    fn read(address: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Self::parse(&text))
    }

    /// Takes them out of the OpenMetrics text format.
    fn parse(text: &str) -> Self {
        let mut books = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            let kind =
                name.split_once("kind=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(kind, _)| kind);
            // A gap record is about records, and no event.
            let Some(kind) = kind.filter(|kind| *kind != "gap") else { continue };
            match name.split('{').next() {
                Some("vedette_events_produced_total") => {
                    *books.produced.entry(kind.to_owned()).or_insert(0) += value
                }
                Some("vedette_events_delivered_total") => books.delivered += value,
                Some("vedette_events_dropped_total") => books.dropped += value,
                _ => {}
            }
        }
        books
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_read_and_compared() {
        let text = |opens: u64, lost: u64| {
            format!(
                "HTTP/1.1 200 OK\r\n\r\n# HELP vedette_events_produced x\n\
                 vedette_events_produced_total{{kind=\"file_open\"}} {opens}\n\
                 vedette_events_produced_total{{kind=\"gap\"}} 7\n\
                 vedette_events_delivered_total{{kind=\"file_open\"}} 2\n\
                 vedette_events_dropped_total{{kind=\"file_open\",stage=\"ring\"}} {lost}\nvedette_rules 3\n"
            )
        };
        let (before, after) = (Books::parse(&text(5, 0)), Books::parse(&text(9, 1)));
        assert_eq!((before.produced["file_open"], before.delivered, before.dropped), (5, 2, 0));
        let since = after.since(&before);
        assert_eq!((since.produced["file_open"], since.produced.len(), since.dropped), (4, 1, 1));
    }
}
