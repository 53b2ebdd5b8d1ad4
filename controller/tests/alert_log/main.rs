//! The alert logs: all of them keep the same promises, and the embedded one keeps them when it is killed, when its disk
//! is full and when its files are damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance;
mod crash;
mod damage;
mod embedded;
mod jetstream;
mod support;
mod wait;

#[path = "../support/far_side.rs"]
mod far_side;
