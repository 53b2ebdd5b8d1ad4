//! Where a controller is.

use std::{fmt, path::PathBuf, str::FromStr};

use http::Uri;
use serde::Deserialize;

/// The port of controllers, unless told otherwise.
pub const CONTROLLER_PORT: u16 = 9465;

/// The path of `unix:PATH` or `unix://PATH`; nothing for another text.
///
/// # Errors
/// There is no path.
pub fn unix_path(text: &str) -> Result<Option<PathBuf>, String> {
    let Some(path) = text.strip_prefix("unix:") else { return Ok(None) };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() { Err("unix: needs a path".into()) } else { Ok(Some(path.into())) }
}

/// Where a controller is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ControllerUrl {
    /// `https://HOST:PORT`.
    Tls {
        /// A name or address, as the certificate has it.
        host: String,
        /// The port.
        port: u16,
    },
    /// `http://HOST:PORT`: in the clear, on this host only.
    Plain {
        /// A loopback address.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:PATH`: in the clear.
    Unix(PathBuf),
}

impl ControllerUrl {
    /// The name or address; of a socket its path.
    pub fn host(&self) -> String {
        match self {
            Self::Tls { host, .. } | Self::Plain { host, .. } => host.clone(),
            Self::Unix(path) => path.display().to_string(),
        }
    }

    /// Whether it is on this host.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tls { host, .. } => is_loopback(host),
            Self::Plain { .. } | Self::Unix(_) => true,
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl FromStr for ControllerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = unix_path(text)? {
            return Ok(Self::Unix(path));
        }
        let form = "write https://HOST:PORT, http://127.0.0.1:PORT or unix:PATH";
        let uri: Uri = text.parse().map_err(|_| format!("`{text}` is no URL: {form}"))?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| format!("`{text}` names no host: {form}"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(CONTROLLER_PORT);
        match uri.scheme_str() {
            Some("https") => Ok(Self::Tls { host, port }),
            Some("http") if is_loopback(&host) => Ok(Self::Plain { host, port }),
            Some("http") => {
                Err(format!("`{text}` is in the clear, which is for this host only: write https://"))
            }
            _ => Err(format!("`{text}` is no URL of a controller: {form}")),
        }
    }
}

impl fmt::Display for ControllerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tls { host, port } => ("https", host, port),
            Self::Plain { host, port } => ("http", host, port),
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

impl TryFrom<String> for ControllerUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_clear_only_on_this_host() {
        let tls = |host: &str, port| Ok(ControllerUrl::Tls { host: host.into(), port });
        assert_eq!("https://controller.vedette.svc:9465".parse(), tls("controller.vedette.svc", 9465));
        assert_eq!("https://[::1]:1".parse(), tls("::1", 1));
        assert_eq!("https://c".parse(), tls("c", CONTROLLER_PORT));
        let plain = ControllerUrl::Plain { host: "127.0.0.1".into(), port: 5 };
        assert_eq!("http://127.0.0.1:5".parse(), Ok(plain));
        assert_eq!("unix:///run/c".parse(), Ok(ControllerUrl::Unix("/run/c".into())));
        for bad in ["http://10.0.0.1:5", "http://example.com", "unix:", "ftp://x", "x", ""] {
            assert!(bad.parse::<ControllerUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for text in ["https://c.example.org:1", "https://[fd00::7]:9465", "http://127.0.0.1:5", "unix:/run/c"]
        {
            assert_eq!(text.parse::<ControllerUrl>().unwrap().to_string(), text);
        }
    }
}
