//! Objects, their versions and their history.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value as Json, json};

use super::apply;
use crate::structural::Structural;

/// A kind of objects.
pub struct Kind {
    pub api_version: String,
    pub kind: String,
    pub namespaced: bool,
    pub has_status: bool,
    pub schema: Option<Structural>,
}

/// Which object: group, plural, namespace, name.
pub type Key = (String, String, String, String);

/// A change.
pub struct Change {
    pub version: u64,
    pub what: &'static str,
    pub key: Key,
    pub object: Json,
}

/// All objects.
pub struct Store {
    pub kinds: HashMap<(String, String), Kind>,
    pub objects: BTreeMap<Key, Json>,
    pub history: Vec<Change>,
    /// What each manager applied, to take away what it no longer applies.
    applied: HashMap<(Key, String), Json>,
    version: u64,
    uids: u64,
}

/// A refusal: code, reason, message.
pub type Refusal = (u16, &'static str, String);

/// How an object is to be changed.
#[derive(Clone)]
pub enum Write {
    Create(Json),
    Replace(Json),
    /// By a manager.
    Apply(Json, String),
    Merge(Json),
}

const BUILT_IN: &[(&str, &str, &str, &str, bool)] = &[
    ("", "v1", "nodes", "Node", false),
    ("", "v1", "namespaces", "Namespace", false),
    ("", "v1", "pods", "Pod", true),
    ("", "v1", "secrets", "Secret", true),
    ("", "v1", "configmaps", "ConfigMap", true),
    ("coordination.k8s.io", "v1", "leases", "Lease", true),
    ("events.k8s.io", "v1", "events", "Event", true),
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        false,
    ),
    ("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false),
    ("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
];

impl Default for Store {
    fn default() -> Self {
        let kind = |&(group, version, plural, kind, namespaced): &(&str, &str, &str, &str, bool)| {
            let api_version =
                if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            let has_status = matches!(kind, "Node" | "Pod" | "Namespace");
            let kind = Kind { api_version, kind: kind.to_owned(), namespaced, has_status, schema: None };
            ((group.to_owned(), plural.to_owned()), kind)
        };
        Self {
            kinds: BUILT_IN.iter().map(kind).collect(),
            objects: BTreeMap::new(),
            history: Vec::new(),
            applied: HashMap::new(),
            version: 0,
            uids: 0,
        }
    }
}

impl Store {
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Changes an object. Says what is there now.
    pub fn write(&mut self, key: &Key, subresource: Option<&str>, write: Write) -> Result<Json, Refusal> {
        let (old, new) = self.prepare(key, subresource, &write)?;
        if let Write::Apply(body, manager) = write {
            self.applied.insert(owner(key, subresource, &manager), body);
        }
        self.finish(key, old, new)
    }

    /// The object as it is, and as it would be.
    pub fn prepare(
        &self,
        key: &Key,
        subresource: Option<&str>,
        write: &Write,
    ) -> Result<(Option<Json>, Json), Refusal> {
        let kind = self.kind(key)?;
        if kind.namespaced == key.2.is_empty() {
            return Err((404, "NotFound", "an object of this kind has a namespace, or has none".into()));
        }
        let (api_version, kind_name, has_status) =
            (kind.api_version.clone(), kind.kind.clone(), kind.has_status);
        let old = self.objects.get(key).cloned();
        let mut new = match (write, &old) {
            (Write::Create(_), Some(_)) => return Err((409, "AlreadyExists", format!("{} exists", key.3))),
            (Write::Create(body), None) => body.clone(),
            (Write::Apply(body, manager), old) => {
                if old.is_none() && subresource.is_some() {
                    return Err((404, "NotFound", format!("{} not found", key.3)));
                }
                let mut base = old.clone().unwrap_or_else(|| json!({}));
                if let Some(before) = self.applied.get(&owner(key, subresource, manager)) {
                    apply::take_away(&mut base, before, body);
                }
                apply::merge(&mut base, body);
                base
            }
            (_, None) => return Err((404, "NotFound", format!("{} not found", key.3))),
            (Write::Replace(body), Some(_)) => body.clone(),
            (Write::Merge(patch), Some(old)) => {
                let mut new = old.clone();
                apply::merge_patch(&mut new, patch);
                new
            }
        };
        new["apiVersion"] = json!(api_version);
        new["kind"] = json!(kind_name);
        if let Some(old) = &old {
            let wanted = &new["metadata"]["resourceVersion"];
            if wanted.is_string() && *wanted != old["metadata"]["resourceVersion"] {
                return Err((409, "Conflict", format!("{} has been modified", key.3)));
            }
            let uid = &new["metadata"]["uid"];
            if uid.is_string() && *uid != old["metadata"]["uid"] {
                return Err((409, "Conflict", format!("{} has another uid", key.3)));
            }
        }
        if has_status {
            match (subresource, &old) {
                // Only the status changes, or everything else.
                (Some("status"), Some(old)) => {
                    let status = new["status"].take();
                    new = old.clone();
                    new["status"] = status;
                }
                (None, Some(old)) => new["status"] = old["status"].clone(),
                _ if kind_name == "Pod" || kind_name == "Node" => {}
                _ => new["status"] = Json::Null,
            }
            if new["status"].is_null() {
                new.as_object_mut().unwrap().remove("status");
            }
        }
        if let Some(schema) = self.kind(key)?.schema.as_ref() {
            schema.prune(&mut new);
            schema.default(&mut new);
            let complaints = schema.complaints(&new, old.as_ref());
            if !complaints.is_empty() {
                return Err((
                    422,
                    "Invalid",
                    format!("{kind_name} {} is invalid: {}", key.3, complaints.join("; ")),
                ));
            }
        }
        Ok((old, new))
    }

    /// Numbers a new version and keeps it.
    fn finish(&mut self, key: &Key, old: Option<Json>, mut new: Json) -> Result<Json, Refusal> {
        let metadata =
            new["metadata"].as_object_mut().ok_or((400, "BadRequest", "no metadata".to_owned()))?;
        metadata.insert("name".into(), json!(key.3));
        if !key.2.is_empty() {
            metadata.insert("namespace".into(), json!(key.2));
        }
        metadata.remove("managedFields");
        match &old {
            Some(old) => {
                for own in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
                    metadata.insert(own.into(), old["metadata"][own].clone());
                }
                if *old == new {
                    return Ok(new);
                }
                if old["spec"] != new["spec"] {
                    let generation = old["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
                    new["metadata"]["generation"] = json!(generation);
                }
            }
            None => {
                self.uids += 1;
                metadata.insert("uid".into(), json!(format!("uid-{}", self.uids)));
                metadata.insert("creationTimestamp".into(), json!("2026-01-01T00:00:00Z"));
                metadata.insert("generation".into(), json!(1));
            }
        }
        self.version += 1;
        new["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let what = if old.is_some() { "MODIFIED" } else { "ADDED" };
        self.history.push(Change { version: self.version, what, key: key.clone(), object: new.clone() });
        self.objects.insert(key.clone(), new.clone());
        if key.1 == "customresourcedefinitions" {
            self.define(&new);
        }
        Ok(new)
    }

    /// Deletes an object.
    pub fn delete(&mut self, key: &Key) -> Result<Json, Refusal> {
        self.kind(key)?;
        let mut object = self.objects.remove(key).ok_or((404, "NotFound", format!("{} not found", key.3)))?;
        self.applied.retain(|(applied, _), _| applied != key);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.history.push(Change {
            version: self.version,
            what: "DELETED",
            key: key.clone(),
            object: object.clone(),
        });
        Ok(object)
    }

    fn kind(&self, key: &Key) -> Result<&Kind, Refusal> {
        let found = self.kinds.get(&(key.0.clone(), key.1.clone()));
        found.ok_or((404, "NotFound", "the server could not find the requested resource".into()))
    }

    /// Takes a custom resource in.
    fn define(&mut self, crd: &Json) {
        let spec = &crd["spec"];
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let version = &spec["versions"][0];
        let kind = Kind {
            api_version: format!("{}/{}", text(&spec["group"]), text(&version["name"])),
            kind: text(&spec["names"]["kind"]),
            namespaced: spec["scope"] == "Namespaced",
            has_status: version["subresources"]["status"].is_object(),
            schema: Some(Structural::of(crd)),
        };
        self.kinds.insert((text(&spec["group"]), text(&spec["names"]["plural"])), kind);
    }
}

/// Who applied: managers of the object and of its status are different ones.
fn owner(key: &Key, subresource: Option<&str>, manager: &str) -> (Key, String) {
    (key.clone(), format!("{manager}/{}", subresource.unwrap_or_default()))
}
