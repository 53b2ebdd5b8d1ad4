//! Settings of the alert log: which kind, and how large.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    alert_log::{embedded, jetstream},
    sink::config::{Bytes, Interval, NatsAuth, Tls},
};

/// Least bytes of a log.
const LEAST: u64 = 1 << 20;
/// Most bytes of a log in memory, unless told otherwise.
const MEMORY: u64 = 256 << 20;

/// Which log, and how it is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertLogConfig {
    /// In files of the data directory, for one controller.
    Embedded(EmbeddedConfig),
    /// In memory: a restart forgets it.
    Memory {
        /// Most bytes.
        limit: u64,
    },
    /// In NATS JetStream, for several controllers.
    JetStream(Box<JetStreamConfig>),
}

/// How a log in files is kept. What is not said is as [`embedded::Options::new`] has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// Most bytes.
    pub limit: Option<u64>,
    /// What is kept for queries, bytes.
    pub keep_bytes: Option<u64>,
    /// For how long it is kept for queries.
    pub keep_age: Option<Duration>,
}

/// Where a log in JetStream is.
#[derive(Clone, Debug, PartialEq)]
pub struct JetStreamConfig {
    /// The servers.
    pub urls: Vec<String>,
    /// What we show them.
    pub auth: Option<NatsAuth>,
    /// TLS towards them.
    pub tls: Option<Tls>,
    /// How the log is kept.
    pub options: jetstream::Options,
}

impl Default for AlertLogConfig {
    fn default() -> Self {
        Self::Embedded(EmbeddedConfig::default())
    }
}

impl AlertLogConfig {
    /// Whether other controllers may use the same log.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::JetStream(_))
    }

    /// The word for its kind, as in the settings.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Memory { .. } => "memory",
            Self::JetStream(_) => "jetstream",
        }
    }
}

impl EmbeddedConfig {
    /// The options of a log in this directory.
    pub fn options(&self, directory: std::path::PathBuf) -> embedded::Options {
        let usual = embedded::Options::new(directory);
        embedded::Options {
            limit: self.limit.unwrap_or(usual.limit),
            // Never more than the whole.
            keep_bytes: self.keep_bytes.unwrap_or(usual.keep_bytes).min(self.limit.unwrap_or(usual.limit)),
            keep_age: self.keep_age.unwrap_or(usual.keep_age),
            ..usual
        }
    }
}

/// The kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Embedded,
    Memory,
    JetStream,
}

/// The file's part: all keys of all kinds, so that one that is of no use for the kind is told with its name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct AlertLogFile {
    kind: Kind,
    limit: Option<Bytes>,
    keep_bytes: Option<Bytes>,
    keep_age: Option<Interval>,
    urls: Vec<String>,
    auth: Option<NatsAuth>,
    tls: Option<Tls>,
    stream: Option<String>,
    subject: Option<String>,
    replicas: Option<usize>,
    remembered: Option<Interval>,
}

/// What is wrong with a setting: its field, why, and what to do.
pub(super) type Problem = (&'static str, String, &'static str);

impl AlertLogFile {
    /// Looks it through.
    ///
    /// # Errors
    /// A setting is missing, of another kind, or out of range.
    pub fn check(self) -> Result<AlertLogConfig, Problem> {
        if let Some(limit) = self.limit.filter(|limit| limit.0 < LEAST) {
            return Err(("limit", format!("{limit} is too little for alerts"), "write at least 1Mi"));
        }
        let of_jetstream = [
            ("urls", !self.urls.is_empty()),
            ("auth", self.auth.is_some()),
            ("tls", self.tls.is_some()),
            ("stream", self.stream.is_some()),
            ("subject", self.subject.is_some()),
            ("replicas", self.replicas.is_some()),
            ("remembered", self.remembered.is_some()),
        ];
        let given =
            |fields: &[(&'static str, bool)]| fields.iter().find(|(_, given)| *given).map(|(name, _)| *name);
        if self.kind != Kind::JetStream
            && let Some(field) = given(&of_jetstream)
        {
            return Err((
                field,
                "it is for a log in JetStream".into(),
                "write `kind: jetstream`, or leave it out",
            ));
        }
        let of_files = [("keepAge", self.keep_age.is_some())];
        if self.kind != Kind::Embedded
            && let Some(field) = given(&of_files)
        {
            return Err((
                field,
                "it is for an embedded log".into(),
                "write `kind: embedded`, or leave it out",
            ));
        }
        match self.kind {
            Kind::Embedded => Ok(AlertLogConfig::Embedded(EmbeddedConfig {
                limit: self.limit.map(|limit| limit.0),
                keep_bytes: self.keep_bytes.map(|keep| keep.0),
                keep_age: self.keep_age.map(|age| age.0),
            })),
            Kind::Memory if self.keep_bytes.is_some() => Err((
                "keepBytes",
                "memory keeps what there is room for".into(),
                "use `limit`, or leave it out",
            )),
            Kind::Memory => Ok(AlertLogConfig::Memory { limit: self.limit.map_or(MEMORY, |limit| limit.0) }),
            Kind::JetStream => self.jetstream(),
        }
    }

    fn jetstream(self) -> Result<AlertLogConfig, Problem> {
        let usual = jetstream::Options::default();
        if self.urls.is_empty() {
            return Err((
                "urls",
                "a log in JetStream needs servers".into(),
                "write e.g. [\"tls://nats:4222\"]",
            ));
        }
        let is_server = |url: &String| ["nats://", "tls://"].iter().any(|scheme| url.starts_with(scheme));
        if let Some(bad) = self.urls.iter().find(|url| !is_server(url)) {
            return Err((
                "urls",
                format!("`{bad}` is no server"),
                "write tls://HOST:4222 or nats://HOST:4222",
            ));
        }
        if self.urls.iter().any(|url| url.contains('@')) {
            return Err(("urls", "a password does not belong into a URL".into(), "use `auth`"));
        }
        let tls = self.tls.unwrap_or_default();
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err((
                "tls",
                "a certificate and its key come together".into(),
                "give `certificate` and `key`",
            ));
        }
        let places = [&tls.ca, &tls.certificate, &tls.key];
        let auth = self.auth.unwrap_or_default();
        let ways = [auth.basic.is_some(), auth.token.is_some(), auth.credentials.is_some()];
        if ways.iter().filter(|given| **given).count() > 1 {
            return Err((
                "auth",
                "there are several ways in".into(),
                "give one of basic, token, credentials",
            ));
        }
        if places.into_iter().flatten().chain(auth.credentials.iter()).any(|place| place.secret.is_some()) {
            let remedy = "mount the Secret and give `file`, or `env`";
            return Err(("auth", "Secrets are not read for the alert log".into(), remedy));
        }
        let is_token = |text: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            !text.is_empty() && text.chars().all(good)
        };
        let stream = self.stream.unwrap_or(usual.stream);
        if !is_token(&stream) {
            return Err((
                "stream",
                format!("`{stream}` is no name of a stream"),
                "use letters, digits, `-` and `_`",
            ));
        }
        let subject = self.subject.unwrap_or(usual.subject);
        if !subject.split('.').all(is_token) {
            return Err(("subject", format!("`{subject}` is no subject"), "write e.g. vedette.alerts"));
        }
        let replicas = self.replicas.unwrap_or(usual.replicas);
        if !matches!(replicas, 1 | 3 | 5) {
            return Err(("replicas", format!("{replicas} servers cannot vote"), "write 1, 3 or 5"));
        }
        let options = jetstream::Options {
            stream,
            subject,
            replicas,
            limit: self.limit.map_or(usual.limit, |limit| limit.0),
            keep_bytes: self.keep_bytes.map_or(usual.keep_bytes, |keep| keep.0),
            remembered: self.remembered.map_or(usual.remembered, |time| time.0),
        };
        let tls = (tls != Tls::default()).then_some(tls);
        let auth = (auth != NatsAuth::default()).then_some(auth);
        Ok(AlertLogConfig::JetStream(Box::new(JetStreamConfig { urls: self.urls, auth, tls, options })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AlertLogConfig, Problem> {
        serde_saphyr::from_str::<AlertLogFile>(text).unwrap().check()
    }

    #[test]
    fn each_kind_has_its_settings() {
        assert_eq!(read("{}").unwrap(), AlertLogConfig::default());
        assert_eq!(read("{kind: memory, limit: 64Mi}").unwrap(), AlertLogConfig::Memory { limit: 64 << 20 });
        let AlertLogConfig::Embedded(embedded) = read("{kind: embedded, limit: 2Gi, keepAge: 1d}").unwrap()
        else {
            panic!("it is the embedded one");
        };
        let options = embedded.options("/x".into());
        assert_eq!((options.limit, options.keep_bytes), (2 << 30, 1 << 30));
        assert_eq!(options.keep_age, Duration::from_hours(24));
        let text = "kind: jetstream
urls: ['tls://nats-0:4222', 'tls://nats-1:4222']
auth: {credentials: {file: /run/secrets/nats.creds}}
tls: {ca: {file: /ca.pem}}
replicas: 3
remembered: 1h
";
        let config = read(text).unwrap();
        assert!(config.is_shared() && config.kind() == "jetstream");
        let AlertLogConfig::JetStream(config) = config else { panic!("it is JetStream") };
        assert_eq!((config.urls.len(), config.options.replicas), (2, 3));
        assert_eq!(config.options.remembered, Duration::from_hours(1));
        assert!(config.auth.is_some() && config.tls.is_some());
    }

    #[test]
    fn what_does_not_do_is_told_with_its_field() {
        for (text, field) in [
            ("{kind: jetstream}", "urls"),
            ("{kind: jetstream, urls: ['nats:4222']}", "urls"),
            ("{kind: jetstream, urls: ['nats://a:b@nats:4222']}", "urls"),
            ("{urls: ['nats://nats:4222']}", "urls"),
            ("{kind: memory, keepAge: 1d}", "keepAge"),
            ("{kind: memory, keepBytes: 1Mi}", "keepBytes"),
            ("{limit: 1Ki}", "limit"),
            ("{kind: jetstream, urls: ['nats://n'], replicas: 2}", "replicas"),
            ("{kind: jetstream, urls: ['nats://n'], stream: a.b}", "stream"),
            ("{kind: jetstream, urls: ['nats://n'], subject: 'a.>'}", "subject"),
            ("{kind: jetstream, urls: ['nats://n'], tls: {key: {file: /k}}}", "tls"),
            (
                "{kind: jetstream, urls: ['nats://n'], auth: {token: {env: A}, credentials: {file: /c}}}",
                "auth",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().0, field, "{text}");
        }
        assert!(serde_saphyr::from_str::<AlertLogFile>("kind: redis").is_err());
        assert!(serde_saphyr::from_str::<AlertLogFile>("knd: memory").is_err());
    }
}
