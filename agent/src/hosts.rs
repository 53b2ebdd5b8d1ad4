//! Addresses of the hosts that rules name (`fd.sip.name = example.com`).
//!
//! They are looked up when policies are loaded and again every few minutes, on a thread of their own; an event only
//! asks what is known. An address that a host once had stays known while the host is named: services change theirs
//! more often than attackers wait.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError, RwLock},
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
    /// The hosts of the newest policies. Behind a lock and not in the channel, so that who sets it never waits for a
    /// look-up that is under way.
    wanted: Arc<Mutex<Vec<String>>>,
    changed: Sender<()>,
}

impl Hosts {
    /// Starts the thread. It does nothing until hosts are wanted.
    ///
    /// # Errors
    /// No thread could be had.
    pub fn start() -> std::io::Result<Self> {
        let known = Arc::new(RwLock::new(Known::new()));
        let wanted = Arc::new(Mutex::new(Vec::new()));
        let (changed, changes) = crossbeam_channel::bounded(1);
        let (shared, newest) = (Arc::clone(&known), Arc::clone(&wanted));
        std::thread::Builder::new().name("vedette-hosts".into()).spawn(move || {
            let mut hosts: Vec<String> = Vec::new();
            loop {
                let request = if hosts.is_empty() {
                    changes.recv().map_err(|_| RecvTimeoutError::Disconnected)
                } else {
                    changes.recv_timeout(REFRESH)
                };
                match request {
                    Ok(()) => {
                        hosts.clone_from(&newest.lock().unwrap_or_else(PoisonError::into_inner));
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
        Ok(Self { known, wanted, changed })
    }

    /// From now on these hosts are wanted. Never waits.
    pub fn want(&self, hosts: Vec<String>) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = hosts;
        // Full: a change is waiting to be seen already, and it will see this one.
        let _ = self.changed.try_send(());
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
