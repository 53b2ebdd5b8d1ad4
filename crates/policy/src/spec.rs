//! Policy files as data types: what a converter writes, and what the JSON schema describes.
//!
//! Reading goes through [`document`](crate::document) instead, which keeps the place of every word; a test holds the
//! two against each other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::native::{Action, Mode, PolicyKind, SelectorOperator};
use crate::rule::Priority;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A native policy: a `SecurityPolicy` or `ClusterSecurityPolicy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDocument {
    /// `vedette.dev/v1alpha1`.
    pub api_version: String,
    /// Which of the two kinds.
    pub kind: PolicyKind,
    /// Its name, and its namespace if it is a `SecurityPolicy`.
    pub metadata: Metadata,
    /// What it says.
    pub spec: PolicySpec,
}

/// Name and namespace, as Kubernetes has them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// What a native policy says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it acts (`Enforce`), says what it would have done (`Audit`) or is off (`Disabled`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Labels of the pods it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelectorSpec>,
    /// Labels of the namespaces it is for. Only in a `ClusterSecurityPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelectorSpec>,
    /// Labels of the nodes it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelectorSpec>,
    /// Names of the containers it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<String>,
    /// Its lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListSpec>,
    /// Its macros. A macro must be defined before its use in another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macros: Vec<MacroSpec>,
    /// Its rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSpec>,
}

/// Labels that must be there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelectorSpec {
    /// Labels with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<ExpressionSpec>,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpressionSpec {
    /// The label.
    pub key: String,
    /// What is required of it.
    pub operator: SelectorOperator,
    /// The values, for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// A list of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// Its name, as used in `in (name)`.
    pub name: String,
    /// Its values, or names of lists defined before.
    pub items: Vec<String>,
}

/// A condition with a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MacroSpec {
    /// Its name.
    pub name: String,
    /// The condition.
    pub condition: String,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// When it matches. A rule with a `sequence` has conditions in its steps instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The text of its alerts, with fields as in `%proc.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How urgent its alerts are; `Warning` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "priority_schema")]
    pub priority: Option<Priority>,
    /// Whether it is on; yes if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its tags. ATT&CK ids such as `T1059.004` are data in alerts, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it does when it matches.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: Action,
    /// Cases in which it does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ExceptionSpec>,
    /// Matches after so many events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ThresholdSpec>,
    /// Matches after several events, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<SequenceSpec>,
    /// One alert at once, then a counted summary for each interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<ThrottleSpec>,
}

fn priority_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "enum": Priority::ALL.map(Priority::as_str) })
}

/// Cases in which a rule does not match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionSpec {
    /// Its name.
    pub name: String,
    /// A field, or several.
    pub fields: OneOrMany,
    /// A comparison operator, or one for each field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comps: Option<OneOrMany>,
    /// The values: for a single field words, for several fields lists of as many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<OneOrMany>,
}

/// A word, or a list of words or lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// A word.
    One(String),
    /// A list.
    Many(Vec<OneOrMany>),
}

/// So many events in so much time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdSpec {
    /// How many events.
    #[schemars(range(min = 2, max = 100_000))]
    pub count: u32,
    /// Count different values of this field instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<String>,
    /// The fields that the events have in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// In how much time, such as `60s` or `2m`.
    pub within: String,
}

/// Several events, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SequenceSpec {
    /// The fields that the events have in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// How long the whole may take, such as `60s` or `2m`.
    pub within: String,
    /// The events.
    #[schemars(length(min = 2, max = 16))]
    pub steps: Vec<StepSpec>,
}

/// One event of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Its name in the alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its condition.
    pub condition: String,
}

/// How often a rule may raise an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThrottleSpec {
    /// The fields by which alerts count as the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// One summary for each, such as `60s` or `1h`.
    pub interval: String,
}
