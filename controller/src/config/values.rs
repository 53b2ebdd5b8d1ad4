//! Values of settings that are more than text: each says what is wrong with it, on the command line and in the file.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// An address with a port. An IPv6 address may stand without brackets, as in `$(POD_IP):9464` of a manifest: the port is
/// what is behind the last colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let bare = text
            .rsplit_once(':')
            .and_then(|(ip, port)| Some((ip.parse::<IpAddr>().ok()?, port.parse().ok()?)));
        bare.map(|(ip, port)| Self(SocketAddr::new(ip, port))).ok_or_else(|| {
            format!("`{text}` is no address with a port: write 127.0.0.1:PORT, 0.0.0.0:PORT or [::1]:PORT")
        })
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

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
    fn addresses_of_both_families_as_manifests_write_them() {
        let of = |text: &str| text.parse::<Address>().map(|address| address.0.to_string());
        assert_eq!(of("10.0.0.7:9464").unwrap(), "10.0.0.7:9464");
        assert_eq!(of("[fd00::7]:9464").unwrap(), "[fd00::7]:9464");
        assert_eq!(of("fd00::7:9464").unwrap(), "[fd00::7]:9464");
        assert_eq!(of("2001:db8:1:2:3:4:5:6:9464").unwrap(), "[2001:db8:1:2:3:4:5:6]:9464");
        for bad in ["", "9464", ":9464", "10.0.0.7", "fd00::7:99999", "localhost:9464"] {
            assert!(of(bad).unwrap_err().contains("[::1]:PORT"), "{bad}");
        }
    }

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
