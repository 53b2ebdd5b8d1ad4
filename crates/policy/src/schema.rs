//! The JSON schema of policy files, so that an editor completes and checks them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::spec::{OneOrMany, PolicyDocument};

/// The schema (draft 2020-12) of a policy file: a native policy, or a list of Falco items.
pub fn policy_file() -> Json {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<PolicyFile>();
    schema.to_value()
}

/// A policy file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Vedette policy file")]
#[serde(untagged)]
enum PolicyFile {
    /// A native policy.
    Native(Box<PolicyDocument>),
    /// A list of Falco items.
    Falco(Vec<FalcoItem>),
}

/// An item of a Falco rule file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum FalcoItem {
    /// A rule, or a change to an earlier one.
    Rule(Box<FalcoRule>),
    /// A macro, or a change to an earlier one.
    Macro(FalcoMacro),
    /// A list, or a change to an earlier one.
    List(FalcoList),
    /// The engine version that the file requires.
    RequiredEngineVersion(RequiredEngineVersion),
    /// The plugins that the file requires.
    RequiredPluginVersions(RequiredPluginVersions),
}

/// What to do with the keys of an earlier item.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Change {
    /// Add to it.
    Append,
    /// Put this in its place.
    Replace,
}

/// A rule, or a change to an earlier one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FalcoRule {
    /// Its name.
    rule: String,
    /// When it matches.
    condition: Option<String>,
    /// The text of its alerts.
    output: Option<String>,
    /// What it is for.
    desc: Option<String>,
    /// Emergency, Alert, Critical, Error, Warning, Notice, Informational (Info) or Debug, whatever the case.
    priority: Option<String>,
    /// The event source: `syscall`.
    source: Option<String>,
    /// Whether it is on.
    enabled: Option<bool>,
    /// Its tags.
    tags: Option<Vec<String>>,
    /// Cases in which it does not match.
    exceptions: Option<Vec<FalcoException>>,
    /// What to do with the keys of the earlier rule.
    r#override: Option<BTreeMap<String, Change>>,
    /// The old way to append to condition and exceptions.
    append: Option<bool>,
    /// Whether to warn when the condition names no event type.
    warn_evttypes: Option<bool>,
    /// Whether an unknown field makes the rule skipped instead of wrong.
    #[serde(rename = "skip-if-unknown-filter")]
    skip_if_unknown_filter: Option<bool>,
    /// Read, and not used.
    capture: Option<bool>,
    /// Read, and not used.
    capture_duration: Option<u64>,
}

/// Cases in which a rule does not match. One that adds values to an earlier one has no fields.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FalcoException {
    /// Its name.
    name: String,
    /// A field, or several.
    fields: Option<OneOrMany>,
    /// A comparison operator, or one for each field.
    comps: Option<OneOrMany>,
    /// The values: for a single field words, for several fields lists of as many.
    values: Option<Vec<OneOrMany>>,
}

/// A macro, or a change to an earlier one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FalcoMacro {
    /// Its name.
    r#macro: String,
    /// The condition.
    condition: String,
    /// What to do with the condition of the earlier macro.
    r#override: Option<BTreeMap<String, Change>>,
    /// The old way to append.
    append: Option<bool>,
}

/// A list, or a change to an earlier one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FalcoList {
    /// Its name.
    list: String,
    /// Its values, or names of lists.
    items: Vec<Scalar>,
    /// What to do with the items of the earlier list.
    r#override: Option<BTreeMap<String, Change>>,
    /// The old way to append.
    append: Option<bool>,
}

/// A word or a number.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
}

/// The engine version that the file requires.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RequiredEngineVersion {
    /// An integer, or three numbers such as `0.57.0`.
    required_engine_version: Scalar,
}

/// The plugins that the file requires.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RequiredPluginVersions {
    /// Each with its version, and others that do as well.
    required_plugin_versions: Vec<RequiredPlugin>,
}

/// A plugin that the file requires.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RequiredPlugin {
    /// Its name.
    name: String,
    /// The least version, such as `0.4.0`.
    version: String,
    /// Others that do as well.
    alternatives: Option<Vec<RequiredPlugin>>,
}
