//! Why an alert that was expected was not raised.

use std::sync::Arc;

use serde::Serialize;
use vedette_policy::explain::{AtomTrace, ConditionTrace, Tracer};
use vedette_policy::resolve::Resolver;
use vedette_policy::rule::Detection;
use vedette_policy::{Facts, PolicySet};

use super::file::{Expected, Test};
use super::run::Alert;

/// The reason.
#[derive(Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Why {
    /// The rule, or its policy, is off.
    Off,
    /// It was raised, but with another text, by another event, or less often than expected.
    Different {
        /// What was raised.
        got: Vec<Alert>,
    },
    /// A condition held for no event.
    Conditions {
        /// The conditions: one, or those of the steps of a sequence.
        conditions: Vec<Attempt>,
    },
    /// The conditions held, but the rule did not fire.
    Correlation {
        /// What it takes.
        needs: String,
        /// The events for which each condition held, from 1.
        held: Vec<Vec<usize>>,
    },
    /// Another rule came first.
    Shadowed,
}

/// How a condition went.
#[derive(Serialize)]
pub struct Attempt {
    /// The name of the step, in a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The events for which it held, from 1.
    pub held: Vec<usize>,
    /// If it held for none: the event that came nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
}

/// The event for which the fewest comparisons stood in the way.
#[derive(Serialize)]
pub struct Nearest {
    /// Its number, from 1.
    pub event: usize,
    /// Its type.
    pub event_type: &'static str,
    /// The comparisons that stood in the way.
    pub because: Vec<AtomTrace>,
}

/// Finds the reason.
pub fn why(
    wanted: &Expected,
    test: &Test,
    alerts: &[Alert],
    set: &PolicySet,
    resolver: &Arc<dyn Resolver>,
) -> Why {
    let got: Vec<Alert> = alerts.iter().filter(|a| a.rule == wanted.rule).cloned().collect();
    if !got.is_empty() {
        return Why::Different { got };
    }
    let Some(rule) = set.rule(&wanted.rule).filter(|r| r.is_active()) else { return Why::Off };
    let mut tracer = Tracer::new(rule, Arc::clone(resolver));
    let traces: Vec<_> = test.events.iter().map(|event| tracer.trace(event)).collect();
    let steps: Vec<Option<String>> = match &rule.detection {
        Detection::Sequence(sequence) => sequence.steps.iter().map(|s| Some(s.name.clone())).collect(),
        Detection::Single(_) | Detection::Threshold(_) => vec![None],
    };
    let attempts = steps.into_iter().enumerate().map(|(condition, step)| {
        let of = || traces.iter().enumerate().filter_map(|(i, t)| Some((i, t.get(condition)?)));
        let held: Vec<usize> = of().filter(|(_, t)| t.holds).map(|(i, _)| i + 1).collect();
        let nearest = if held.is_empty() {
            // An event of another type is never what was meant, if there is one of the right type.
            let of_other_type = |t: &ConditionTrace| t.blame.iter().any(|a| a.text.starts_with("evt.type"));
            of().min_by_key(|(_, t)| (of_other_type(t), t.blame.len())).map(|(i, trace)| Nearest {
                event: i + 1,
                event_type: test.events[i].event_type().name(),
                because: trace.blame.clone(),
            })
        } else {
            None
        };
        Attempt { step, held, nearest }
    });
    let conditions: Vec<Attempt> = attempts.collect();
    if conditions.iter().any(|c| c.held.is_empty()) {
        return Why::Conditions { conditions };
    }
    let held = conditions.into_iter().map(|c| c.held).collect();
    let by = |terms: &[vedette_policy::term::Term]| match terms {
        [] => String::new(),
        _ => format!(
            " with the same {}",
            terms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
        ),
    };
    match &rule.detection {
        Detection::Single(_) => Why::Shadowed,
        Detection::Threshold(t) => {
            let what = match &t.distinct {
                Some(term) => format!("{} different values of {term}", t.count),
                None => format!("{} events", t.count),
            };
            Why::Correlation { needs: format!("{what} within {:?}{}", t.within, by(&t.by)), held }
        }
        Detection::Sequence(s) => {
            Why::Correlation { needs: format!("the steps in order within {:?}{}", s.within, by(&s.by)), held }
        }
    }
}
