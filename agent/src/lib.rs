//! The node agent.

pub mod btf;
pub mod sensor;
