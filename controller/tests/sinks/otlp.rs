//! OTLP receivers, made of the official definitions.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
};
use prost::Message;
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::server::TcpIncoming};

use crate::{
    http_server::{Asked, Reply, Server, script},
    rig::{Rig, uid},
};

type Answer = Box<dyn FnMut(&[String]) -> Result<ExportLogsServiceResponse, Status> + Send>;

#[derive(Clone)]
struct Collector {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<(String, ExportLogsServiceRequest)>>>,
}

fn records(request: &ExportLogsServiceRequest) -> Vec<LogRecord> {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records.clone()).collect()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

fn uids(request: &ExportLogsServiceRequest) -> Vec<String> {
    records(request).iter().map(|record| text(&record.attributes, "vedette.uid")).collect()
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let team = request.metadata().get("x-team").map_or("", |value| value.to_str().unwrap()).to_owned();
        let request = request.into_inner();
        let answer = (self.answer.lock().unwrap())(&uids(&request));
        self.asked.lock().unwrap().push((team, request));
        answer.map(Response::new)
    }
}

async fn collector(
    answer: impl FnMut(&[String]) -> Result<ExportLogsServiceResponse, Status> + Send + 'static,
) -> (Collector, SocketAddr) {
    let collector = Collector { answer: Arc::new(Mutex::new(Box::new(answer))), asked: Arc::default() };
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let service = LogsServiceServer::new(collector.clone()).accept_compressed(CompressionEncoding::Gzip);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    (collector, address)
}

#[tokio::test]
async fn records_by_grpc() {
    let (collector, address) = collector(|_| Ok(ExportLogsServiceResponse::default())).await;
    let settings = format!(
        "otlp:\n  url: http://{address}\n  compression: gzip\n  headers: {{X-Team: {{value: blue}}}}\n"
    );
    let rig = Rig::start(&settings).await;
    rig.append(0..3).await;
    rig.settled(3).await;
    let asked = collector.asked.lock().unwrap().clone();
    let (team, request) = &asked[0];
    assert_eq!((asked.len(), team.as_str()), (1, "blue"));
    assert_eq!(request.resource_logs.len(), 1);
    let resource = request.resource_logs[0].resource.clone().unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), "vedette");
    assert_eq!(text(&resource.attributes, "host.name"), "n7.example.org");
    assert_eq!(text(&resource.attributes, "k8s.node.name"), "n7");
    let record = &records(request)[2];
    assert_eq!(record.time_unix_nano, 1_795_498_834_123_456_789);
    assert_eq!((record.severity_number, record.severity_text.as_str()), (18, "Critical"));
    assert_eq!(text(&record.attributes, "vedette.uid"), uid(2));
    assert_eq!(text(&record.attributes, "k8s.pod.name"), "web-5c9-x");
    let Some(Value::StringValue(body)) = record.body.clone().unwrap().value else { panic!("no text") };
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["uid"], uid(2).as_str());
}

#[tokio::test]
async fn of_a_partial_success_the_refused_ones_are_found() {
    let (_, address) = collector(|uids| {
        let rejected = uids.iter().filter(|one| **one == uid(2)).count() as i64;
        let partial =
            ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: "too old".to_owned() };
        Ok(ExportLogsServiceResponse { partial_success: Some(partial) })
    })
    .await;
    let rig = Rig::start(&format!("otlp: {{url: 'http://{address}'}}\n")).await;
    rig.append(0..6).await;
    let status = rig.settled(6).await;
    assert_eq!((status.delivered, status.refused), (5, 1));
    assert_eq!(rig.letters()[0]["uid"], uid(2).as_str());
    assert!(rig.letters()[0]["reason"].as_str().unwrap().contains("too old"));
}

#[tokio::test]
async fn statuses_of_grpc_are_told_apart() {
    let mut answers = vec![
        Status::invalid_argument("an odd record"),
        Status::unimplemented("logs are off"),
        Status::unauthenticated("who are you"),
        Status::resource_exhausted("slowly"),
        Status::unavailable("starting"),
    ];
    let (collector, address) = collector(move |uids| match answers.last() {
        // Only the one alert is refused for good.
        Some(last) if last.code() != tonic::Code::InvalidArgument || uids == [uid(0)] => {
            Err(answers.pop().unwrap())
        }
        Some(_) if uids.contains(&uid(0)) => Err(Status::invalid_argument("an odd record")),
        _ => Ok(ExportLogsServiceResponse::default()),
    })
    .await;
    let rig = Rig::start(&format!("otlp: {{url: 'http://{address}'}}\n")).await;
    rig.append(0..2).await;
    let status = rig.settled(2).await;
    assert_eq!((status.delivered, status.refused), (1, 1));
    assert_eq!(rig.letters()[0]["uid"], uid(0).as_str());
    assert!(collector.asked.lock().unwrap().len() >= 6);
}

#[tokio::test]
async fn records_by_http() {
    let ok = ExportLogsServiceResponse::default().encode_to_vec();
    assert!(ok.is_empty(), "an answer without a body is a good one");
    let busy = Reply::With(503, "retry-after", "0");
    let server = Server::start(script([busy, Reply::Status(200, String::new())])).await;
    let settings =
        format!("otlp:\n  url: http://{}/v1/logs\n  protocol: http\n  compression: gzip\n", server.address);
    let rig = Rig::start(&settings).await;
    rig.append(0..2).await;
    rig.settled(2).await;
    let asked: Vec<Asked> = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        (asked[0].path.as_str(), asked[0].header("content-type")),
        ("/v1/logs", "application/x-protobuf")
    );
    let request = ExportLogsServiceRequest::decode(&asked[1].body[..]).unwrap();
    assert_eq!(uids(&request), [uid(0), uid(1)]);
}
