//! Real servers that tests send alerts to: rsyslog with TLS, NATS, Alertmanager.

use std::path::Path;

use anyhow::Result;

use super::Consent;
use super::unpack::{self, Tool};

const TOOLS: &[Tool] = &[
    Tool { program: "rsyslogd", package: "rsyslog", good: Path::is_file },
    Tool { program: "lmnsd_ossl.so", package: "rsyslog-openssl", good: Path::is_file },
    // What rsyslog needs that not every machine has.
    Tool { program: "libestr.so.0", package: "libestr0", good: Path::is_file },
    Tool { program: "libfastjson.so.4", package: "libfastjson4", good: Path::is_file },
    Tool { program: "nats-server", package: "nats-server", good: Path::is_file },
    Tool { program: "prometheus-alertmanager", package: "prometheus-alertmanager", good: Path::is_file },
];

/// Makes sure that the programs are there.
///
/// # Errors
/// When one is missing and cannot be had, with what to do about it.
pub fn ensure(cache: &Path, consent: Consent) -> Result<()> {
    unpack::ensure(cache, TOOLS, "tests send alerts to them", consent)
}
