//! The node agent.
pub mod btf;
pub mod sink;
