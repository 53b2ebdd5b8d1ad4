//! The node agent: sensor, process table, policies, alerts.

pub mod btf;
pub mod cli;
pub mod clock;
pub mod config;
pub mod metrics;
pub mod pump;
pub mod sensor;
pub mod stats;
