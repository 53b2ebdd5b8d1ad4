//! A controller as a process, and a well-behaved agent of it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, transport::Channel};
use vedette_proto::v1::{self, alert_service_client::AlertServiceClient, push_request::Message};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How much more memory the controller may take under an attack, in KiB.
const MORE_MEMORY: u64 = 96 << 10;

/// Tokens: of the attacker, of the well-behaved agent, of an operator.
pub const EVE: &str = "token-of-node-eve-00";
pub const ALICE: &str = "token-of-node-alice0";
pub const OPERATOR: &str = "token-of-an-operator";

/// A running controller.
pub struct Controller {
    child: Child,
    pub port: u16,
    _directory: tempfile::TempDir,
}

impl Controller {
    /// Starts one; with TLS, or in the clear.
    pub fn start(tls: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("policies")).unwrap();
        let rule = "- rule: r\n  desc: x\n  condition: evt.type = execve\n  output: x\n  priority: NOTICE\n";
        fs::write(path("policies/p.yaml"), rule).unwrap();
        let tokens = format!("agent eve {EVE}\nagent alice {ALICE}\noperator soc {OPERATOR}\n");
        fs::write(path("tokens"), tokens).unwrap();
        fs::write(path("config.yaml"), "limits: {connections: 300}\n").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-controller"));
        command.args(["run", "--standalone", "--listen", "127.0.0.1:0", "--log", "error"]);
        for (option, name) in
            [("policies", "policies"), ("tokens", "tokens"), ("data", "data"), ("config", "config.yaml")]
        {
            command.arg(format!("--{option}")).arg(path(name));
        }
        if !tls {
            command.arg("--plaintext");
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("the controller has ended").unwrap();
            if let Some((_, port)) = line.split_once("ready: ").and_then(|(_, line)| line.rsplit_once(':')) {
                break port.parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port, _directory: directory }
    }

    /// The authorities of its certificate.
    pub fn ca(&self) -> Vec<u8> {
        fs::read(self._directory.path().join("data/ca.pem")).unwrap()
    }

    /// A connection in the clear.
    pub async fn channel(&self) -> Channel {
        let url = format!("http://127.0.0.1:{}", self.port);
        Channel::from_shared(url).unwrap().connect().await.unwrap()
    }

    /// The most memory that it has ever taken, in KiB.
    pub fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a stream of alerts.
pub async fn push(
    channel: &Channel,
    token: &str,
    first: v1::PushRequest,
) -> Result<(mpsc::Sender<v1::PushRequest>, tonic::Streaming<v1::PushResponse>), Status> {
    let (out, requests) = mpsc::channel(4);
    out.send(first).await.unwrap();
    let mut client = AlertServiceClient::new(channel.clone());
    let answers = client.push(with(token, ReceiverStream::new(requests))).await?.into_inner();
    Ok((out, answers))
}

/// A call with a token.
pub fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// The first message of a stream.
pub fn hello(node: &str) -> v1::PushRequest {
    let hello = v1::PushHello { node: node.into(), spool: "s".into(), oldest: 1 };
    v1::PushRequest { message: Some(Message::Hello(hello)) }
}

/// A batch of alerts.
pub fn batch(alerts: Vec<v1::Alert>) -> v1::PushRequest {
    v1::PushRequest { message: Some(Message::Batch(v1::PushBatch { alerts, shed: Vec::new() })) }
}

/// A good alert, with about so many bytes of filling.
pub fn alert(node: &str, sequence: u64, filling: usize) -> v1::Alert {
    let uid = format!("{node}-{sequence}");
    let filling = "x".repeat(filling);
    v1::Alert {
        json: format!(r#"{{"uid":"{uid}","rule":"r","priority":"Warning","x":"{filling}"}}"#).into(),
        uid,
        sequence,
        time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        rule: "r".into(),
        priority: v1::Priority::Warning.into(),
    }
}

/// An agent that keeps to the rules: one alert at a time, each acknowledged.
pub struct Alice {
    out: mpsc::Sender<v1::PushRequest>,
    answers: tonic::Streaming<v1::PushResponse>,
    sequence: u64,
    before: u64,
}

impl Alice {
    /// Connects.
    pub async fn connect(controller: &Controller, channel: &Channel) -> Self {
        let (out, mut answers) = push(channel, ALICE, hello("alice")).await.unwrap();
        answers.message().await.unwrap().unwrap();
        let mut alice = Self { out, answers, sequence: 0, before: 0 };
        alice.is_served().await;
        alice.before = controller.peak();
        alice
    }

    /// Ten alerts are acknowledged, each soon.
    pub async fn is_served(&mut self) {
        for _ in 0..10 {
            self.sequence += 1;
            self.out.send(batch(vec![alert("alice", self.sequence, 100)])).await.unwrap();
            let answer = tokio::time::timeout(Duration::from_secs(5), self.answers.message()).await;
            let answer = answer.expect("no acknowledgement within 5 s").unwrap().unwrap();
            assert_eq!(answer.acknowledged, self.sequence);
        }
    }

    /// She is served, and the controller has not taken much more memory since she connected.
    pub async fn was_undisturbed(mut self, controller: &Controller) {
        self.is_served().await;
        let more = controller.peak().saturating_sub(self.before);
        eprintln!("{more} KiB more memory at most");
        assert!(more < MORE_MEMORY, "{more} KiB more memory");
    }
}
