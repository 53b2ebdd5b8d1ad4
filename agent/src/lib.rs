//! The node agent: sensor, process table, policies, alerts.

pub mod btf;
pub mod clock;
pub mod pump;
pub mod sensor;
pub mod stats;
