//! To whom a policy applies: pods, namespaces, nodes, containers.

use serde_json::Value as Json;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::reader::{Reader, key_span};

use super::PolicyKind;

/// Most expressions of one selector: what the Kubernetes API takes as well, which wants a bound for what it validates.
pub const MAX_EXPRESSIONS: usize = 64;

/// Labels that must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with their values.
    pub match_labels: Vec<(String, String)>,
    /// Further requirements.
    pub match_expressions: Vec<Expression>,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Expression {
    /// The label.
    pub key: String,
    /// What is required of it.
    pub operator: SelectorOperator,
    /// The values, for `In` and `NotIn`.
    pub values: Vec<String>,
}

/// What is required of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

impl LabelSelector {
    /// Whether a set of labels, given by lookup, fulfils all requirements.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.match_labels.iter().all(|(k, v)| label(k) == Some(v))
            && self.match_expressions.iter().all(|e| {
                let value = label(&e.key);
                match e.operator {
                    SelectorOperator::In => value.is_some_and(|v| e.values.iter().any(|w| w == v)),
                    SelectorOperator::NotIn => value.is_none_or(|v| !e.values.iter().any(|w| w == v)),
                    SelectorOperator::Exists => value.is_some(),
                    SelectorOperator::DoesNotExist => value.is_none(),
                }
            })
    }

    /// Whether nothing is required.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

/// To whom a policy applies. Everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// The only namespace seen, for a `SecurityPolicy`.
    pub namespace: Option<String>,
    /// Labels of the pod.
    pub pod_selector: Option<LabelSelector>,
    /// Labels of the pod's namespace.
    pub namespace_selector: Option<LabelSelector>,
    /// Labels of the node. Decided where the policy is loaded, not per event.
    pub node_selector: Option<LabelSelector>,
    /// Names of containers in the pod.
    pub containers: Vec<String>,
}

impl Scope {
    /// Whether it applies to everything.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn read_scope(reader: &mut Reader<'_, '_>, kind: PolicyKind, namespace: Option<&str>) -> Scope {
    let scope = Scope {
        namespace: match kind {
            PolicyKind::SecurityPolicy => Some(namespace.unwrap_or("default").to_owned()),
            PolicyKind::ClusterSecurityPolicy => None,
        },
        pod_selector: read_selector(reader, "podSelector"),
        namespace_selector: read_selector(reader, "namespaceSelector"),
        node_selector: read_selector(reader, "nodeSelector"),
        containers: reader.texts("containers").unwrap_or_default().into_iter().map(|c| c.value).collect(),
    };
    if kind == PolicyKind::SecurityPolicy && scope.namespace_selector.is_some() {
        let span = key_span(reader.node, "namespaceSelector");
        reader.error(
            Code::Shape,
            span,
            "a SecurityPolicy sees its own namespace only; use a ClusterSecurityPolicy",
        );
    }
    scope
}

fn read_selector(reader: &mut Reader<'_, '_>, key: &str) -> Option<LabelSelector> {
    let node = reader.mapping(key)?;
    let mut inner = Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
    inner.known_keys(&["matchLabels", "matchExpressions"]);
    let mut selector = LabelSelector::default();
    if let Some(labels) = inner.mapping("matchLabels") {
        for (key, value) in labels.as_mapping().unwrap_or_default() {
            match (key.as_str(), value.to_json()) {
                (Some(key), Json::String(value)) => selector.match_labels.push((key.to_owned(), value)),
                // As in Kubernetes, where `tier: 1` is no label and `tier: "1"` is one.
                _ => inner.report(
                    Diagnostic::error(Code::Shape, value.span, "a label has a text as its value")
                        .with_hint("put it in quotes"),
                ),
            }
        }
    }
    let expressions = inner.mappings("matchExpressions");
    if expressions.len() > MAX_EXPRESSIONS {
        let message = format!("a selector has at most {MAX_EXPRESSIONS} expressions");
        inner.error(Code::Limit, key_span(node, "matchExpressions"), message);
    }
    for node in expressions {
        let mut inner = Reader { node, subject: inner.subject.clone(), diagnostics: &mut *inner.diagnostics };
        inner.known_keys(&["key", "operator", "values"]);
        let Some((key, operator)) = inner.required("key").zip(inner.required("operator")) else { continue };
        let values: Vec<_> = inner.texts("values").unwrap_or_default().into_iter().map(|v| v.value).collect();
        let operator = match operator.value.as_str() {
            "In" => SelectorOperator::In,
            "NotIn" => SelectorOperator::NotIn,
            "Exists" => SelectorOperator::Exists,
            "DoesNotExist" => SelectorOperator::DoesNotExist,
            _ => {
                inner.error(Code::Shape, operator.span, "`operator` is In, NotIn, Exists or DoesNotExist");
                continue;
            }
        };
        match (operator, values.is_empty()) {
            (SelectorOperator::In | SelectorOperator::NotIn, true) => {
                inner.error(Code::Shape, key.span, "`In` and `NotIn` need `values`");
                continue;
            }
            (SelectorOperator::Exists | SelectorOperator::DoesNotExist, false) => {
                inner.error(Code::Shape, key.span, "`Exists` and `DoesNotExist` have no `values`");
                continue;
            }
            _ => {}
        }
        selector.match_expressions.push(Expression { key: key.value, operator, values });
    }
    Some(selector)
}
