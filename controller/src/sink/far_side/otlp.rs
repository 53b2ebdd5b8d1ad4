//! OTLP logs, by gRPC or by HTTP with binary protobuf
//! (<https://opentelemetry.io/docs/specs/otlp/>).

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::{
    collector::logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse, logs_service_client::LogsServiceClient,
    },
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use prost::Message;
use tonic::{
    Code, Request, Status,
    codec::CompressionEncoding,
    metadata::{MetadataKey, MetadataMap, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use vedette_event::alert::Priority;

use super::http::{Http, Options};
use crate::sink::{
    Item, Outcome, Report, Sink,
    config::{self, Compression, OtlpProtocol},
    secrets::Secrets,
};

/// Most bytes of an answer of a gRPC server.
const MAX_ANSWER: usize = 1 << 20;

pub(super) struct OtlpSink {
    way: Way,
}

enum Way {
    Grpc { client: Box<LogsServiceClient<Channel>>, metadata: MetadataMap },
    Http { http: Http, url: String },
}

impl OtlpSink {
    pub(super) async fn new(config: &config::OtlpSink, secrets: &dyn Secrets) -> Result<Self, String> {
        let way = match config.protocol {
            OtlpProtocol::Grpc => grpc(config, secrets).await?,
            OtlpProtocol::Http => {
                let options = Options {
                    headers: Some(&config.headers),
                    tls: config.tls.as_ref(),
                    compression: config.compression,
                    ..Options::default()
                };
                Way::Http { http: Http::new(options, secrets).await?, url: config.url.clone() }
            }
        };
        Ok(Self { way })
    }
}

async fn grpc(config: &config::OtlpSink, secrets: &dyn Secrets) -> Result<Way, String> {
    let mut metadata = MetadataMap::new();
    for (name, value) in &config.headers {
        let text = secrets.header(value).await.map_err(|error| format!("headers.{name}: {error}"))?;
        let key = MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes())
            .map_err(|_| format!("headers.{name}: it is no name of metadata"))?;
        let mut value = MetadataValue::try_from(text.expose())
            .map_err(|_| format!("headers.{name}: it has characters that it must not have"))?;
        value.set_sensitive(true);
        metadata.insert(key, value);
    }
    let mut endpoint = Endpoint::from_shared(config.url.clone())
        .map_err(|error| format!("url: {error}"))?
        .connect_timeout(Duration::from_secs(10))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    if config.url.starts_with("https:") {
        let tls = grpc_tls(config.tls.as_ref(), secrets).await?;
        endpoint = endpoint.tls_config(tls).map_err(|error| super::http::chain(&error))?;
    }
    let mut client = LogsServiceClient::new(endpoint.connect_lazy()).max_decoding_message_size(MAX_ANSWER);
    if config.compression == Compression::Gzip {
        client = client.send_compressed(CompressionEncoding::Gzip);
    }
    Ok(Way::Grpc { client: Box::new(client), metadata })
}

async fn grpc_tls(tls: Option<&config::Tls>, secrets: &dyn Secrets) -> Result<ClientTlsConfig, String> {
    use tonic::transport::{Certificate, Identity};
    let read =
        async |secret, name| secrets.read(secret).await.map_err(|error| format!("tls.{name}: {error}"));
    let mut settings = ClientTlsConfig::new();
    let ca = tls.and_then(|tls| tls.ca.as_ref());
    settings = match ca {
        Some(ca) => settings.ca_certificate(Certificate::from_pem(read(ca, "ca").await?.expose())),
        None => settings.with_enabled_roots(),
    };
    if let Some((certificate, key)) = tls.and_then(|tls| tls.certificate.as_ref().zip(tls.key.as_ref())) {
        let (certificate, key) = (read(certificate, "certificate").await?, read(key, "key").await?);
        settings = settings.identity(Identity::from_pem(certificate.expose(), key.expose()));
    }
    Ok(settings)
}

/// The alerts as records, those of a host together.
fn request(batch: &[Item]) -> ExportLogsServiceRequest {
    let scope = InstrumentationScope {
        name: "vedette".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let of_hosts = batch.chunk_by(|a, b| a.hostname() == b.hostname() && a.entry.node == b.entry.node);
    let resource_logs = of_hosts.map(|items| {
        let mut attributes = vec![text("service.name", "vedette")];
        attributes.push(text("host.name", items[0].hostname()));
        if let Some(node) = items[0].alert().and_then(|alert| alert.k8s.as_ref()?.node.as_deref()) {
            attributes.push(text("k8s.node.name", node));
        }
        ResourceLogs {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope.clone()),
                log_records: items.iter().map(record).collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn record(item: &Item) -> LogRecord {
    let nanos = u64::try_from(item.entry.time.as_nanosecond()).unwrap_or_default();
    let mut attributes = vec![text("vedette.uid", &item.entry.uid)];
    if let Some(alert) = item.alert() {
        attributes.push(text("security_rule.name", &alert.rule));
        if let Some(policy) = &alert.policy {
            attributes.push(text("security_rule.ruleset.name", &policy.to_string()));
        }
        attributes.push(number("process.pid", alert.process.pid));
        attributes.push(text("process.executable.path", &alert.process.exe_path));
        attributes.push(text("process.command_line", &alert.process.cmdline));
        if let Some(container) = &alert.container {
            attributes.push(text("container.id", &container.id));
        }
        let k8s = alert.k8s.as_ref();
        let of_pod = [
            ("k8s.namespace.name", k8s.and_then(|k8s| k8s.namespace.as_deref())),
            ("k8s.pod.name", k8s.and_then(|k8s| k8s.pod.as_deref())),
            ("k8s.pod.uid", k8s.and_then(|k8s| k8s.pod_uid.as_deref())),
        ];
        attributes.extend(of_pod.into_iter().filter_map(|(name, value)| Some(text(name, value?))));
    }
    LogRecord {
        time_unix_nano: nanos,
        observed_time_unix_nano: nanos,
        severity_number: severity(item.priority()),
        severity_text: item.priority().as_str().to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(String::from_utf8_lossy(&item.body).into_owned())),
        }),
        attributes,
        event_name: "vedette.alert".to_owned(),
        ..LogRecord::default()
    }
}

/// As the data model of logs maps syslog's severities (appendix B).
fn severity(priority: Priority) -> i32 {
    match priority {
        Priority::Emergency => 21,
        Priority::Alert => 19,
        Priority::Critical => 18,
        Priority::Error => 17,
        Priority::Warning => 13,
        Priority::Notice => 10,
        Priority::Informational => 9,
        Priority::Debug => 5,
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u32) -> KeyValue {
    attribute(key, Value::IntValue(value.into()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// What an answer says. Of a partial success only the number is told, so the batch is sent in smaller parts until it is
/// clear which alerts are refused; the others arrive twice, with the same uid.
fn answered(said: &ExportLogsServiceResponse, count: usize) -> Report {
    match &said.partial_success {
        Some(partial) if partial.rejected_log_records > 0 => {
            let reason = format!(
                "{} of {count} records refused: {}",
                partial.rejected_log_records,
                super::excerpt(partial.error_message.as_bytes())
            );
            Report::all(count, Outcome::RefusedTogether(reason))
        }
        _ => Report::delivered(count),
    }
}

fn failed(status: &Status, count: usize) -> Report {
    let reason = format!("{:?}: {}", status.code(), super::excerpt(status.message().as_bytes()));
    let outcome = match status.code() {
        Code::InvalidArgument => Outcome::RefusedTogether(reason),
        _ => Outcome::Retry(reason),
    };
    Report {
        retry_after: pause(status.details()),
        stale: matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied),
        ..Report::all(count, outcome)
    }
}

/// `google.rpc.Status`, as far as it is of interest.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How long the server wants to be left alone.
fn pause(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
}

#[async_trait]
impl Sink for OtlpSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let count = batch.len();
        match &mut self.way {
            Way::Grpc { client, metadata } => {
                let mut request = Request::new(request(batch));
                *request.metadata_mut() = metadata.clone();
                match client.export(request).await {
                    Ok(answer) => answered(answer.get_ref(), count),
                    Err(status) => failed(&status, count),
                }
            }
            Way::Http { http, url } => {
                let body = request(batch).encode_to_vec();
                let answer = match http.post(url, "application/x-protobuf", body).await {
                    Ok(answer) => answer,
                    Err(reason) => return Report::retry(count, reason),
                };
                if !answer.status.is_success() {
                    return http.report(&answer, count);
                }
                match ExportLogsServiceResponse::decode(answer.body.as_slice()) {
                    Ok(said) => answered(&said, count),
                    Err(error) => Report::retry(count, format!("the answer cannot be read: {error}")),
                }
            }
        }
    }
}
