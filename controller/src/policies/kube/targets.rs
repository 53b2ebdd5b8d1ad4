//! Which nodes need which policies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use vedette_policy::document::native::LabelSelector;

use super::follow::{Followers, SmallPod};
use super::{Accepted, Compiled, PolicyKey, Wanted};
use crate::policies::NodePolicies;

/// What each node needs.
#[derive(Default)]
pub(super) struct Targets {
    nodes: HashMap<String, Arc<NodePolicies>>,
    /// What a node needs of which nothing is known yet: policies that are for all nodes.
    unknown: Arc<NodePolicies>,
    /// Until when a node keeps a policy that none of its pods needs any more.
    lingering: HashMap<(PolicyKey, String), Instant>,
    changed: bool,
}

type Labels = BTreeMap<String, String>;

impl Targets {
    pub(super) fn for_node(&self, node: &str) -> Arc<NodePolicies> {
        Arc::clone(self.nodes.get(node).unwrap_or(&self.unknown))
    }

    /// Whether any node needs something else than when this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Works it out anew. Returns the nodes of each policy, and when the next of them no longer has to keep one.
    pub(super) fn update<'a>(
        &mut self,
        policies: impl Iterator<Item = &'a Arc<Compiled>>,
        followers: &Followers,
        now: Instant,
        linger: Duration,
    ) -> (Vec<Wanted>, Option<Instant>) {
        let nodes: HashMap<String, Labels> =
            followers.nodes.state().iter().map(|node| (node.name_any(), node.labels().clone())).collect();
        let mut pods: HashMap<String, Vec<Arc<SmallPod>>> = HashMap::new();
        for pod in followers.pods.state() {
            pods.entry(pod.namespace().unwrap_or_default()).or_default().push(pod);
        }
        let mut wanted = Vec::new();
        let mut lingering = HashMap::new();
        for policy in policies {
            let for_whom = policy.accepted.as_ref().filter(|accepted| !accepted.disabled);
            let mut chosen: Vec<String> = match (for_whom, &policy.key.namespace) {
                (None, _) => Vec::new(),
                (Some(accepted), None) => {
                    let selected = nodes
                        .iter()
                        .filter(|(_, labels)| is_selected(accepted.node_selector.as_ref(), labels));
                    selected.map(|(name, _)| name.clone()).collect()
                }
                (Some(accepted), Some(namespace)) => {
                    let here = pods.get(namespace).map(Vec::as_slice).unwrap_or_default();
                    let busy = nodes_of(here, accepted, &nodes);
                    for node in &busy {
                        lingering.insert((policy.key.clone(), node.clone()), now + linger);
                    }
                    let kept = self.lingering.iter().filter(|((key, node), until)| {
                        *key == policy.key
                            && **until > now
                            && nodes.contains_key(node)
                            && !busy.contains(node)
                    });
                    let kept: Vec<_> = kept.map(|(key, until)| (key.clone(), *until)).collect();
                    let mut all: Vec<String> = busy.into_iter().collect();
                    all.extend(kept.iter().map(|((_, node), _)| node.clone()));
                    lingering.extend(kept);
                    all
                }
            };
            chosen.sort();
            wanted.push(Wanted { policy: Arc::clone(policy), nodes: Arc::new(chosen) });
        }
        let next = lingering.values().filter(|until| **until > now).min().copied();
        // A pod that is there renews its time with each look, so a time that has come is that of a pod that is gone.
        self.lingering = lingering;
        self.assign(&wanted, nodes.keys());
        (wanted, next)
    }

    /// Puts the policies of each node together. Nodes that need the same share one.
    fn assign<'a>(&mut self, wanted: &[Wanted], nodes: impl Iterator<Item = &'a String>) {
        let mut needs: HashMap<&str, Vec<usize>> = nodes.map(|node| (node.as_str(), Vec::new())).collect();
        for (index, one) in wanted.iter().enumerate() {
            for node in one.nodes.iter() {
                needs.entry(node).or_default().push(index);
            }
        }
        let for_all = wanted.iter().enumerate().filter(|(_, one)| {
            let accepted = one.policy.accepted.as_ref().filter(|accepted| !accepted.disabled);
            one.policy.key.namespace.is_none() && accepted.is_some_and(|a| a.node_selector.is_none())
        });
        let for_all: Vec<usize> = for_all.map(|(index, _)| index).collect();
        let mut made: HashMap<Vec<usize>, Arc<NodePolicies>> = HashMap::new();
        let mut make = |need: Vec<usize>, old: Option<&Arc<NodePolicies>>| {
            let new = made.entry(need).or_insert_with_key(|need| {
                let documents = need.iter().filter_map(|&index| wanted[index].policy.accepted.as_ref());
                let mut documents: Vec<_> = documents.map(|accepted| accepted.document.clone()).collect();
                documents.sort_by(|a, b| a.name.cmp(&b.name));
                Arc::new(NodePolicies { documents })
            });
            // Whoever holds the old one sees by the pointer that nothing is new.
            if let Some(old) = old.filter(|old| *old == new) {
                *new = Arc::clone(old);
            }
            Arc::clone(new)
        };
        let unknown = make(for_all, Some(&self.unknown));
        let mut assigned = HashMap::with_capacity(needs.len());
        let mut changed = !Arc::ptr_eq(&unknown, &self.unknown);
        for (node, need) in needs {
            let old = self.nodes.get(node);
            let new = make(need, old);
            changed |= old.is_none_or(|old| old != &new);
            assigned.insert(node.to_owned(), new);
        }
        changed |= self.nodes.keys().any(|node| !assigned.contains_key(node));
        self.nodes = assigned;
        self.unknown = unknown;
        self.changed |= changed;
    }
}

/// The nodes on which a pod runs that the policy is for.
fn nodes_of(pods: &[Arc<SmallPod>], accepted: &Accepted, nodes: &HashMap<String, Labels>) -> HashSet<String> {
    let mut found = HashSet::new();
    for pod in pods {
        let ended = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if matches!(ended, Some("Succeeded" | "Failed"))
            || !is_selected(accepted.pod_selector.as_ref(), pod.labels())
        {
            continue;
        }
        // The node may be newer than what is known of nodes; then its labels are not, and nothing is selected by them.
        let Some(node) = pod.spec.node_name.as_ref().filter(|node| !node.is_empty()) else { continue };
        let selected = match (&accepted.node_selector, nodes.get(node)) {
            (None, _) => true,
            (selector, Some(labels)) => is_selected(selector.as_ref(), labels),
            (Some(_), None) => false,
        };
        if selected && !found.contains(node) {
            found.insert(node.clone());
        }
    }
    found
}

fn is_selected(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    selector.is_none_or(|selector| selector.matches(|key| labels.get(key).map(String::as_str)))
}
