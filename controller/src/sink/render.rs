//! Alerts in the format of a sink.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::de::IgnoredAny;
use vedette_event::alert::{self, Alert};

use super::config::Format;
use crate::alert_log::{Entry, Position};

/// An alert on its way.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its place in the log.
    pub position: Position,
    /// The alert as the log has it.
    pub entry: Entry,
    /// The alert read, once somebody has asked for it.
    alert: OnceLock<Option<Box<Alert>>>,
    /// The alert in the format of the sink: one line, without a line feed.
    pub body: Bytes,
}

impl Item {
    /// Puts an entry of the log into a format. If it cannot be had in that format, its body is empty, and the reason is
    /// there.
    pub(super) fn new(position: Position, entry: Entry, format: Format) -> (Self, Option<String>) {
        let mut alert = OnceLock::new();
        let body = match format {
            // The agent's own words: they may say more than this version knows, and reading them takes its time.
            Format::Vedette if is_json(&entry.json) => Ok(one_line(&entry.json)),
            _ => match serde_json::from_slice::<Box<Alert>>(&entry.json) {
                Ok(read) => {
                    let body = render(&entry, &read, format);
                    alert = OnceLock::from(Some(read));
                    body
                }
                Err(error) => Err(format!("the alert cannot be read: {error}")),
            },
        };
        let (body, error) = match body {
            Ok(body) => (body, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        (Self { position, entry, alert, body }, error)
    }

    /// The alert, as far as this version can read it; agents may be newer.
    pub fn alert(&self) -> Option<&Alert> {
        self.alert.get_or_init(|| serde_json::from_slice(&self.entry.json).ok()).as_deref()
    }

    /// Its priority; without one, that of a notice.
    pub fn priority(&self) -> alert::Priority {
        self.alert().map_or(alert::Priority::Notice, |alert| alert.priority)
    }

    /// The host that it is about; the node's name, if nothing else is known.
    pub fn hostname(&self) -> &str {
        self.alert().map_or(&self.entry.node, |alert| &alert.hostname)
    }
}

fn render(entry: &Entry, alert: &Alert, format: Format) -> Result<Bytes, String> {
    let format = match format {
        // The agent's own words: they may say more than this version knows.
        Format::Vedette => return Ok(one_line(&entry.json)),
        Format::Falco => alert::Format::Falco,
        Format::Ocsf => alert::Format::Ocsf,
        Format::Ecs => alert::Format::Ecs,
        Format::Text => alert::Format::Text { color: false },
    };
    let mut line = Vec::with_capacity(entry.json.len() * 2);
    format.write_line(alert, &mut line).map_err(|error| format!("the alert cannot be written: {error}"))?;
    // Its line feed.
    line.pop();
    Ok(line.into())
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// In JSON, a line feed can only be white space between two parts.
fn one_line(json: &Bytes) -> Bytes {
    let is_feed = |byte: u8| byte == b'\n' || byte == b'\r';
    if json.iter().any(|byte| is_feed(*byte)) {
        json.iter().map(|byte| if is_feed(*byte) { b' ' } else { *byte }).collect()
    } else {
        json.clone()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const ALERT: &str = include_str!("../../tests/data/alert.json");

    fn entry(json: &str) -> Entry {
        Entry {
            uid: "u".to_owned(),
            node: "n7".into(),
            sequence: 1,
            time: Timestamp::UNIX_EPOCH,
            json: Bytes::from(json.to_owned()),
        }
    }

    #[test]
    fn every_format_is_one_line() {
        for format in [Format::Vedette, Format::Falco, Format::Ocsf, Format::Ecs, Format::Text] {
            let (item, error) = Item::new(1, entry(ALERT), format);
            assert_eq!(error, None);
            assert!(!item.body.contains(&b'\n') && item.body.len() > 50, "{format:?}");
            if format != Format::Text {
                assert!(is_json(&item.body), "{format:?}");
            }
            assert_eq!((item.hostname(), item.priority()), ("n7.example.org", alert::Priority::Critical));
        }
    }

    #[test]
    fn what_a_newer_agent_says_is_passed_on_in_our_own_format_only() {
        let json = "{\"rule\":\"R\",\n\"priority\":\"Dire\"}";
        let (item, error) = Item::new(1, entry(json), Format::Vedette);
        assert_eq!(error, None);
        assert_eq!(&item.body[..], b"{\"rule\":\"R\", \"priority\":\"Dire\"}");
        assert_eq!((item.hostname(), item.priority()), ("n7", alert::Priority::Notice));
        let (item, reason) = Item::new(1, entry(json), Format::Ocsf);
        let reason = reason.unwrap();
        assert!(reason.contains("cannot be read") && item.body.is_empty(), "{reason}");
        assert!(Item::new(1, entry("no JSON"), Format::Vedette).1.is_some());
    }
}
