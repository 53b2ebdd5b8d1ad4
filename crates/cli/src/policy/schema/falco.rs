//! The schema of Falco rule files.

use serde_json::{Value as Json, json};

/// The definitions for files that are lists of items.
pub fn definitions() -> Json {
    json!({
        "falcoFile": {
            "type": "array",
            "description": "Falco rule items, in order: later ones may change earlier ones.",
            "items": {"$ref": "#/$defs/falcoItem"},
        },
        "falcoItem": {
            "type": "object",
            "anyOf": [
                {"required": ["rule"]},
                {"required": ["macro"]},
                {"required": ["list"]},
                {"required": ["required_engine_version"]},
                {"required": ["required_plugin_versions"]},
            ],
            "allOf": [
                choice("rule", "falcoRule"),
                choice("macro", "falcoMacro"),
                choice("list", "falcoList"),
                choice("required_engine_version", "falcoEngine"),
                choice("required_plugin_versions", "falcoPlugins"),
            ],
        },
        "falcoRule": rule(),
        "falcoMacro": {
            "description": "A condition with a name. It must be defined before its use.",
            "additionalProperties": false,
            "required": ["macro", "condition"],
            "properties": {
                "macro": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$", "description": "Its name."},
                "condition": {"$ref": "#/$defs/condition"},
                "append": append(),
                "override": change(&["condition"], &["condition"]),
            },
        },
        "falcoList": {
            "description": "Values with a name, used as in `proc.name in (NAME)`.",
            "additionalProperties": false,
            "required": ["list", "items"],
            "properties": {
                "list": {"type": "string", "pattern": r#"^[^\s()"'=,]+$"#, "description": "Its name."},
                "items": {
                    "description": "Values, or names of lists.",
                    "anyOf": [{"type": "array", "items": {"$ref": "#/$defs/scalar"}}, {"type": "null"}],
                },
                "append": append(),
                "override": change(&["items"], &["items"]),
            },
        },
        "falcoEngine": {
            "additionalProperties": false,
            "properties": {
                "required_engine_version": {
                    "type": ["integer", "string"],
                    "description": "The version of Falco's rule engine that the file was written for.",
                },
            },
        },
        "falcoPlugins": {
            "additionalProperties": false,
            "properties": {
                "required_plugin_versions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["name", "version"],
                        "properties": {
                            "name": {"type": "string"},
                            "version": {"type": "string"},
                            "alternatives": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "additionalProperties": false,
                                    "required": ["name", "version"],
                                    "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
                                },
                            },
                        },
                    },
                },
            },
        },
    })
}

fn rule() -> Json {
    json!({
        "description": "A rule, or a change to an earlier one of its name.",
        "additionalProperties": false,
        "anyOf": [
            {"required": ["condition", "output", "desc", "priority"]},
            {"required": ["override"]},
            {"required": ["append"]},
            {"required": ["enabled"]},
        ],
        "properties": {
            "rule": {"type": "string", "minLength": 1, "description": "Its name."},
            "desc": {"type": "string", "description": "What it is for."},
            "condition": {"$ref": "#/$defs/condition"},
            "output": {"$ref": "#/$defs/output"},
            "priority": {"$ref": "#/$defs/priority"},
            "source": {"type": "string", "default": "syscall", "description": "The event source. Rules for others are skipped."},
            "enabled": {"type": "boolean", "default": true, "description": "Whether it is on. Alone, it switches an earlier rule."},
            "tags": {"$ref": "#/$defs/tags"},
            "exceptions": {"$ref": "#/$defs/exceptions"},
            "append": append(),
            "override": change(
                &["condition", "output", "desc", "tags", "exceptions"],
                &[
                    "condition", "output", "desc", "priority", "tags", "exceptions", "enabled", "warn_evttypes",
                    "skip-if-unknown-filter",
                ],
            ),
            "warn_evttypes": {
                "type": "boolean",
                "default": true,
                "description": "Whether to warn when the condition names no event type.",
            },
            "skip-if-unknown-filter": {
                "type": "boolean",
                "default": false,
                "description": "Whether an unknown field makes the rule skipped instead of wrong.",
            },
            "capture": {"type": "boolean", "description": "Of Falco; nothing here reads it."},
            "capture_duration": {"type": "integer", "description": "Of Falco; nothing here reads it."},
        },
    })
}

fn choice(key: &str, definition: &str) -> Json {
    json!({"if": {"required": [key]}, "then": {"$ref": format!("#/$defs/{definition}")}})
}

fn append() -> Json {
    json!({"type": "boolean", "deprecated": true, "description": "The old way; write `override` instead."})
}

fn change(append: &[&str], replace: &[&str]) -> Json {
    let keys = replace.iter().map(|key| {
        let ways = if append.contains(key) { json!(["append", "replace"]) } else { json!(["replace"]) };
        ((*key).to_owned(), json!({"enum": ways}))
    });
    json!({
        "type": "object",
        "description": "What this item does with the keys it has to the earlier item of its name.",
        "additionalProperties": false,
        "properties": keys.collect::<serde_json::Map<_, _>>(),
    })
}
