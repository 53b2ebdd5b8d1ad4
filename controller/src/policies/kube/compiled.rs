//! A policy object, checked; and what nodes run of it.

use std::sync::Arc;

use kube::api::DynamicObject;
use serde_json::Value as Json;
use vedette_policy::document::native::{LabelSelector, Mode, Policy, PolicyKind};

use super::PolicyKey;
use crate::kube::check::{Checker, Finding};
use crate::policies::Document;

/// A policy object, checked.
#[derive(Debug)]
pub struct Compiled {
    /// Which.
    pub key: PolicyKey,
    /// The object's own number: one that is made anew under the same name is another.
    pub uid: String,
    /// The change that was checked.
    pub generation: i64,
    /// Why the change cannot be used.
    pub errors: Vec<Finding>,
    /// What nodes should run: this change if it is good, else the last good one, if there is one.
    pub accepted: Option<Arc<Accepted>>,
    /// The status that the object has.
    pub status: Json,
}

/// A change of a policy that is good.
#[derive(Debug)]
pub struct Accepted {
    /// What nodes get.
    pub document: Document,
    /// The spec as the object says it.
    pub spec: Json,
    /// How many rules it has.
    pub rules: usize,
    /// Whether it does anything.
    pub disabled: bool,
    /// Labels of the nodes that it is for.
    pub node_selector: Option<LabelSelector>,
    /// Labels of the pods that it is for.
    pub pod_selector: Option<LabelSelector>,
}

impl Compiled {
    /// Checks an object, unless it was checked already.
    pub(super) fn of(
        kind: PolicyKind,
        key: &PolicyKey,
        object: &DynamicObject,
        old: Option<&Arc<Self>>,
        checker: &Checker,
    ) -> Arc<Self> {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let status = object.data.get("status").cloned().unwrap_or_default();
        let old = old.filter(|old| old.uid == uid);
        if let Some(old) = old.filter(|old| old.generation == generation) {
            if old.status == status {
                return Arc::clone(old);
            }
            let (errors, accepted) = (old.errors.clone(), old.accepted.clone());
            return Arc::new(Self { key: key.clone(), uid, generation, errors, accepted, status });
        }
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let (accepted, errors) = match Accepted::of(kind, key, generation, &spec, checker) {
            Ok(accepted) => (Some(Arc::new(accepted)), Vec::new()),
            Err(errors) => {
                let first = errors.first().map(ToString::to_string);
                tracing::warn!(
                    policy = key.document(),
                    generation,
                    errors = errors.len(),
                    first,
                    "policy refused"
                );
                let before = old.and_then(|old| old.accepted.clone());
                (before.or_else(|| Self::from_status(kind, key, &status, checker).map(Arc::new)), errors)
            }
        };
        Arc::new(Self { key: key.clone(), uid, generation, errors, accepted, status })
    }

    /// What another controller, or this one before it was started anew, kept of the last good change.
    fn from_status(kind: PolicyKind, key: &PolicyKey, status: &Json, checker: &Checker) -> Option<Accepted> {
        let kept = status.get("accepted")?;
        Accepted::of(kind, key, kept.get("generation")?.as_i64()?, kept.get("spec")?, checker).ok()
    }
}

impl Accepted {
    fn of(
        kind: PolicyKind,
        key: &PolicyKey,
        generation: i64,
        spec: &Json,
        checker: &Checker,
    ) -> Result<Self, Vec<Finding>> {
        let checked = checker.check(kind, key.namespace.as_deref(), &key.name, spec);
        let Some(policy) = checked.policy.filter(|_| checked.errors.is_empty()) else {
            return Err(checked.errors);
        };
        let Policy { scope, mode, .. } = *policy;
        Ok(Self {
            document: Document { name: key.document(), generation, text: checked.text },
            spec: spec.clone(),
            rules: checked.rules,
            disabled: mode == Mode::Disabled,
            node_selector: scope.node_selector,
            pod_selector: scope.pod_selector,
        })
    }
}
