//! `PolicyService`: each agent has a stream of bundles, and says what became of them.

use std::{collections::HashSet, pin::Pin, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use vedette_proto::v1::{self, policy_service_server::PolicyService, watch_request::Message};

use super::{
    agents::{self, Entered, Registry},
    auth,
};
use crate::{
    bundle::{Bundle, Bundles},
    config::Limits,
    policies::{NodePolicies, NodeReport, PolicyReport, PolicySource, RuleState},
};

/// Most digests that an agent may say it has; with more it is sent what it may have.
const DIGESTS: usize = 16_384;

/// Most characters of a text that an agent sends about a policy.
const TEXT: usize = 4096;

/// `PolicyService`.
pub struct Policies {
    source: Arc<dyn PolicySource>,
    bundles: Arc<Bundles>,
    registry: Arc<Registry>,
    limits: Limits,
    stop: CancellationToken,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Policies")
    }
}

impl Policies {
    /// Over these.
    pub fn new(
        source: Arc<dyn PolicySource>,
        bundles: Arc<Bundles>,
        registry: Arc<Registry>,
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        Self { source, bundles, registry, limits, stop }
    }
}

#[tonic::async_trait]
impl PolicyService for Policies {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let identity = auth::caller(&request)?;
        auth::agent(&identity)?;
        let lost = auth::watch(&request, &identity, &self.limits)?;
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(super::FIRST_MESSAGE, incoming.message());
        let first = first.await.map_err(|_| Status::deadline_exceeded("the hello did not come"))??;
        let Some(Message::Hello(hello)) = first.and_then(|first| first.message) else {
            return Err(Status::invalid_argument("the first message is a hello"));
        };
        auth::speaks_for(&identity, &hello.node)?;
        let (out, responses) = mpsc::channel(1);
        let watcher = Watcher {
            entered: self.registry.enter(&hello.node, agents::Stream::Watch),
            source: Arc::clone(&self.source),
            bundles: Arc::clone(&self.bundles),
            registry: Arc::clone(&self.registry),
            node: hello.node,
            serial: hello.serial,
            has: hello.documents.into_iter().take(DIGESTS).collect(),
            sent: None,
            lost,
            out,
        };
        tokio::spawn(watcher.run(incoming, self.stop.clone()));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

/// One stream.
struct Watcher {
    source: Arc<dyn PolicySource>,
    bundles: Arc<Bundles>,
    registry: Arc<Registry>,
    entered: Entered,
    node: String,
    /// Greatest serial that the agent has or was sent.
    serial: u64,
    /// Digests of the documents that the agent had when it came; what it was sent since is in `sent`.
    has: HashSet<String>,
    sent: Option<Arc<Bundle>>,
    /// Told when the agent may not have policies any more.
    lost: oneshot::Receiver<Status>,
    out: mpsc::Sender<Result<v1::WatchResponse, Status>>,
}

impl Watcher {
    async fn run(mut self, mut incoming: Streaming<v1::WatchRequest>, stop: CancellationToken) {
        let mut changes = self.source.changes();
        let mut signers = self.bundles.signers();
        let end = loop {
            // Seen before it is read: a change in between comes again.
            changes.mark_unchanged();
            signers.mark_unchanged();
            if !self.update().await {
                break None;
            }
            let message = tokio::select! {
                () = stop.cancelled() => break Some(Status::unavailable("the controller stops")),
                () = self.entered.replaced.cancelled() => {
                    break Some(Status::aborted("another stream of this node has taken the place of this one"));
                }
                () = self.out.closed() => break None,
                Ok(status) = &mut self.lost => break Some(status),
                changed = changes.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => break Some(Status::unavailable("the controller stops")),
                },
                // What the agent has is signed anew, so that it need not trust the key before any longer.
                _ = signers.changed() => continue,
                message = incoming.message() => message,
            };
            match message {
                Ok(Some(v1::WatchRequest { message: Some(Message::Status(status)) })) => {
                    if self.entered.is_current() {
                        self.registry.reported(&self.node, &status);
                        self.source.report(&self.node, Some(report(status, self.sent.as_deref())));
                    }
                }
                Ok(Some(_)) => {
                    break Some(Status::invalid_argument("after the hello there are only statuses"));
                }
                Ok(None) | Err(_) => break None,
            }
        };
        if self.entered.is_current() {
            self.source.report(&self.node, None);
        }
        if let Some(status) = end {
            // Nobody may be there any more.
            let _ = self.out.send(Err(status)).await;
        }
    }

    /// Sends what the node needs, if that is something new. Returns whether the agent still listens.
    async fn update(&mut self) -> bool {
        if *self.source.changes().borrow() == 0 {
            // Not known yet: the agent goes on with what it has.
            return true;
        }
        let policies = self.source.for_node(&self.node);
        let signer = self.bundles.signer();
        let same = |sent: &Arc<Bundle>| {
            (Arc::ptr_eq(&sent.policies, &policies) || sent.policies == policies)
                && sent.is_signed_by(&signer)
        };
        if self.sent.as_ref().is_some_and(same) {
            return true;
        }
        let bundle = self.bundle(&policies);
        let message = match &self.sent {
            Some(sent) => bundle.message(|digest| sent.has(digest)),
            None => bundle.message(|digest| self.has.contains(digest)),
        };
        self.has = HashSet::new();
        self.registry.wanted(&self.node, &bundle.digest);
        self.serial = self.serial.max(bundle.serial);
        self.sent = Some(bundle);
        self.out.send(Ok(message)).await.is_ok()
    }

    fn bundle(&self, policies: &Arc<NodePolicies>) -> Arc<Bundle> {
        self.bundles.of(policies, self.serial)
    }
}

/// What the agent says, in the words of the source. Of what it says about policies that it was not sent, nothing.
fn report(status: v1::BundleStatus, sent: Option<&Bundle>) -> NodeReport {
    let known: HashSet<&str> = sent
        .iter()
        .flat_map(|bundle| &bundle.policies.documents)
        .map(|document| document.name.as_str())
        .collect();
    let refused = (!status.accepted).then(|| (cut(status.digest), cut(status.error)));
    let policies = status.policies.into_iter().filter(|policy| known.contains(policy.document.as_str()));
    NodeReport { running: cut(status.running), refused, policies: policies.map(policy_report).collect() }
}

fn policy_report(policy: v1::PolicyStatus) -> PolicyReport {
    let state = |rule: &v1::RuleStatus| match rule.state() {
        v1::RuleState::Unspecified | v1::RuleState::Active => RuleState::Active,
        v1::RuleState::Disabled => RuleState::Disabled,
        v1::RuleState::Degraded => RuleState::Degraded,
        v1::RuleState::Failed => RuleState::Failed,
    };
    let worst = policy.rules.iter().map(state).max().unwrap_or(RuleState::Active);
    let in_it = |rule: &&v1::RuleStatus| state(rule) == worst && worst != RuleState::Active;
    let first = policy.rules.iter().find(in_it);
    let text = |text: &str| (!text.is_empty()).then(|| cut(text.to_owned()));
    PolicyReport {
        generation: policy.generation,
        state: worst,
        reason: first.and_then(|rule| text(&rule.reason)),
        message: first.and_then(|rule| text(&rule.message)),
        rules: policy.rules.iter().filter(in_it).map(|rule| cut(rule.rule.clone())).collect(),
        document: policy.document,
    }
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(TEXT) {
        text.truncate(at);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_rule_speaks_for_the_policy() {
        let rule = |name: &str, state: v1::RuleState, reason: &str| v1::RuleStatus {
            rule: name.into(),
            state: state.into(),
            reason: reason.into(),
            message: String::new(),
        };
        let policy = |rules| v1::PolicyStatus { document: "p".into(), generation: 4, rules, active: 0 };
        let degraded = policy_report(policy(vec![
            rule("a", v1::RuleState::Disabled, "Level"),
            rule("b", v1::RuleState::Degraded, "LsmUnavailable"),
            rule("c", v1::RuleState::Degraded, "Other"),
        ]));
        assert_eq!(
            (degraded.state, degraded.reason.as_deref()),
            (RuleState::Degraded, Some("LsmUnavailable"))
        );
        assert_eq!((degraded.rules, degraded.generation), (vec!["b".into(), "c".into()], 4));
        assert_eq!(policy_report(policy(vec![])).state, RuleState::Active);
    }
}
