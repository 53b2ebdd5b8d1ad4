//! The simulated agents, and what the controller costs in each phase of what they do.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::rig::Rig;
use crate::bench::procfs;

/// A phase, with its cost.
pub struct Phase {
    /// Its name.
    pub name: String,
    /// What the agents have measured.
    pub figures: Value,
    /// How long it took.
    pub seconds: f64,
    /// Use of one core by the controller.
    pub controller_percent: f64,
    /// Use of one core by the agents.
    pub load_percent: f64,
    /// Use of all cores by everybody.
    pub machine_percent: f64,
    /// The controller's highest resident memory in it.
    pub peak_megabytes: f64,
}

/// Kills the agents if we give up.
struct Agents(Child);

impl Drop for Agents {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor times so far.
struct Sample {
    at: Instant,
    controller: Duration,
    load: Duration,
    machine: (u64, u64),
}

impl Sample {
    fn take(rig: &Rig, load: u32) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            controller: procfs::cpu_ticks(rig.pid())?,
            load: procfs::cpu_ticks(load)?,
            machine: procfs::machine_ticks()?,
        })
    }
}

/// Runs the agents through all phases.
///
/// # Errors
/// When they fail.
pub fn run(program: &Path, rig: &Rig, settings: &[String]) -> Result<Vec<Phase>> {
    let mut command = Command::new(program);
    command.args(settings).arg("--address").arg(rig.address()).arg("--ca").arg(rig.ca());
    command.arg("--policy").arg(rig.policy()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow!("the agents have no stdout"))?;
    let mut agents = Agents(child);
    let pid = agents.0.id();
    let mut phases = Vec::new();
    let mut begun = None;
    for line in BufReader::new(stdout).lines() {
        let line: Value = serde_json::from_str(&line?).context("read what the agents say")?;
        let name = line["phase"].as_str().unwrap_or_default().to_owned();
        if line["event"] == "begin" {
            procfs::reset_peak(rig.pid())?;
            begun = Some(Sample::take(rig, pid)?);
            continue;
        }
        let before = begun.take().ok_or_else(|| anyhow!("{name} ended before it began"))?;
        // The agents end after the last phase, and their account with them.
        let after = Sample::take(rig, pid)?;
        let cost = after.controller.saturating_sub(before.controller).as_secs_f64();
        eprintln!("{name}: {cost:.2} s of the controller's processor time, {}", shown(&line));
        phases.push(phase(name, line, &before, &after, procfs::memory(rig.pid())?.peak));
    }
    let status = agents.0.wait()?;
    if !status.success() {
        bail!("the simulated agents failed ({status})");
    }
    Ok(phases)
}

fn phase(name: String, figures: Value, before: &Sample, after: &Sample, peak: u64) -> Phase {
    let seconds = (after.at - before.at).as_secs_f64();
    let percent = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() / seconds * 100.0;
    let all = after.machine.1.saturating_sub(before.machine.1).max(1);
    Phase {
        name,
        figures,
        seconds,
        controller_percent: percent(before.controller, after.controller),
        load_percent: percent(before.load, after.load),
        // A difference of ticks is small enough for an exact f64.
        machine_percent: after.machine.0.saturating_sub(before.machine.0) as f64 / all as f64 * 100.0,
        peak_megabytes: (peak * 1024) as f64 / 1e6,
    }
}

/// The figures without what is said elsewhere.
fn shown(line: &Value) -> String {
    let mut line = line.clone();
    if let Some(map) = line.as_object_mut() {
        map.retain(|name, value| {
            !matches!(name.as_str(), "phase" | "event") && *value != Value::Array(vec![])
        });
    }
    line.to_string()
}
