//! The node agent: sensor, process table, policies, alerts.

pub mod btf;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod events;
pub mod hosts;
pub mod identity;
pub mod metrics;
pub mod names;
pub mod policies;
pub mod proc;
pub mod pump;
pub mod run;
pub mod sensor;
pub mod sink;
pub mod spool;
pub mod stats;
pub mod tap;
pub mod targets;
pub mod uplink;
