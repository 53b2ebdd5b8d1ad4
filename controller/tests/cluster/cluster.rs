//! A cluster for the scenarios: the API server in this process, or a real one.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, api::ApiResource};
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vedette_controller::kube::lease::Timing;
use vedette_controller::kube::status::Pace;
use vedette_controller::kube::{Options, Parts, crd, parts};
use vedette_controller::policies::kube::KubeSource;
use vedette_controller::policies::{NodeReport, PolicyReport, PolicySource as _, RuleState, built_in};
use vedette_controller::sink::config::NamedSink;
use vedette_controller::sink::status::SinkStatus;

use crate::api::FakeApi;
use crate::envtest::RealApi;
use crate::manifests;

/// Longest wait for what must come.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// The namespace of the controller.
pub const NAMESPACE: &str = "vedette";

/// The name of the controller's service account.
pub const ACCOUNT: &str = "vedette-controller";

/// Which API server.
pub enum Server {
    Fake(FakeApi),
    Real(RealApi),
}

/// A cluster with our definitions and roles, and without nodes.
pub struct Cluster {
    pub server: Server,
    pub admin: Client,
    pub controller: Client,
}

impl Cluster {
    /// One with the API server in this process.
    pub async fn fake() -> Self {
        let api = FakeApi::start();
        let admin = api.client("admin");
        api.restrict("controller", &manifests::all(), NAMESPACE, ACCOUNT);
        let controller = api.client("controller");
        let cluster = Self { server: Server::Fake(api), admin, controller };
        for definition in crd::definitions() {
            cluster.apply(&serde_json::to_value(definition).unwrap()).await.unwrap();
        }
        cluster
    }

    /// One with a real API server, if there is one to start.
    pub async fn real() -> Option<Self> {
        let api = RealApi::start().await?;
        let admin = api.admin();
        let cluster = Self { controller: admin.clone(), admin, server: Server::Real(api) };
        let wanted = |kind: &str| {
            matches!(
                kind,
                "Namespace"
                    | "ServiceAccount"
                    | "ClusterRole"
                    | "ClusterRoleBinding"
                    | "Role"
                    | "RoleBinding"
                    | "CustomResourceDefinition"
            )
        };
        for manifest in manifests::all().iter().filter(|m| wanted(m["kind"].as_str().unwrap())) {
            cluster.apply(manifest).await.unwrap();
        }
        for definition in crd::definitions() {
            cluster.established(definition.metadata.name.as_deref().unwrap()).await;
        }
        let Server::Real(api) = &cluster.server else { unreachable!() };
        let token = api.token(&cluster.admin, NAMESPACE, ACCOUNT, json!({})).await;
        let controller = api.client(&token);
        Some(Self { controller, ..cluster })
    }

    /// What a program needs to be the controller's service account.
    pub async fn kubeconfig(&self, namespace: &str) -> Json {
        match &self.server {
            Server::Fake(api) => kubeconfig(json!({"server": api.url()}), "controller", namespace),
            Server::Real(api) => {
                let token = api.token(&self.admin, NAMESPACE, ACCOUNT, json!({})).await;
                kubeconfig(api.cluster(), &token, namespace)
            }
        }
    }

    /// A token as the kubelet of a node gets it for the pod of its agent.
    pub async fn agent_token(&self, node: &str) -> String {
        let Server::Real(api) = &self.server else { return format!("agent.{node}.token") };
        let name = format!("vedette-agent-{node}");
        let pods = self.api("v1", "Pod", Some(NAMESPACE));
        if pods.get_opt(&name).await.unwrap().is_none() {
            let pod = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "nodeName": node, "serviceAccountName": "vedette-agent",
                    "containers": [{"name": "agent", "image": "none"}],
                },
            }));
            pods.create(&PostParams::default(), &pod.unwrap()).await.unwrap();
        }
        let uid = pods.get(&name).await.unwrap().metadata.uid;
        let spec = json!({
            "audiences": ["vedette-controller"],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid},
        });
        api.token(&self.admin, NAMESPACE, "vedette-agent", spec).await
    }

    /// Applies a manifest with `kubectl`, where there is a real server; says what kubectl says where it fails.
    pub async fn kubectl_apply(&self, manifest: &Json) -> Result<(), String> {
        match &self.server {
            Server::Fake(_) => self.apply(manifest).await.map(drop).map_err(|error| error.to_string()),
            Server::Real(api) => {
                let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
                std::fs::write(file.path(), manifest.to_string()).unwrap();
                let path = file.path().to_str().unwrap();
                api.kubectl(&[
                    "apply",
                    "--server-side",
                    "--field-manager=test",
                    "--force-conflicts",
                    "-f",
                    path,
                ])
                .map(drop)
            }
        }
    }

    async fn established(&self, name: &str) {
        let api = self.api("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
        until(|| async {
            let crd = api.get(name).await.ok()?;
            let conditions = crd.data["status"]["conditions"].as_array()?;
            conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True").then_some(())
        })
        .await;
    }

    /// The objects of a kind.
    pub fn api(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        api_of(self.admin.clone(), api_version, kind, namespace)
    }

    /// Applies a manifest as `kubectl apply --server-side` does.
    pub async fn apply(&self, manifest: &Json) -> kube::Result<DynamicObject> {
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let namespace = manifest["metadata"]["namespace"].as_str();
        let api = self.api(&text(&manifest["apiVersion"]), &text(&manifest["kind"]), namespace);
        let parameters = PatchParams::apply("test").force();
        api.patch(&text(&manifest["metadata"]["name"]), &parameters, &Patch::Apply(manifest)).await
    }

    pub async fn namespace(&self, name: &str) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .await
            .unwrap();
    }

    pub async fn node(&self, name: &str, labels: Json) {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
        self.apply(&node).await.unwrap();
    }

    /// A pod that runs on a node.
    pub async fn pod(&self, namespace: &str, name: &str, node: &str, labels: Json) {
        let pod: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none"}]},
        }))
        .unwrap();
        self.api("v1", "Pod", Some(namespace)).create(&PostParams::default(), &pod).await.unwrap();
    }

    pub async fn delete(&self, api_version: &str, kind: &str, namespace: Option<&str>, name: &str) {
        let parameters = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.api(api_version, kind, namespace).delete(name, &parameters).await.unwrap();
    }

    /// Has the API server ask a webhook at that port.
    pub async fn webhook(&self, port: u16) {
        let is_it = |manifest: &Json| manifest["kind"] == "ValidatingWebhookConfiguration";
        let mut configuration = manifests::all().into_iter().find(is_it).unwrap();
        match &self.server {
            Server::Fake(api) => {
                let name = format!("{ACCOUNT}.{NAMESPACE}.svc");
                api.shared.services.lock().unwrap().insert(name, ([127, 0, 0, 1], port).into());
            }
            // There is no network in which a service would have an address.
            Server::Real(_) => {
                let url = format!("https://127.0.0.1:{port}/validate");
                configuration["webhooks"][0]["clientConfig"] = json!({"url": url});
            }
        }
        self.apply(&configuration).await.unwrap();
    }

    /// A policy's status, once it is as wanted.
    pub async fn status(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        wanted: impl Fn(&Json) -> bool,
    ) -> Json {
        let api = self.api("vedette.dev/v1alpha1", kind, namespace);
        let last = std::sync::Mutex::new(Json::Null);
        let found = until_or_none(|| async {
            let status = api.get(name).await.ok()?.data["status"].clone();
            *last.lock().unwrap() = status.clone();
            wanted(&status).then_some(status)
        })
        .await;
        found.unwrap_or_else(|| panic!("the status of {name} stayed {:#}", last.lock().unwrap()))
    }

    /// The events about an object.
    pub async fn events(&self, namespace: &str, name: &str) -> Vec<Json> {
        let api = self.api("events.k8s.io/v1", "Event", Some(namespace));
        let all = api.list(&ListParams::default()).await.unwrap();
        all.items.into_iter().map(|e| e.data).filter(|e| e["regarding"]["name"] == name).collect()
    }
}

/// A kubeconfig.
pub fn kubeconfig(cluster: Json, token: &str, namespace: &str) -> Json {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
    })
}

/// The objects of a kind.
pub fn api_of(client: Client, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let kind = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk(&kind);
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// Asks again until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    until_or_none(ask).await.expect("it did not come in time")
}

async fn until_or_none<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> Option<T> {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.ok()
}

/// A controller of the cluster.
pub struct Replica {
    pub source: Arc<KubeSource>,
    pub sinks: tokio::sync::watch::Receiver<Option<Vec<NamedSink>>>,
    pub leading: tokio::sync::watch::Receiver<bool>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Result<(), String>>>,
}

impl Replica {
    /// Starts one.
    pub async fn start(cluster: &Cluster, identity: &str) -> Self {
        let options = Options {
            namespace: NAMESPACE.into(),
            identity: identity.into(),
            before: built_in::sources(),
            timing: Timing {
                duration: Duration::from_secs(1),
                deadline: Duration::from_millis(800),
                retry: Duration::from_millis(100),
            },
            statuses: Arc::new(|| {
                Box::pin(async {
                    vec![SinkStatus { name: "siem".into(), kind: "stdout", ..SinkStatus::default() }]
                })
            }),
            pace: Pace {
                each: Duration::from_millis(200),
                any: Duration::from_millis(1),
                exchange: Duration::from_millis(50),
            },
        };
        let stop = CancellationToken::new();
        let Parts { source, sinks, leading, tasks } = parts(&cluster.controller, options, &stop);
        let tasks = tasks.into_iter().map(|(_, task)| tokio::spawn(task)).collect();
        let mut changes = source.changes();
        tokio::time::timeout(DEADLINE, changes.wait_for(|n| *n > 0)).await.unwrap().unwrap();
        Self { source, sinks, leading, stop, tasks }
    }

    /// Waits until it leads.
    pub async fn leads(&mut self) {
        tokio::time::timeout(DEADLINE, self.leading.wait_for(|leads| *leads)).await.unwrap().unwrap();
    }

    /// The documents of a node, once they are as wanted. Panics with what they are.
    pub async fn documents(&self, node: &str, wanted: &[&str]) -> Duration {
        let begin = std::time::Instant::now();
        let mut changes = self.source.changes();
        let names = || -> Vec<String> {
            self.source.for_node(node).documents.iter().map(|d| d.name.clone()).collect()
        };
        let waiting = async {
            while names() != wanted {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(DEADLINE, waiting).await.is_err() {
            panic!("{node} needs {:?}, not {wanted:?}", names());
        }
        begin.elapsed()
    }

    /// Plays an agent that runs all it is told to, each policy in the given state.
    pub fn agent(&self, node: &str, state: RuleState) -> Agent {
        let (source, node) = (Arc::clone(&self.source), node.to_owned());
        Agent(tokio::spawn(async move {
            let mut changes = source.changes();
            loop {
                changes.borrow_and_update();
                let needed = source.for_node(&node);
                let policies = needed.documents.iter().map(|document| PolicyReport {
                    document: document.name.clone(),
                    generation: document.generation,
                    state,
                    reason: (state >= RuleState::Degraded).then(|| "LsmUnavailable".into()),
                    message: None,
                    rules: Vec::new(),
                });
                let policies = policies.collect();
                source.report(&node, Some(NodeReport { running: "digest".into(), refused: None, policies }));
                if changes.changed().await.is_err() {
                    return;
                }
            }
        }))
    }

    /// Ends it as it should end.
    pub async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap().unwrap();
        }
    }

    /// Ends it as a crash does: nothing is given back.
    pub fn kill(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// An agent that is played.
pub struct Agent(JoinHandle<()>);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.abort();
    }
}
