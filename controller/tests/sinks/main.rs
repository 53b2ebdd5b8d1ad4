//! Sinks against far sides: servers of this test that answer as the protocols say, and real ones where there are any.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alertmanager;
mod elasticsearch;
mod http_server;
#[cfg(feature = "kafka")]
mod kafka;
mod nats;
mod otlp;
mod rig;
mod rsyslog;
mod splunk_hec;
mod syslog;
mod tls;
mod wait;
mod webhook;

#[path = "../support/far_side.rs"]
mod far_side;
