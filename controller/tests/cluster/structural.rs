//! What an API server does with the schema of a custom resource: it wants it structural, prunes what it does not name,
//! fills in defaults, and refuses what it does not allow.

#![allow(dead_code, reason = "several tests use it, and not all of them use all of it")]

use std::collections::HashSet;

use kube::core::cel::Validator as CelValidator;
use serde_json::{Map, Value as Json, json};

/// The schema of one kind.
pub struct Structural {
    schema: Json,
    validator: jsonschema::Validator,
}

impl Structural {
    /// Takes the schema of the first version of a definition.
    pub fn of(crd: &Json) -> Self {
        let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        let validator = jsonschema::validator_for(&as_json_schema(&schema)).unwrap();
        Self { schema, validator }
    }

    /// The schema itself.
    pub fn schema(&self) -> &Json {
        &self.schema
    }

    /// What makes the API server refuse the definition.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        check_structural(&self.schema, "", &mut faults);
        faults
    }

    /// Takes away what the schema does not name, and says what that was.
    pub fn prune(&self, object: &mut Json) -> Vec<String> {
        let mut pruned = Vec::new();
        let Some(root) = object.as_object_mut() else { return pruned };
        // These are the API server's own.
        let own: Vec<_> =
            ["apiVersion", "kind", "metadata"].iter().filter_map(|k| root.remove_entry(*k)).collect();
        prune(&self.schema, object, "", &mut pruned);
        object.as_object_mut().unwrap().extend(own);
        pruned
    }

    /// Fills in defaults.
    pub fn default(&self, object: &mut Json) {
        default(&self.schema, object);
    }

    /// Why the object is refused.
    pub fn complaints(&self, object: &Json, old: Option<&Json>) -> Vec<String> {
        let errors = self.validator.iter_errors(object);
        let mut all: Vec<String> = errors.map(|e| format!("{}: {e}", e.instance_path())).collect();
        check_keys(&self.schema, object, "", &mut all);
        if all.is_empty()
            && let Err(errors) = CelValidator::new().validate(&self.schema, object, old)
        {
            all.push(errors.to_string());
        }
        all
    }
}

fn properties(schema: &Json) -> impl Iterator<Item = (&String, &Json)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// The schema as plain JSON schema: a word is a text or an integer.
fn as_json_schema(schema: &Json) -> Json {
    match schema {
        Json::Object(map) => {
            let mut map: Map<String, Json> =
                map.iter().map(|(k, v)| (k.clone(), as_json_schema(v))).collect();
            if map.remove("x-kubernetes-int-or-string") == Some(Json::Bool(true)) {
                map.insert("type".into(), json!(["integer", "string"]));
            }
            Json::Object(map)
        }
        Json::Array(items) => items.iter().map(as_json_schema).collect(),
        other => other.clone(),
    }
}

fn check_structural(schema: &Json, path: &str, faults: &mut Vec<String>) {
    let free = schema["x-kubernetes-preserve-unknown-fields"] == true
        || schema["x-kubernetes-int-or-string"] == true;
    if !schema["type"].is_string() && !free {
        faults.push(format!("{path}: no single type"));
    }
    for word in ["$ref", "allOf", "anyOf", "oneOf", "not", "definitions", "uniqueItems", "nullable"] {
        if !schema[word].is_null() {
            faults.push(format!("{path}: `{word}`"));
        }
    }
    if schema["properties"].is_object() && !schema["additionalProperties"].is_null() {
        faults.push(format!("{path}: both properties and additionalProperties"));
    }
    if schema["type"] == "array" && !schema["items"].is_object() {
        faults.push(format!("{path}: an array without items"));
    }
    if schema["x-kubernetes-list-type"] == "map" {
        for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
            let required = schema["items"]["required"].as_array().is_some_and(|r| r.contains(key));
            if !required {
                faults.push(format!("{path}: the key {key} of the list is not required"));
            }
        }
    }
    // The cost of a rule is the cost of one evaluation times how often it can occur, which must be bounded.
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if !rule["message"].is_string() {
            faults.push(format!("{path}: a rule without message"));
        }
    }
    for (inner, bound) in [("items", "maxItems"), ("additionalProperties", "maxProperties")] {
        if schema[inner].is_object() && has_rules(&schema[inner]) && !schema[bound].is_number() {
            faults.push(format!("{path}: rules below it, and no {bound}"));
        }
    }
    if schema["default"].is_null() && schema.get("default").is_some() {
        faults.push(format!("{path}: nothing as the default"));
    }
    for (name, property) in properties(schema) {
        check_structural(property, &format!("{path}.{name}"), faults);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            check_structural(&schema[inner], &format!("{path}[]"), faults);
        }
    }
}

fn has_rules(schema: &Json) -> bool {
    schema["x-kubernetes-validations"].is_array()
        || properties(schema).any(|(_, property)| has_rules(property))
        || (schema["items"].is_object() && has_rules(&schema["items"]))
}

fn prune(schema: &Json, value: &mut Json, path: &str, pruned: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            if schema["additionalProperties"].is_object() {
                for (key, value) in map.iter_mut() {
                    prune(&schema["additionalProperties"], value, &format!("{path}.{key}"), pruned);
                }
                return;
            }
            let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
            map.retain(|key, value| {
                let known = schema["properties"].get(key);
                let kept = match known {
                    // Nothing, where nothing is allowed, is taken away as well.
                    Some(_) if value.is_null() => false,
                    Some(_) => true,
                    None => keeps,
                };
                if !kept {
                    pruned.push(format!("{path}.{key}"));
                }
                if let Some(known) = known {
                    prune(known, value, &format!("{path}.{key}"), pruned);
                }
                kept
            });
        }
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                prune(&schema["items"], item, &format!("{path}[{index}]"), pruned);
            }
        }
        _ => {}
    }
}

fn default(schema: &Json, value: &mut Json) {
    match value {
        Json::Object(map) => {
            for (name, property) in properties(schema) {
                if !map.contains_key(name) && !property["default"].is_null() {
                    map.insert(name.clone(), property["default"].clone());
                }
                if let Some(value) = map.get_mut(name) {
                    default(property, value);
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| default(&schema["items"], item)),
        _ => {}
    }
}

/// The entries of a list that is a map by its keys have different keys.
fn check_keys(schema: &Json, value: &Json, path: &str, complaints: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            for (name, property) in properties(schema) {
                if let Some(value) = map.get(name) {
                    check_keys(property, value, &format!("{path}.{name}"), complaints);
                }
            }
        }
        Json::Array(items) => {
            let mut seen = HashSet::new();
            for (index, item) in items.iter().enumerate() {
                if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
                    let key: Vec<_> =
                        keys.iter().map(|key| item[key.as_str().unwrap()].to_string()).collect();
                    if !seen.insert(key.clone()) {
                        complaints.push(format!("{path}[{index}]: Duplicate value: {}", key.join(", ")));
                    }
                }
                check_keys(&schema["items"], item, &format!("{path}[{index}]"), complaints);
            }
        }
        _ => {}
    }
}
