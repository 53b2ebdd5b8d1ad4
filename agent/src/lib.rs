//! The node agent.

pub mod btf;
pub mod identity;
pub mod names;
pub mod proc;
pub mod sensor;
