//! Addresses of the hosts that rules name (`fd.sip.name = example.com`).
//!
//! They are looked up when policies are loaded and again every few minutes, on a thread of their own; an event only
//! asks what is known. An address that a host once had stays known while the host is named: services change theirs
//! more often than attackers wait.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use crossbeam_channel::{RecvTimeoutError, Sender};
use vedette_policy::resolve::Resolver;

/// How often names are looked up again.
const REFRESH: Duration = Duration::from_secs(300);

/// Most addresses that are kept for one name.
const ADDRESSES: usize = 256;

type Known = HashMap<String, HashSet<IpAddr>>;

/// What is known, and the way to the thread that finds out.
#[derive(Debug)]
pub struct Hosts {
    known: Arc<RwLock<Known>>,
    wanted: Sender<Vec<String>>,
}

impl Hosts {
    /// Starts the thread. It does nothing until hosts are wanted.
    ///
    /// # Errors
    /// No thread could be had.
    pub fn start() -> std::io::Result<Self> {
        let known = Arc::new(RwLock::new(Known::new()));
        let (wanted, requests) = crossbeam_channel::bounded::<Vec<String>>(4);
        let shared = Arc::clone(&known);
        std::thread::Builder::new().name("vedette-hosts".into()).spawn(move || {
            let mut hosts = Vec::new();
            loop {
                let request = if hosts.is_empty() {
                    requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
                } else {
                    requests.recv_timeout(REFRESH)
                };
                match request {
                    Ok(new) => {
                        hosts = new;
                        let mut known = shared.write().unwrap_or_else(PoisonError::into_inner);
                        known.retain(|host, _| hosts.contains(host));
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                for host in &hosts {
                    look_up(host, &shared);
                }
            }
        })?;
        Ok(Self { known, wanted })
    }

    /// From now on these hosts are wanted.
    pub fn want(&self, hosts: Vec<String>) {
        // The thread lives as long as we do.
        let _ = self.wanted.send(hosts);
    }
}

fn look_up(host: &str, known: &RwLock<Known>) {
    match (host, 0u16).to_socket_addrs() {
        Ok(found) => {
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            let addresses = known.entry(host.to_owned()).or_default();
            for address in found.map(|a| a.ip().to_canonical()) {
                if addresses.len() < ADDRESSES {
                    addresses.insert(address);
                }
            }
        }
        Err(error) => tracing::debug!(host, %error, "a host that a rule names has no address now"),
    }
}

impl Resolver for Hosts {
    fn is_host(&self, host: &str, address: IpAddr) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(host).is_some_and(|addresses| addresses.contains(&address.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_wanted_host_becomes_known_and_an_unwanted_one_is_forgotten() {
        let hosts = Hosts::start().unwrap();
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(!hosts.is_host("localhost", loopback));
        hosts.want(vec!["localhost".into()]);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !hosts.is_host("localhost", loopback) {
            assert!(Instant::now() < deadline, "localhost was not looked up");
            std::thread::yield_now();
        }
        assert!(!hosts.is_host("localhost", "192.0.2.1".parse().unwrap()));
        hosts.want(Vec::new());
        while hosts.is_host("localhost", loopback) {
            assert!(Instant::now() < deadline, "localhost was not forgotten");
            std::thread::yield_now();
        }
    }
}
