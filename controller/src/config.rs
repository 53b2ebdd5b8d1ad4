//! Settings: the defaults, under the file, under the command line.

mod alert_log;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    str::FromStr,
};

pub use alert_log::{AlertLogConfig, EmbeddedConfig, JetStreamConfig};
pub use vedette_settings::{Address, LogLevel};

use crate::{cli::RunArgs, sink::config::line_of};

/// Why settings could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}{}: {message}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Parse {
        /// The file.
        path: String,
        /// The line, where it is known; from 1.
        line: Option<u64>,
        /// The field, where it is known, why, and what to do.
        message: String,
    },
    /// Two settings contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// Where agents and tools connect.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The port of the controller, unless told otherwise.
pub const DEFAULT_PORT: u16 = vedette_settings::CONTROLLER_PORT;

impl Default for Listen {
    fn default() -> Self {
        Self::Tcp((Ipv4Addr::LOCALHOST, DEFAULT_PORT).into())
    }
}

impl Listen {
    /// Whether only this host can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Listen {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = vedette_settings::unix_path(text)? {
            return Ok(Self::Unix(path));
        }
        if let Ok(address) = text.parse::<Address>() {
            return Ok(Self::Tcp(address.0));
        }
        let mut addresses = text.to_socket_addrs().map_err(|error| {
            format!("`{text}` is neither an address such as 0.0.0.0:{DEFAULT_PORT} nor unix:PATH: {error}")
        })?;
        addresses.next().map(Self::Tcp).ok_or_else(|| format!("`{text}` has no address"))
    }
}

impl TryFrom<String> for Listen {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The file given with `--config`. Keys are those of the command line, in camel case.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct File {
    standalone: Option<bool>,
    policies: Vec<PathBuf>,
    listen: Option<Listen>,
    sinks: Vec<PathBuf>,
    data: Option<PathBuf>,
    plaintext: Option<bool>,
    tls_names: Vec<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    tokens: Option<PathBuf>,
    alert_log: alert_log::AlertLogFile,
    webhook: Option<Address>,
    metrics: Option<Address>,
    log: Option<LogLevel>,
    limits: Limits,
}

/// What one client may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Limits {
    /// Most connections at once; more are closed at once.
    pub connections: usize,
    /// Most streams and calls of one connection at once.
    pub streams_per_connection: u32,
    /// Most bytes of one message.
    pub message_bytes: usize,
    /// Alerts per second that one agent may send for long; more wait in its spool.
    pub alerts_per_second: u32,
    /// Bytes of alerts per second that one agent may send for long; more wait in its spool.
    pub bytes_per_second: u32,
    /// Most agents that are remembered.
    pub agents: usize,
    /// How often it is asked whether who has an open stream may still have it, in seconds.
    pub recheck_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            streams_per_connection: 32,
            message_bytes: 4 << 20,
            alerts_per_second: 2_000,
            bytes_per_second: 16 << 20,
            agents: 20_000,
            recheck_seconds: 60,
        }
    }
}

/// All settings of a run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without Kubernetes.
    pub standalone: bool,
    /// Policy files and directories; only without Kubernetes.
    pub policies: Vec<PathBuf>,
    /// Where agents and tools connect.
    pub listen: Listen,
    /// Files of sinks.
    pub sinks: Vec<PathBuf>,
    /// Where everything is kept.
    pub data: PathBuf,
    /// Serve without TLS.
    pub plaintext: bool,
    /// More names for the certificate.
    pub tls_names: Vec<String>,
    /// The certificate to serve with, and its key; without, one of our own authority.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Authorities of agents' certificates.
    pub client_ca: Option<PathBuf>,
    /// The file of tokens.
    pub tokens: PathBuf,
    /// Where alerts are kept.
    pub alert_log: AlertLogConfig,
    /// Where the API server asks about objects.
    pub webhook: Option<SocketAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Log level.
    pub log: LogLevel,
    /// What one client may cost.
    pub limits: Limits,
}

/// Where everything is kept, unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/vedette-controller";

impl Config {
    /// Puts the settings together.
    ///
    /// # Errors
    /// The file cannot be read or is not valid, or settings contradict each other.
    pub fn load(args: RunArgs) -> Result<Self, ConfigError> {
        let (file, alert_log) = match &args.config {
            None => (File::default(), AlertLogConfig::default()),
            Some(path) => read(path)?,
        };
        let data = args.data.or(file.data).unwrap_or_else(|| DEFAULT_DATA.into());
        let mut policies = file.policies;
        policies.extend(args.policies);
        let mut sinks = file.sinks;
        sinks.extend(args.sinks);
        let mut tls_names = file.tls_names;
        tls_names.extend(args.tls_names);
        let certificate = match (args.tls_cert.or(file.tls_cert), args.tls_key.or(file.tls_key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (given, _) => {
                let missing = if given.is_some() { "tlsKey (--tls-key)" } else { "tlsCert (--tls-cert)" };
                return Err(ConfigError::Contradiction(format!(
                    "a certificate to serve with and its key come together: give {missing}, too"
                )));
            }
        };
        let config = Self {
            standalone: args.standalone || file.standalone.unwrap_or(false),
            policies,
            listen: args.listen.or(file.listen).unwrap_or_default(),
            sinks,
            plaintext: args.plaintext || file.plaintext.unwrap_or(false),
            tls_names,
            certificate,
            alert_log,
            client_ca: args.client_ca.or(file.client_ca),
            tokens: args.tokens.or(file.tokens).unwrap_or_else(|| data.join("tokens")),
            data,
            webhook: args.webhook.or(file.webhook).map(|address| address.0),
            metrics: args.metrics.or(file.metrics).map(|address| address.0),
            log: args.log.or(file.log).unwrap_or_default(),
            limits: file.limits,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let contradiction = if self.webhook.is_some() && self.standalone {
            "the webhook is for a cluster: standalone, there is no API server that would ask it".to_owned()
        } else if self.webhook.is_some() && self.plaintext {
            "the API server asks the webhook over TLS only: leave out plaintext, or the webhook".to_owned()
        } else if self.plaintext && !self.listen.is_local() {
            format!("plaintext is for loopback addresses and Unix sockets, and {} is neither", self.listen)
        } else if self.plaintext && self.certificate.is_some() {
            "a certificate is of no use in plaintext: leave out plaintext, or tlsCert and tlsKey".to_owned()
        } else if self.standalone && self.policies.is_empty() {
            "standalone needs policies: give a directory or file with --policies".to_owned()
        } else if !self.standalone && !self.policies.is_empty() {
            "policies from files are for standalone: in a cluster they are objects".to_owned()
        } else {
            return Ok(());
        };
        Err(ConfigError::Contradiction(contradiction))
    }
}

fn read(path: &Path) -> Result<(File, AlertLogConfig), ConfigError> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: name.clone(), error })?;
    let mut file: File = serde_saphyr::from_str(&text).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map(|place| place.line());
        let message = error.render().lines().next().unwrap_or_default().to_owned();
        // The line stands in front.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        ConfigError::Parse { path: name.clone(), line, message }
    })?;
    let alert_log = std::mem::take(&mut file.alert_log).check().map_err(|(field, why, remedy)| {
        let field = format!("alertLog.{field}");
        let line = line_of(&text, &field);
        ConfigError::Parse { path: name, line, message: format!("{field}: {why}; {remedy}") }
    })?;
    Ok((file, alert_log))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn standalone() -> RunArgs {
        RunArgs { standalone: true, policies: vec!["/p".into()], ..RunArgs::default() }
    }

    #[test]
    fn where_to_listen() {
        assert_eq!("unix:/run/x".parse(), Ok(Listen::Unix("/run/x".into())));
        assert_eq!("unix:///run/x".parse(), Ok(Listen::Unix("/run/x".into())));
        assert_eq!("127.0.0.1:1".parse(), Ok(Listen::Tcp(([127, 0, 0, 1], 1).into())));
        for bad in ["", "unix:", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn plaintext_stays_on_this_host() {
        let with = |listen: &str| {
            Config::load(RunArgs { plaintext: true, listen: Some(listen.parse().unwrap()), ..standalone() })
        };
        assert!(with("127.0.0.1:9465").is_ok());
        assert!(with("[::1]:9465").is_ok());
        assert!(with("unix:/run/vedette.sock").is_ok());
        let error = with("0.0.0.0:9465").unwrap_err().to_string();
        assert!(error.contains("loopback"), "{error}");
    }

    #[test]
    fn the_webhook_is_for_a_cluster_and_over_tls() {
        let webhook = Some(Address(([127, 0, 0, 1], 9443).into()));
        assert!(Config::load(RunArgs { webhook, ..RunArgs::default() }).is_ok());
        let in_the_clear = RunArgs { webhook, plaintext: true, ..RunArgs::default() };
        assert!(Config::load(in_the_clear).unwrap_err().to_string().contains("TLS"));
        assert!(
            Config::load(RunArgs { webhook, ..standalone() }).unwrap_err().to_string().contains("cluster")
        );
    }

    #[test]
    fn what_goes_together_may_come_from_the_file_or_the_command_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.yaml");
        std::fs::write(&path, "standalone: true\n").unwrap();
        let given = ["vedette-controller", "run", "--policies", "/p", "--config", path.to_str().unwrap()];
        let Command::Run(args) = Cli::try_parse_from(given).unwrap().command else { panic!("it runs") };
        assert!(Config::load(*args).unwrap().standalone);
    }

    #[test]
    fn files_are_for_standalone() {
        assert!(Config::load(standalone()).is_ok());
        assert!(Config::load(RunArgs { standalone: true, ..RunArgs::default() }).is_err());
        assert!(Config::load(RunArgs::default()).is_ok());
        assert!(Config::load(RunArgs { standalone: false, ..standalone() }).is_err());
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.yaml");
        std::fs::write(
            &path,
            "standalone: true\npolicies: [/a]\nlisten: 127.0.0.1:1\ndata: /d\nlimits: {alertsPerSecond: 5}\n",
        )
        .unwrap();
        let config = Config::load(RunArgs {
            config: Some(path.clone()),
            listen: Some("127.0.0.1:2".parse().unwrap()),
            ..standalone()
        })
        .unwrap();
        assert_eq!(config.listen, Listen::Tcp(([127, 0, 0, 1], 2).into()));
        assert_eq!(config.policies, [PathBuf::from("/a"), PathBuf::from("/p")]);
        assert_eq!((config.data, config.tokens), ("/d".into(), "/d/tokens".into()));
        assert_eq!(config.limits, Limits { alerts_per_second: 5, ..Limits::default() });
    }

    #[test]
    fn what_is_wrong_in_the_file_has_its_line_its_field_and_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.yaml");
        let fails = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Config::load(RunArgs { config: Some(path.clone()), ..standalone() }).unwrap_err();
            error.to_string().replace(&dir.path().display().to_string(), "")
        };
        let unknown = fails("standalone: true\nlisen: x\n");
        assert!(unknown.starts_with("/controller.yaml:2: "), "{unknown}");
        assert!(unknown.contains("`lisen`, expected one of") && unknown.contains(" listen,"), "{unknown}");
        let deep = fails("limits:\n  agents: 5\n  agent: 5\n");
        assert!(deep.starts_with("/controller.yaml:3: ") && deep.contains("agents"), "{deep}");
        let level = fails("standalone: true\nlog: nonsense\n");
        assert!(level.starts_with("/controller.yaml:2: ") && level.contains("error, warn, info"), "{level}");
        assert_eq!(
            fails("alertLog:\n  kind: jetstream\n  limit: 1Gi\n"),
            "/controller.yaml:1: alertLog.urls: a log in JetStream needs servers; write e.g. [\"tls://nats:4222\"]"
        );
        assert_eq!(
            fails("alertLog:\n  kind: memory\n  keepAge: 1d\n"),
            "/controller.yaml:3: alertLog.keepAge: it is for an embedded log; write `kind: embedded`, or leave it out"
        );
        assert!(fails("tlsCert: /c.pem\n").contains("tlsKey"));
        assert!(fails("tlsKey: /k.pem\n").contains("tlsCert"));
    }
}
