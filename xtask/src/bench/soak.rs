//! `cargo xtask bench soak`: a day of a busy node, compressed, through decode, state and rules.

use std::ffi::OsString;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::report::{self, Measure, Of};
use crate::exec;
use crate::workspace::Workspace;

/// How much larger anything may be in the second half of the day than it was in its first tenth, in per cent.
const GROWTH_LIMIT: f64 = 10.0;

/// KiB of resident memory that count as none: the allocator's own leeway.
const SLACK: f64 = 4096.0;

/// Fewer records are not a fair comparison.
const LEAST: u64 = 10_000_000;

/// A day of a busy node, compressed: 100 million records of processes, containers, opens, connects and losses.
///
/// The records are made up, the same for the same seed. What is held of the node (processes, control groups, containers,
/// memory) may not be larger in the second half of the day than after its first tenth, but for some slack.
#[derive(clap::Args)]
pub struct Args {
    /// Records: a number, or such as `100M`.
    #[arg(long, value_name = "N", default_value = "100M", value_parser = number)]
    events: u64,

    /// Another day: other records.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Leave the built-in policies out: decode and state alone.
    #[arg(long)]
    state_only: bool,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

fn number(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix('M') {
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no number"))?;
    let number = number.checked_mul(factor).filter(|n| *n >= LEAST);
    number.ok_or_else(|| {
        "10M at least: the first tenth has to see as many containers as there ever are".to_owned()
    })
}

/// What the benchmark prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    seed: u64,
    rules: usize,
    alerts: u64,
    points: Vec<Point>,
    hours: f64,
    containers_started: u64,
    evicted: u64,
    refused_groups: u64,
    state_lost: u64,
}

/// How it stood after a part of the records; tables as large as they ever were in that part.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    percent: u64,
    records: u64,
    records_per_second: f64,
    held_bytes: f64,
    rss_kib: f64,
    processes: f64,
    groups: f64,
    containers: f64,
}

/// Measures, prints and judges.
///
/// # Errors
/// When it cannot be run, or something grows.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--package", "vedette-policy", "--bench", "soak", "--"]);
    cargo.args(["--events", &args.events.to_string(), "--seed", &args.seed.to_string()]);
    if !args.state_only {
        let policies = workspace.root().join("deploy/policies");
        cargo.args([OsString::from("--policy"), policies.into()]);
    }
    cargo.stderr(std::process::Stdio::inherit());
    let output = exec::capture(&mut cargo)?;
    if !output.status.success() {
        bail!("the benchmark failed ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().ok_or_else(|| anyhow!("the benchmark printed nothing"))?;
    let figures: Figures = serde_json::from_str(line).context("read the figures of the benchmark")?;
    let [_, tenth, _, end] = figures.points.as_slice() else {
        bail!("the benchmark told {} points", figures.points.len())
    };
    report::conclude("soak", &measures(&figures, tenth, end), &notes(&figures), args.json)
}

/// By how much `after` is larger than `before`, in per cent; less is none.
fn growth(before: f64, after: f64, slack: f64) -> f64 {
    ((after - slack).max(before) / before.max(1.0) - 1.0) * 100.0
}

fn measures(figures: &Figures, tenth: &Point, end: &Point) -> Vec<Measure> {
    let rates: Vec<f64> = figures.points.iter().map(|p| p.records_per_second / 1e6).collect();
    let all = |of: fn(&Point) -> f64| -> Vec<f64> { figures.points.iter().map(of).collect() };
    let plain = |name, unit, runs| Measure { name, unit, runs, of: Of::Worst, limit: None };
    let grown = |name, before: f64, after: f64, slack: f64| Measure {
        limit: Some(GROWTH_LIMIT),
        ..plain(name, "%", vec![growth(before, after, slack)])
    };
    let none = |name, count: u64| Measure { limit: Some(1.0), ..plain(name, "", vec![count as f64]) };
    vec![
        Measure { of: Of::Median, ..plain("records", "M/s", rates) },
        plain("processes", "", all(|p| p.processes)),
        grown("  growth", tenth.processes, end.processes, 0.0),
        plain("control groups", "", all(|p| p.groups)),
        grown("  growth", tenth.groups, end.groups, 0.0),
        plain("containers", "", all(|p| p.containers)),
        grown("  growth", tenth.containers, end.containers, 0.0),
        plain("memory held", "KiB", all(|p| p.held_bytes / 1024.0)),
        grown("  growth", tenth.held_bytes, end.held_bytes, 64.0 * 1024.0),
        plain("resident", "KiB", all(|p| p.rss_kib)),
        grown("  growth", tenth.rss_kib, end.rss_kib, SLACK),
        none("processes evicted", figures.evicted),
        none("control groups refused", figures.refused_groups),
    ]
}

fn notes(figures: &Figures) -> Vec<String> {
    let points: Vec<String> = figures.points.iter().map(|p| format!("{} %", p.percent)).collect();
    let records = figures.points.last().map_or(0, |p| p.records);
    vec![
        format!("runs: after {} of {records} records, {:.1} hours of them", points.join(", "), figures.hours),
        format!(
            "{} containers started, {} records of state lost and made good, {} rules, {} alerts",
            figures.containers_started, figures.state_lost, figures.rules, figures.alerts
        ),
        format!("The same again: --seed {}", figures.seed),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_growth() {
        assert_eq!((number("100M"), number("12000000")), (Ok(100_000_000), Ok(12_000_000)));
        assert!(number("x").is_err() && number("7").is_err() && number("9M").is_err());
        assert_eq!(growth(100.0, 90.0, 0.0), 0.0);
        assert!((growth(100.0, 125.0, 5.0) - 20.0).abs() < 1e-9);
    }
}
