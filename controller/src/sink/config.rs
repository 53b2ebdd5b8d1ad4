//! The settings of a sink, as they stand in a YAML file and in the `spec` of an `AlertSink`.
//!
//! They hold no secret, only where one is: [`Secret`] and [`HeaderValue`]. Reading them does no I/O.

mod check;
mod far_side;
mod file;
mod units;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vedette_event::alert;

pub use check::Problem;
pub use far_side::{
    AlertmanagerSink, Auth, Basic, Compression, Confirm, ElasticsearchSink, FileSink, Framing, HeaderValue,
    KafkaSasl, KafkaSink, KeyOf, NatsAuth, NatsSink, OtlpProtocol, OtlpSink, Sasl, Secret, SecretKey,
    SplunkAck, SplunkHecSink, StdoutSink, SyslogSink, SyslogTransport, Tls, WebhookSink,
};
pub(crate) use file::line_of;
pub use file::{ConfigError, NamedSink, parse};
pub use units::{Bytes, Interval};

/// A sink: where alerts go, and how. Exactly one of the fields from `stdout` on is there, and says where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct SinkSpec {
    /// The format of alerts: `vedette`, unless told otherwise; for `elasticsearch`, `ecs`. `alertmanager` has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Alerts of a lower priority are not for this sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_priority: Option<Priority>,
    /// Where a new sink begins.
    pub start: Start,
    /// How alerts are put together.
    pub batch: Batch,
    /// How long it waits before it tries again.
    pub retry: Retry,
    /// How long one attempt may take.
    pub timeout: Timeout,
    /// What is kept of alerts that the far side refuses for good.
    pub dead_letters: DeadLetters,
    /// Standard output of the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<StdoutSink>,
    /// A file of the controller's machine or volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSink>,
    /// A syslog server (RFC 5424).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syslog: Option<SyslogSink>,
    /// An HTTP server that takes alerts as JSON, such as falcosidekick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSink>,
    /// Splunk's HTTP Event Collector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splunk_hec: Option<SplunkHecSink>,
    /// Elasticsearch or OpenSearch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<ElasticsearchSink>,
    /// An OpenTelemetry collector, or whatever takes OTLP logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpSink>,
    /// Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSink>,
    /// NATS JetStream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsSink>,
    /// Prometheus' Alertmanager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<AlertmanagerSink>,
}

/// A format of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Vedette's JSON, a superset of Falco's.
    Vedette,
    /// Falco's JSON and no more.
    Falco,
    /// OCSF, Detection Finding (class 2004).
    Ocsf,
    /// Elastic Common Schema.
    Ecs,
    /// A line for people.
    Text,
}

/// A priority. `Emergency` is the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Priority {
    /// The highest.
    Emergency,
    /// Act at once.
    Alert,
    /// Critical.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// Worth knowing.
    Notice,
    /// For information.
    Informational,
    /// The lowest.
    Debug,
}

impl From<Priority> for alert::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Emergency => Self::Emergency,
            Priority::Alert => Self::Alert,
            Priority::Critical => Self::Critical,
            Priority::Error => Self::Error,
            Priority::Warning => Self::Warning,
            Priority::Notice => Self::Notice,
            Priority::Informational => Self::Informational,
            Priority::Debug => Self::Debug,
        }
    }
}

/// Where a sink begins that the log does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the next alert that comes.
    #[default]
    Now,
    /// With the oldest that the log still has.
    Oldest,
}

/// When a batch is complete: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Batch {
    /// So many alerts.
    #[schemars(range(min = 1, max = 10_000))]
    pub alerts: u32,
    /// So many bytes of alerts; a single alert may be larger.
    pub bytes: Bytes,
    /// So long after the first of them.
    pub delay: Interval,
}

impl Default for Batch {
    fn default() -> Self {
        Self { alerts: 500, bytes: Bytes(1 << 20), delay: Interval::from_millis(200) }
    }
}

/// How long it waits before it tries again: twice as long each time, with some chance in it. What the far side asks for
/// (`Retry-After`) comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Retry {
    /// The first time.
    pub initial: Interval,
    /// At most, also when the far side asks for more.
    pub max: Interval,
}

impl Default for Retry {
    fn default() -> Self {
        Self { initial: Interval::from_millis(500), max: Interval::from_secs(60) }
    }
}

/// How long one attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Timeout(pub Interval);

impl Default for Timeout {
    fn default() -> Self {
        Self(Interval::from_secs(30))
    }
}

/// What is kept of alerts that the far side refuses for good: files of JSON lines, the newest first to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DeadLetters {
    /// Most bytes of one file.
    pub bytes: Bytes,
    /// Most files.
    #[schemars(range(min = 1, max = 100))]
    pub files: u32,
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self { bytes: Bytes(16 << 20), files: 4 }
    }
}

/// The far side of a sink.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the field of `SinkSpec` of that name")]
pub enum FarSide<'a> {
    Stdout(&'a StdoutSink),
    File(&'a FileSink),
    Syslog(&'a SyslogSink),
    Webhook(&'a WebhookSink),
    SplunkHec(&'a SplunkHecSink),
    Elasticsearch(&'a ElasticsearchSink),
    Otlp(&'a OtlpSink),
    Kafka(&'a KafkaSink),
    Nats(&'a NatsSink),
    Alertmanager(&'a AlertmanagerSink),
}

impl FarSide<'_> {
    /// The name of the field.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stdout(_) => "stdout",
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
            Self::Webhook(_) => "webhook",
            Self::SplunkHec(_) => "splunkHec",
            Self::Elasticsearch(_) => "elasticsearch",
            Self::Otlp(_) => "otlp",
            Self::Kafka(_) => "kafka",
            Self::Nats(_) => "nats",
            Self::Alertmanager(_) => "alertmanager",
        }
    }
}

impl SinkSpec {
    /// The format of alerts.
    pub fn format(&self) -> Format {
        let usual = if self.elasticsearch.is_some() { Format::Ecs } else { Format::Vedette };
        self.format.unwrap_or(usual)
    }

    /// The far sides that are there; a good spec has one.
    pub fn far_sides(&self) -> Vec<FarSide<'_>> {
        let all = [
            self.stdout.as_ref().map(FarSide::Stdout),
            self.file.as_ref().map(FarSide::File),
            self.syslog.as_ref().map(FarSide::Syslog),
            self.webhook.as_ref().map(FarSide::Webhook),
            self.splunk_hec.as_ref().map(FarSide::SplunkHec),
            self.elasticsearch.as_ref().map(FarSide::Elasticsearch),
            self.otlp.as_ref().map(FarSide::Otlp),
            self.kafka.as_ref().map(FarSide::Kafka),
            self.nats.as_ref().map(FarSide::Nats),
            self.alertmanager.as_ref().map(FarSide::Alertmanager),
        ];
        all.into_iter().flatten().collect()
    }
}
