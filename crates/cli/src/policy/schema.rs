//! `vedette policy schema`: the JSON schema of policy files, from which editors complete and check them.
//!
//! The schema knows shapes, words and field names. What a condition means is the business of `vedette policy check`.

mod falco;
mod native;

use serde_json::{Value as Json, json};
use vedette_policy::Priority;
use vedette_policy::field::{ArgKind, FIELDS};

use crate::console::Console;
use crate::exit::{self, Verdict};

/// Where the schema of the newest version is.
const ID: &str =
    "https://raw.githubusercontent.com/vedette-dev/vedette/main/deploy/schema/policy.schema.json";

/// Print the JSON schema of policy files, for editors.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {}

const AFTER_HELP: &str = "\
Example:
  vedette policy schema > policy.schema.json

and as the first line of a policy file, for editors with yaml-language-server:
  # yaml-language-server: $schema=policy.schema.json";

/// Runs the command.
pub fn run(_args: &Args, console: &mut Console) -> exit::Result {
    // For a file rather than a program: always in lines.
    console.line(format_args!("{:#}", schema()))?;
    Ok(Verdict::Good)
}

/// The schema.
fn schema() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Vedette policy",
        "description": "A list of Falco rule items, or a SecurityPolicy or ClusterSecurityPolicy.",
        "type": ["array", "object"],
        "if": {"type": "array"},
        "then": {"$ref": "#/$defs/falcoFile"},
        "else": {"$ref": "#/$defs/policy"},
        "$defs": definitions(),
    })
}

fn definitions() -> Json {
    let mut all = serde_json::Map::new();
    for part in [shared(), falco::definitions(), native::definitions()] {
        if let Json::Object(part) = part {
            all.extend(part);
        }
    }
    Json::Object(all)
}

/// What both kinds of files have.
fn shared() -> Json {
    json!({
        "scalar": {"type": ["string", "number", "boolean"]},
        "condition": {
            "type": "string",
            "minLength": 1,
            "description": "When it holds: comparisons such as `evt.type = execve and proc.name in (sh, bash)`.",
        },
        "output": {
            "type": "string",
            "minLength": 1,
            "description": "The text of alerts; %field, as in `Shell %proc.name in %container.name`, is replaced by its value.",
        },
        "priority": {
            "description": "How urgent alerts are.",
            "anyOf": [{"enum": priorities()}, {"type": "string", "pattern": any_case(&priorities())}],
        },
        "tags": {
            "type": "array",
            "items": {"$ref": "#/$defs/scalar"},
            "description": "Words to find the rule by. ATT&CK technique ids such as T1059.004 become data of the alert.",
        },
        "field": {
            "description": "A field, such as proc.name or proc.aname[2]; `vedette fields` lists them.",
            "anyOf": [{"enum": plain_fields()}, {"type": "string", "pattern": r"^[a-z0-9_]+(\.[A-Za-z0-9_]+)+(\[.+\])?$"}],
        },
        "fields": {"type": "array", "items": {"$ref": "#/$defs/field"}},
        "exceptions": {
            "type": "array",
            "description": "Events that do not count: `condition and not (exception)`.",
            "items": {"$ref": "#/$defs/exception"},
        },
        "exception": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "fields": {
                    "description": "The field compared, or a list of fields compared together.",
                    "anyOf": [{"$ref": "#/$defs/field"}, {"$ref": "#/$defs/fields"}],
                },
                "comps": {
                    "description": "How: for one field in (default), pmatch or intersects; for a list, one operator for each (default =).",
                    "anyOf": [{"enum": ["in", "pmatch", "intersects"]}, {"type": "array", "items": {"enum": operators()}}],
                },
                "values": {
                    "description": "The values; for a list of fields, lists of as many values.",
                    "type": "array",
                    "items": {"$ref": "#/$defs/exceptionValue"},
                },
            },
        },
        "exceptionValue": {
            "anyOf": [
                {"$ref": "#/$defs/scalar"},
                {"type": "array", "items": {"$ref": "#/$defs/exceptionValue"}},
            ],
        },
    })
}

fn priorities() -> Vec<&'static str> {
    // "Info" is the short form that Falco's files use.
    Priority::ALL.iter().map(|p| p.as_str()).chain(["Info"]).collect()
}

/// A pattern for any of the words, whatever the case of their letters: JSON schema has no flag for that.
fn any_case(words: &[&str]) -> String {
    let any = |word: &&str| {
        let letters = word.chars().map(|c| format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()));
        letters.collect::<String>()
    };
    format!("^({})$", words.iter().map(any).collect::<Vec<_>>().join("|"))
}

/// The fields that need no argument.
fn plain_fields() -> Vec<&'static str> {
    FIELDS.iter().filter(|f| f.arg != ArgKind::Key).map(|f| f.name).collect()
}

fn operators() -> Vec<&'static str> {
    vedette_policy::syntax::ast::Op::ALL.iter().map(|op| op.as_str()).chain(["=="]).collect()
}
