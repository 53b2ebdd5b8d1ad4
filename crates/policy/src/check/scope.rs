//! The scope of a native policy as a condition: its namespace, its selectors, its containers.
//!
//! `nodeSelector` is not here: whether a policy is for a node is decided once, where it is loaded.

use std::sync::Arc;

use super::cond::{Atom, Cond, Test, TextOp};
use crate::document::native::{LabelSelector, Scope, SelectorOperator};
use crate::field::{FieldArg, FieldId, FieldName, Multiplicity};
use crate::source::Span;
use crate::term::Term;

/// The condition, if the policy is for less than everything.
pub(super) fn condition(scope: &Scope) -> Option<Cond> {
    let mut parts = Vec::new();
    if let Some(namespace) = &scope.namespace {
        parts.push(is_one_of(FieldName::plain(FieldId::K8sNsName), std::slice::from_ref(namespace)));
    }
    if let Some(selector) = &scope.pod_selector {
        parts.extend(selected(selector, FieldId::K8sPodLabel));
        // A selector without requirements means every pod, but not the host.
        parts.push(exists(FieldName::plain(FieldId::K8sPodName)));
    }
    if let Some(selector) = &scope.namespace_selector {
        parts.extend(selected(selector, FieldId::K8sNsLabel));
        parts.push(exists(FieldName::plain(FieldId::K8sNsName)));
    }
    if !scope.containers.is_empty() {
        parts.push(is_one_of(FieldName::plain(FieldId::ContainerName), &scope.containers));
    }
    (!parts.is_empty()).then_some(Cond::And(parts))
}

fn selected(selector: &LabelSelector, field: FieldId) -> Vec<Cond> {
    let label = |key: &str| FieldName { id: field, arg: FieldArg::Key(key.into()) };
    let labels = selector.match_labels.iter().map(|(k, v)| is_one_of(label(k), std::slice::from_ref(v)));
    let expressions = selector.match_expressions.iter().map(|e| match e.operator {
        SelectorOperator::In => is_one_of(label(&e.key), &e.values),
        SelectorOperator::NotIn => Cond::Not(Box::new(is_one_of(label(&e.key), &e.values))),
        SelectorOperator::Exists => exists(label(&e.key)),
        SelectorOperator::DoesNotExist => Cond::Not(Box::new(exists(label(&e.key)))),
    });
    labels.chain(expressions).collect()
}

fn exists(field: FieldName) -> Cond {
    let text = format!("{field} exists");
    atom(field, Test::Exists, text)
}

fn is_one_of(field: FieldName, values: &[String]) -> Cond {
    let text =
        format!("{field} in ({})", values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", "));
    atom(field, Test::Text(TextOp::Equal, values.iter().map(|v| v.clone().into_bytes()).collect()), text)
}

fn atom(field: FieldName, test: Test, text: String) -> Cond {
    Cond::Atom(Arc::new(Atom {
        term: Term::Field(field),
        many: Multiplicity::One,
        negated: false,
        every: false,
        test,
        text,
        span: Span::default(),
        is_scope: true,
    }))
}
