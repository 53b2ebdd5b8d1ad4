use std::time::Duration;

use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, transport::Channel};
use vedette_proto::v1::{
    self, agent_service_client::AgentServiceClient, alert_service_client::AlertServiceClient,
    policy_service_client::PolicyServiceClient, push_request, watch_request,
};

use super::*;
use crate::{
    alert_log::MemoryLog,
    bundle::Signer,
    config::Listen,
    identity::Tokens,
    policies::{Document, NodePolicies, NodeReport},
    secrets::SecretFiles,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Policies that a test changes.
struct Given {
    changes: watch::Sender<u64>,
    policies: std::sync::Mutex<Arc<NodePolicies>>,
    reports: watch::Sender<Option<(String, Option<NodeReport>)>>,
}

impl Given {
    fn set(&self, texts: &[&'static str]) {
        let document = |text: &&'static str| Document {
            name: (*text).into(),
            generation: 1,
            text: text.as_bytes().into(),
        };
        *self.policies.lock().unwrap() =
            Arc::new(NodePolicies { documents: texts.iter().map(document).collect() });
        self.changes.send_modify(|number| *number += 1);
    }
}

impl PolicySource for Given {
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    fn for_node(&self, _: &str) -> Arc<NodePolicies> {
        Arc::clone(&self.policies.lock().unwrap())
    }
    fn report(&self, node: &str, report: Option<NodeReport>) {
        self.reports.send_replace(Some((node.to_owned(), report)));
    }
}

struct Running {
    address: String,
    log: Arc<MemoryLog>,
    given: Arc<Given>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), ServeError>>,
    dir: tempfile::TempDir,
}

const AGENT: &str = "agent-token-of-n1-0";
const OPERATOR: &str = "operator-token-00000";

async fn start() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, format!("agent n1 {AGENT}\noperator soc {OPERATOR}\n")).unwrap();
    let log = Arc::new(MemoryLog::default());
    let given = Arc::new(Given {
        changes: watch::Sender::new(0),
        policies: std::sync::Mutex::default(),
        reports: watch::Sender::new(None),
    });
    let signer = Signer::load(&SecretFiles::new(dir.path())).await.unwrap();
    let limits = Limits { recheck_seconds: 1, ..Limits::default() };
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Listen::Tcp(address) = listener.address().unwrap() else { panic!("TCP was asked for") };
    let stop = CancellationToken::new();
    let services = Services {
        policies: Arc::clone(&given) as _,
        log: Arc::clone(&log) as _,
        bundles: Arc::new(Bundles::new(signer)),
        registry: Arc::new(Registry::new(limits)),
        chain: Arc::new(Chain::default().with(Tokens::load(&tokens).unwrap())),
        limits,
        counters: Counters::default(),
        about: About::default(),
        tls: None,
    };
    let served = tokio::spawn(services.serve(listener, stop.clone()));
    Running { address: format!("http://{address}"), log, given, stop, served, dir }
}

impl Running {
    async fn channel(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.served).await.unwrap().unwrap().unwrap();
    }
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn alert(sequence: u64) -> v1::Alert {
    let uid = format!("uid-{sequence}");
    v1::Alert {
        json: format!(r#"{{"uid":"{uid}","rule":"r","priority":"Warning"}}"#).into(),
        uid,
        sequence,
        time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        rule: "r".into(),
        priority: v1::Priority::Warning.into(),
    }
}

type Pushed = (mpsc::Sender<v1::PushRequest>, tonic::Streaming<v1::PushResponse>);

async fn push(channel: &Channel, node: &str) -> Result<Pushed, tonic::Status> {
    let (out, requests) = mpsc::channel(8);
    let hello = v1::PushHello { node: node.into(), spool: "s".into(), oldest: 1 };
    out.send(v1::PushRequest { message: Some(push_request::Message::Hello(hello)) }).await.unwrap();
    let request = with(AGENT, ReceiverStream::new(requests));
    let answers = AlertServiceClient::new(channel.clone()).push(request).await?.into_inner();
    Ok((out, answers))
}

fn batch(alerts: Vec<v1::Alert>, shed: Vec<v1::Shed>) -> v1::PushRequest {
    v1::PushRequest { message: Some(push_request::Message::Batch(v1::PushBatch { alerts, shed })) }
}

#[tokio::test]
async fn alerts_are_acknowledged_once_they_are_in_the_log_and_can_be_seen() {
    let running = start().await;
    let channel = running.channel().await;
    let (out, mut answers) = push(&channel, "n1").await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().acknowledged, 0);
    let shed = v1::Shed { id: 1, count: 7, priority: v1::Priority::Debug.into(), ..Default::default() };
    out.send(batch(vec![alert(3), alert(5)], vec![shed])).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!((answer.acknowledged, answer.shed_acknowledged), (5, 1));
    assert_eq!(running.log.range().await.unwrap(), (1, 3));

    // On the next stream what is known need not come again; if it does, it is not there twice.
    let (out, mut answers) = push(&channel, "n1").await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().acknowledged, 5);
    let none = v1::Alert { json: "none".into(), ..alert(7) };
    out.send(batch(vec![v1::Alert { sequence: 6, ..alert(5) }, none], vec![])).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().acknowledged, 7);
    assert_eq!(running.log.range().await.unwrap(), (1, 4), "one known, and a note of the one that is none");
    // Numbers that do not grow are an error.
    out.send(batch(vec![alert(2)], vec![])).await.unwrap();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::InvalidArgument);

    let mut client = AlertServiceClient::new(channel.clone());
    let query = |filter| v1::QueryRequest { filter, page_size: 1, page_token: String::new() };
    let filter = v1::AlertFilter { at_least: v1::Priority::Warning.into(), ..Default::default() };
    let mut request = query(Some(filter));
    let mut seen = Vec::new();
    loop {
        let page = client.query(with(OPERATOR, request.clone())).await.unwrap().into_inner();
        seen.extend(page.alerts.iter().map(|found| found.position));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, [4, 3, 2, 1]);
    let tail = v1::TailRequest { backlog: 2, ..Default::default() };
    let mut tail = client.tail(with(OPERATOR, tail)).await.unwrap().into_inner();
    assert_eq!(tail.message().await.unwrap().unwrap().position, 3);
    assert_eq!(tail.message().await.unwrap().unwrap().position, 4);
    running.end().await;
}

#[tokio::test]
async fn nobody_speaks_for_another_node_or_without_a_token() {
    let running = start().await;
    let channel = running.channel().await;
    assert_eq!(push(&channel, "n2").await.unwrap_err().code(), Code::PermissionDenied);
    let mut agents = AgentServiceClient::new(channel.clone());
    let hello = |node: &str| v1::HelloRequest { node: node.into(), ..Default::default() };
    let denied = agents.hello(with(AGENT, hello("n2"))).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(agents.hello(hello("n1")).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(agents.hello(with("wrong", hello("n1"))).await.unwrap_err().code(), Code::Unauthenticated);
    let answer = agents.hello(with(AGENT, hello("n1"))).await.unwrap().into_inner();
    assert_eq!(answer.signing_keys.len(), 1);
    let denied = agents.list_agents(with(AGENT, v1::ListAgentsRequest {})).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let list = agents.list_agents(with(OPERATOR, v1::ListAgentsRequest {})).await.unwrap().into_inner();
    assert_eq!(list.agents.len(), 1);
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let check = tonic_health::pb::HealthCheckRequest { service: "vedette.v1.AlertService".into() };
    assert_eq!(health.check(check).await.unwrap().into_inner().status, 1);
    running.end().await;
}

#[tokio::test]
async fn a_change_of_policies_reaches_the_agent_and_its_answer_the_source() {
    let running = start().await;
    running.given.set(&["a", "b"]);
    let (out, requests) = mpsc::channel(8);
    let hello = v1::WatchHello { node: "n1".into(), ..Default::default() };
    let send = |message| v1::WatchRequest { message: Some(message) };
    out.send(send(watch_request::Message::Hello(hello))).await.unwrap();
    let mut client = PolicyServiceClient::new(running.channel().await);
    let mut bundles = client.watch(with(AGENT, ReceiverStream::new(requests))).await.unwrap().into_inner();
    assert_eq!(bundles.message().await.unwrap().unwrap().documents.len(), 2);
    running.given.set(&["a", "b", "c"]);
    let second = bundles.message().await.unwrap().unwrap();
    assert_eq!(second.documents.len(), 1, "only what is new");
    let status = v1::BundleStatus {
        digest: crate::bundle::sha256(&second.manifest),
        accepted: false,
        error: "no".into(),
        running: "old".into(),
        policies: vec![],
    };
    let mut reports = running.given.reports.subscribe();
    out.send(send(watch_request::Message::Status(status))).await.unwrap();
    let reported = reports.wait_for(|report| report.as_ref().is_some_and(|(_, report)| report.is_some()));
    let (node, report) = tokio::time::timeout(PATIENCE, reported).await.unwrap().unwrap().clone().unwrap();
    assert_eq!((node.as_str(), report.unwrap().refused.unwrap().1.as_str()), ("n1", "no"));
    drop((out, bundles));
    let gone = reports.wait_for(|report| report.as_ref().is_some_and(|(_, report)| report.is_none()));
    tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
    running.end().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_taken_back() {
    let running = start().await;
    running.given.set(&["a"]);
    let channel = running.channel().await;
    let (_out, mut answers) = push(&channel, "n1").await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().acknowledged, 0);
    let (out, requests) = mpsc::channel(8);
    let hello = v1::WatchHello { node: "n1".into(), ..Default::default() };
    out.send(v1::WatchRequest { message: Some(watch_request::Message::Hello(hello)) }).await.unwrap();
    let mut policies = PolicyServiceClient::new(channel.clone());
    let mut bundles = policies.watch(with(AGENT, ReceiverStream::new(requests))).await.unwrap().into_inner();
    assert!(bundles.message().await.unwrap().is_some());
    let tail = v1::TailRequest::default();
    let mut alerts = AlertServiceClient::new(channel);
    let mut tail = alerts.tail(with(OPERATOR, tail)).await.unwrap().into_inner();

    // The operator's stays, the agent's goes.
    std::fs::write(running.dir.path().join("tokens"), format!("operator soc {OPERATOR}\n")).unwrap();
    let end = tokio::time::timeout(PATIENCE, answers.message()).await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unauthenticated);
    let end = tokio::time::timeout(PATIENCE, bundles.message()).await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unauthenticated);
    assert!(tokio::time::timeout(Duration::from_millis(10), tail.message()).await.is_err());
    running.end().await;
}
