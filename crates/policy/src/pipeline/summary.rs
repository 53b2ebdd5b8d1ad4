//! Alerts that tell of alerts held back.
//!
//! A throttle's summary comes when no event is at hand, possibly after the process has gone. It is told with the
//! process and the event of the alert that was let through before it.

use std::collections::{HashMap, VecDeque};

use std::sync::Arc;

use vedette_event::alert::{Alert, Finding};

/// Alerts kept for each throttled rule.
const KEPT: usize = 16;

/// The last alerts of throttled rules, by the rule's position.
#[derive(Debug, Default)]
pub struct LastAlerts {
    by_rule: HashMap<usize, VecDeque<Arc<Alert>>>,
}

impl LastAlerts {
    /// Takes note of an alert that was let through.
    pub fn note(&mut self, rule: usize, alert: &Arc<Alert>) {
        let alerts = self.by_rule.entry(rule).or_default();
        if alerts.len() == KEPT {
            alerts.pop_front();
        }
        alerts.push_back(Arc::clone(alert));
    }

    /// The summary that `finding` asks for, made of the alert whose fields are most like its own, the latest of equals.
    pub fn summary(&self, rule: usize, finding: Finding) -> Option<Alert> {
        let likeness = |alert: &Alert| {
            finding
                .output_fields
                .iter()
                .filter(|(name, value)| alert.output_fields.get(*name) == Some(value))
                .count()
        };
        let alert = self.by_rule.get(&rule)?.iter().max_by_key(|alert| likeness(alert))?;
        Some(alert.summary(finding))
    }

    /// Forgets everything: positions mean other rules now.
    pub fn clear(&mut self) {
        self.by_rule.clear();
    }
}
