//! A policy object held against the policy language, with findings that name the field.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use vedette_policy::diagnostic::has_errors;
use vedette_policy::document::native::{API_VERSION, Policy, PolicyKind};
use vedette_policy::document::yaml::{self, Node, NodeKind};
use vedette_policy::document::{self, Document};
use vedette_policy::source::{MappedText, SourceId, SourceMap, Span};
use vedette_policy::{Diagnostic, PolicySet, Severity, Source};

/// A finding of the checker in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field, such as `spec.rules[2].condition`.
    pub field: String,
    /// Line and column in the text of the field, both from 1, if it is about a part of it.
    pub place: Option<(usize, usize)>,
    /// What is wrong and, if known, what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What the checker says about an object.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The policy for nodes: without what only concerns the controller.
    pub text: Bytes,
    /// What it says about whom it is for and how it acts; none, if it cannot be read at all.
    pub policy: Option<Box<Policy>>,
    /// How many rules it has.
    pub rules: usize,
    /// Why it cannot be used. None means that it is good.
    pub errors: Vec<Finding>,
    /// What is probably not meant.
    pub warnings: Vec<Finding>,
}

/// Checks policies, together with what agents read before them.
#[derive(Clone, Debug)]
pub struct Checker {
    before: Vec<Source>,
}

impl Checker {
    /// One that knows the lists and macros of `before`. Only those can be seen from an object, so policies among them are
    /// left out.
    pub fn new(before: Vec<Source>) -> Self {
        let is_shared = |source: &Source| {
            let mut map = SourceMap::default();
            let id = map.add(source.clone());
            let read = document::read_source(&map, id, &mut Vec::new());
            read.iter().any(|document| matches!(document, Document::Falco(_)))
        };
        Self { before: before.into_iter().filter(is_shared).collect() }
    }

    /// Checks the spec of a policy.
    pub fn check(&self, kind: PolicyKind, namespace: Option<&str>, name: &str, spec: &Json) -> Checked {
        let text = text(kind, namespace, name, spec);
        let own = SourceId(self.before.len() as u32);
        let sources = self.before.iter().cloned().chain([Source::new("object", text.clone())]);
        let loaded = PolicySet::load(sources);
        let rules = loaded.set.as_ref().map_or(0, |set| {
            set.rules()
                .iter()
                .filter(|rule| rule.policy.kind == Some(kind) && rule.policy.name == name)
                .count()
        });
        let root = yaml::parse(&text, own).ok().and_then(|documents| documents.into_iter().next());
        let finding = |diagnostic: &Diagnostic| Finding::of(diagnostic, root.as_ref());
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        for diagnostic in &loaded.diagnostics {
            match (diagnostic.severity, diagnostic.span) {
                (Severity::Error, _) => errors.push(finding(diagnostic)),
                (Severity::Warning, Some(span)) if span.source == own => warnings.push(finding(diagnostic)),
                _ => {}
            }
        }
        let policy = root.and_then(|root| {
            let mut ignored = Vec::new();
            document::native::read_policy(&root, &mut ignored).filter(|_| !has_errors(&ignored)).map(Box::new)
        });
        // What only the controller needs is not for nodes: who is not selected by it does not get the policy.
        let for_nodes = match spec.get("nodeSelector") {
            None => text,
            Some(_) => {
                let mut spec = spec.clone();
                spec.as_object_mut().and_then(|spec| spec.remove("nodeSelector"));
                self::text(kind, namespace, name, &spec)
            }
        };
        Checked { text: Bytes::from(for_nodes), policy, rules, errors, warnings }
    }
}

/// The policy as text. Keys are sorted, so the same policy is the same text.
fn text(kind: PolicyKind, namespace: Option<&str>, name: &str, spec: &Json) -> String {
    let mut metadata = Map::from_iter([("name".to_owned(), Json::from(name))]);
    if let (PolicyKind::SecurityPolicy, Some(namespace)) = (kind, namespace) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    json!({"apiVersion": API_VERSION, "kind": kind.as_str(), "metadata": metadata, "spec": spec}).to_string()
}

impl Finding {
    fn of(diagnostic: &Diagnostic, root: Option<&Node>) -> Self {
        let mut message = format!("{}: {}", diagnostic.code.as_str(), diagnostic.message);
        if let Some(hint) = &diagnostic.hint {
            message = format!("{message} ({hint})");
        }
        let (field, place) = match (diagnostic.span, root) {
            (Some(span), Some(root)) => locate(root, span),
            _ => (String::new(), None),
        };
        let field = if field.is_empty() { "spec".to_owned() } else { field };
        Self { field, place, message }
    }
}

/// The field that holds the span, and where in its text it begins.
fn locate(root: &Node, span: Span) -> (String, Option<(usize, usize)>) {
    let holds =
        |node: &Node| node.span.start <= span.start && span.start < node.span.end.max(node.span.start + 1);
    let mut path = String::new();
    let mut node = root;
    loop {
        match &node.kind {
            NodeKind::Scalar(scalar) => return (path, place(&scalar.text, span)),
            NodeKind::Sequence(items) => {
                let Some((index, item)) = items.iter().enumerate().find(|(_, item)| holds(item)) else {
                    break;
                };
                path.push_str(&format!("[{index}]"));
                node = item;
            }
            NodeKind::Mapping(entries) => {
                let entry = entries.iter().find(|(key, value)| holds(key) || holds(value));
                let Some((key, value)) = entry else { break };
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key.as_str().unwrap_or("?"));
                if holds(key) {
                    // It is about the field as a whole.
                    break;
                }
                node = value;
            }
        }
    }
    (path, None)
}

/// Where in the text the span begins, unless the text is a single word.
fn place(text: &MappedText, span: Span) -> Option<(usize, usize)> {
    let decoded = text.as_str();
    let offsets = decoded.char_indices().map(|(at, _)| at);
    let at = offsets.into_iter().find(|&at| text.span(at..at + 1).start >= span.start)?;
    decoded.contains(char::is_whitespace).then(|| position(decoded, at))
}

/// Line and column of a byte, both from 1; columns in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::built_in;

    fn check(spec: &Json) -> Checked {
        Checker::new(built_in::sources()).check(PolicyKind::SecurityPolicy, Some("shop"), "web", spec)
    }

    fn errors(spec: &Json) -> Vec<String> {
        check(spec).errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_finding_names_field_line_and_column() {
        let found = errors(&json!({"rules": [
            {"name": "good", "condition": "evt.type = execve"},
            {"name": "bad", "condition": "evt.type = execve\n  and \"x\" = x and proc.nam = sh"},
        ]}));
        assert_eq!(found.len(), 1, "{found:?}");
        let found = errors(&json!({"rules": [
            {"name": "bad", "condition": "evt.type = execve\n  and proc.nam = \"sh\""},
        ]}));
        assert_eq!(
            found,
            [
                "spec.rules[0].condition:2:7: unknown-field: unknown field `proc.nam` (did you mean `proc.name`?)"
            ]
        );
        let found =
            errors(&json!({"rules": [{"name": "bad", "condition": "evt.type = execve", "action": "Block"}]}));
        assert_eq!(found, ["spec.rules[0].action: shape: `action` is Alert, Kill or Deny"]);
        let found = errors(&json!({"namespaceSelector": {}}));
        assert!(found[0].starts_with("spec.namespaceSelector: shape: "), "{found:?}");
        assert!(errors(&json!({"rules": 3}))[0].starts_with("spec.rules: "));
        assert!(errors(&json!([]))[0].starts_with("spec: "), "{:?}", errors(&json!([])));
    }

    #[test]
    fn shared_lists_are_known_and_warnings_are_only_about_the_object() {
        let checked = check(&json!({
            "nodeSelector": {"matchLabels": {"zone": "a"}},
            "rules": [{"name": "r", "condition": "proc.name in (vedette_shells)"}],
        }));
        assert_eq!(checked.errors, []);
        assert_eq!(checked.rules, 1);
        assert_eq!(checked.warnings.len(), 1, "{:?}", checked.warnings);
        assert!(checked.warnings[0].field.starts_with("spec.rules[0]."), "{:?}", checked.warnings);
        assert!(checked.policy.unwrap().scope.node_selector.is_some());
        let text = std::str::from_utf8(&checked.text).unwrap();
        assert!(!text.contains("nodeSelector") && text.contains("\"namespace\":\"shop\""), "{text}");
    }
}
