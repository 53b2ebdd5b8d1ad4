//! What the types do not say about a sink's settings.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    Auth, FarSide, Format, HeaderValue, Interval, KafkaSink, NatsSink, Sasl, Secret, SinkSpec, SyslogSink,
    SyslogTransport, Tls,
};

/// Something wrong with a sink's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, from the spec on: `splunkHec.url`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.message, self.remedy)
    }
}

/// Names of the far sides, for a message.
const KINDS: &str =
    "stdout, file, syslog, webhook, splunkHec, elasticsearch, otlp, kafka, nats and alertmanager";

impl SinkSpec {
    /// Where alerts go, if the settings are good.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn far_side(&self) -> Result<FarSide<'_>, Vec<Problem>> {
        let mut check = Check::default();
        let sides = self.far_sides();
        let side = match sides.as_slice() {
            [] => {
                let remedy = format!("state one of {KINDS}");
                check.say("", "it does not say where alerts go", remedy);
                return Err(check.problems);
            }
            [one] => *one,
            [_, second, ..] => {
                let kinds: Vec<_> = sides.iter().map(FarSide::kind).collect();
                let message = format!("it says that alerts go to {}", kinds.join(" and "));
                check.say(second.kind(), message, "make a sink of each");
                return Err(check.problems);
            }
        };
        check.common(self);
        check.far_side(side, self.format);
        if check.problems.is_empty() { Ok(side) } else { Err(check.problems) }
    }
}

#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn say(&mut self, field: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem { field: field.into(), message: message.into(), remedy: remedy.into() });
    }

    fn common(&mut self, spec: &SinkSpec) {
        self.range("batch.alerts", u64::from(spec.batch.alerts), 1, 10_000);
        self.range("batch.bytes", spec.batch.bytes.0, 1024, 64 << 20);
        self.range("deadLetters.bytes", spec.dead_letters.bytes.0, 64 << 10, 10 << 30);
        self.range("deadLetters.files", u64::from(spec.dead_letters.files), 1, 100);
        self.interval("batch.delay", spec.batch.delay, Duration::ZERO, Duration::from_mins(1));
        self.interval(
            "retry.initial",
            spec.retry.initial,
            Duration::from_millis(10),
            Duration::from_mins(10),
        );
        self.interval("retry.max", spec.retry.max, spec.retry.initial.0, Duration::from_hours(1));
        self.interval("timeout", spec.timeout.0, Duration::from_millis(100), Duration::from_mins(10));
    }

    fn range(&mut self, field: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            self.say(field, format!("{value} is out of range"), format!("state {least} to {most}"));
        }
    }

    fn interval(&mut self, field: &str, value: Interval, least: Duration, most: Duration) {
        if !(least..=most).contains(&value.0) {
            let remedy = format!("state {} to {}", Interval(least), Interval(most));
            self.say(field, format!("{value} is out of range"), remedy);
        }
    }

    fn far_side(&mut self, side: FarSide<'_>, format: Option<Format>) {
        let kind = side.kind();
        match side {
            FarSide::Stdout(_) => {}
            FarSide::File(file) => {
                if !file.path.is_absolute() || file.path.file_name().is_none() {
                    self.say(
                        "file.path",
                        "it is no absolute path of a file",
                        "state one, such as /var/log/alerts",
                    );
                }
                if let Some(bytes) = file.rotate_bytes {
                    self.range("file.rotateBytes", bytes.0, 64 << 10, 1 << 40);
                }
            }
            FarSide::Syslog(syslog) => self.syslog(syslog),
            FarSide::Webhook(webhook) => {
                self.url("webhook.url", &webhook.url, &["http", "https"]);
                self.http(kind, &webhook.headers, webhook.auth.as_ref(), webhook.tls.as_ref());
                self.json_only(format);
            }
            FarSide::SplunkHec(hec) => {
                self.url("splunkHec.url", &hec.url, &["http", "https"]);
                self.secret("splunkHec.token", &hec.token);
                self.http(kind, &BTreeMap::new(), None, hec.tls.as_ref());
            }
            FarSide::Elasticsearch(es) => {
                self.url("elasticsearch.url", &es.url, &["http", "https"]);
                if es.index.is_empty() || es.index.chars().any(|c| c.is_uppercase() || c.is_whitespace()) {
                    let message = format!("`{}` is no name of an index", es.index);
                    self.say(
                        "elasticsearch.index",
                        message,
                        "use lower-case letters, digits, `-`, `.` and `_`",
                    );
                }
                self.http(kind, &es.headers, es.auth.as_ref(), es.tls.as_ref());
                self.json_only(format);
            }
            FarSide::Otlp(otlp) => {
                self.url("otlp.url", &otlp.url, &["http", "https"]);
                self.http(kind, &otlp.headers, None, otlp.tls.as_ref());
            }
            FarSide::Kafka(kafka) => self.kafka(kafka),
            FarSide::Nats(nats) => self.nats(nats),
            FarSide::Alertmanager(alertmanager) => {
                self.url("alertmanager.url", &alertmanager.url, &["http", "https"]);
                self.http(kind, &BTreeMap::new(), alertmanager.auth.as_ref(), alertmanager.tls.as_ref());
                if format.is_some() {
                    self.say("format", "Alertmanager has a format of its own", "leave it out");
                }
                for name in alertmanager.labels.keys() {
                    let good = |c: char| c == '_' || c.is_ascii_alphanumeric();
                    if !name.chars().all(good) || name.chars().next().is_none_or(|c| c.is_ascii_digit()) {
                        let field = format!("alertmanager.labels.{name}");
                        self.say(field, "it is no name of a label", "use letters, digits and `_`");
                    }
                }
            }
        }
    }

    fn syslog(&mut self, syslog: &SyslogSink) {
        if syslog.address.is_empty() || syslog.address.contains("://") {
            let message = format!("`{}` is no address", syslog.address);
            self.say("syslog.address", message, "write HOST:PORT, and the way there as `transport`");
        }
        if syslog.transport == SyslogTransport::Tcp && syslog.tls.is_some() {
            self.say("syslog.tls", "TCP has no TLS", "write `transport: tls`, or leave `tls` out");
        }
        if let Some(facility) = syslog.facility {
            self.range("syslog.facility", u64::from(facility), 0, 23);
        }
        if let Some(name) = &syslog.app_name
            && (name.is_empty() || name.len() > 48 || !name.bytes().all(|b| b.is_ascii_graphic()))
        {
            let message = format!("`{name}` is no APP-NAME");
            self.say("syslog.appName", message, "use 1 to 48 printable ASCII characters");
        }
        self.tls("syslog", syslog.tls.as_ref());
    }

    fn kafka(&mut self, kafka: &KafkaSink) {
        if kafka.brokers.is_empty() {
            self.say("kafka.brokers", "there is none", "state at least one HOST:PORT");
        }
        if let Some(bad) =
            kafka.brokers.iter().find(|broker| broker.contains([',', '/']) || broker.is_empty())
        {
            self.say("kafka.brokers", format!("`{bad}` is no HOST:PORT"), "state one broker in each item");
        }
        let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if kafka.topic.is_empty() || kafka.topic.len() > 249 || !kafka.topic.chars().all(good) {
            let message = format!("`{}` is no name of a topic", kafka.topic);
            self.say("kafka.topic", message, "use letters, digits, `.`, `_` and `-`");
        }
        if let Some(sasl) = &kafka.sasl {
            self.secret("kafka.sasl.password", &sasl.password);
            if sasl.mechanism == Sasl::Plain && kafka.tls.is_none() {
                let message = "PLAIN without TLS shows everybody the password";
                self.say("kafka.sasl.mechanism", message, "state `tls`, or use SCRAM-SHA-512");
            }
        }
        self.tls("kafka", kafka.tls.as_ref());
    }

    fn nats(&mut self, nats: &NatsSink) {
        if nats.urls.is_empty() {
            self.say("nats.urls", "there is none", "state at least one, such as nats://nats:4222");
        }
        for url in &nats.urls {
            self.url("nats.urls", url, &["nats", "tls"]);
        }
        let bad = |c: char| c.is_whitespace() || c == '*' || c == '>';
        if nats.subject.is_empty() || nats.subject.contains(bad) || nats.subject.split('.').any(str::is_empty)
        {
            let message = format!("`{}` is no subject to publish to", nats.subject);
            self.say("nats.subject", message, "write one such as vedette.alerts, without wildcards");
        }
        if let Some(auth) = &nats.auth {
            let ways = [auth.basic.is_some(), auth.token.is_some(), auth.credentials.is_some()];
            if ways.into_iter().filter(|way| *way).count() != 1 {
                self.say("nats.auth", "it needs exactly one way", "state one of basic, token, credentials");
            }
            let secrets = [
                ("basic.password", auth.basic.as_ref().map(|basic| &basic.password)),
                ("token", auth.token.as_ref()),
                ("credentials", auth.credentials.as_ref()),
            ];
            for (name, secret) in secrets {
                self.optional_secret(&format!("nats.auth.{name}"), secret);
            }
        }
        self.tls("nats", nats.tls.as_ref());
    }

    fn url(&mut self, field: &str, url: &str, schemes: &[&str]) {
        let example = schemes.last().copied().unwrap_or_default();
        let rest = url.split_once("://").filter(|(scheme, _)| schemes.contains(scheme)).map(|(_, rest)| rest);
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        match host {
            // The text of it is not shown: it may have a password in it.
            Some(host) if host.contains('@') => {
                self.say(field, "a URL with a name or password in it", "state them as `auth`");
            }
            Some(host) if !host.is_empty() && !url.contains(char::is_whitespace) => {}
            _ => {
                let message = format!("it is no URL of {}", schemes.join(" or "));
                self.say(field, message, format!("write {example}://HOST:PORT"));
            }
        }
    }

    fn http(
        &mut self,
        kind: &str,
        headers: &BTreeMap<String, HeaderValue>,
        auth: Option<&Auth>,
        tls: Option<&Tls>,
    ) {
        for (name, value) in headers {
            let field = format!("{kind}.headers.{name}");
            let good = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(good) {
                self.say(&field, "it is no name of a header", "use letters, digits and `-`");
            }
            let ways =
                [value.value.is_some(), value.env.is_some(), value.file.is_some(), value.secret.is_some()];
            if ways.into_iter().filter(|way| *way).count() != 1 {
                self.say(field, "it needs exactly one value", "state one of value, env, file, secret");
            }
        }
        if let Some(auth) = auth {
            let ways = [auth.basic.is_some(), auth.bearer.is_some(), auth.api_key.is_some()];
            if ways.into_iter().filter(|way| *way).count() != 1 {
                let field = format!("{kind}.auth");
                self.say(field, "it needs exactly one way", "state one of basic, bearer, apiKey");
            }
            let secrets = [
                ("basic.password", auth.basic.as_ref().map(|basic| &basic.password)),
                ("bearer", auth.bearer.as_ref()),
                ("apiKey", auth.api_key.as_ref()),
            ];
            for (name, secret) in secrets {
                self.optional_secret(&format!("{kind}.auth.{name}"), secret);
            }
        }
        self.tls(kind, tls);
    }

    fn tls(&mut self, kind: &str, tls: Option<&Tls>) {
        let Some(tls) = tls else { return };
        for (name, secret) in [("ca", &tls.ca), ("certificate", &tls.certificate), ("key", &tls.key)] {
            self.optional_secret(&format!("{kind}.tls.{name}"), secret.as_ref());
        }
        if tls.certificate.is_some() != tls.key.is_some() {
            let message = "a certificate and its key belong together";
            self.say(format!("{kind}.tls"), message, "state both `certificate` and `key`, or neither");
        }
    }

    fn secret(&mut self, field: &str, secret: &Secret) {
        let ways = [secret.env.is_some(), secret.file.is_some(), secret.secret.is_some()];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            self.say(field, "it needs exactly one place", "state one of env, file, secret");
        }
    }

    fn optional_secret(&mut self, field: &str, secret: Option<&Secret>) {
        if let Some(secret) = secret {
            self.secret(field, secret);
        }
    }

    fn json_only(&mut self, format: Option<Format>) {
        if format == Some(Format::Text) {
            self.say("format", "the far side takes JSON, not text", "state vedette, falco, ocsf or ecs");
        }
    }
}
