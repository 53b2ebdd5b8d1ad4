//! What is done through io_uring is reported as what it does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    unsafe_code,
    reason = "a request's pointers must live until its end, which only the test can promise"
)]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

#[path = "io_uring/files.rs"]
mod files;
#[path = "io_uring/requests.rs"]
mod requests;
#[path = "raw/ring.rs"]
mod ring;
#[path = "io_uring/rules.rs"]
mod rules;
#[path = "io_uring/sockets.rs"]
mod sockets;
#[path = "support/wait.rs"]
mod wait;
