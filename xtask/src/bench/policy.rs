//! `cargo xtask bench policy`: what evaluating the rules costs per event.

mod workload;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::report::{self, Measure, Of};
use crate::workspace::Workspace;
use crate::{agent, exec};

/// Nanoseconds per event with the rules of one file: 3 million events a second.
const EVALUATE_LIMIT: f64 = 1000.0 / 3.0;
/// How much dearer 1,000 rules on other types of events may be.
const MANY_LIMIT: f64 = 2.0;
/// Allocations per event that no rule matches: none. (A result has to stay under its limit.)
const ALLOCATIONS_LIMIT: f64 = 1e-6;
/// Events that a recording must have.
const EVENTS: usize = 100_000;

/// Evaluation of rules over recorded events: time and allocations per event, with few rules and with many.
///
/// Records this host under a mixed load (or takes a recording), then evaluates the 25 rules of Falco's stable file on
/// it, on one core. The file is taken from $FALCO_RULES_DIR, else from ../shared/falco-rules beside the workspace; if it
/// is not there, the built-in policies stand in for it. Limits: 333 ns per event, no allocation where nothing matches,
/// at most twice the time with 1,000 rules on types of events that do not occur.
#[derive(clap::Args)]
pub struct Args {
    /// Take this recording (`vedette record`) instead of making one.
    #[arg(long, value_name = "FILE")]
    recording: Option<PathBuf>,

    /// Take these policies instead.
    #[arg(long = "policy", value_name = "PATH")]
    policies: Vec<PathBuf>,

    /// Rounds over all events.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What the benchmark prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    events: usize,
    records: usize,
    rules: usize,
    matches: u64,
    silent_events: usize,
    allocations_per_silent_event: f64,
    evaluate_ns: Vec<f64>,
    evaluate_many_ns: Vec<f64>,
    evaluate_many_same_types_ns: Vec<f64>,
    whole_way_ns: Vec<f64>,
    state_only_ns: Vec<f64>,
    kinds: serde_json::Map<String, serde_json::Value>,
}

/// Measures, prints and judges.
///
/// # Errors
/// When there is no recording to be had, or a limit is broken.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let recording = match &args.recording {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => {
            if let Some(obstacle) = agent::obstacle("bench policy") {
                bail!("{obstacle}; or pass a recording with --recording");
            }
            workload::record(workspace, EVENTS)?
        }
    };
    let (policies, what) = policies(workspace, &args.policies)?;
    let figures = measure(workspace, &recording, &policies, args.rounds)?;
    if figures.events < EVENTS {
        bail!("the recording has {} events; {EVENTS} are wanted", figures.events);
    }
    report::conclude("policy", &measures(&figures), &notes(&figures, &recording, &what), args.json)
}

/// The policies to evaluate, and what they are.
fn policies(workspace: &Workspace, given: &[PathBuf]) -> Result<(Vec<PathBuf>, String)> {
    if !given.is_empty() {
        let absolute: std::io::Result<Vec<_>> = given.iter().map(|path| path.canonicalize()).collect();
        return Ok((absolute?, "the policies given".to_owned()));
    }
    let beside = workspace.root().join("../shared/falco-rules");
    let file = env::var_os("FALCO_RULES_DIR").map_or(beside, PathBuf::from).join("falco_rules.yaml");
    if file.is_file() {
        return Ok((vec![file.canonicalize()?], "Falco's stable rules".to_owned()));
    }
    if exec::is_ci() {
        bail!("there is no {}", file.display());
    }
    eprintln!("there is no {}: the built-in policies stand in for it", file.display());
    Ok((vec![workspace.root().join("deploy/policies")], "the built-in policies".to_owned()))
}

fn measure(workspace: &Workspace, recording: &Path, policies: &[PathBuf], rounds: u32) -> Result<Figures> {
    let mut cargo = workspace.cargo();
    cargo.args([
        "bench",
        "--package",
        "vedette-policy",
        "--features",
        "recording",
        "--bench",
        "evaluate",
        "--",
    ]);
    cargo.arg("--recording").arg(recording).args(["--rounds", &rounds.to_string()]);
    for policy in policies {
        cargo.args([OsString::from("--policy"), policy.into()]);
    }
    cargo.stderr(std::process::Stdio::inherit());
    let output = exec::capture(&mut cargo)?;
    if !output.status.success() {
        bail!("the benchmark failed ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().ok_or_else(|| anyhow!("the benchmark printed nothing"))?;
    serde_json::from_str(line).context("read the figures of the benchmark")
}

fn measures(figures: &Figures) -> Vec<Measure> {
    let measure =
        |name, unit, runs: &[f64], limit| Measure { name, unit, runs: runs.to_vec(), of: Of::Median, limit };
    let factors: Vec<f64> =
        figures.evaluate_many_ns.iter().zip(&figures.evaluate_ns).map(|(many, few)| many / few).collect();
    vec![
        Measure { of: Of::Fastest, ..measure("evaluate", "ns", &figures.evaluate_ns, Some(EVALUATE_LIMIT)) },
        measure("1,000 rules, other types", "ns", &figures.evaluate_many_ns, None),
        measure("  times as much", "x", &factors, Some(MANY_LIMIT)),
        measure("1,000 rules, same types", "ns", &figures.evaluate_many_same_types_ns, None),
        measure(
            "allocations, no match",
            "",
            &[figures.allocations_per_silent_event],
            Some(ALLOCATIONS_LIMIT),
        ),
        measure("decode, state, evaluate", "ns", &figures.whole_way_ns, None),
        measure("decode and state alone", "ns", &figures.state_only_ns, None),
    ]
}

fn notes(figures: &Figures, recording: &Path, what: &str) -> Vec<String> {
    let mut times = figures.evaluate_ns.clone();
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let kinds: Vec<String> = figures.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    vec![
        format!(
            "{:.2} million events/s on one core in the least disturbed round, {:.2} in the median one, with {what}: {} rules",
            1000.0 / times.first().copied().unwrap_or(f64::NAN),
            1000.0 / median,
            figures.rules
        ),
        format!("{} records ({}), {} events", figures.records, kinds.join(", "), figures.events),
        format!("{} matches; {} events matched nothing", figures.matches, figures.silent_events),
        format!("The same again: --recording {}", recording.display()),
    ]
}
