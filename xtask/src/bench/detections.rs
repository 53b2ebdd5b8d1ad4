//! `cargo xtask bench detections`: what the built-in rules cost, beside another set of rules in the same agent.

pub mod counters;
mod figures;
pub mod work;

use std::env;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use self::counters::Books;
use self::figures::{Figures, Sample};
use self::work::{Work, Workload};
use super::daemon::Daemon;
use super::{procfs, report};
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{agent, build_ebpf, exec};

/// How long starting, stopping and catching up may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The built-in rules against Falco's 25 stable rules in the same agent: wall time and processor time.
///
/// Each workload runs without an agent, with Falco's rules, and with the built-in ones, one after the other and round by
/// round, so that what else the machine does disturbs all three. Processor time is that of the workload, in which the BPF
/// programs run, and of the agent together. Limits: 1.1 times Falco's rules in either, median of all rounds, and nothing
/// dropped. Falco's file is taken from $FALCO_RULES_DIR, else from ../shared/falco-rules beside the workspace.
#[derive(clap::Args)]
pub struct Args {
    /// A fifth of the work, three rounds.
    #[arg(long)]
    quick: bool,

    /// Rounds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Only these workloads. Can be given several times.
    #[arg(long = "workload", value_enum, value_name = "NAME")]
    workloads: Vec<Workload>,

    /// The level of the built-in rules.
    #[arg(long, default_value = "default")]
    level: String,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,

    /// Measure this agent instead of building one.
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,
}

/// What watches while a workload runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// Nothing.
    Bare,
    /// The agent with Falco's rules.
    Falco,
    /// The agent with the built-in rules.
    BuiltIn,
}

/// What the process that does a piece of work says of itself at its end.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Spent {
    /// Seconds by the clock.
    pub wall: f64,
    /// Seconds of processor time, of the process and its children.
    pub cpu: f64,
}

/// Measures, prints and judges.
///
/// # Errors
/// When the agent does not run here, there are no rules to compare with, or a limit is broken.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(obstacle) = agent::obstacle("bench detections") {
        bail!(obstacle);
    }
    let Some(falco) = falco_rules(workspace)? else { return Ok(()) };
    let binary = match &args.agent {
        Some(path) => path.clone(),
        None => {
            let tools = setup::ensure(workspace, Need::Build)?;
            build_ebpf::build(workspace, &tools, false)?;
            agent::build(workspace, None)?
        }
    };
    let scratch = workspace.root().join("target/bench/detections");
    let scale = if args.quick { 5 } else { 1 };
    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 5 });
    let stage = Stage { binary, falco, level: args.level.clone(), scratch, scale };
    let workloads = if args.workloads.is_empty() { Workload::ALL.to_vec() } else { args.workloads.clone() };
    let mut figures = Figures::default();
    for round in 0..rounds {
        for workload in &workloads {
            // Another order each time: what one leaves behind is not always found by the same.
            let mut setups = [Setup::Bare, Setup::Falco, Setup::BuiltIn];
            setups.rotate_left(round as usize % 3);
            for setup in setups {
                let sample =
                    stage.measure(*workload, setup).with_context(|| format!("{workload:?}, {setup:?}"))?;
                eprintln!("round {}: {:<14} {}", round + 1, workload.name(), sample.in_short(setup));
                figures.add(*workload, setup, sample);
            }
        }
    }
    report::conclude("detections", &figures.measures(), &figures.notes(), args.json)
}

/// Falco's stable rules, if they are there.
fn falco_rules(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let beside = workspace.root().join("../shared/falco-rules");
    let file = env::var_os("FALCO_RULES_DIR").map_or(beside, PathBuf::from).join("falco_rules.yaml");
    if file.is_file() {
        return Ok(Some(file.canonicalize()?));
    }
    if exec::is_ci() {
        bail!("there is no {}", file.display());
    }
    println!("skipped: there is no {} to compare with", file.display());
    Ok(None)
}

/// What all measurements have in common.
struct Stage {
    binary: PathBuf,
    falco: PathBuf,
    level: String,
    scratch: PathBuf,
    scale: u32,
}

impl Stage {
    /// Starts what is to watch, does the work, and waits until the agent has caught up.
    fn measure(&self, workload: Workload, setup: Setup) -> Result<Sample> {
        let work = Work::prepare(workload, self.scale, &self.scratch)?;
        if setup == Setup::Bare {
            return Ok(Sample { spent: perform(&work)?, agent: 0.0, books: Books::default() });
        }
        let metrics = free_address()?;
        let daemon = Daemon::start(&self.binary, &self.arguments(setup, &metrics), PATIENCE)?;
        let books = Books::at_rest(&metrics, PATIENCE)?;
        let before = procfs::cpu_time(daemon.pid())?;
        let spent = perform(&work)?;
        let after = Books::at_rest(&metrics, PATIENCE)?;
        let agent = procfs::cpu_time(daemon.pid())?.saturating_sub(before).as_secs_f64();
        daemon.stop(PATIENCE)?;
        Ok(Sample { spent, agent, books: after.since(&books) })
    }

    fn arguments(&self, setup: Setup, metrics: &str) -> Vec<String> {
        let mut arguments =
            ["run", "--no-socket", "--no-container-metadata", "--output", "json", "--alerts", "/dev/null"]
                .map(str::to_owned)
                .to_vec();
        arguments.extend(["--metrics".to_owned(), metrics.to_owned()]);
        match setup {
            Setup::Falco => {
                let policy = self.falco.display().to_string();
                arguments.extend(["--no-default-policies".to_owned(), "--policy".to_owned(), policy]);
            }
            _ => arguments.extend(["--level".to_owned(), self.level.clone()]),
        }
        arguments
    }
}

/// Does the work in a process of its own, so that its processor time can be told from ours.
fn perform(work: &Work) -> Result<Spent> {
    let mut command = exec::command(env::current_exe()?);
    command.args(["bench", "work"]).args(work.arguments()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = exec::capture(&mut command)?;
    if !output.status.success() {
        bail!("the work failed ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().ok_or_else(|| anyhow!("the work said nothing"))?;
    serde_json::from_str(line).context("read what the work took")
}

/// An address that is free, or was a moment ago.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
