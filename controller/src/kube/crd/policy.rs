//! `SecurityPolicy` and `ClusterSecurityPolicy`.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use super::status::PolicyStatus;

/// Lists, macros and rules for pods of this object's namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vedette.dev",
    version = "v1alpha1",
    kind = "SecurityPolicy",
    plural = "securitypolicies",
    shortname = "secpol",
    category = "vedette",
    namespaced,
    status = "PolicyStatus",
    doc = "A policy for the pods of its own namespace."
)]
#[serde(rename_all = "camelCase")]
pub struct SecurityPolicySpec {
    /// What all policies have.
    #[serde(flatten)]
    pub common: PolicySpec,
}

/// Lists, macros and rules for all namespaces and the host.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vedette.dev",
    version = "v1alpha1",
    kind = "ClusterSecurityPolicy",
    plural = "clustersecuritypolicies",
    shortname = "csecpol",
    category = "vedette",
    status = "PolicyStatus",
    doc = "A policy for everything on a node: all namespaces, and the host."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSecurityPolicySpec {
    /// Only pods in namespaces with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// What all policies have.
    #[serde(flatten)]
    pub common: PolicySpec,
}

/// What all policies have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// What the policy is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub description: Option<String>,
    /// Enforce acts; Audit says in its alerts what it would have done; Disabled is off.
    #[serde(default)]
    pub mode: Mode,
    /// For whom its rules are, unless they say otherwise.
    #[serde(default)]
    pub level: Level,
    /// Only pods with these labels. {} means every pod, but not the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<Selector>,
    /// Only on nodes with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<Selector>,
    /// Only containers with these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<String>,
    /// Values with a name, used as in `proc.name in (NAME)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub lists: Vec<List>,
    /// Conditions with a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub macros: Vec<Macro>,
    /// What is worth an alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
}

/// What a policy does when a rule with an action matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Acts.
    #[default]
    Enforce,
    /// Says what it would have done.
    Audit,
    /// Is off.
    Disabled,
}

/// For whom a rule is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Quiet enough to page someone.
    #[default]
    Default,
    /// For daily work.
    Strict,
    /// Context for hunting.
    Audit,
}

/// Labels that must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct Selector {
    /// Labels with the values they must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<Expression>,
}

/// A requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
        "message": "In and NotIn need values; Exists and DoesNotExist have none",
    },
]))]
pub struct Expression {
    /// The label.
    #[schemars(length(min = 1))]
    pub key: String,
    /// What is required of it.
    pub operator: SelectorOperator,
    /// The values, for In and NotIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What is required of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectorOperator {
    /// It has one of the values.
    In,
    /// It is absent or has another value.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

/// Values with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Values, or names of lists.
    pub items: Vec<Word>,
}

/// A condition with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Macro {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The condition.
    #[schemars(length(min = 1))]
    pub condition: String,
}

/// What is worth an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.condition) != has(self.sequence)",
        "message": "a rule has a condition, or a sequence with the conditions in its steps",
    },
    {
        "rule": "!(has(self.sequence) && has(self.threshold))",
        "message": "sequence and threshold do not go together in one rule",
    },
]))]
pub struct Rule {
    /// Its name, unique in the policy.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub desc: Option<String>,
    /// When it holds: comparisons such as `evt.type = execve and proc.name in (sh, bash)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub condition: Option<String>,
    /// The text of alerts; %field, as in `Shell %proc.name in %container.name`, is replaced by its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub output: Option<String>,
    /// How urgent alerts are: Emergency, Alert, Critical, Error, Warning (default), Notice, Informational or Debug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::PRIORITY))]
    pub priority: Option<String>,
    /// Whether it is on (default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Words to find the rule by. ATT&CK technique ids such as T1059.004 become data of the alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Word>,
    /// For whom it is, if not as the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The ATT&CK techniques that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attack: Vec<Technique>,
    /// What it says to who reads its alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guide: Option<Guide>,
    /// What it does besides an alert: Kill ends the process; Deny refuses the operation, which the kernel must be able
    /// to decide alone.
    #[serde(default)]
    pub action: Action,
    /// Events that do not count: `condition and not (exception)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub exceptions: Vec<Exception>,
    /// Several events, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// So many events in so much time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// One alert at once, then one summary with a count for each interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
}

/// What a rule does besides an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Action {
    /// Nothing.
    #[default]
    Alert,
    /// Ends the process.
    Kill,
    /// Refuses the operation.
    Deny,
}

/// What a rule says to who reads its alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Guide {
    /// What an alert means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub meaning: Option<String>,
    /// Why that is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub why: Option<String>,
    /// What to do now: one short sentence, with which the text of each alert ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub response: Option<String>,
    /// Known causes that are no attack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub benign: Vec<Benign>,
}

/// A known cause that is no attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Benign {
    /// Who does this, and when.
    #[schemars(length(min = 1))]
    pub cause: String,
    /// The exception for it, ready to be pasted; it is checked with the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Exception>,
}

/// Events that do not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exception {
    /// Its name, unique in the rule.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The field compared, or a list of fields compared together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Any>,
    /// How: for one field in (default), pmatch or intersects; for a list, one operator for each (default =).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comps: Option<Any>,
    /// The values; for a list of fields, lists of as many values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Any>,
}

/// Several events, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sequence {
    /// The fields that the events have in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Field>,
    /// In how much time.
    pub within: Duration,
    /// Whether the steps happen in the order given (default), or in any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The events, in their order.
    #[schemars(length(min = 2, max = 16))]
    pub steps: Vec<Step>,
}

/// The order of the steps of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As they are given.
    #[default]
    Given,
    /// Any.
    Any,
}

/// One event of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its name in the alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Its condition.
    #[schemars(length(min = 1))]
    pub condition: String,
    /// The fields of this event that are compared with `by` of the sequence, if they are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Field>,
}

/// So many events in so much time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// How many.
    #[schemars(range(min = 2, max = 100_000))]
    pub count: i64,
    /// Count different values of this field instead of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<Field>,
    /// The fields that the events have in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Field>,
    /// In how much time.
    pub within: Duration,
}

/// How often a rule may raise an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Throttle {
    /// The fields by which alerts count as the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Field>,
    /// The time for one summary.
    pub interval: Duration,
}

/// A length of time, such as 500ms, 60s, 2m or 1h30m.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Duration(#[schemars(regex(pattern = schema::DURATION))] pub String);

/// A field, such as proc.name or proc.aname[2].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Field(#[schemars(regex(pattern = schema::FIELD))] pub String);

/// The id of an ATT&CK technique, such as T1059.004.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Technique(#[schemars(regex(pattern = schema::TECHNIQUE))] pub String);

/// A text or a number. Anything else that looks like neither (`true`, `1.5`) wants quotes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Word(pub serde_json::Value);

/// A text, or a list of such: the API server looks no further, the checker does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Any(pub serde_json::Value);
