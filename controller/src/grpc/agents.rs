//! The agents that are known, and `AgentService`.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use vedette_proto::v1::{self, agent_service_server::AgentService};

use super::{auth, timestamp};
use crate::{bundle::Bundles, config::Limits};

/// How often agents send a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Which of an agent's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Policies.
    Watch,
    /// Alerts.
    Push,
}

/// What one agent may send.
#[derive(Debug)]
pub struct AgentQuota {
    /// By alerts.
    pub alerts: DefaultDirectRateLimiter,
    /// By bytes.
    pub bytes: DefaultDirectRateLimiter,
}

impl AgentQuota {
    fn new(limits: &Limits) -> Self {
        let rate = |most: u32| {
            RateLimiter::direct(Quota::per_second(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN)))
        };
        Self { alerts: rate(limits.alerts_per_second), bytes: rate(limits.bytes_per_second) }
    }

    /// Waits until the agent may send so much. What is more than a second's worth counts as a second's.
    pub async fn wait(&self, limits: &Limits, alerts: usize, bytes: usize) {
        let part =
            |amount: usize, most: u32| NonZeroU32::new(u32::try_from(amount).unwrap_or(most).min(most));
        if let Some(count) = part(alerts, limits.alerts_per_second) {
            let _ = self.alerts.until_n_ready(count).await;
        }
        if let Some(count) = part(bytes, limits.bytes_per_second) {
            let _ = self.bytes.until_n_ready(count).await;
        }
    }
}

#[derive(Debug)]
struct Known {
    agent: v1::Agent,
    seen: Timestamp,
    quota: Arc<AgentQuota>,
    /// Its open streams, with their numbers.
    open: [Option<(u64, CancellationToken)>; 2],
    /// Up to where its alerts are durable, and of which spool.
    pushed: (String, u64),
}

/// The agents that are known.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    known: Mutex<(HashMap<String, Known>, u64)>,
}

/// An open stream of an agent. It is entered until it is dropped.
#[derive(Debug)]
pub struct Entered {
    registry: Arc<Registry>,
    node: String,
    stream: Stream,
    number: u64,
    /// Cancelled when another stream takes its place.
    pub replaced: CancellationToken,
}

impl Registry {
    /// Nobody is known.
    pub fn new(limits: Limits) -> Self {
        Self { limits, known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, (HashMap<String, Known>, u64)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, node: &str, act: impl FnOnce(&mut Known) -> T) -> T {
        let mut guard = self.lock();
        let known = &mut guard.0;
        if !known.contains_key(node) && known.len() >= self.limits.agents {
            // Somebody who is not there any more, and was last seen longest ago.
            let gone = known.iter().filter(|(_, known)| known.open.iter().all(Option::is_none));
            let oldest = gone.min_by_key(|(_, known)| known.seen).map(|(node, _)| node.clone());
            if let Some(oldest) = oldest {
                known.remove(&oldest);
            }
        }
        let entry = known.entry(node.to_owned()).or_insert_with(|| Known {
            agent: v1::Agent {
                hello: Some(v1::HelloRequest { node: node.to_owned(), ..Default::default() }),
                ..Default::default()
            },
            seen: Timestamp::now(),
            quota: Arc::new(AgentQuota::new(&self.limits)),
            open: [None, None],
            pushed: Default::default(),
        });
        entry.seen = Timestamp::now();
        act(entry)
    }

    /// Enters a stream; the one that was open before ends.
    pub fn enter(self: &Arc<Self>, node: &str, stream: Stream) -> Entered {
        let number = {
            let mut guard = self.lock();
            guard.1 += 1;
            guard.1
        };
        let replaced = CancellationToken::new();
        self.with(node, |known| {
            let before = known.open[stream as usize].replace((number, replaced.clone()));
            if let Some((_, before)) = before {
                before.cancel();
            }
        });
        Entered { registry: Arc::clone(self), node: node.to_owned(), stream, number, replaced }
    }

    /// What the agent may send.
    pub fn quota(&self, node: &str) -> Arc<AgentQuota> {
        self.with(node, |known| Arc::clone(&known.quota))
    }

    /// Notes which bundle the agent should run.
    pub fn wanted(&self, node: &str, digest: &str) {
        self.with(node, |known| digest.clone_into(&mut known.agent.wanted));
    }

    /// Up to where the alerts of the spool are durable, as far as that is known.
    pub fn pushed(&self, node: &str, spool: &str) -> u64 {
        self.with(node, |known| if known.pushed.0 == spool { known.pushed.1 } else { 0 })
    }

    /// Notes up to where the alerts of the spool are durable.
    pub fn set_pushed(&self, node: &str, spool: &str, sequence: u64) {
        self.with(node, |known| {
            if known.pushed.0 != spool {
                known.pushed = (spool.to_owned(), 0);
            }
            known.pushed.1 = known.pushed.1.max(sequence);
        });
    }

    /// Notes what became of a bundle, in short.
    pub fn reported(&self, node: &str, status: &v1::BundleStatus) {
        let mut status = status.clone();
        let texts = [&mut status.digest, &mut status.running];
        texts.into_iter().for_each(cut);
        if let Some((at, _)) = status.error.char_indices().nth(8 * TEXT) {
            status.error.truncate(at);
        }
        status.policies.truncate(POLICIES);
        let mut left = RULES;
        for policy in &mut status.policies {
            cut(&mut policy.document);
            policy.rules.truncate(left);
            left -= policy.rules.len();
            for rule in &mut policy.rules {
                [&mut rule.rule, &mut rule.reason, &mut rule.message].into_iter().for_each(cut);
            }
        }
        self.with(node, |known| known.agent.bundle = Some(status));
    }

    /// How many are connected now.
    pub fn connected(&self) -> usize {
        self.lock().0.values().filter(|known| known.open.iter().any(Option::is_some)).count()
    }

    /// All, by node.
    pub fn list(&self) -> Vec<v1::Agent> {
        let guard = self.lock();
        let mut agents: Vec<v1::Agent> = guard
            .0
            .values()
            .map(|known| v1::Agent {
                seen: Some(timestamp(known.seen)),
                connected: known.open.iter().any(Option::is_some),
                ..known.agent.clone()
            })
            .collect();
        let node = |agent: &v1::Agent| agent.hello.as_ref().map(|hello| hello.node.clone());
        agents.sort_by_cached_key(node);
        agents
    }
}

impl Entered {
    /// Whether this is still the one that counts.
    pub fn is_current(&self) -> bool {
        !self.replaced.is_cancelled()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.registry.with(&self.node, |known| {
            let open = &mut known.open[self.stream as usize];
            if open.as_ref().is_some_and(|(number, _)| *number == self.number) {
                *open = None;
            }
        });
    }
}

/// `AgentService`.
#[derive(Debug)]
pub struct Agents {
    registry: Arc<Registry>,
    bundles: Arc<Bundles>,
}

impl Agents {
    /// Over these.
    pub fn new(registry: Arc<Registry>, bundles: Arc<Bundles>) -> Self {
        Self { registry, bundles }
    }
}

/// Most characters of a text that an agent says of itself.
const TEXT: usize = 256;
/// Most rows of a list that an agent says of itself.
const ROWS: usize = 64;
/// Most policies of a node whose states are kept for people.
const POLICIES: usize = 1024;
/// Most rules of a node that are kept with what is wrong with them.
const RULES: usize = 256;

fn cut(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(TEXT) {
        text.truncate(at);
    }
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn hello(&self, request: Request<v1::HelloRequest>) -> Result<Response<v1::HelloResponse>, Status> {
        let identity = auth::caller(&request)?;
        let mut hello = request.into_inner();
        auth::speaks_for(&identity, &hello.node)?;
        for text in [&mut hello.version, &mut hello.kernel, &mut hello.architecture] {
            cut(text);
        }
        hello.capabilities.truncate(ROWS);
        for capability in &mut hello.capabilities {
            cut(&mut capability.name);
            cut(&mut capability.reason);
        }
        let node = hello.node.clone();
        self.registry.with(&node, |known| known.agent.hello = Some(hello));
        Ok(Response::new(v1::HelloResponse {
            heartbeat_interval: Some(super::duration(HEARTBEAT)),
            version: env!("CARGO_PKG_VERSION").into(),
            signing_keys: self.bundles.signer().announced().to_vec(),
        }))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let identity = auth::caller(&request)?;
        let mut heartbeat = request.into_inner();
        auth::speaks_for(&identity, &heartbeat.node)?;
        cut(&mut heartbeat.running);
        if let Some(losses) = &heartbeat.losses
            && [&losses.events, &losses.alerts, &losses.shed]
                .into_iter()
                .any(|map| map.len() > ROWS || map.keys().any(|key| key.len() > 4 * TEXT))
        {
            return Err(Status::invalid_argument("there are too many rows of losses"));
        }
        let node = heartbeat.node.clone();
        self.registry.with(&node, |known| known.agent.heartbeat = Some(heartbeat));
        Ok(Response::new(v1::HeartbeatResponse { signing_keys: self.bundles.signer().announced().to_vec() }))
    }

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        auth::operator(&auth::caller(&request)?)?;
        Ok(Response::new(v1::ListAgentsResponse { agents: self.registry.list() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stream_takes_the_place_of_the_old() {
        let registry = Arc::new(Registry::new(Limits::default()));
        let first = registry.enter("n1", Stream::Push);
        let watch = registry.enter("n1", Stream::Watch);
        let second = registry.enter("n1", Stream::Push);
        assert!(!first.is_current() && watch.is_current() && second.is_current());
        drop((first, watch));
        assert_eq!(registry.connected(), 1, "the end of the old one is not the end of the new one");
        drop(second);
        assert_eq!(registry.connected(), 0);
        assert!(!registry.list()[0].connected);
    }

    #[test]
    fn what_is_known_is_bounded_and_of_one_spool() {
        let registry = Arc::new(Registry::new(Limits { agents: 3, ..Limits::default() }));
        let open = registry.enter("n0", Stream::Watch);
        for node in ["n1", "n2", "n3", "n4"] {
            registry.set_pushed(node, "s", 5);
        }
        let nodes: Vec<_> = registry.list().into_iter().filter_map(|agent| Some(agent.hello?.node)).collect();
        assert_eq!(nodes, ["n0", "n3", "n4"]);
        assert!(open.is_current());
        assert_eq!((registry.pushed("n4", "s"), registry.pushed("n4", "another")), (5, 0));
        registry.set_pushed("n4", "s", 3);
        assert_eq!(registry.pushed("n4", "s"), 5);
    }
}
