//! What this host or this build cannot do of what was asked, as sentences.

use vedette_policy::{PolicySet, rule};

use crate::sensor::Sensor;

/// One sentence for each capability that is missing.
pub fn sentences(sensor: &Sensor, set: &PolicySet) -> Vec<String> {
    let mut out: Vec<String> = sensor.programs().iter().filter_map(|p| p.degradation()).collect();
    out.extend(sensor.missing_fields().iter().cloned());
    if !sensor.plan().unseen.is_empty() {
        let unseen: Vec<&str> = sensor.plan().unseen.iter().map(String::as_str).collect();
        out.push(format!("no program reports {}: rules about them cannot match", unseen.join(", ")));
    }
    let acting = set.rules().iter().filter(|r| r.is_active() && r.action != rule::Action::Alert).count();
    if acting > 0 {
        out.push(format!("{acting} rules ask for Kill or Deny: this build only alerts"));
    }
    let by_node = set.rules().iter().filter(|r| r.is_active() && r.scope.node_selector.is_some()).count();
    if by_node > 0 {
        out.push(format!("{by_node} rules select nodes by label, which is not known here: they apply"));
    }
    out
}
