//! The formats that alerts leave in.

use std::{fmt, io, str::FromStr};

use serde::Serialize;
use serde_json::ser::Formatter;

use super::{Alert, ecs, falco, ocsf, text};

/// A format of alerts, one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people.
    Text {
        /// Whether to colour it.
        color: bool,
    },
    /// Vedette's JSON, a superset of Falco's.
    Json,
    /// Open Cybersecurity Schema Framework, Detection Finding.
    Ocsf,
    /// Elastic Common Schema.
    Ecs,
    /// Falco's JSON and no more.
    Falco,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text { color: false }),
            "json" => Ok(Self::Json),
            "ocsf" => Ok(Self::Ocsf),
            "ecs" => Ok(Self::Ecs),
            "falco" => Ok(Self::Falco),
            other => Err(format!("`{other}` is no format; there are text, json, ocsf, ecs and falco")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "text",
            Self::Json => "json",
            Self::Ocsf => "ocsf",
            Self::Ecs => "ecs",
            Self::Falco => "falco",
        })
    }
}

impl Format {
    /// Appends an alert as one line, line feed included.
    ///
    /// # Errors
    /// Writing to memory does not fail; an error would be a value that JSON cannot hold. Then nothing has been
    /// appended.
    pub fn write_line(self, alert: &Alert, out: &mut Vec<u8>) -> io::Result<()> {
        let before = out.len();
        let written = match self {
            Self::Text { color } => {
                let mut line = String::with_capacity(512);
                let written = text::write(alert, color, &mut line);
                out.extend_from_slice(line.as_bytes());
                written.map_err(io::Error::other)
            }
            Self::Json => write_json(alert, out),
            Self::Ocsf => write_json(&ocsf::DetectionFinding::from(alert), out),
            Self::Ecs => write_json(&ecs::EcsAlert::from(alert), out),
            Self::Falco => write_json(&falco::FalcoAlert::from(alert), out),
        };
        match written {
            Ok(()) => out.push(b'\n'),
            Err(_) => out.truncate(before),
        }
        written
    }
}

/// Appends a value as JSON on one line, without a line feed, and without anything that a terminal could obey.
///
/// # Errors
/// As [`Format::write_line`].
pub fn write_json(value: &impl Serialize, out: &mut Vec<u8>) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Harmless);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// JSON in which what could harm a terminal is escaped too. The standard asks it of characters below U+0020
/// only; the others mean the same escaped.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| text::is_unsafe(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}
