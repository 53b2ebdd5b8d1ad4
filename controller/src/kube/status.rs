//! Writing what becomes of policies into their status. Only the leader does.

mod summary;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, CustomResourceExt as _};
use serde_json::{Value as Json, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use self::summary::Shares;
use super::crd::{ClusterSecurityPolicy, SecurityPolicy};
use crate::policies::kube::{Compiled, KubeSource, PolicyKey, Wanted};

/// Who writes, as the API server notes it.
pub const FIELD_MANAGER: &str = "vedette-controller";

/// Longest text of an event, bytes: the API server takes 1 kB.
const MAX_NOTE: usize = 1000;

/// How often may be written.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Shortest time between two writes of one status. The first is at once.
    pub each: Duration,
    /// Shortest time between two writes of any.
    pub any: Duration,
    /// How often replicas tell each other what their agents say.
    pub exchange: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            each: Duration::from_secs(1),
            any: Duration::from_millis(25),
            exchange: Duration::from_secs(2),
        }
    }
}

/// Writes statuses.
pub struct StatusWriter {
    source: Arc<KubeSource>,
    client: Client,
    leading: watch::Receiver<bool>,
    pace: Pace,
    reporter: Reporter,
    written: HashMap<PolicyKey, Written>,
    failures: u32,
}

/// The last status that we wrote.
struct Written {
    uid: String,
    status: Json,
    at: Instant,
}

impl StatusWriter {
    /// One that writes while it is said to lead.
    pub fn new(
        source: Arc<KubeSource>,
        client: Client,
        identity: &str,
        leading: watch::Receiver<bool>,
        pace: Pace,
    ) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.into(), instance: Some(identity.to_owned()) };
        Self { source, client, leading, pace, reporter, written: HashMap::new(), failures: 0 }
    }

    /// Writes until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut again: Option<Instant> = None;
        loop {
            let later = async {
                match again {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.source.news() => {}
                changed = self.leading.changed() => if changed.is_err() { return },
                () = later => {}
            }
            again = if *self.leading.borrow_and_update() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    again = self.pass() => again,
                }
            } else {
                self.written.clear();
                None
            };
        }
    }

    /// Writes what is due. Returns when to come again, if something is not due yet or failed.
    async fn pass(&mut self) -> Option<Instant> {
        let all = self.source.wanted();
        self.written.retain(|key, written| {
            all.iter().any(|one| one.policy.key == *key && one.policy.uid == written.uid)
        });
        let elsewhere = self.source.elsewhere();
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut again: Option<Instant> = None;
        for one in &all {
            let policy = &one.policy;
            let old = self.written.get(&policy.key);
            // What we wrote may not have come back to us yet.
            let before = old.map_or(&policy.status, |written| &written.status);
            let status =
                self.source.with_reports(|reports| summary::status(one, reports, &elsewhere, before, &now));
            let fresh = old.is_some_and(|written| written.at.elapsed() < self.pace.each * 5);
            if status == policy.status || (fresh && old.is_some_and(|written| written.status == status)) {
                continue;
            }
            let due = old.map_or_else(Instant::now, |written| written.at + self.pace.each);
            if due > Instant::now() {
                again = Some(again.map_or(due, |again| again.min(due)));
                continue;
            }
            let first_said = before.get("observedGeneration") != status.get("observedGeneration");
            match self.write(one, &status).await {
                Ok(()) => {
                    self.failures = 0;
                    let written = Written { uid: policy.uid.clone(), status, at: Instant::now() };
                    self.written.insert(policy.key.clone(), written);
                    if first_said && !policy.errors.is_empty() {
                        self.tell(policy).await;
                    }
                }
                // Deleted meanwhile, or made anew.
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => {}
                Err(error) => {
                    self.failures = (self.failures + 1).min(5);
                    let wait = Duration::from_millis(500) * 2u32.pow(self.failures);
                    tracing::warn!(policy = policy.key.document(), %error, ?wait, "status not written");
                    // Here, because news would end the wait for the next time.
                    tokio::time::sleep(wait).await;
                    return Some(Instant::now());
                }
            }
            tokio::time::sleep(self.pace.any).await;
        }
        again
    }

    async fn write(&self, one: &Wanted, status: &Json) -> kube::Result<()> {
        let key = &one.policy.key;
        let resource = resource(key);
        let api: Api<DynamicObject> = match &key.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            // Not for another object that has the name by now.
            "metadata": {"name": key.name, "uid": one.policy.uid},
            "status": status,
        });
        api.patch_status(&key.name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(body))
            .await
            .map(drop)
    }

    /// Makes an event of the errors of a policy, which `kubectl describe` shows.
    async fn tell(&self, policy: &Compiled) {
        let resource = resource(&policy.key);
        let reference = ObjectReference {
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            name: Some(policy.key.name.clone()),
            namespace: policy.key.namespace.clone(),
            uid: Some(policy.uid.clone()),
            ..ObjectReference::default()
        };
        let mut note = summary::findings(&policy.errors);
        note.truncate(note.floor_char_boundary(MAX_NOTE));
        let event = Event {
            type_: EventType::Warning,
            reason: "Invalid".into(),
            note: Some(note),
            action: "Compile".into(),
            secondary: None,
        };
        // A new one each time: it would count an event that has the reason of an earlier one instead of telling its note.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(&event, &reference).await {
            tracing::debug!(policy = policy.key.document(), %error, "event not written");
        }
    }
}

/// What the agents of this replica say.
pub(super) fn shares(source: &KubeSource) -> Shares {
    let wanted = source.wanted();
    source.with_reports(|reports| summary::shares(&wanted, reports))
}

fn resource(key: &PolicyKey) -> ApiResource {
    match key.namespace {
        Some(_) => SecurityPolicy::api_resource(),
        None => ClusterSecurityPolicy::api_resource(),
    }
}
