//! How much is logged.

use std::{fmt, str::FromStr};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How much is logged: a level for everything, and others for parts (`info,hyper=debug`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LogLevel(String);

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl LogLevel {
    /// The filter for the logger.
    pub fn filter(&self) -> EnvFilter {
        // It was looked through when it was read.
        EnvFilter::try_new(&self.0).unwrap_or_else(|_| EnvFilter::new("info"))
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let remedy = "write error, warn, info, debug or trace; for one part another, as in info,hyper=debug";
        for part in text.split(',').map(str::trim) {
            // The library takes a single word for the name of a part, and would log nothing else.
            let level = part.split_once('=').map_or(part, |(_, level)| level);
            let known = ["error", "warn", "info", "debug", "trace", "off"];
            if !known.iter().any(|known| level.eq_ignore_ascii_case(known)) {
                return Err(format!("`{part}` is no level of the log: {remedy}"));
            }
        }
        EnvFilter::try_new(text).map_err(|error| format!("`{text}`: {error}: {remedy}"))?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for LogLevel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_the_log_is_one() {
        for good in ["info", "WARN", "info,hyper=debug", "vedette_agent=trace,warn"] {
            good.parse::<LogLevel>().unwrap();
        }
        for bad in ["nonsense", "", "info,nonsense", "hyper=loud", "=", "inf"] {
            assert!(bad.parse::<LogLevel>().unwrap_err().contains("error, warn, info"), "{bad}");
        }
    }
}
