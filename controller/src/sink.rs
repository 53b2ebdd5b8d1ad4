//! Sinks: what brings alerts from the log to a far side.

pub mod config;
