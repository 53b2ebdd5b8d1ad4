//! `cargo xtask bench start`: how quickly the agent is ready, and what it costs at rest.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::daemon::Daemon;
use super::procfs;
use super::report::{self, Measure, Of};
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{agent, build_ebpf};

/// Time from the start to `ready`, in seconds.
const READY_LIMIT: f64 = 1.5;
/// Time from SIGINT to the end, in seconds.
const STOP_LIMIT: f64 = 2.0;
/// Resident memory at rest, in MB of 1,000,000 bytes.
const RSS_LIMIT: f64 = 60.0;
/// Processor use at rest, in percent of one core.
const CPU_LIMIT: f64 = 0.2;

/// How long to wait for `ready` and for the end before giving up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The agent from start to rest: time to `ready`, resident memory, processor use when idle, time to stop.
///
/// Starts the release agent several times with the built-in policies. Limits: ready within 1.5 s (median),
/// 60 MB resident at rest (worst run), 0.2 % of a core when idle (last run), 2 s to stop (worst run). Other
/// work on the machine is work for the agent too: the table says how busy the machine was.
#[derive(clap::Args)]
pub struct Args {
    /// How often to start the agent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Seconds from `ready` until the agent counts as at rest.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    settle: u64,

    /// Seconds over which the processor use is measured; in the last run only.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,

    /// Measure this agent instead of building one.
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,

    /// Arguments for `vedette-agent run`.
    #[arg(last = true, value_name = "AGENT ARGS")]
    agent_args: Vec<String>,
}

/// What one start of the agent gave.
struct Run {
    ready: f64,
    rss: f64,
    peak: f64,
    stop: f64,
}

/// The use of the processor over the idle time.
struct Idle {
    /// Percent of one core, by the agent's own threads.
    agent: f64,
    /// Percent of one core, by its BPF programs, if the kernel counts.
    bpf: Option<f64>,
    /// Percent of all cores, by the whole machine.
    machine: f64,
}

/// Measures, prints and judges.
///
/// # Errors
/// When the agent does not run here, or a limit is broken.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(obstacle) = agent::obstacle("bench start") {
        bail!(obstacle);
    }
    let binary = match &args.agent {
        Some(path) => path.clone(),
        None => {
            let tools = setup::ensure(workspace, Need::Build)?;
            build_ebpf::build(workspace, &tools, false)?;
            agent::build(workspace, None)?
        }
    };
    let mut arguments = vec!["run".to_owned()];
    arguments.extend_from_slice(&args.agent_args);

    let mut runs = Vec::new();
    let mut idle = None;
    for number in 1..=args.runs {
        let daemon = Daemon::start(&binary, &arguments, PATIENCE).with_context(|| format!("run {number}"))?;
        eprintln!("run {number}: {:.3} s: {}", daemon.ready_after.as_secs_f64(), daemon.ready_line);
        thread::sleep(Duration::from_secs(args.settle));
        let memory = procfs::memory(daemon.pid())?;
        if number == args.runs {
            eprintln!("measuring the idle agent for {} s", args.idle);
            idle = Some(measure_idle(daemon.pid(), Duration::from_secs(args.idle))?);
        }
        let ready = daemon.ready_after.as_secs_f64();
        let stop = daemon.stop(PATIENCE).with_context(|| format!("run {number}"))?.as_secs_f64();
        runs.push(Run { ready, rss: megabytes(memory.rss), peak: megabytes(memory.peak), stop });
    }
    let Some(idle) = idle else { bail!("there was no run") };
    report::conclude("start", &measures(&runs, &idle), &notes(&idle), args.json)
}

fn measures(runs: &[Run], idle: &Idle) -> Vec<Measure> {
    let column = |value: fn(&Run) -> f64| runs.iter().map(value).collect::<Vec<_>>();
    let mut measures = vec![
        Measure {
            name: "ready after",
            unit: "s",
            runs: column(|run| run.ready),
            of: Of::Median,
            limit: Some(READY_LIMIT),
        },
        Measure {
            name: "memory at rest",
            unit: "MB",
            runs: column(|run| run.rss),
            of: Of::Worst,
            limit: Some(RSS_LIMIT),
        },
        Measure { name: "peak memory", unit: "MB", runs: column(|run| run.peak), of: Of::Worst, limit: None },
        Measure {
            name: "idle, of one core",
            unit: "%",
            runs: vec![idle.agent],
            of: Of::Worst,
            limit: Some(CPU_LIMIT),
        },
        Measure {
            name: "stopped after",
            unit: "s",
            runs: column(|run| run.stop),
            of: Of::Worst,
            limit: Some(STOP_LIMIT),
        },
    ];
    if let Some(bpf) = idle.bpf {
        let name = "BPF, of one core";
        measures.push(Measure { name, unit: "%", runs: vec![bpf], of: Of::Worst, limit: None });
    }
    measures
}

fn notes(idle: &Idle) -> Vec<String> {
    let mut notes = vec![format!("While idling, the whole machine was {:.1} % busy.", idle.machine)];
    if idle.bpf.is_none() {
        notes.push("For the time spent in BPF programs: sysctl kernel.bpf_stats_enabled=1".to_owned());
    }
    notes
}

fn measure_idle(pid: u32, time: Duration) -> Result<Idle> {
    let start = Instant::now();
    let before = (procfs::cpu_time(pid)?, procfs::bpf_time(pid), procfs::machine_ticks()?);
    thread::sleep(time);
    let after = (procfs::cpu_time(pid)?, procfs::bpf_time(pid), procfs::machine_ticks()?);
    let elapsed = start.elapsed().as_secs_f64();
    let percent = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() / elapsed * 100.0;
    let all = after.2.1.saturating_sub(before.2.1).max(1);
    Ok(Idle {
        agent: percent(before.0, after.0),
        bpf: before.1.zip(after.1).map(|(from, to)| percent(from, to)),
        // A difference of ticks is small enough for an exact f64.
        machine: after.2.0.saturating_sub(before.2.0) as f64 / all as f64 * 100.0,
    })
}

fn megabytes(kibibytes: u64) -> f64 {
    (kibibytes * 1024) as f64 / 1e6
}
