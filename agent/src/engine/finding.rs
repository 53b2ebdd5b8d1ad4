//! From what a policy says to what an alert tells.

use vedette_event::alert::{Action, Finding, PolicyName, Priority, RequestedAction, TakenAction};
use vedette_policy::{Match, Mode, rule};

/// The finding of a match. Acting is not the engine's business: what a rule asks for beyond telling is said not to
/// have been done.
pub fn of(matched: Match<'_>) -> Finding {
    let rule = matched.rule;
    let requested = match rule.action {
        rule::Action::Alert => RequestedAction::Alert,
        rule::Action::Kill => RequestedAction::Kill,
        rule::Action::Deny => RequestedAction::Deny,
    };
    let taken = match (requested, rule.mode) {
        (RequestedAction::Alert, _) => TakenAction::Alert,
        (_, Mode::Audit) => TakenAction::Audit,
        _ => TakenAction::None,
    };
    Finding {
        rule: rule.name.clone(),
        description: rule.desc.clone(),
        policy: Some(PolicyName {
            kind: rule.policy.kind.map(|k| k.as_str().to_owned()),
            namespace: rule.policy.namespace.clone(),
            name: rule.policy.name.clone(),
        }),
        priority: priority(rule.priority),
        source: rule.source.clone(),
        tags: rule.tags.clone(),
        message: matched.output,
        output_fields: matched.output_fields.into_iter().collect(),
        action: Action { requested, taken },
        correlation: None,
    }
}

fn priority(priority: rule::Priority) -> Priority {
    match priority {
        rule::Priority::Emergency => Priority::Emergency,
        rule::Priority::Alert => Priority::Alert,
        rule::Priority::Critical => Priority::Critical,
        rule::Priority::Error => Priority::Error,
        rule::Priority::Warning => Priority::Warning,
        rule::Priority::Notice => Priority::Notice,
        rule::Priority::Informational => Priority::Informational,
        rule::Priority::Debug => Priority::Debug,
    }
}
