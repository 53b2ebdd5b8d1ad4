//! `cargo xtask noise`: an hour of everyday work, compressed, and the alerts that it raises.
//!
//! The work is real, and so are its programs; what they change is not: all of it happens in a sandbox, a view of this
//! host's file system in which writes go to memory, with process ids and mounts of its own.

mod alerts;
mod report;
mod sandbox;
mod scenes;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use self::alerts::{AlertFile, Tally};
use self::report::{Outcome, Report};
use self::sandbox::{Ended, Sandbox};
use self::scenes::{INSTALL, SCENES, Scene};
use crate::bench::daemon::Daemon;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{agent, build_ebpf};

/// How long anything of the agent may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a scene may take.
const SCENE: Duration = Duration::from_secs(900);

/// Do everyday work in a sandbox, and count the alerts that it raises, by scene, rule and level.
///
/// Builds, packages, git, Python environments, cron, logs, ssh, servers under load, backups, users, containers. The
/// exit code is 1 if a rule of level `default` fired, or one of level `strict` whose guide names no benign cause. What
/// others do on this machine meanwhile is told apart. Needs root and a kernel with BTF, like `cargo xtask run`.
#[derive(clap::Args)]
pub struct Args {
    /// Which of the built-in rules are on.
    #[arg(long, value_enum, default_value_t = Level::Audit)]
    level: Level,

    /// Only these scenes. Can be given several times.
    #[arg(long = "scene", value_name = "NAME")]
    scenes: Vec<String>,

    /// Only the scenes that take seconds.
    #[arg(long)]
    quick: bool,

    /// Install Debian packages that scenes need, in the sandbox; without it such scenes are left out.
    #[arg(long)]
    install: bool,

    /// Another policy file or directory, as for the agent.
    #[arg(long = "policy", value_name = "PATH")]
    policies: Vec<PathBuf>,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,

    /// Watch with this agent instead of building one.
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,
}

/// A level of rules.
#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Default,
    Strict,
    Audit,
}

/// Does the work, prints what was raised, and judges.
///
/// # Errors
/// When the agent or the sandbox cannot run here, a scene fails, or the rules are too loud.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(obstacle) = agent::obstacle("noise") {
        bail!(obstacle);
    }
    let scenes = selected(args)?;
    let binary = match &args.agent {
        Some(path) => path.clone(),
        None => {
            let tools = setup::ensure(workspace, Need::Build)?;
            build_ebpf::build(workspace, &tools, false)?;
            agent::build(workspace, None)?
        }
    };
    let report = watch(&binary, args, &scenes)?;
    report.print(args.json)?;
    report.judge()
}

/// The short run that `cargo xtask test` has, with an agent that is there already.
///
/// # Errors
/// As [`run`].
pub fn quick(workspace: &Workspace) -> Result<()> {
    let args = Args {
        level: Level::Audit,
        scenes: Vec::new(),
        quick: true,
        install: false,
        policies: Vec::new(),
        json: false,
        agent: Some(agent::build_dev(workspace)?),
    };
    run(workspace, &args)
}

fn selected(args: &Args) -> Result<Vec<&'static Scene>> {
    if let Some(unknown) = args.scenes.iter().find(|name| SCENES.iter().all(|scene| scene.name != **name)) {
        let names: Vec<_> = SCENES.iter().map(|scene| scene.name).collect();
        bail!("there is no scene `{unknown}`; there are {}", names.join(", "));
    }
    let wanted = |scene: &&Scene| {
        (args.scenes.is_empty() || args.scenes.iter().any(|name| name == scene.name))
            && (!args.quick || scene.quick)
    };
    let mut scenes: Vec<_> = SCENES.iter().filter(wanted).collect();
    if args.install {
        scenes.splice(0..0, INSTALL);
    }
    Ok(scenes)
}

fn watch(binary: &Path, args: &Args, scenes: &[&'static Scene]) -> Result<Report> {
    let scratch = Scratch::new()?;
    let mut sandbox = Sandbox::start(scratch.path(), scenes)?;
    let mut alerts = AlertFile::new(scratch.path())?;
    let daemon = Daemon::start(binary, &arguments(args, &alerts), PATIENCE)?;
    eprintln!("{}", daemon.ready_line);
    // What starting it has raised is its own work, too.
    let mut outcomes = vec![Outcome::of_agent(alerts.until_marker(PATIENCE, daemon.pid())?)];
    for scene in scenes {
        eprint!("{}: ", scene.name);
        let start = Instant::now();
        let ended = sandbox.perform(scene, SCENE)?;
        let tally: Tally = alerts.until_marker(PATIENCE, sandbox.pid())?;
        let outcome = Outcome::new(scene, ended, start.elapsed(), tally);
        eprintln!("{}", outcome.in_short());
        outcomes.push(outcome);
    }
    let pid = daemon.pid();
    daemon.stop(PATIENCE).context("the agent")?;
    outcomes[0].tally.add(alerts.rest(pid)?);
    Ok(Report { outcomes })
}

fn arguments(args: &Args, alerts: &AlertFile) -> Vec<String> {
    let level = match args.level {
        Level::Default => "default",
        Level::Strict => "strict",
        Level::Audit => "audit",
    };
    let text = |path: &Path| path.display().to_string();
    let mut arguments =
        ["run", "--level", level, "--output", "json", "--no-socket", "--events-ring", "64MiB"]
            .map(str::to_owned)
            .to_vec();
    arguments.extend(["--alerts".to_owned(), text(alerts.path())]);
    for policy in args.policies.iter().map(PathBuf::as_path).chain([alerts.marker_policy()]) {
        arguments.extend(["--policy".to_owned(), text(policy)]);
    }
    arguments
}

/// A directory that goes when it is done with.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vedette-noise-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        // Alerts name files as the kernel resolves them.
        Ok(Self(path.canonicalize()?))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What remains is in the temporary directory, where somebody will clear it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Outcome {
    fn of_agent(tally: Tally) -> Self {
        let what = "the agent itself: its start, its work, its end";
        Self { name: "agent", what, ended: Ended::Done, seconds: 0.0, tally }
    }

    fn new(scene: &Scene, ended: Ended, took: Duration, tally: Tally) -> Self {
        Self { name: scene.name, what: scene.what, ended, seconds: took.as_secs_f64(), tally }
    }
}
