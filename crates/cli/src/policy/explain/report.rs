//! What is to be said of a rule.

use std::time::Duration;

use serde::Serialize;
use vedette_policy::event_type::EventCategory;
use vedette_policy::explain::{ConditionExplanation, Explanation};
use vedette_policy::rule::{Detection, PolicyRef, Scope};
use vedette_policy::term::Term;
use vedette_policy::{Action, EventType, FieldName, Level, Mode, Priority, Rule, SourceMap};

/// A rule, explained.
#[derive(Serialize)]
pub struct RuleReport<'r> {
    pub rule: &'r str,
    pub desc: &'r str,
    pub priority: Priority,
    pub tags: &'r [String],
    pub level: Level,
    /// The ids of the ATT&CK techniques that it is about.
    pub attack: &'r [String],
    pub file: String,
    pub line: u32,
    pub policy: &'r PolicyRef,
    pub mode: Mode,
    pub action: Action,
    pub enabled: bool,
    #[serde(skip_serializing_if = "Scope::is_everything")]
    pub scope: &'r Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<CorrelationReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Interval>,
    /// The system calls that are hooked for it.
    pub system_calls: Vec<&'static str>,
    /// The events of the sensor's own that it needs.
    pub sensor_events: Vec<&'static str>,
    pub conditions: Vec<ConditionExplanation>,
    /// Whether the kernel alone can decide it.
    pub exact: bool,
    pub output: String,
    pub fields: Vec<FieldReport>,
}

/// How many events make it match.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum CorrelationReport {
    Threshold {
        count: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        distinct: Option<String>,
        #[serde(flatten)]
        window: Interval,
    },
    Sequence {
        #[serde(flatten)]
        window: Interval,
    },
}

/// A length of time, and what the events in it have in common.
#[derive(Serialize)]
pub struct Interval {
    pub by: Vec<String>,
    pub seconds: f64,
}

/// A field that the rule reads.
#[derive(Serialize)]
pub struct FieldReport {
    pub name: String,
    /// Whether the sensor fills it.
    pub filled: bool,
    /// Whether the condition reads it; else only the output or a key does.
    pub in_condition: bool,
}

impl<'r> RuleReport<'r> {
    /// Puts together what is known of a rule.
    pub fn new(rule: &'r Rule, explanation: Explanation, sources: &SourceMap) -> Self {
        let position = sources.position(rule.span.source, rule.span.start);
        let of = |sensor: bool| {
            let types = explanation.event_types.iter().filter(|t| is_of_sensor(**t) == sensor);
            types.map(|t| t.name()).collect()
        };
        Self {
            rule: &rule.name,
            desc: &rule.desc,
            priority: rule.priority,
            tags: &rule.tags,
            level: rule.level,
            attack: &rule.attack,
            file: sources.get(rule.span.source).map(|s| s.name.clone()).unwrap_or_default(),
            line: position.line,
            policy: &rule.policy,
            mode: rule.mode,
            action: rule.action,
            enabled: rule.enabled,
            scope: &rule.scope,
            correlation: correlation(rule),
            throttle: rule.throttle.as_ref().map(|t| interval(&t.by, t.interval)),
            system_calls: of(false),
            sensor_events: of(true),
            conditions: explanation.conditions,
            exact: explanation.exact,
            output: rule.output.to_template(),
            fields: fields(rule),
        }
    }
}

fn is_of_sensor(event_type: EventType) -> bool {
    event_type.category() == EventCategory::Sensor
}

fn correlation(rule: &Rule) -> Option<CorrelationReport> {
    match &rule.detection {
        Detection::Single(_) => None,
        Detection::Threshold(t) => Some(CorrelationReport::Threshold {
            count: t.count,
            distinct: t.distinct.as_ref().map(ToString::to_string),
            window: interval(&t.by, t.within),
        }),
        Detection::Sequence(s) => Some(CorrelationReport::Sequence { window: interval(&s.by, s.within) }),
    }
}

fn interval(by: &[Term], length: Duration) -> Interval {
    Interval { by: by.iter().map(ToString::to_string).collect(), seconds: length.as_secs_f64() }
}

fn fields(rule: &Rule) -> Vec<FieldReport> {
    let of_condition = rule.condition_fields();
    let mut all: Vec<&FieldName> = of_condition.iter().copied().chain(rule.output_fields()).collect();
    all.sort_unstable();
    all.dedup();
    let report = |field: &FieldName| FieldReport {
        name: field.to_string(),
        filled: field.id.info().filled,
        in_condition: of_condition.contains(&field),
    };
    all.into_iter().map(report).collect()
}
