//! Names of hosts in rules, such as `fd.sip.name = example.com`.
//!
//! A name is resolved when rules are loaded, and again in the background by whoever runs the evaluator; an event only
//! asks whether its address is one of those found.

use std::net::IpAddr;

/// Knows the addresses of host names.
pub trait Resolver: Send + Sync + std::fmt::Debug {
    /// Whether `address` is one of the addresses of `host`. Must answer from memory.
    fn is_host(&self, host: &str, address: IpAddr) -> bool;
}

/// Knows no host: no rule with a host name matches by address.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn is_host(&self, _host: &str, _address: IpAddr) -> bool {
        false
    }
}
