//! Clients that mean harm: each gets an error, costs bounded memory, and a well-behaved agent beside them does not notice.
//!
//! The controller is a process of its own, so that its memory is its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod scene;
mod transport;
