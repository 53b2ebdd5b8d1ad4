//! What each node needs of the policies, wherever they come from.

pub mod built_in;
pub mod files;
pub mod kube;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

/// A policy as it is sent to nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its kind and name, such as `ClusterSecurityPolicy/stealth` or `SecurityPolicy/shop/web-baseline`; for a file,
    /// its path below the directory of policies.
    pub name: String,
    /// Which change of it this is (`metadata.generation`); 0 for files.
    pub generation: i64,
    /// The policy as text, valid.
    pub text: Bytes,
}

/// The policies of a set of nodes, sorted by name. Nodes that need the same share one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePolicies {
    /// The policies.
    pub documents: Vec<Document>,
}

/// How a rule does on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleState {
    /// It does all it says.
    Active,
    /// It is off, by its author or by the level.
    Disabled,
    /// It works in part; the reason says what is missing.
    Degraded,
    /// It does not work.
    Failed,
}

/// What a node says about one policy of the bundle that it runs or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyReport {
    /// Name of the document.
    pub document: String,
    /// The change that the node speaks about.
    pub generation: i64,
    /// The worst state among its rules.
    pub state: RuleState,
    /// A word for the cause, in upper camel case, if it is not active.
    pub reason: Option<String>,
    /// The cause in a sentence.
    pub message: Option<String>,
    /// The rules that are in this state, if it is not active.
    pub rules: Vec<String>,
}

/// What a node says about its policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// The digest of the bundle that it runs.
    pub running: String,
    /// The digest of a bundle that it refused, with the reason; it goes on with the one that it runs.
    pub refused: Option<(String, String)>,
    /// One report for each policy.
    pub policies: Vec<PolicyReport>,
}

/// A policy, as people are told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyState {
    /// As [`Document::name`].
    pub name: String,
    /// The change that was looked at last.
    pub generation: i64,
    /// How many rules nodes have of it.
    pub rules: usize,
    /// How many nodes need it; nothing, if all do.
    pub nodes: Option<usize>,
    /// What is wrong with the change that was looked at last; then nodes go on with the one before.
    pub diagnostics: Vec<String>,
    /// Whether nodes run anything of it.
    pub accepted: bool,
}

/// All policies, as people are told of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoliciesState {
    /// By name.
    pub policies: Vec<PolicyState>,
    /// Why what is there now is refused as a whole; nodes go on with what was there before.
    pub refused: Option<String>,
}

/// Where policies come from, and where the answer of the nodes goes.
pub trait PolicySource: Send + Sync + 'static {
    /// A number that changes with every change of what some node needs. 0 means that it is not known yet: before it is
    /// something else, nodes are told nothing and go on with what they have.
    fn changes(&self) -> watch::Receiver<u64>;

    /// What the node needs now.
    fn for_node(&self, node: &str) -> Arc<NodePolicies>;

    /// The node answers; or, with nothing, is gone.
    fn report(&self, node: &str, report: Option<NodeReport>);

    /// How the policies do, for people.
    fn state(&self) -> PoliciesState {
        PoliciesState::default()
    }
}
