//! Settings: the defaults, under the file, under the command line.

mod controller;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use controller::{ControllerArgs, DEFAULT_DATA};
pub use vedette_settings::{Address, LogLevel};

use crate::{
    cli::{Level, Output, RuleMatching, RunArgs},
    identity::{IdentitySettings, PodSettings},
    uplink::UplinkSettings,
};

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
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        message: String,
    },
    /// One setting needs another.
    #[error("{0}")]
    Missing(String),
    /// Two settings go against each other.
    #[error("{0}")]
    Contradiction(String),
}

/// The file given with `--config`. Keys are those of the command line, in camel case.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct File {
    policies: Vec<PathBuf>,
    default_policies: Option<bool>,
    level: Option<Level>,
    output: Option<Output>,
    alerts: Vec<PathBuf>,
    metrics: Option<Address>,
    hostname: Option<String>,
    state_ring: Option<Size>,
    events_ring: Option<Size>,
    rule_matching: Option<RuleMatching>,
    max_processes: Option<usize>,
    max_cgroups: Option<usize>,
    socket: Option<PathBuf>,
    cri_sockets: Vec<PathBuf>,
    container_metadata: Option<bool>,
    metadata_wait: Option<Wait>,
    host_root: Option<PathBuf>,
    node_name: Option<String>,
    kubeconfig: Option<PathBuf>,
    log: Option<LogLevel>,
    controller: controller::ControllerFile,
}

/// A time to wait as written in the file.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
struct Wait(Duration);

impl TryFrom<String> for Wait {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_wait(&text).map(Self)
    }
}

/// A ring's size as written in the file.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
struct Size(u32);

impl TryFrom<String> for Size {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_ring_size(&text).map(Self)
    }
}

/// All settings of a run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Policy files and directories.
    pub policies: Vec<PathBuf>,
    /// Whether the built-in policies are loaded.
    pub default_policies: bool,
    /// Which rules are on.
    pub level: vedette_policy::Level,
    /// How alerts look; `None`: as befits where they go.
    pub output: Option<Output>,
    /// Where alerts go; `-` is standard output.
    pub alerts: Vec<PathBuf>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Name of the node.
    pub hostname: String,
    /// Bytes of the state ring.
    pub state_ring: u32,
    /// Bytes of the event ring.
    pub events_ring: u32,
    /// Which of several matching rules fire.
    pub rule_matching: RuleMatching,
    /// Most processes in the table.
    pub max_processes: usize,
    /// Most control groups in the table and in the kernel's filter.
    pub max_cgroups: usize,
    /// Where recorders are served.
    pub socket: Socket,
    /// Who is asked about containers and pods; `None`: nobody.
    pub identity: Option<IdentitySettings>,
    /// Name of the Kubernetes node, where it is one.
    pub node_name: Option<String>,
    /// Log level.
    pub log: LogLevel,
    /// What connects it to a controller; `None`: nothing.
    pub uplink: Option<UplinkSettings>,
}

/// Where recorders are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// Nowhere.
    None,
    /// At the usual place, if that is to be had.
    Default,
    /// Here.
    Path(PathBuf),
}

/// The usual place.
pub const DEFAULT_SOCKET: &str = "/run/vedette/agent.sock";

impl Socket {
    fn of(path: Option<PathBuf>, none: bool) -> Self {
        match path {
            _ if none => Self::None,
            Some(path) => Self::Path(path),
            None if nix::unistd::geteuid().is_root() => Self::Default,
            None => Self::None,
        }
    }
}

impl Config {
    /// Puts the settings together.
    ///
    /// # Errors
    /// The file cannot be read or is not valid.
    pub fn load(args: RunArgs) -> Result<Self, ConfigError> {
        let file = match &args.config {
            None => File::default(),
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::Read { path: name.clone(), error })?;
                serde_saphyr::from_str(&text)
                    .map_err(|error| ConfigError::Parse { path: name, message: error.to_string() })?
            }
        };
        let node_name = args.node_name.or(file.node_name).filter(|name| !name.is_empty());
        // Alerts name the node as the controller knows it; it takes none that name another.
        let hostname =
            args.hostname.or(file.hostname).or_else(|| node_name.clone()).unwrap_or_else(host_name);
        let kubeconfig = args.kubeconfig.or(file.kubeconfig);
        // Kubernetes tells every pod where its API server is.
        let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && node_name.is_some();
        let pods = (kubeconfig.is_some() || in_cluster)
            .then(|| PodSettings { node: node_name.clone().unwrap_or_else(|| hostname.clone()), kubeconfig });
        let usual = IdentitySettings::default();
        let identity = IdentitySettings {
            root: args.host_root.or(file.host_root).unwrap_or(usual.root),
            cri_sockets: if args.cri_sockets.is_empty() { file.cri_sockets } else { args.cri_sockets },
            wait: args.metadata_wait.or(file.metadata_wait.map(|w| w.0)).unwrap_or(usual.wait),
            give_up: usual.give_up,
            pods,
        };
        let uplink = controller::uplink(args.controller, file.controller)?;
        if let (Some(_), Some(node)) = (&uplink, &node_name)
            && *node != hostname
        {
            return Err(ConfigError::Contradiction(format!(
                "hostname: the controller knows this node as `{node}` and takes no alerts of `{hostname}`: leave out \
                 --hostname (hostname in the file), or give the node's name"
            )));
        }
        let wants_identity = !args.no_container_metadata && file.container_metadata.unwrap_or(true);
        let mut policies = file.policies;
        policies.extend(args.policies);
        let alerts = if args.alerts.is_empty() { file.alerts } else { args.alerts };
        Ok(Self {
            policies,
            default_policies: !args.no_default_policies && file.default_policies.unwrap_or(true),
            level: args.level.or(file.level).map_or(vedette_policy::Level::Default, Into::into),
            output: args.output.or(file.output),
            alerts: if alerts.is_empty() { vec![PathBuf::from("-")] } else { alerts },
            metrics: args.metrics.or(file.metrics).map(|address| address.0),
            hostname,
            state_ring: args.state_ring.or(file.state_ring.map(|s| s.0)).unwrap_or(2 << 20),
            events_ring: args.events_ring.or(file.events_ring.map(|s| s.0)).unwrap_or(4 << 20),
            rule_matching: args.rule_matching.or(file.rule_matching).unwrap_or_default(),
            max_processes: file.max_processes.unwrap_or(65_536),
            max_cgroups: file.max_cgroups.unwrap_or(16_384),
            socket: Socket::of(args.socket.or(file.socket), args.no_socket),
            identity: wants_identity.then_some(identity),
            node_name,
            log: args.log.or(file.log).unwrap_or_default(),
            uplink,
        })
    }
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".into())
}

/// Reads a ring's size: bytes, or with `KiB` or `MiB`; a power of two from a page to 1 GiB, as the kernel wants it.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_ring_size(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" | "Ki" => 10,
        "M" | "MiB" | "Mi" => 20,
        other => return Err(format!("unknown unit `{other}`: use KiB or MiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a size such as 4MiB"))?;
    let bytes = number.saturating_mul(1 << shift);
    if !(4096..=1 << 30).contains(&bytes) || !bytes.is_power_of_two() {
        return Err(format!("a ring is a power of two between 4KiB and 1024MiB, not {text}"));
    }
    Ok(bytes as u32)
}

/// Longest time that events may be told to wait: they take memory.
const MOST_WAIT: Duration = Duration::from_secs(10);

/// Reads a time to wait, such as `500ms` or `2s`; at most ten seconds.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_wait(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a time such as 500ms"))?;
    let wait = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "" if number == 0 => Duration::ZERO,
        _ => return Err(format!("`{text}` needs a unit: ms or s")),
    };
    if wait > MOST_WAIT {
        return Err(format!("at most {}s, not {text}", MOST_WAIT.as_secs()));
    }
    Ok(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes() {
        assert_eq!(parse_ring_size("4096"), Ok(4096));
        assert_eq!(parse_ring_size("4 KiB"), Ok(4096));
        assert_eq!(parse_ring_size("8MiB"), Ok(8 << 20));
        for bad in ["", "x", "4095", "3MiB", "2GiB", "1KiB", "99999999999999999999", "99999999999M"] {
            assert!(parse_ring_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_to_wait() {
        assert_eq!(parse_wait("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_wait(" 2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_wait("0"), Ok(Duration::ZERO));
        for bad in ["", "5", "x", "11s", "99999999999999999999s", "5m", "-1s"] {
            assert!(parse_wait(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_is_asked_about_containers() {
        let identity = |args: RunArgs| Config::load(args).unwrap().identity;
        let usual = identity(RunArgs::default()).unwrap();
        assert_eq!((usual.wait, usual.pods), (Duration::from_millis(500), None));
        assert!(identity(RunArgs { no_container_metadata: true, ..RunArgs::default() }).is_none());
        let asked = identity(RunArgs {
            kubeconfig: Some("/k".into()),
            node_name: Some("n1".into()),
            hostname: Some("h1".into()),
            ..RunArgs::default()
        });
        let pods = PodSettings { node: "n1".into(), kubeconfig: Some("/k".into()) };
        assert_eq!(asked.unwrap().pods, Some(pods));
    }

    #[test]
    fn alerts_name_the_node_as_the_controller_knows_it() {
        let of = |hostname: Option<&str>, controller: Option<&str>| {
            let controller = ControllerArgs {
                controller: controller.map(|url| url.parse().unwrap()),
                controller_token: Some("/token".into()),
                ..ControllerArgs::default()
            };
            let args = RunArgs {
                node_name: Some("n1".into()),
                hostname: hostname.map(str::to_owned),
                controller,
                ..RunArgs::default()
            };
            Config::load(args).map(|config| config.hostname)
        };
        let url = Some("unix:/run/c");
        assert_eq!(of(None, url).unwrap(), "n1");
        assert_eq!(of(Some("n1"), url).unwrap(), "n1");
        assert_eq!(of(Some("h1"), None).unwrap(), "h1");
        let refused = of(Some("h1"), url).unwrap_err().to_string();
        assert!(refused.contains("`n1`") && refused.contains("--hostname"), "{refused}");
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yaml");
        std::fs::write(
            &path,
            "policies: [/a]\noutput: json\nhostname: n1\neventsRing: 1MiB\ndefaultPolicies: false\nlevel: audit\n",
        )
        .unwrap();
        let args = RunArgs {
            config: Some(path),
            hostname: Some("n2".into()),
            policies: vec!["/b".into()],
            ..RunArgs::default()
        };
        let config = Config::load(args).unwrap();
        assert_eq!(config.hostname, "n2");
        assert_eq!(config.output, Some(Output::Json));
        assert_eq!(config.events_ring, 1 << 20);
        assert_eq!(config.policies, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert!(!config.default_policies);
        assert_eq!(config.level, vedette_policy::Level::Audit);
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yaml");
        std::fs::write(&path, "hostname: n1\nouptut: json\n").unwrap();
        let error =
            Config::load(RunArgs { config: Some(path), ..RunArgs::default() }).unwrap_err().to_string();
        assert!(error.contains("ouptut") && error.contains("agent.yaml"), "{error}");
        assert!(error.contains('2'), "names the line: {error}");
    }
}
