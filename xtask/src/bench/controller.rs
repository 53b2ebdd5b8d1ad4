//! `cargo xtask bench controller`: thousands of agents at one controller, on the processors that both share.

mod load;
mod rig;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use self::load::Phase;
use self::rig::Rig;
use super::report::{self, Measure, Of};
use crate::agent;
use crate::workspace::Workspace;

/// Seconds within which 99 of 100 agents run a changed policy.
const CHANGE_LIMIT: f64 = 2.0;
/// Seconds after the last alert was due until the last one is acknowledged: more, and the log does not keep up.
const BEHIND_LIMIT: f64 = 2.0;
/// Highest resident memory, in MB of 1,000,000 bytes: 1 GiB.
const RSS_LIMIT: f64 = 1_073.741_824;
/// Seconds from the cut until all agents are there again with the right policies.
const BACK_LIMIT: f64 = 15.0;
/// Connections that fail: none. (A result has to stay under its limit.)
const FAILURES_LIMIT: f64 = 0.5;
/// What `--quick` makes of the settings.
const QUICK: (u32, u32, u32, u32) = (500, 5, 2, 1);

/// A controller with 5,000 agents: a change of policy, 20,000 alerts a second into the log, all connections cut at once.
///
/// Starts the release controller with an embedded log and a file as sink, and a process with simulated agents, on the
/// same processors. Limits: a changed policy runs on 99 of 100 agents within 2 s; 20,000 alerts a second are
/// acknowledged as they come, and are at the sink in the end; after all connections were cut at once, with alerts waiting
/// and another policy, all agents are back within 15 s; no connection fails; the controller takes less than 1 GiB.
#[derive(clap::Args)]
pub struct Args {
    /// How many agents.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    agents: u32,

    /// Alerts per second, of all agents together.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,

    /// For so many seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// Alerts of a batch.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,

    /// Alerts that each agent has for the controller when it comes back after a cut.
    #[arg(long, default_value_t = 100)]
    backlog: u32,

    /// How often the policy is changed.
    #[arg(long, default_value_t = 5)]
    changes: u32,

    /// How often all connections are cut.
    #[arg(long, default_value_t = 3)]
    cuts: u32,

    /// 500 agents and 5 seconds.
    #[arg(long)]
    quick: bool,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,

    /// Take `vedette-controller` and `vedette-load` from this directory instead of building them.
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

/// Measures, prints and judges.
///
/// # Errors
/// When it cannot be run, an alert does not arrive, or a limit is broken.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (mut agents, mut seconds, mut changes, mut cuts) =
        (args.agents, args.seconds, args.changes, args.cuts);
    if args.quick {
        (agents, seconds, changes, cuts) = QUICK;
    }
    let names = ["vedette-controller", "vedette-load"];
    let binaries = match &args.binaries {
        Some(directory) => names.map(|name| directory.join(name)).to_vec(),
        None => agent::build_bins(workspace, &names.map(|name| (name, name)))?,
    };
    let [controller, load] = &binaries[..] else { bail!("cargo built {} of 2 binaries", binaries.len()) };
    let rig = Rig::start(workspace, controller, load, agents)?;
    let settings = [
        ("--agents", agents),
        ("--rate", args.rate),
        ("--seconds", seconds),
        ("--batch", args.batch),
        ("--backlog", args.backlog),
        ("--changes", changes),
        ("--cuts", cuts),
    ];
    let settings = settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    let phases = load::run(load, &rig, &settings)?;
    let sent: u64 = phases.iter().filter_map(|phase| phase.figures["acknowledged"].as_u64()).sum();
    let drained = rig.wait_for_sink(sent, Duration::from_secs(120))?;
    let mut notes = notes(&phases, args.rate, seconds);
    notes.push(format!(
        "{sent} alerts were acknowledged; {:.1} s after the last one all were at the sink.",
        drained.as_secs_f64()
    ));
    rig.stop()?;
    report::conclude("controller", &measures(&phases, f64::from(seconds)), &notes, args.json)
}

fn measures(phases: &[Phase], seconds: f64) -> Vec<Measure> {
    let column = |name: &str, value: &dyn Fn(&Phase) -> f64| -> Vec<f64> {
        phases.iter().filter(|phase| phase.name == name).map(value).collect()
    };
    let figure = |group: &'static str, which: &'static str| {
        move |phase: &Phase| phase.figures[group][which].as_f64().unwrap_or(f64::NAN)
    };
    let number = |name: &'static str| move |phase: &Phase| phase.figures[name].as_f64().unwrap_or(f64::NAN);
    let rate = |phase: &Phase| number("acknowledged")(phase) / number("seconds")(phase);
    let measure = |name, unit, runs, limit| Measure { name, unit, runs, of: Of::Worst, limit };
    let all = |value: &dyn Fn(&Phase) -> f64| phases.iter().map(value).collect::<Vec<_>>();
    vec![
        measure("all connected after", "s", column("connect", &figure("up", "max")), None),
        measure("policy runs, median", "s", column("change", &figure("runs", "p50")), None),
        measure("policy runs, p99", "s", column("change", &figure("runs", "p99")), Some(CHANGE_LIMIT)),
        measure("policy runs, all", "s", column("change", &figure("runs", "max")), None),
        measure("alerts taken", "/s", column("alerts", &rate), None),
        measure(
            "  behind in the end",
            "s",
            column("alerts", &|phase| (number("seconds")(phase) - seconds).max(0.0)),
            Some(BEHIND_LIMIT),
        ),
        measure("  acknowledged, median", "s", column("alerts", &figure("lag", "p50")), None),
        measure("  acknowledged, p99", "s", column("alerts", &figure("lag", "p99")), None),
        measure("all back after a cut", "s", column("cut", &figure("runs", "max")), Some(BACK_LIMIT)),
        measure("  their alerts taken", "s", column("cut", &number("drained")), None),
        measure("failed connections", "", all(&number("failures")), Some(FAILURES_LIMIT)),
        measure("peak memory", "MB", all(&|phase| phase.peak_megabytes), Some(RSS_LIMIT)),
    ]
}

fn notes(phases: &[Phase], rate: u32, seconds: u32) -> Vec<String> {
    let mut notes = vec![format!("{rate} alerts a second were sent for {seconds} s.")];
    for phase in phases {
        let line = format!(
            "{:<8} {:>5.1} s: controller {:>5.1} % of a core and {:>5.0} MB, simulated agents {:>5.1} %, machine {:>5.1} % busy",
            phase.name,
            phase.seconds,
            phase.controller_percent,
            phase.peak_megabytes,
            phase.load_percent,
            phase.machine_percent
        );
        notes.push(line);
        let reasons = phase.figures["reasons"].as_array().into_iter().flatten();
        notes.extend(reasons.map(|reason| format!("         failed: {reason}")));
    }
    notes
}
