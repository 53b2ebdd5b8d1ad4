//! How each rule of the controller's policies does on this node.

use vedette_policy::{PolicySet, Rule, rule};
use vedette_proto::v1;

use super::degraded::IdentitySources;
use crate::{
    sensor::Plan,
    uplink::{Bundle, Effective},
};

/// What runs of a bundle. Its policies are the set's sources from the number `own` on.
pub fn effective(
    bundle: Option<&Bundle>,
    set: &PolicySet,
    own: usize,
    plan: &Plan,
    asked: IdentitySources,
) -> Effective {
    let Some(bundle) = bundle else { return Effective::default() };
    let mut policies: Vec<v1::PolicyStatus> = bundle
        .documents()
        .map(|(document, _)| v1::PolicyStatus {
            document: document.name.clone(),
            generation: document.generation,
            rules: Vec::new(),
            active: 0,
        })
        .collect();
    for (index, rule) in set.rules().iter().enumerate() {
        let document = (rule.span.source.0 as usize).checked_sub(own).and_then(|at| policies.get_mut(at));
        let Some(document) = document else { continue };
        let unseen: Vec<&str> =
            set.event_types_of(index).iter().map(|t| t.name()).filter(|t| plan.unseen.contains(*t)).collect();
        let all = set.event_types_of(index).iter().count();
        match state(rule, &unseen, all, asked) {
            Some((state, reason, message)) => document.rules.push(v1::RuleStatus {
                rule: rule.name.clone(),
                state: state.into(),
                reason: reason.into(),
                message,
            }),
            None => document.active += 1,
        }
    }
    Effective { running: bundle.digest.clone(), policies }
}

/// Why a rule is not active, if so: the state, a word and a sentence.
fn state(
    rule: &Rule,
    unseen: &[&str],
    event_types: usize,
    asked: IdentitySources,
) -> Option<(v1::RuleState, &'static str, String)> {
    use v1::RuleState::{Degraded, Disabled, Failed};
    if !rule.is_active() {
        return Some(if rule.selected {
            (Disabled, "Disabled", "the rule or its policy is switched off".into())
        } else {
            (Disabled, "Level", format!("the rule is of level {}, which was not asked for", rule.level))
        });
    }
    if !unseen.is_empty() && unseen.len() == event_types {
        return Some((Failed, "EventsUnavailable", format!("no program reports {}", unseen.join(", "))));
    }
    if !unseen.is_empty() {
        return Some((Degraded, "EventsUnavailable", format!("no program reports {}", unseen.join(", "))));
    }
    if rule.action != rule::Action::Alert {
        let message = format!("the rule asks for {:?}; this build only alerts", rule.action);
        return Some((Degraded, "EnforcementUnavailable", message));
    }
    asked.missing_for(rule).map(|message| (Degraded, "MetadataUnavailable", message))
}

#[cfg(test)]
mod tests {
    use vedette_policy::Source;

    use super::*;

    #[test]
    fn why_a_rule_is_not_active() {
        let rules = "
- {rule: a, desc: d, condition: evt.type = execve, output: o, priority: INFO}
- {rule: b, desc: d, condition: evt.type = execve, output: o, priority: INFO, enabled: false}
- {rule: c, desc: d, condition: 'evt.type = execve and container.image.repository = x', output: o, priority: INFO}
";
        let set = PolicySet::load([Source::new("p", rules)]).set.unwrap();
        let all = IdentitySources { runtimes: true, server: true };
        let of = |name: &str, unseen: &[&str], asked| {
            state(set.rule(name).unwrap(), unseen, 2, asked).map(|(state, reason, _)| (state, reason))
        };
        assert_eq!(of("a", &[], all), None);
        assert_eq!(of("a", &["x"], all), Some((v1::RuleState::Degraded, "EventsUnavailable")));
        assert_eq!(of("a", &["x", "y"], all), Some((v1::RuleState::Failed, "EventsUnavailable")));
        assert_eq!(of("b", &[], all), Some((v1::RuleState::Disabled, "Disabled")));
        assert_eq!(of("c", &[], all), None);
        let nobody = IdentitySources::default();
        assert_eq!(of("c", &[], nobody), Some((v1::RuleState::Degraded, "MetadataUnavailable")));
    }
}
