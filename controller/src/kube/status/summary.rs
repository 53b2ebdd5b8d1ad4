//! What nodes say about a policy, in the few lines of a status.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::kube::check::Finding;
use crate::policies::RuleState;
use crate::policies::kube::{Accepted, Said, Wanted};

/// Most nodes that a status names.
const MAX_DETAILS: usize = 20;
/// Most nodes of a policy that a replica names to the leader.
const MAX_SHARED_DETAILS: usize = 5;
/// Most rules that are named of a node.
const MAX_RULES: usize = 10;
/// Longest message of a node, bytes.
const MAX_MESSAGE: usize = 256;
/// Most errors that a condition quotes.
const MAX_FINDINGS: usize = 5;

/// How a node does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It has not answered about this change yet.
    Pending,
    Ready,
    Degraded,
    Failed,
}

/// What the agents of one replica say about a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Share {
    /// The change of the policy that this is about.
    generation: i64,
    ready: usize,
    degraded: usize,
    failed: usize,
    /// The first nodes on which not all is well, as in a status.
    details: Vec<Json>,
}

/// The same of each policy, by the name of its document.
pub type Shares = BTreeMap<String, Share>;

/// What this replica has to say of the policies.
pub(super) fn shares(wanted: &[Wanted], reports: &HashMap<String, Said>) -> Shares {
    let said = wanted.iter().filter_map(|one| {
        let accepted = one.policy.accepted.as_ref()?;
        let (Counts { ready, degraded, failed, .. }, mut details) = count(one, accepted, reports);
        details.truncate(MAX_SHARED_DETAILS);
        let share = Share { generation: accepted.document.generation, ready, degraded, failed, details };
        (ready + degraded + failed > 0).then(|| (accepted.document.name.clone(), share))
    });
    said.collect()
}

/// Adds what the agents of other replicas say. An agent that has just changed over may be counted twice for a moment.
fn add(counts: &mut Counts, details: &mut Vec<Json>, accepted: &Accepted, elsewhere: &[Shares]) {
    let of = |shares: &Shares| shares.get(&accepted.document.name).cloned();
    for share in elsewhere.iter().filter_map(of) {
        if share.generation == accepted.document.generation {
            counts.failed += share.failed;
            counts.degraded += share.degraded;
            counts.ready += share.ready;
            details.extend(share.details);
        }
    }
    counts.failed = counts.failed.min(counts.desired);
    counts.degraded = counts.degraded.min(counts.desired - counts.failed);
    counts.ready = counts.ready.min(counts.desired - counts.failed - counts.degraded);
    details.truncate(MAX_DETAILS);
}

/// The status of a policy, by what our agents and those of other replicas say. `before` is what it was: times of
/// conditions that stay are taken from there.
pub(super) fn status(
    one: &Wanted,
    reports: &HashMap<String, Said>,
    elsewhere: &[Shares],
    before: &Json,
    now: &str,
) -> Json {
    let policy = &one.policy;
    let (counts, details) = match &policy.accepted {
        Some(accepted) => {
            let (mut counts, mut details) = count(one, accepted, reports);
            add(&mut counts, &mut details, accepted, elsewhere);
            (counts, details)
        }
        None => (Counts::default(), Vec::new()),
    };
    let compiled = match policy.errors.as_slice() {
        [] => ("True", "Compiled", "The policy has no errors.".to_owned()),
        errors => ("False", "Invalid", findings(errors)),
    };
    let ready = ready(one, counts);
    let condition = |kind: &str, (state, reason, message): (&str, &str, String)| {
        let old = before["conditions"].as_array().into_iter().flatten().find(|old| old["type"] == kind);
        let since =
            old.filter(|old| old["status"] == state).and_then(|old| old["lastTransitionTime"].as_str());
        json!({
            "type": kind, "status": state, "reason": reason, "message": message,
            "observedGeneration": policy.generation, "lastTransitionTime": since.unwrap_or(now),
        })
    };
    let mut status = Map::new();
    status.insert("observedGeneration".into(), policy.generation.into());
    status.insert("conditions".into(), json!([condition("Compiled", compiled), condition("Ready", ready)]));
    status.insert("nodes".into(), counts.to_json());
    if let Some(accepted) = &policy.accepted {
        status.insert("rules".into(), accepted.rules.into());
        if !policy.errors.is_empty() {
            let kept = json!({"generation": accepted.document.generation, "spec": accepted.spec});
            status.insert("accepted".into(), kept);
        }
    }
    if !details.is_empty() {
        status.insert("details".into(), details.into());
    }
    Json::Object(status)
}

/// The errors as lines, the first few of them.
pub(super) fn findings(errors: &[Finding]) -> String {
    let mut lines: Vec<_> = errors.iter().take(MAX_FINDINGS).map(ToString::to_string).collect();
    if errors.len() > MAX_FINDINGS {
        lines.push(format!("and {} more", errors.len() - MAX_FINDINGS));
    }
    lines.join("\n")
}

#[derive(Clone, Copy, Default)]
struct Counts {
    desired: usize,
    ready: usize,
    degraded: usize,
    failed: usize,
}

impl Counts {
    fn to_json(self) -> Json {
        let Self { desired, ready, degraded, failed } = self;
        json!({"desired": desired, "ready": ready, "degraded": degraded, "failed": failed})
    }
}

fn ready(one: &Wanted, counts: Counts) -> (&'static str, &'static str, String) {
    let Counts { desired, ready, degraded, failed } = counts;
    let of = |count: usize| format!("{count} of {desired} nodes");
    match &one.policy.accepted {
        None => {
            ("False", "Invalid", "The policy has errors, and no node runs an earlier change of it.".into())
        }
        Some(accepted) if !one.policy.errors.is_empty() => {
            let generation = accepted.document.generation;
            ("False", "Invalid", format!("The policy has errors; nodes go on with generation {generation}."))
        }
        Some(accepted) if accepted.disabled => {
            ("False", "Disabled", "Its mode is Disabled: no node runs it.".into())
        }
        Some(_) if failed > 0 => ("False", "Failed", format!("{} do not run it.", of(failed))),
        Some(_) if degraded > 0 => ("False", "Degraded", format!("{} run it in part.", of(degraded))),
        Some(_) if ready < desired => ("False", "Progressing", format!("{} run it so far.", of(ready))),
        Some(_) if desired == 0 => ("True", "NotNeeded", "No node needs it.".into()),
        Some(_) => ("True", "AllNodesReady", format!("{} run it in full.", of(ready))),
    }
}

fn count(one: &Wanted, accepted: &Accepted, reports: &HashMap<String, Said>) -> (Counts, Vec<Json>) {
    let mut counts = Counts { desired: one.nodes.len(), ..Counts::default() };
    let (mut failed, mut degraded) = (Vec::new(), Vec::new());
    for node in one.nodes.iter() {
        match stand(accepted, reports.get(node)) {
            (Stand::Pending, _) => {}
            (Stand::Ready, _) => counts.ready += 1,
            (Stand::Degraded, detail) => {
                counts.degraded += 1;
                note(&mut degraded, node, "Degraded", detail);
            }
            (Stand::Failed, detail) => {
                counts.failed += 1;
                note(&mut failed, node, "Failed", detail);
            }
        }
    }
    failed.extend(degraded);
    failed.truncate(MAX_DETAILS);
    (counts, failed)
}

/// Adds a node to the details, unless there are enough.
fn note(details: &mut Vec<Json>, node: &str, state: &str, mut detail: Map<String, Json>) {
    if details.len() < MAX_DETAILS {
        detail.insert("node".into(), node.into());
        detail.insert("state".into(), state.into());
        details.push(Json::Object(detail));
    }
}

fn stand(accepted: &Accepted, said: Option<&Said>) -> (Stand, Map<String, Json>) {
    let mut detail = Map::new();
    let Some(said) = said else { return (Stand::Pending, detail) };
    let generation = accepted.document.generation;
    let report = said.policies.get(&accepted.document.name).filter(|report| report.generation == generation);
    let Some(report) = report else {
        let Some((_, why)) = &said.refused else { return (Stand::Pending, detail) };
        detail.insert("reason".into(), "BundleRefused".into());
        detail.insert("message".into(), shorten(why).into());
        return (Stand::Failed, detail);
    };
    let stand = match report.state {
        RuleState::Active | RuleState::Disabled => return (Stand::Ready, detail),
        RuleState::Degraded => Stand::Degraded,
        RuleState::Failed => Stand::Failed,
    };
    if let Some(reason) = &report.reason {
        detail.insert("reason".into(), shorten(reason).into());
    }
    if let Some(message) = &report.message {
        detail.insert("message".into(), shorten(message).into());
    }
    if !report.rules.is_empty() {
        let rules: Vec<_> = report.rules.iter().take(MAX_RULES).map(|rule| shorten(rule)).collect();
        detail.insert("rules".into(), rules.into());
    }
    (stand, detail)
}

fn shorten(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_MESSAGE)].to_owned()
}

#[cfg(test)]
mod tests;
