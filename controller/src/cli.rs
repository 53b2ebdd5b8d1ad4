//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The controller of Vedette.
///
/// It gives agents their policies, keeps the alerts that they send, and hands them on to sinks.
#[derive(Debug, Parser)]
#[command(name = "vedette-controller", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the controller can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve agents until stopped (Ctrl-C, SIGTERM).
    #[command(after_help = RUN_HELP)]
    Run(Box<RunArgs>),
    /// Make the next key that policies are signed with, while the controller runs.
    #[command(after_help = ROTATE_HELP)]
    RotateSigningKey(RotateArgs),
}

const ROTATE_HELP: &str = "\
Agents are told of the new key at once and trust it beside the one that signs, which endorses it. When the time has come,
the controller signs with the new one and sends every agent its policies again; who has them forgets the old key. An agent
that is away meanwhile is told when it comes back. Run it as the user that the controller runs as.

Examples:
  vedette-controller rotate-signing-key --standalone --data /var/lib/vedette-controller
  kubectl -n vedette exec deploy/vedette-controller -- /usr/bin/vedette-controller rotate-signing-key --after 1d";

/// Which key is replaced, and when.
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// The controller runs without Kubernetes: the keys are in its data directory.
    #[arg(long)]
    pub standalone: bool,

    /// Its data directory; only without Kubernetes [default: /var/lib/vedette-controller].
    #[arg(long, value_name = "DIR", requires = "standalone")]
    pub data: Option<PathBuf>,

    /// How long the new key is announced before it signs, such as 30m, 2h or 7d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    pub after: std::time::Duration,
}

fn parse_time(text: &str) -> Result<std::time::Duration, String> {
    vedette_policy::document::native::parse_duration(text)
        .ok_or_else(|| format!("`{text}` is no time such as 30m, 2h or 7d, of at most 30d"))
}

const RUN_HELP: &str = "\
Examples:
  vedette-controller run --standalone --policies /etc/vedette/policies --data /var/lib/vedette-controller
  vedette-controller run --standalone --policies DIR --sink siem.yaml      alerts go on to a SIEM
  vedette-controller run                                                   in a cluster: policies and sinks are objects

When it serves, a line that begins with `ready` is written to stderr.
In standalone mode the data directory has what agents need to connect: ca.pem and, with the first start, tokens.
Exit codes: 0 stopped as asked, 1 a policy, a setting or a file is not as needed, 64 usage, 70 internal error.";

/// Settings of a run. A setting given here wins over the same in the file given with `--config`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Run without Kubernetes: policies and sinks come from files.
    #[arg(long)]
    pub standalone: bool,

    /// A directory of policies, or a policy file; read again when it changes. Needs --standalone. Can be given several
    /// times.
    #[arg(long, value_name = "PATH")]
    pub policies: Vec<PathBuf>,

    /// Where agents and tools connect: an address, or unix:PATH [default: 127.0.0.1:9465].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<crate::config::Listen>,

    /// A sink, as a YAML file. Can be given several times.
    #[arg(long = "sink", value_name = "FILE")]
    pub sinks: Vec<PathBuf>,

    /// Where alerts, keys and certificates are kept [default: /var/lib/vedette-controller].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Serve without TLS. Only on a loopback address or a Unix socket.
    #[arg(long)]
    pub plaintext: bool,

    /// Another name or address by which agents reach the controller, for its certificate. Can be given several times.
    #[arg(long = "tls-name", value_name = "NAME")]
    pub tls_names: Vec<String>,

    /// Serve with this certificate (PEM, with intermediate ones) instead of one of our own authority; read again when it
    /// changes.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Take agents that show a certificate of one of these authorities (PEM).
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,

    /// Tokens that are taken, and for whom; read again when it changes [default: DATA/tokens].
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,

    /// Tell at this address, over TLS, what is wrong with policies and sinks as they are applied, e.g. 0.0.0.0:9443. Only
    /// in a cluster.
    #[arg(long, value_name = "ADDR")]
    pub webhook: Option<crate::config::Address>,

    /// Serve Prometheus metrics, /healthz and /readyz on this address, e.g. 127.0.0.1:9466.
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<crate::config::Address>,

    /// A YAML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How much to log on stderr: error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<crate::config::LogLevel>,
}
