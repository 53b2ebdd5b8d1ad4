//! The controller's program in a cluster, and agents that speak its protocol with tokens of their node.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prost::Message as _;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use vedette_proto::v1;
use vedette_proto::v1::agent_service_client::AgentServiceClient;
use vedette_proto::v1::policy_service_client::PolicyServiceClient;
use vedette_proto::v1::watch_request::Message;

use crate::cluster::{Cluster, DEADLINE, NAMESPACE, until};

/// A running controller. It is killed with this.
pub struct Controller {
    child: Child,
    /// Where agents connect.
    pub address: SocketAddr,
    _directory: TempDir,
}

impl Controller {
    /// Starts one and waits until it serves.
    pub async fn start(cluster: &Cluster, name: &str, webhook: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig(NAMESPACE).await.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vedette-controller"))
            .args(["run", "--listen=127.0.0.1:0", &format!("--webhook=127.0.0.1:{webhook}")])
            .arg(format!("--data={}", directory.path().join("data").display()))
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, log) = (watch::Sender::new(None), Arc::new(Mutex::new(Vec::new())));
        let (mut heard, lines) = (said.subscribe(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("ready: agents connect to TLS ") {
                    said.send_replace(Some(address.parse::<SocketAddr>().unwrap()));
                }
                lines.lock().unwrap().push(line);
            }
        });
        let ready = tokio::time::timeout(DEADLINE, heard.wait_for(Option::is_some)).await;
        let Ok(Ok(address)) = ready else {
            panic!("the controller does not serve:\n{}", log.lock().unwrap().join("\n"))
        };
        Self { child, address: address.unwrap(), _directory: directory }
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An agent that runs what it is told to.
pub struct Agent {
    /// The names of the documents that it runs, and since when.
    pub runs: watch::Receiver<(Vec<String>, Instant)>,
    task: tokio::task::JoinHandle<()>,
}

impl Agent {
    /// Connects with the token of the node's agent.
    pub async fn connect(cluster: &Cluster, controller: &Controller, node: &str) -> Self {
        let token = cluster.agent_token(node).await;
        let maps = cluster.api("v1", "ConfigMap", Some(NAMESPACE));
        let ca = until(|| async {
            let map = maps.get("vedette-controller").await.ok()?;
            map.data["data"]["ca.pem"].as_str().map(str::to_owned)
        })
        .await;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{}", controller.address)).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
        let bearer = move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            Ok(request)
        };
        let mut agents = AgentServiceClient::with_interceptor(channel.clone(), bearer.clone());
        // It speaks for its own node and for no other.
        let hello = |node: &str| v1::HelloRequest { node: node.into(), ..v1::HelloRequest::default() };
        let denied = agents.hello(hello("another")).await.unwrap_err();
        assert_eq!(denied.code(), tonic::Code::PermissionDenied, "{denied}");
        agents.hello(hello(node)).await.unwrap();
        let (out, requests) = mpsc::channel(8);
        let send = |message| v1::WatchRequest { message: Some(message) };
        let hello = v1::WatchHello { node: node.into(), ..v1::WatchHello::default() };
        out.send(send(Message::Hello(hello))).await.unwrap();
        let mut policies = PolicyServiceClient::with_interceptor(channel, bearer);
        let mut bundles = policies.watch(ReceiverStream::new(requests)).await.unwrap().into_inner();
        let (told, runs) = watch::channel((Vec::new(), Instant::now()));
        let task = tokio::spawn(async move {
            while let Ok(Some(bundle)) = bundles.message().await {
                let manifest = v1::Manifest::decode(bundle.manifest.as_ref()).unwrap();
                told.send_replace((
                    manifest.documents.iter().map(|document| document.name.clone()).collect(),
                    Instant::now(),
                ));
                let digest = vedette_controller::bundle::sha256(&bundle.manifest);
                let policies = manifest.documents.into_iter().map(|document| v1::PolicyStatus {
                    document: document.name,
                    generation: document.generation,
                    active: 1,
                    ..v1::PolicyStatus::default()
                });
                let status = v1::BundleStatus {
                    running: digest.clone(),
                    digest,
                    accepted: true,
                    error: String::new(),
                    policies: policies.collect(),
                };
                if out.send(send(Message::Status(status))).await.is_err() {
                    return;
                }
            }
        });
        Self { runs, task }
    }

    /// Waits until it runs these and no others. Returns since when it does.
    pub async fn runs(&mut self, wanted: &[&str]) -> Instant {
        let found = tokio::time::timeout(DEADLINE, self.runs.wait_for(|(names, _)| names == wanted)).await;
        let since = found.ok().map(|found| found.unwrap().1);
        since.unwrap_or_else(|| panic!("the agent runs {:?}, not {wanted:?}", self.runs.borrow().0))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Longest time from a change to an agent that runs it.
pub const LIVE: Duration = Duration::from_secs(1);

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
