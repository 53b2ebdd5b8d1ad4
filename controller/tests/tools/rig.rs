//! A controller and `vedette`, each a process of the test's own.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, transport::Channel};
use vedette_proto::v1::{
    self, agent_service_client::AgentServiceClient, alert_service_client::AlertServiceClient,
    policy_service_client::PolicyServiceClient, push_request, watch_request,
};

use crate::wait::until;

/// What a process has written to one of its streams.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<String>>);

impl Written {
    /// Reads the stream until its end.
    pub fn follow(stream: impl Read + Send + 'static) -> Self {
        let written = Self::default();
        let ours = written.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut text = ours.0.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        written
    }

    /// So far.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    /// Waits until a line has this in it, and gives the line.
    pub fn line(&self, with: &str) -> String {
        until(with, || self.text().lines().find(|line| line.contains(with)).map(str::to_owned))
    }
}

/// A controller that runs without Kubernetes.
pub struct Controller {
    child: Child,
    args: Vec<String>,
    pub directory: tempfile::TempDir,
    pub address: String,
    pub log: Written,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(args: &[String], listen: &str) -> (Child, Written, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-controller"));
    command.args(["run", "--standalone", "--listen", listen]).args(args);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Written::follow(child.stderr.take().unwrap());
    let ready = log.line("ready: agents connect to ");
    let address = ready.rsplit(' ').next().unwrap().to_owned();
    (child, log, address)
}

impl Controller {
    /// Starts one on a free port, in the clear or not, with these arguments.
    pub fn start(plaintext: bool, args: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("policies")).unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let mut all = vec!["--data".into(), path("data"), "--policies".into(), path("policies")];
        if plaintext {
            all.push("--plaintext".into());
        }
        all.extend(args.iter().map(|arg| arg.replace("DIR", &directory.path().display().to_string())));
        let (child, log, address) = spawn(&all, "127.0.0.1:0");
        Self { child, args: all, directory, address, log }
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again at the same address.
    pub fn restart(&mut self) {
        self.kill();
        (self.child, self.log, _) = spawn(&self.args, &self.address);
    }

    /// A file of its data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.directory.path().join("data").join(name)
    }

    /// A token of its data directory.
    pub fn token(&self, name: &str) -> String {
        std::fs::read_to_string(self.data(name)).unwrap().trim().to_owned()
    }

    /// A policy file.
    pub fn policy(&self, name: &str, text: &str) {
        let new = self.directory.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.directory.path().join("policies").join(name)).unwrap();
    }

    /// `vedette` with the way to this controller in its environment.
    pub fn vedette(&self, args: &[&str]) -> Command {
        let scheme = if self.args.iter().any(|arg| arg == "--plaintext") { "http" } else { "https" };
        let mut command = vedette(args);
        command
            .env("VEDETTE_CONTROLLER", format!("{scheme}://{}", self.address))
            .env("VEDETTE_TOKEN_FILE", self.data("operator-token"));
        if scheme == "https" {
            command.env("VEDETTE_CA", self.data("ca.pem"));
        }
        command
    }

    /// A connection in the clear.
    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// An agent of a node that is connected.
    pub async fn agent(&self, node: &str) -> Agent {
        let channel = self.channel().await;
        let token = self.token("agent-token");
        let capability = |name: &str, reason: &str| v1::Capability {
            name: name.into(),
            available: reason.is_empty(),
            reason: reason.into(),
        };
        let hello = v1::HelloRequest {
            node: node.into(),
            version: "1.2.3".into(),
            kernel: "6.1.0".into(),
            architecture: "x86_64".into(),
            capabilities: vec![capability("exec", ""), capability("bpf_lsm", "the kernel runs no BPF LSM")],
            started: None,
        };
        AgentServiceClient::new(channel.clone()).hello(with(&token, hello)).await.unwrap();
        let (out, requests) = mpsc::channel(8);
        let hello = v1::PushHello { node: node.into(), spool: "s".into(), oldest: 1 };
        out.send(v1::PushRequest { message: Some(push_request::Message::Hello(hello)) }).await.unwrap();
        let mut alerts = AlertServiceClient::new(channel.clone());
        let mut answers =
            alerts.push(with(&token, ReceiverStream::new(requests))).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap();
        let (say, requests) = mpsc::channel(8);
        let hello = v1::WatchHello { node: node.into(), ..Default::default() };
        say.send(v1::WatchRequest { message: Some(watch_request::Message::Hello(hello)) }).await.unwrap();
        let mut policies = PolicyServiceClient::new(channel.clone());
        let bundles = policies.watch(with(&token, ReceiverStream::new(requests))).await.unwrap().into_inner();
        Agent { channel, token, node: node.into(), out, answers, say, bundles }
    }
}

/// A message with a token.
pub fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// An agent of the test.
pub struct Agent {
    channel: Channel,
    token: String,
    node: String,
    out: mpsc::Sender<v1::PushRequest>,
    answers: Streaming<v1::PushResponse>,
    say: mpsc::Sender<v1::WatchRequest>,
    pub bundles: Streaming<v1::WatchResponse>,
}

/// What an alert of these tests says: the one of the test data, with other particulars.
pub fn alert_json(node: &str, number: u64, rule: &str, priority: &str) -> serde_json::Value {
    let mut alert: serde_json::Value = serde_json::from_str(include_str!("../data/alert.json")).unwrap();
    alert["uid"] = format!("00000000-0000-0000-0000-{number:012}").into();
    alert["time"] = format!("2026-01-31T12:00:{number:02}.000000000Z").into();
    alert["hostname"] = node.into();
    if let Some(place) = alert.get_mut("k8s").and_then(|k8s| k8s.get_mut("node")) {
        *place = node.into();
    }
    alert["rule"] = rule.into();
    alert["priority"] = priority.into();
    alert
}

impl Agent {
    /// Sends alerts of these numbers and waits until they are durable.
    pub async fn push(&mut self, alerts: &[(u64, &str, &str)]) {
        let alerts = alerts.iter().map(|(number, rule, priority)| {
            let json = alert_json(&self.node, *number, rule, priority);
            v1::Alert {
                uid: json["uid"].as_str().unwrap().into(),
                sequence: *number,
                time: Some(prost_types::Timestamp { seconds: 1_769_860_800 + *number as i64, nanos: 0 }),
                rule: (*rule).into(),
                priority: 0,
                json: json.to_string().into(),
            }
        });
        let batch = v1::PushBatch { alerts: alerts.collect(), shed: vec![] };
        let last = batch.alerts.last().unwrap().sequence;
        self.out.send(v1::PushRequest { message: Some(push_request::Message::Batch(batch)) }).await.unwrap();
        while self.answers.message().await.unwrap().unwrap().acknowledged < last {}
    }

    /// Says what became of the bundle that was sent last.
    pub async fn says(&self, status: v1::BundleStatus) {
        self.say
            .send(v1::WatchRequest { message: Some(watch_request::Message::Status(status)) })
            .await
            .unwrap();
    }

    /// Sends a heartbeat.
    pub async fn heartbeat(&self, losses: v1::LossCounters, spooled: u64) -> v1::HeartbeatResponse {
        let heartbeat = v1::HeartbeatRequest {
            node: self.node.clone(),
            losses: Some(losses),
            spooled,
            ..Default::default()
        };
        let mut agents = AgentServiceClient::new(self.channel.clone());
        agents.heartbeat(with(&self.token, heartbeat)).await.unwrap().into_inner()
    }
}

/// `vedette`, in an environment that says nothing of a controller.
pub fn vedette(args: &[&str]) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let binary = BUILT.get_or_init(|| {
        // Of another package, whose programs cargo does not name here: built again, which costs nothing if it is there.
        let mut cargo = Command::new(env!("CARGO"));
        // What describes this test would have build scripts run again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| text.starts_with(prefix)) {
                cargo.env_remove(&name);
            }
        }
        cargo.env_remove("CARGO_CRATE_NAME").env_remove("OUT_DIR");
        let target = Path::new(env!("CARGO_BIN_EXE_vedette-controller")).parent().unwrap();
        cargo.args(["build", "--quiet", "--package", "vedette-cli", "--bin", "vedette"]);
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
        cargo.arg("--target-dir").arg(target.parent().unwrap());
        if target.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "vedette does not build");
        target.join("vedette")
    });
    let mut command = Command::new(binary);
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR");
    for name in ["CONTROLLER", "CA", "TOKEN", "TOKEN_FILE", "CLIENT_CERT", "CLIENT_KEY"] {
        command.env_remove(format!("VEDETTE_{name}"));
    }
    command
}

/// Runs a command to its end: exit code, standard output, standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}
