//! The controller: policies go out to the agents, alerts come in and go on to the sinks.
//!
//! Everything is behind a border that a test can stand in for: [`policies::PolicySource`] says what a node needs
//! (from files, or from the Kubernetes API), [`alert_log::AlertLog`] keeps alerts until every sink has them.

pub mod alert_log;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod kube;
pub mod policies;
pub mod run;
pub mod secrets;
pub mod signing;
pub mod sink;
pub mod tasks;
pub mod tls;
