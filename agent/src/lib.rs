//! The node agent.
pub mod btf;
