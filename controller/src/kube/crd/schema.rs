//! What derived schemas lack to be good ones for the API server.

use std::borrow::Cow;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool, ValidationRule,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::policy::{Any, Word};

/// Words for a priority, in any case of letters.
pub(super) const PRIORITY: &str = "^([Ee][Mm][Ee][Rr][Gg][Ee][Nn][Cc][Yy]|[Aa][Ll][Ee][Rr][Tt]|[Cc][Rr][Ii][Tt][Ii][Cc][Aa][Ll]|\
[Ee][Rr][Rr][Oo][Rr]|[Ww][Aa][Rr][Nn][Ii][Nn][Gg]|[Nn][Oo][Tt][Ii][Cc][Ee]|[Ii][Nn][Ff][Oo][Rr][Mm][Aa][Tt][Ii][Oo][Nn][Aa][Ll]|\
[Dd][Ee][Bb][Uu][Gg]|[Ii][Nn][Ff][Oo])$";
/// A length of time.
pub(super) const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";
/// The name of a field.
pub(super) const FIELD: &str = r"^[a-z0-9_]+(\.[A-Za-z0-9_]+)+(\[.+\])?$";
/// The id of a technique.
pub(super) const TECHNIQUE: &str = r"^T[0-9]{4}(\.[0-9]{3})?$";

impl JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}

impl JsonSchema for Any {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// A column of what `kubectl get` shows: name, type, where it is, and 0 if it is always shown.
pub(super) type Column = (&'static str, &'static str, &'static str, i32);

/// The columns of both kinds of policies.
pub(super) const POLICY_COLUMNS: &[Column] = &[
    ("Mode", "string", ".spec.mode", 0),
    ("Rules", "integer", ".status.rules", 0),
    ("Compiled", "string", r#".status.conditions[?(@.type=="Compiled")].status"#, 0),
    ("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#, 0),
    ("Nodes", "integer", ".status.nodes.desired", 0),
    ("Degraded", "integer", ".status.nodes.degraded", 0),
    ("Failed", "integer", ".status.nodes.failed", 0),
    ("Message", "string", r#".status.conditions[?(@.type=="Ready")].message"#, 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
];

/// The columns of sinks.
pub(super) const SINK_COLUMNS: &[Column] = &[
    ("Kind", "string", ".status.kind", 0),
    ("Accepted", "string", r#".status.conditions[?(@.type=="Accepted")].status"#, 0),
    ("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#, 0),
    ("Message", "string", r#".status.conditions[?(@.type=="Ready")].message"#, 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
];

/// The settings of a sink that say where alerts go.
const FAR_SIDES: [&str; 10] = [
    "stdout",
    "file",
    "syslog",
    "webhook",
    "splunkHec",
    "elasticsearch",
    "otlp",
    "kafka",
    "nats",
    "alertmanager",
];

/// Completes the schema of sinks: one far side, and of the places of a secret only Secrets of the cluster.
pub(super) fn finish_sink(crd: &mut CustomResourceDefinition) {
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let spec = root.and_then(|root| root.properties.as_mut()?.get_mut("spec"));
        let Some(spec) = spec else { continue };
        let sides = FAR_SIDES.map(|side| format!("has(self.{side})")).join(", ");
        spec.x_kubernetes_validations = Some(vec![ValidationRule {
            rule: format!("[{sides}].filter(is_there, is_there).size() == 1"),
            message: Some(format!("a sink has exactly one of {}", FAR_SIDES.join(", "))),
            ..ValidationRule::default()
        }]);
        secrets_only(spec);
    }
}

/// Takes the controller's own files and variables away from the places where a secret may be.
fn secrets_only(schema: &mut JSONSchemaProps) {
    if let Some(properties) = &mut schema.properties {
        if properties.contains_key("secret") && properties.remove("env").is_some() {
            properties.remove("file");
            if properties.len() == 1 {
                schema.required = Some(vec!["secret".into()]);
            }
        }
        properties.values_mut().for_each(secrets_only);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        secrets_only(values);
    }
}

/// Completes a definition: adds the columns, and takes away what was derived and says nothing or says too much.
pub(super) fn finish(crd: &mut CustomResourceDefinition, columns: &[Column]) {
    for version in &mut crd.spec.versions {
        let column = |&(name, type_, json_path, priority): &Column| CustomResourceColumnDefinition {
            name: name.into(),
            type_: type_.into(),
            json_path: json_path.into(),
            priority: (priority > 0).then_some(priority),
            ..CustomResourceColumnDefinition::default()
        };
        version.additional_printer_columns = Some(columns.iter().map(column).collect());
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        tidy(root);
    }
}

fn tidy(schema: &mut JSONSchemaProps) {
    // An optional key may be left out; `key: null` means nothing in a policy file either.
    schema.nullable = None;
    // It says both types already.
    if schema.x_kubernetes_int_or_string == Some(true) {
        schema.any_of = None;
    }
    if schema.default.as_ref().is_some_and(|default| default.0.is_null()) {
        schema.default = None;
    }
    // What is not named is pruned; to forbid it as well is not possible.
    if matches!(schema.additional_properties, Some(JSONSchemaPropsOrBool::Bool(false))) {
        schema.additional_properties = None;
    }
    // Rust's widths of numbers; the bounds that matter are there as such.
    if schema.format.as_deref().is_some_and(|format| format != "date-time") {
        schema.format = None;
    }
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
