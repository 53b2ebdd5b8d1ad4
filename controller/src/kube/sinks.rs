//! Sinks from the Kubernetes API: `AlertSink` objects become the sinks that run, and their state becomes a status.
//!
//! As with policies, settings that are not good are refused and the last good ones stay. That matters more here: the log
//! keeps nothing for a sink that is not among those that run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, CustomResourceExt as _};
use serde_json::{Value as Json, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::crd::AlertSink;
use super::status::FIELD_MANAGER;
use crate::sink::config::{NamedSink, SinkSpec};
use crate::sink::status::{SinkState, SinkStatus};

/// How often it is looked whether a status has changed. A write is made only if it has.
const LOOK: Duration = Duration::from_secs(5);

/// Says how the sinks do.
pub type Statuses = Arc<dyn Fn() -> BoxFuture<'static, Vec<SinkStatus>> + Send + Sync>;

/// An object and what is used of it.
struct Known {
    uid: String,
    generation: i64,
    /// Why the settings cannot be used.
    errors: Vec<String>,
    accepted: Option<SinkSpec>,
    status: Json,
}

/// The sinks of a cluster.
pub struct SinkObjects {
    client: Client,
    wanted: watch::Sender<Option<Vec<NamedSink>>>,
    leading: watch::Receiver<bool>,
    statuses: Statuses,
    known: BTreeMap<String, Known>,
}

impl SinkObjects {
    /// Knows none yet. Statuses are written while `leading` says so.
    pub fn new(client: Client, leading: watch::Receiver<bool>, statuses: Statuses) -> Self {
        Self { client, wanted: watch::Sender::new(None), leading, statuses, known: BTreeMap::new() }
    }

    /// The sinks that are to run. Nothing, before it is known: those that ran go on.
    pub fn wanted(&self) -> watch::Receiver<Option<Vec<NamedSink>>> {
        self.wanted.subscribe()
    }

    /// Follows the objects until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let resource = AlertSink::api_resource();
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let writer = Writer::<DynamicObject>::new(resource);
        let store = writer.as_reader();
        let stream = watcher(api.clone(), watcher::Config::default()).default_backoff();
        let mut events = Box::pin(reflector::reflector(writer, stream));
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => match event {
                    Some(Ok(watcher::Event::Init | watcher::Event::InitApply(_))) => continue,
                    Some(Ok(_)) => self.take_in(&store.state()),
                    Some(Err(error)) => {
                        tracing::warn!(what = "alertsinks", %error, "cannot follow; trying again");
                        continue;
                    }
                    None => return,
                },
                _ = look.tick() => {}
            }
            if *self.leading.borrow() && self.wanted.borrow().is_some() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.write(&api) => {}
                }
            }
        }
    }

    /// Works out which sinks are to run.
    fn take_in(&mut self, objects: &[Arc<DynamicObject>]) {
        let mut known = BTreeMap::new();
        for object in objects {
            let name = object.metadata.name.clone().unwrap_or_default();
            let old = self.known.remove(&name);
            known.insert(name.clone(), Known::of(&name, object, old));
        }
        self.known = known;
        let sinks = self.known.iter().filter_map(|(name, known)| {
            known.accepted.clone().map(|spec| NamedSink { name: name.clone(), spec })
        });
        let sinks = Some(sinks.collect());
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != sinks;
            *wanted = sinks;
            changed
        });
    }

    /// Writes the statuses that have changed.
    async fn write(&self, api: &Api<DynamicObject>) {
        let statuses = (self.statuses)().await;
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for (name, known) in &self.known {
            let status = known.status_now(statuses.iter().find(|status| status.name == *name), &now);
            if status == known.status {
                continue;
            }
            let body = json!({
                "apiVersion": AlertSink::api_resource().api_version, "kind": "AlertSink",
                "metadata": {"name": name, "uid": known.uid}, "status": status,
            });
            let written =
                api.patch_status(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(body)).await;
            match written {
                Ok(_) => {}
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => {}
                // The next look tries again.
                Err(error) => {
                    tracing::warn!(sink = name, %error, "status not written");
                    return;
                }
            }
        }
    }
}

/// Reads and checks settings.
///
/// # Errors
/// What is wrong with them, each with its field.
pub fn check(name: &str, spec: &Json) -> Result<SinkSpec, Vec<String>> {
    let mut foreign = Vec::new();
    places_of_the_controller(spec, "spec", &mut foreign);
    if !foreign.is_empty() {
        return Err(foreign);
    }
    let spec: SinkSpec =
        serde_json::from_value(spec.clone()).map_err(|error| vec![format!("spec: {error}")])?;
    match spec.far_side() {
        Ok(_) => Ok(spec),
        Err(problems) => {
            tracing::debug!(sink = name, problems = problems.len(), "settings refused");
            let field =
                |field: &str| if field.is_empty() { "spec".to_owned() } else { format!("spec.{field}") };
            let lines = problems.iter().map(|p| format!("{}: {}; {}", field(&p.field), p.message, p.remedy));
            Err(lines.collect())
        }
    }
}

/// Secrets in files and in the environment are the controller's, its token among them. Who may write sinks is not
/// thereby allowed to send them anywhere.
fn places_of_the_controller(value: &Json, path: &str, found: &mut Vec<String>) {
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                if value.is_string() && matches!(name.as_str(), "env" | "file") {
                    found.push(format!(
                        "{path}.{name}: an object of the cluster has its secrets in Secrets; write {{secret: {{name: \
                         NAME, key: KEY}}}}"
                    ));
                }
                places_of_the_controller(value, &format!("{path}.{name}"), found);
            }
        }
        Json::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                places_of_the_controller(item, &format!("{path}[{number}]"), found);
            }
        }
        _ => {}
    }
}

impl Known {
    fn of(name: &str, object: &DynamicObject, old: Option<Self>) -> Self {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let status = object.data.get("status").cloned().unwrap_or_default();
        let old = old.filter(|old| old.uid == uid);
        if let Some(old) = old.as_ref().filter(|old| old.generation == generation) {
            let (errors, accepted) = (old.errors.clone(), old.accepted.clone());
            return Self { uid, generation, errors, accepted, status };
        }
        match check(name, &object.data.get("spec").cloned().unwrap_or_default()) {
            Ok(spec) => Self { uid, generation, errors: Vec::new(), accepted: Some(spec), status },
            Err(errors) => {
                tracing::warn!(sink = name, generation, first = errors.first(), "settings refused");
                let kept = status.get("accepted").and_then(|spec| check(name, spec).ok());
                let accepted = old.and_then(|old| old.accepted).or(kept);
                Self { uid, generation, errors, accepted, status }
            }
        }
    }

    fn status_now(&self, running: Option<&SinkStatus>, now: &str) -> Json {
        let accepted = match self.errors.as_slice() {
            [] => ("True", "Accepted", "The settings are good.".to_owned()),
            errors => ("False", "Invalid", errors.join("\n")),
        };
        let ready = match running.map(|running| (&running.state, &running.last_error)) {
            Some((SinkState::Ok, _)) => ("True", "Delivering", "The far side takes alerts.".to_owned()),
            Some((SinkState::Retrying { since }, error)) => {
                let why = error.as_ref().map(|(_, why)| why.as_str()).unwrap_or_default();
                ("False", "Retrying", format!("Since {since}: {why}"))
            }
            Some((SinkState::Starting, _)) => ("Unknown", "Starting", "Nothing was sent yet.".to_owned()),
            Some((SinkState::Stopped, _)) | None => ("False", "NotRunning", "It does not run.".to_owned()),
        };
        let condition = |kind: &str, (state, reason, message): (&str, &str, String)| {
            let old =
                self.status["conditions"].as_array().into_iter().flatten().find(|old| old["type"] == kind);
            let since =
                old.filter(|old| old["status"] == state).and_then(|old| old["lastTransitionTime"].as_str());
            json!({
                "type": kind, "status": state, "reason": reason, "message": message,
                "observedGeneration": self.generation, "lastTransitionTime": since.unwrap_or(now),
            })
        };
        let mut status = json!({
            "observedGeneration": self.generation,
            "conditions": [condition("Accepted", accepted), condition("Ready", ready)],
        });
        if let Some(running) = running {
            status["kind"] = json!(running.kind);
        }
        if let Some(accepted) = self.accepted.as_ref().filter(|_| !self.errors.is_empty()) {
            status["accepted"] = serde_json::to_value(accepted).unwrap_or_default();
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_gets_no_file_or_variable_of_the_controller() {
        let hec = |token: Json| json!({"splunkHec": {"url": "https://hec.example:8088", "token": token}});
        assert_eq!(check("siem", &hec(json!({"secret": {"name": "hec", "key": "token"}}))).err(), None);
        for place in ["env", "file"] {
            let refused = check("siem", &hec(json!({place: "/run/secrets/token"}))).unwrap_err();
            let begin = format!("spec.splunkHec.token.{place}: ");
            assert!(refused[0].starts_with(&begin), "{refused:?}");
        }
    }
}
