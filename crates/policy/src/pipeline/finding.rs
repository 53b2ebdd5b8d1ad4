//! From what a policy says to what an alert tells.

use crate::{Match, Mode, correlate as policy, rule};
use vedette_event::alert::{
    Action, Correlation, CorrelationKind, CorrelationStep, Finding, Guide, PolicyName, RequestedAction,
    TakenAction, Time,
};

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
        level: rule.level,
        guide: rule.guide.as_ref().map(|guide| Guide {
            why: guide.why.clone(),
            response: guide.response.clone(),
            benign: guide.benign.iter().map(|benign| benign.cause.clone()).collect(),
        }),
        techniques: rule.attack.clone(),
        priority: rule.priority,
        source: rule.source.clone(),
        tags: rule.tags.clone(),
        message: matched.output,
        output_fields: matched.output_fields.into_iter().collect(),
        action: Action { requested, taken },
        correlation: matched.correlation.map(correlation),
    }
}

fn correlation(of: policy::Correlation) -> Correlation {
    match of {
        policy::Correlation::Threshold { count, first, last } => {
            told(CorrelationKind::Threshold, u64::from(count), first, last)
        }
        policy::Correlation::Summary { suppressed, first, last } => {
            told(CorrelationKind::Throttle, suppressed, first, last)
        }
        policy::Correlation::Sequence { steps } => {
            let (first, last) = (steps.first().map_or(0, |s| s.time), steps.last().map_or(0, |s| s.time));
            let mut out = told(CorrelationKind::Sequence, steps.len() as u64, first, last);
            out.steps = steps
                .into_iter()
                .map(|s| CorrelationStep {
                    time: Time(s.time),
                    name: s.name,
                    fields: s.fields.into_iter().collect(),
                })
                .collect();
            out
        }
    }
}

fn told(kind: CorrelationKind, count: u64, first: u64, last: u64) -> Correlation {
    Correlation { kind, count, first: Time(first), last: Time(last), steps: Vec::new() }
}
