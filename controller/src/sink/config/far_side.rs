//! The settings of each kind of far side.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Interval};

/// Where a secret is: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Secret {
    /// A variable of the controller's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file; white space at its end does not belong to the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A Secret of the namespace that the controller runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretKey>,
}

/// A key of a Kubernetes Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// The value of a header: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct HeaderValue {
    /// The value itself, if it is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A variable of the controller's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file; white space at its end does not belong to the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A Secret of the namespace that the controller runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretKey>,
}

/// TLS. Without `ca`, the authorities that the machine trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Tls {
    /// The certificates (PEM) of the authorities that the far side's certificate may be of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Secret>,
    /// Our certificate (PEM, with intermediate ones), if the far side asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Secret>,
    /// Its key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
}

/// How the controller shows who it is, over HTTP. At most one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Auth {
    /// With a name and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// With a token (`Authorization: Bearer …`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// With an API key of Elasticsearch, encoded (`Authorization: ApiKey …`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Basic {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// How the body of a request is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

/// Standard output of the controller, a line for each alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct StdoutSink {}

/// A file, a line for each alert. A full one gets `.1` behind its name, the one before that `.2`, and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSink {
    /// Its path.
    pub path: PathBuf,
    /// It is rotated before it becomes larger; 100 MiB, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_bytes: Option<Bytes>,
    /// It is rotated when its first alert was written so long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after: Option<Interval>,
    /// Most rotated files; 10, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub keep: Option<u32>,
}

/// A syslog server (RFC 5424). UDP is not offered: it loses alerts without a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SyslogSink {
    /// `HOST:PORT`; the port may be left out (6514 with TLS, 514 without).
    pub address: String,
    /// How it is reached.
    #[serde(default)]
    pub transport: SyslogTransport,
    /// How one message ends and the next begins.
    #[serde(default)]
    pub framing: Framing,
    /// When a batch counts as delivered.
    #[serde(default)]
    pub confirm: Confirm,
    /// The facility (0 to 23); 13, “log audit”, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 23))]
    pub facility: Option<u8>,
    /// APP-NAME of the messages; `vedette`, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// How a syslog server is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyslogTransport {
    /// TLS (RFC 5425).
    #[default]
    Tls,
    /// TCP, readable by everybody on the way.
    Tcp,
}

/// When a batch counts as delivered to a syslog server, which cannot acknowledge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// When the server has read all of it: it is sent on a connection of its own, and the server closes that at its end.
    #[default]
    Close,
    /// When it is written to the connection. What a server had not read when it died is lost.
    Written,
}

/// How syslog messages are told apart (RFC 6587).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Framing {
    /// The length before each; the only one that RFC 5425 has for TLS.
    #[default]
    OctetCounting,
    /// A line feed behind each.
    LineFeed,
}

/// An HTTP server that takes alerts as JSON. With the formats `vedette` and `falco` each alert is a request of its own,
/// as Falco sends them, unless `array` says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookSink {
    /// Where to.
    pub url: String,
    /// Whether all alerts of a batch are sent at once, as a JSON array.
    #[serde(default)]
    pub array: bool,
    /// More headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderValue>,
    /// Who we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How bodies are packed.
    #[serde(default)]
    pub compression: Compression,
}

/// Splunk's HTTP Event Collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SplunkHecSink {
    /// The server, such as `https://splunk.example.org:8088`.
    pub url: String,
    /// The token.
    pub token: Secret,
    /// The index; the token's own, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The source; `vedette`, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The source type; after the format (`vedette:alert`, `ocsf:detection_finding`, …), unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sourcetype: Option<String>,
    /// The indexer's acknowledgements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<SplunkAck>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How bodies are packed.
    #[serde(default)]
    pub compression: Compression,
}

/// Waiting for the indexer's acknowledgement, for tokens that have `useACK` on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct SplunkAck {
    /// How often it is asked for; 1 s, unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Interval>,
    /// A batch that is not acknowledged for so long is sent again; 2 m, unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Interval>,
}

/// Elasticsearch or OpenSearch, by its bulk interface. The alert's uid is the document's `_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ElasticsearchSink {
    /// The server, such as `https://es.example.org:9200`.
    pub url: String,
    /// The index or data stream; `{date}` in it becomes the day of the event (`2026.11.24`).
    pub index: String,
    /// The ingest pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Who we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// More headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderValue>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How bodies are packed.
    #[serde(default)]
    pub compression: Compression,
}

/// OTLP logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OtlpSink {
    /// The collector, such as `https://collector:4317` (gRPC) or `https://collector:4318/v1/logs` (HTTP).
    pub url: String,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// More headers, or metadata of gRPC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderValue>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How bodies are packed.
    #[serde(default)]
    pub compression: Compression,
}

/// How an OTLP receiver is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtlpProtocol {
    /// gRPC.
    #[default]
    Grpc,
    /// HTTP with binary protobuf.
    Http,
}

/// Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KafkaSink {
    /// Brokers to begin with, `HOST:PORT`.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// The key of a message: it says which partition it goes to.
    #[serde(default)]
    pub key: KeyOf,
    /// Who we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<KafkaSasl>,
    /// TLS; without it, the brokers are spoken to in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// The key of a Kafka message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyOf {
    /// The node: all alerts of a node are in one partition, in their order.
    #[default]
    Node,
    /// The alert's uid: evenly spread, and a compacted topic keeps each alert once.
    Uid,
}

/// How the controller shows a Kafka broker who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KafkaSasl {
    /// The mechanism.
    pub mechanism: Sasl,
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Sasl {
    /// The password itself; only with TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// NATS JetStream. The stream has to be there; the alert's uid is the message id, so within the stream's duplicate
/// window an alert that is sent again is stored once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NatsSink {
    /// Servers, such as `nats://nats:4222` or `tls://nats:4222`.
    pub urls: Vec<String>,
    /// The subject; `{node}` in it becomes the node's name, with `_` for what a subject must not have.
    pub subject: String,
    /// Who we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<NatsAuth>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// How the controller shows a NATS server who it is. At most one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct NatsAuth {
    /// With a name and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// With a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// With a credentials file (JWT and NKey).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Secret>,
}

/// Prometheus' Alertmanager, by version 2 of its interface. Alerts of the same rule, policy, node and container are
/// one alert there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AlertmanagerSink {
    /// The server, such as `http://alertmanager:9093`.
    pub url: String,
    /// More labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long after the event an alert counts as resolved; 5 m, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_after: Option<Interval>,
    /// Who we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}
