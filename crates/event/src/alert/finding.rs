//! What a policy match says.

use std::{fmt, str::FromStr};

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::{Guide, Level, Time};

/// How urgent an alert is, most urgent first. The names are Falco's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// The system is unusable.
    Emergency,
    /// Act at once.
    Alert,
    /// Critical.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// Normal but noteworthy.
    Notice,
    /// For information.
    Informational,
    /// For debugging.
    Debug,
}

/// A word that is no priority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no priority; there are Emergency, Alert, Critical, Error, Warning, Notice, Informational and Debug"
)]
pub struct UnknownPriority(pub String);

impl Priority {
    /// All, most urgent first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "Emergency",
            Self::Alert => "Alert",
            Self::Critical => "Critical",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Notice => "Notice",
            Self::Informational => "Informational",
            Self::Debug => "Debug",
        }
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// Whatever the case of letters; `Info` is short for `Informational`.
    fn from_str(text: &str) -> Result<Self, UnknownPriority> {
        if text.eq_ignore_ascii_case("info") {
            return Ok(Self::Informational);
        }
        let found = Self::ALL.into_iter().find(|p| p.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownPriority(text.to_owned()))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RequestedAction {
    /// To tell.
    #[default]
    Alert,
    /// To kill the process.
    Kill,
    /// To refuse what it asked for.
    Deny,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TakenAction {
    /// Nothing, although something was asked for: it could not be done here.
    None,
    /// It was told.
    #[default]
    Alert,
    /// The process was killed.
    Killed,
    /// The operation was refused.
    Denied,
    /// Nothing, because the policy only audits; it would have been done.
    Audit,
}

/// What a rule asked for, and what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Action {
    /// What the rule asks for.
    pub requested: RequestedAction,
    /// What was done.
    pub taken: TakenAction,
}

/// Names a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyName {
    /// `SecurityPolicy` or `ClusterSecurityPolicy`; absent for a Falco rule file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of a `SecurityPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the policy, or of the file.
    pub name: String,
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The way in which several events make one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorrelationKind {
    /// Steps in an order.
    Sequence,
    /// So many within a time.
    Threshold,
    /// Alerts held back, told as a number.
    Throttle,
}

impl CorrelationKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Threshold => "threshold",
            Self::Throttle => "throttle",
        }
    }
}

/// The events behind an alert that is about more than one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    /// How they belong together.
    pub kind: CorrelationKind,
    /// How many there are.
    pub count: u64,
    /// When the first happened.
    pub first: Time,
    /// When the last happened.
    pub last: Time,
    /// The steps of a sequence, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CorrelationStep>,
}

/// One step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelationStep {
    /// When it happened.
    pub time: Time,
    /// Name of the step.
    pub name: String,
    /// What is worth knowing of the event, by field name (`evt.type`, `proc.pid`, …).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub fields: IndexMap<String, Value>,
}

/// What a policy match says.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// What the rule is about; may be empty.
    pub description: String,
    /// The policy it comes from.
    pub policy: Option<PolicyName>,
    /// For whom it is.
    pub level: Level,
    /// What it says to the reader, if it says anything.
    pub guide: Option<Guide>,
    /// The ATT&CK techniques that it is about, besides those among its tags.
    pub techniques: Vec<String>,
    /// Its priority.
    pub priority: Priority,
    /// Where the event comes from: `syscall`.
    pub source: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The output template, rendered; without time and priority.
    pub message: String,
    /// The fields of the template and their values, in its order.
    pub output_fields: IndexMap<String, Value>,
    /// What the rule asked for, and what was done.
    pub action: Action,
    /// The events behind it, where there are several.
    pub correlation: Option<Correlation>,
}

impl Finding {
    /// A finding about a system call that asks for nothing but to be told.
    pub fn new(rule: impl Into<String>, priority: Priority, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            description: String::new(),
            policy: None,
            level: Level::Default,
            guide: None,
            techniques: Vec::new(),
            priority,
            source: "syscall".to_owned(),
            tags: Vec::new(),
            message: message.into(),
            output_fields: IndexMap::new(),
            action: Action::default(),
            correlation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_read_whatever_their_case() {
        for priority in Priority::ALL {
            let name = priority.as_str();
            for spelling in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(spelling.parse(), Ok(priority));
            }
            let json = serde_json::to_string(&priority).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Priority>(&json).unwrap(), priority);
        }
        assert_eq!("Info".parse(), Ok(Priority::Informational));
        assert_eq!("warn".parse::<Priority>(), Err(UnknownPriority("warn".to_owned())));
        assert!(Priority::Emergency < Priority::Debug);
    }
}
