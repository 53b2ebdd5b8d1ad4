//! The Kubernetes side: what the API server keeps for us, and what we tell it.

pub mod check;
pub mod crd;
