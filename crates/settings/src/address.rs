//! Addresses to listen on.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::Deserialize;

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
}
