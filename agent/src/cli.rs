//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use crate::events::{EVENTS_HELP, EventsArgs};

/// The node agent of Vedette.
///
/// It watches this host through eBPF, holds what it sees against policies, and writes an alert for every match.
#[derive(Debug, Parser)]
#[command(name = "vedette-agent", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the agent can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this host and write alerts until stopped (Ctrl-C, SIGTERM).
    #[command(after_help = RUN_HELP)]
    Run(Box<RunArgs>),
    /// Print what processes do, event by event: the raw material of rules.
    #[command(after_help = EVENTS_HELP)]
    Events(Box<EventsArgs>),
}

const RUN_HELP: &str = "\
Examples:
  vedette-agent run                                  built-in policies, alerts on the terminal
  vedette-agent run --policy /etc/vedette/policies   those in a directory as well; they are read again when they change
  vedette-agent run --level strict                   more of the built-in rules: for who looks at alerts by day
  vedette-agent run --controller https://HOST:9465 --controller-ca ca.pem --controller-token agent-token
                                                     policies come from a controller, alerts go there as well
  vedette-agent run --no-default-policies --policy my.yaml --output json | jq .rule

Needs root (or CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH) and a kernel with BTF.
When all programs are attached, a line that begins with `ready` is written to stderr.
Signals: SIGHUP reads the policies again and reopens alert files; SIGINT and SIGTERM write out what is known and end.
Exit codes: 0 stopped as asked, 1 a policy, a setting or this host is not as needed, 64 usage, 70 internal error.";

/// Settings of a run. A setting given here wins over the same in the file given with `--config`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// A policy file, or a directory of them: native policies or Falco rule files. Can be given several times.
    #[arg(long = "policy", value_name = "PATH")]
    pub policies: Vec<PathBuf>,

    /// Leave out the built-in policies.
    #[arg(long)]
    pub no_default_policies: bool,

    /// Which rules are on: those quiet enough to page someone, those for daily work as well, or all, as context for
    /// hunting [default: default].
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub level: Option<Level>,

    /// How alerts look [default: text on a terminal, else json].
    #[arg(long, value_enum)]
    pub output: Option<Output>,

    /// Where alerts go: a file, or `-` for standard output. Can be given several times [default: -].
    #[arg(long, value_name = "PATH")]
    pub alerts: Vec<PathBuf>,

    /// A YAML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Serve Prometheus metrics, /healthz and /readyz on this address, e.g. 127.0.0.1:9464.
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<crate::config::Address>,

    /// Name of this node in alerts [default: --node-name, else the host's name]. A controller takes alerts under the
    /// node's name only.
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// Size of the ring for process state; a power of two, e.g. 2MiB.
    #[arg(long, value_name = "SIZE", value_parser = crate::config::parse_ring_size)]
    pub state_ring: Option<u32>,

    /// Size of the ring for events; a power of two, e.g. 4MiB.
    #[arg(long, value_name = "SIZE", value_parser = crate::config::parse_ring_size)]
    pub events_ring: Option<u32>,

    /// Stop at the first rule that matches an event, in file order, as Falco does, instead of firing all.
    #[arg(long, value_enum, value_name = "MODE")]
    pub rule_matching: Option<RuleMatching>,

    /// Serve the event stream to `vedette record` at this Unix socket [default: /run/vedette/agent.sock for root].
    #[arg(long, value_name = "PATH", conflicts_with = "no_socket")]
    pub socket: Option<PathBuf>,

    /// Serve no socket.
    #[arg(long)]
    pub no_socket: bool,

    /// Ask the runtime at this socket about containers, through the CRI. Can be given several times [default: the sockets
    /// of containerd, CRI-O, k3s and cri-dockerd].
    #[arg(long = "cri-socket", value_name = "PATH")]
    pub cri_sockets: Vec<PathBuf>,

    /// Ask nobody about containers: names, images and pods stay unknown.
    #[arg(long)]
    pub no_container_metadata: bool,

    /// How long an event may wait for what its container's runtime says, e.g. 200ms; 0 for not at all [default: 500ms].
    #[arg(long, value_name = "TIME", value_parser = crate::config::parse_wait)]
    pub metadata_wait: Option<std::time::Duration>,

    /// Where the host's root directory is seen, if not at / [default: /].
    #[arg(long, value_name = "PATH")]
    pub host_root: Option<PathBuf>,

    /// Name of this node in Kubernetes; its pods are watched where there is an API server.
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,

    /// Watch this node's pods at the API server of this kubeconfig [default: within a pod, the cluster's own].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// How much to log on stderr: error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<crate::config::LogLevel>,

    /// The way to a controller.
    #[command(flatten)]
    pub controller: crate::config::ControllerArgs,
}

/// How alerts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
    /// One OCSF Detection Finding (class 2004) a line.
    Ocsf,
}

/// Which rules are on, by what they say of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Those quiet enough to page someone.
    Default,
    /// Those, and what everyday work may explain.
    Strict,
    /// All: context for hunting.
    Audit,
}

impl From<Level> for vedette_policy::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Default => Self::Default,
            Level::Strict => Self::Strict,
            Level::Audit => Self::Audit,
        }
    }
}

/// Which of several matching rules fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleMatching {
    /// Every rule that matches.
    #[default]
    All,
    /// The first in file order.
    First,
}
