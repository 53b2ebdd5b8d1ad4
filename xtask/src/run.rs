//! `cargo xtask run`: Vedette on this host, from the source to the first alert.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{agent, build_ebpf, exec};

/// Build Vedette and run it on this host: alerts of the built-in policies, until Ctrl-C.
///
/// Installs what the build needs if it is missing (see `cargo xtask setup`), builds the BPF programs and
/// the agent in release, and starts it. Then make it say something, from another terminal:
///
///     ln -s /etc/shadow /tmp/x; cat /tmp/x
///
/// Needs root and a kernel with BTF. Called by somebody else, it builds as that user and runs the agent
/// alone through sudo, where there is one.
#[derive(clap::Args)]
pub struct Args {
    /// Build the BPF programs with their development log (slow; see `build-ebpf --help`).
    #[arg(long, visible_alias = "bpf-log")]
    dev_log: bool,

    /// Arguments for `vedette-agent run`, for example `-- --output json --policy my-rules/`.
    #[arg(last = true, value_name = "AGENT ARGS")]
    agent_args: Vec<String>,
}

/// Builds everything, then becomes the agent.
///
/// # Errors
/// When this host cannot run it, or the build fails. It does not return otherwise.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    // Before the build, which takes minutes the first time.
    let sudo = if exec::is_root() { None } else { exec::sudo() };
    if let Some(obstacle) = agent::obstacle("run")
        && (sudo.is_none() || !obstacle.contains("needs root"))
    {
        bail!(obstacle);
    }
    let tools = setup::ensure(workspace, Need::Build)?;
    let object = build_ebpf::build(workspace, &tools, args.dev_log)?;
    let binary = agent::build(workspace, args.dev_log.then_some(object.as_path()))?;
    let mut command = match sudo {
        Some(mut sudo) => {
            sudo.arg("env").args(agent::environment()).arg(&binary);
            sudo
        }
        None => Command::new(&binary),
    };
    command.arg("run").args(&args.agent_args);
    eprintln!("starting {} (Ctrl-C ends it)", binary.display());
    // The agent takes this process's place, so that signals and the exit code are its own.
    Err(command.exec()).with_context(|| format!("start {}", binary.display()))
}
