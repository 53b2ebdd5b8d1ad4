//! What people have in hand, `vedette`, against the controller: both as programs, as people run them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod in_the_way;
mod rig;
mod settings;
mod signing;
mod status;
mod wait;

#[path = "../support/far_side.rs"]
mod far_side;
