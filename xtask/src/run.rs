//! `cargo xtask run`: Vedette on this host, from the source to the first alert.

mod together;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::together::{Controller, Stop};
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{agent, build_ebpf, exec};

/// Build Vedette and run it on this host: alerts of the built-in policies, until Ctrl-C.
///
/// Installs what the build needs if it is missing (see `cargo xtask setup`), builds the BPF programs, agent, controller and
/// `vedette` in release, starts the controller with certificates and tokens of its own in target/run, and the agent, which
/// connects to it. Then make it say something, from another terminal:
///
///     ln -s /etc/shadow /tmp/x; cat /tmp/x
///
/// and ask the controller: `. target/run/env; target/release/vedette alerts tail`, `vedette status`. Policies that are
/// put into target/run/policies go to the agent at once.
///
/// Needs root and a kernel with BTF. Called by somebody else, it builds and runs the controller as that user and the agent
/// alone through sudo, where there is one.
#[derive(clap::Args)]
pub struct Args {
    /// Build the BPF programs with their development log (slow; see `build-ebpf --help`).
    #[arg(long, visible_alias = "bpf-log")]
    dev_log: bool,

    /// Run the agent alone.
    #[arg(long)]
    no_controller: bool,

    /// Build without optimising: sooner ready, slower at work.
    #[arg(long, conflicts_with = "dev_log")]
    dev: bool,

    /// Arguments for `vedette-agent run`, for example `-- --output json --policy my-rules/`.
    #[arg(last = true, value_name = "AGENT ARGS")]
    agent_args: Vec<String>,
}

/// Builds everything, then runs controller and agent; alone, it becomes the agent.
///
/// # Errors
/// When this host cannot run it, the build fails, or one of them does not end well.
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
    let binary = if args.dev {
        agent::build_dev(workspace)?
    } else {
        agent::build(workspace, args.dev_log.then_some(object.as_path()))?
    };
    let mut command = match sudo {
        Some(mut sudo) => {
            sudo.arg("env").args(agent::environment()).arg(&binary);
            sudo
        }
        None => Command::new(&binary),
    };
    command.arg("run").args(&args.agent_args);
    if args.no_controller {
        eprintln!("starting {} (Ctrl-C ends it)", binary.display());
        // The agent takes this process's place, so that signals and the exit code are its own.
        return Err(command.exec()).with_context(|| format!("start {}", binary.display()));
    }
    let build = |package: &str, bin: &str| {
        if args.dev {
            agent::build_bin_dev(workspace, package, bin)
        } else {
            agent::build_bin(workspace, package, bin)
        }
    };
    let controller = build("vedette-controller", "vedette-controller")?;
    let vedette = build("vedette-cli", "vedette")?;
    beside_a_controller(&workspace.root().join("target/run"), &controller, &vedette, command)
}

fn beside_a_controller(
    directory: &Path,
    controller: &Path,
    vedette: &Path,
    mut agent: Command,
) -> Result<()> {
    let stop = Stop::by_signals()?;
    let place = |name: &str| directory.join(name);
    // Keys and alerts are its owner's.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(place("controller"))?;
    fs::create_dir_all(place("policies"))?;
    let mut command = Command::new(controller);
    command.args(["run", "--standalone", "--listen", &listen()]);
    command.arg("--policies").arg(place("policies")).arg("--data").arg(place("controller"));
    let running = Controller::start(command, &stop)?;
    let url = format!("https://{}", running.address);
    let data = place("controller");
    let environment = write_environment(directory, &url, &data)?;
    agent.args(["--controller", &url]).arg("--controller-ca").arg(data.join("ca.pem"));
    agent.arg("--controller-token").arg(data.join("agent-token")).arg("--data").arg(place("agent"));
    eprintln!(
        "controller at {url}; in another terminal: . {} && {} alerts tail   (or: status)\nstarting the agent (Ctrl-C ends both)",
        environment.display(),
        vedette.display()
    );
    running.run_beside(agent, &stop)
}

/// The usual address; another, if that is taken.
fn listen() -> String {
    let usual = "127.0.0.1:9465";
    if TcpListener::bind(usual).is_ok() { usual.into() } else { "127.0.0.1:0".into() }
}

/// Writes what `vedette` needs to find the controller, for the shell.
fn write_environment(directory: &Path, url: &str, data: &Path) -> Result<PathBuf> {
    let path = directory.join("env");
    let mut file = fs::File::create(&path).with_context(|| format!("write {}", path.display()))?;
    writeln!(file, "export VEDETTE_CONTROLLER={}", quoted(url))?;
    writeln!(file, "export VEDETTE_CA={}", quoted(&data.join("ca.pem").display().to_string()))?;
    writeln!(
        file,
        "export VEDETTE_TOKEN_FILE={}",
        quoted(&data.join("operator-token").display().to_string())
    )?;
    Ok(path)
}

/// A word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_reads_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("it's here");
        let path = write_environment(dir.path(), "https://127.0.0.1:1", &data).unwrap();
        let script = format!(
            ". {}; printf %s \"$VEDETTE_CONTROLLER $VEDETTE_CA\"",
            quoted(&path.display().to_string())
        );
        let said = exec::output(Command::new("sh").args(["-c", &script])).unwrap();
        assert_eq!(said, format!("https://127.0.0.1:1 {}", data.join("ca.pem").display()));
    }
}
