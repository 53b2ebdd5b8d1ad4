//! The schema of native policies.

use serde_json::{Value as Json, json};
use vedette_event::alert::attack;
use vedette_policy::Level;
use vedette_policy::document::native::{API_VERSION, MAX_EXPRESSIONS, MAX_RULES, PolicyKind};

/// The definitions for `SecurityPolicy` and `ClusterSecurityPolicy`.
pub fn definitions() -> Json {
    let kinds = [PolicyKind::SecurityPolicy, PolicyKind::ClusterSecurityPolicy].map(PolicyKind::as_str);
    json!({
        "policy": {
            "type": "object",
            "additionalProperties": false,
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "properties": {
                "apiVersion": {"const": API_VERSION},
                "kind": {
                    "enum": kinds,
                    "description": "SecurityPolicy sees the pods of its own namespace; ClusterSecurityPolicy sees everything, the host included.",
                },
                "metadata": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "description": "The name of the policy."},
                        "namespace": {"type": "string", "description": "The namespace that a SecurityPolicy sees (default: default)."},
                    },
                },
                "spec": {"$ref": "#/$defs/spec"},
                "status": {"type": "object", "description": "Written by the controller."},
            },
            "if": {"properties": {"kind": {"const": PolicyKind::ClusterSecurityPolicy.as_str()}}},
            "then": {"properties": {"metadata": {"properties": {"namespace": false}}}},
            "else": {"properties": {"spec": {"properties": {"namespaceSelector": false}}}},
        },
        "spec": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "description": {"type": "string", "description": "What the policy is for."},
                "mode": {
                    "enum": ["Enforce", "Audit", "Disabled"],
                    "default": "Enforce",
                    "description": "Enforce acts; Audit says in its alerts what it would have done; Disabled is off.",
                },
                "level": {
                    "$ref": "#/$defs/level",
                    "description": "For whom its rules are, unless they say otherwise.",
                },
                "podSelector": {
                    "$ref": "#/$defs/selector",
                    "description": "Only pods with these labels. `{}` means every pod, but not the host.",
                },
                "namespaceSelector": {
                    "$ref": "#/$defs/selector",
                    "description": "Only pods in namespaces with these labels (ClusterSecurityPolicy only).",
                },
                "nodeSelector": {"$ref": "#/$defs/selector", "description": "Only on nodes with these labels."},
                "containers": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Only containers with these names.",
                },
                "lists": {
                    "type": "array",
                    "description": "Values with a name, used as in `proc.name in (NAME)`.",
                    "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["name", "items"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "items": {
                                "description": "Values, or names of lists.",
                                "anyOf": [{"type": "array", "items": {"$ref": "#/$defs/scalar"}}, {"type": "null"}],
                            },
                        },
                    },
                },
                "macros": {
                    "type": "array",
                    "description": "Conditions with a name.",
                    "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["name", "condition"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "condition": {"$ref": "#/$defs/condition"},
                        },
                    },
                },
                "rules": {"type": "array", "maxItems": MAX_RULES, "items": {"$ref": "#/$defs/rule"}},
            },
        },
        "rule": rule(),
        "level": {
            "enum": Level::ALL.map(Level::as_str),
            "default": Level::Default.as_str(),
            "description": "For whom it is: default is quiet enough to page someone, strict is for daily work, audit is context for hunting. Each level has the rules of those before it.",
        },
        "technique": {
            "description": "The id of an ATT&CK technique, such as T1059.004.",
            "anyOf": [{"enum": attack::techniques().map(|t| t.id).collect::<Vec<_>>()}, {"type": "string", "pattern": r"^T[0-9]{4}(\.[0-9]{3})?$"}],
        },
        "guide": guide(),
        "selector": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "matchLabels": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Labels with the values they must have.",
                },
                "matchExpressions": {
                    "type": "array",
                    "maxItems": MAX_EXPRESSIONS,
                    "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["key", "operator"],
                        "if": {"properties": {"operator": {"enum": ["In", "NotIn"]}}},
                        "then": {"required": ["values"], "properties": {"values": {"minItems": 1}}},
                        "else": {"properties": {"values": {"maxItems": 0}}},
                        "properties": {
                            "key": {"type": "string"},
                            "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                            "values": {"type": "array", "items": {"$ref": "#/$defs/scalar"}},
                        },
                    },
                },
            },
        },
        "duration": {
            "type": "string",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
            "description": "A length of time, such as 500ms, 60s, 2m or 1h30m.",
            "examples": ["10s", "60s", "5m", "1h"],
        },
    })
}

fn rule() -> Json {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name"],
        "if": {"required": ["sequence"]},
        "then": {"properties": {"condition": false, "threshold": false}},
        "else": {"required": ["condition"]},
        "properties": {
            "name": {"type": "string", "minLength": 1, "description": "Its name, unique in the policy."},
            "desc": {"type": "string", "description": "What it is for."},
            "condition": {"$ref": "#/$defs/condition"},
            "output": {"$ref": "#/$defs/output"},
            "priority": {"$ref": "#/$defs/priority"},
            "enabled": {"type": "boolean", "default": true, "description": "Whether it is on."},
            "tags": {"$ref": "#/$defs/tags"},
            "level": {"$ref": "#/$defs/level"},
            "attack": {
                "type": "array",
                "items": {"$ref": "#/$defs/technique"},
                "description": "The ATT&CK techniques that it is about.",
            },
            "guide": {"$ref": "#/$defs/guide"},
            "action": {
                "enum": ["Alert", "Kill", "Deny"],
                "default": "Alert",
                "description": "What it does besides an alert: Kill ends the process; Deny refuses the operation, which the kernel must be able to decide alone.",
            },
            "exceptions": {"$ref": "#/$defs/exceptions"},
            "sequence": sequence(),
            "threshold": {
                "type": "object",
                "description": "So many events in so much time.",
                "additionalProperties": false,
                "required": ["count", "within"],
                "properties": {
                    "count": {"type": "integer", "minimum": 2, "maximum": 100_000, "description": "How many."},
                    "distinct": {
                        "$ref": "#/$defs/field",
                        "description": "Count different values of this field instead of events.",
                    },
                    "by": by("What the events have in common."),
                    "within": {"$ref": "#/$defs/duration"},
                },
            },
            "throttle": {
                "type": "object",
                "description": "One alert at once, then one summary with a count for each interval.",
                "additionalProperties": false,
                "required": ["interval"],
                "properties": {
                    "by": by("The fields by which alerts count as the same."),
                    "interval": {"$ref": "#/$defs/duration"},
                },
            },
        },
    })
}

/// Several events, one after the other.
fn sequence() -> Json {
    json!({
        "type": "object",
        "description": "Several events, one after the other.",
        "additionalProperties": false,
        "required": ["within", "steps"],
        "properties": {
            "by": by("What the events have in common."),
            "within": {"$ref": "#/$defs/duration"},
            "order": {"enum": ["given", "any"], "default": "given", "description": "Whether the events may come in any order."},
            "steps": {
                "type": "array",
                "minItems": 2,
                "maxItems": 16,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["condition"],
                    "properties": {
                        "name": {"type": "string", "description": "Its name in the alert."},
                        "by": by("Where this event has it, if in other fields; as many as the sequence's."),
                        "condition": {"$ref": "#/$defs/condition"},
                    },
                },
            },
        },
    })
}

fn guide() -> Json {
    let text = |description: &str| json!({"type": "string", "minLength": 1, "description": description});
    json!({
        "type": "object",
        "description": "What it says to who reads its alerts.",
        "additionalProperties": false,
        "properties": {
            "meaning": text("What an alert means."),
            "why": text("Why that is bad."),
            "response": text("What to do now: one short sentence, with which the text of each alert ends."),
            "benign": {
                "type": "array",
                "description": "Known causes that are no attack.",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["cause"],
                    "properties": {
                        "cause": text("Who does this, and when."),
                        "exception": {
                            "$ref": "#/$defs/exception",
                            "description": "The exception for it, ready to be pasted; it is checked with the rule.",
                        },
                    },
                },
            },
        },
    })
}

fn by(description: &str) -> Json {
    json!({"$ref": "#/$defs/fields", "description": description})
}
