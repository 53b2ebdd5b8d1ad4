//! A day of a busy node, compressed: what holds the node's state, and what evaluates its events, must not grow.
//! `cargo xtask bench soak` runs it and judges the figures.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use serde_json::json;
use vedette_event::{
    Body, Clock, NoNames, Process, ProcessKey, State, StateLimits, UserNames, abi::Ring, alert::Node, decode,
    testing::Traffic,
};
use vedette_policy::{
    PolicySet, RuleMatching, load,
    pipeline::{Outside, Pipeline},
};

/// How often the tables are looked at, in records.
const LOOK: u64 = 4096;

/// Where the figures are told, in hundredths of all records.
const POINTS: [u64; 4] = [1, 10, 50, 100];

#[derive(Debug, thiserror::Error)]
enum SoakError {
    #[error(transparent)]
    Load(#[from] load::LoadError),
    #[error("{0}")]
    Other(String),
}

struct Options {
    events: u64,
    seed: u64,
    policies: Vec<PathBuf>,
}

fn options() -> Result<Options, SoakError> {
    let mut options = Options { events: 1_000_000, seed: 1, policies: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    let number = |text: String| text.parse().map_err(|_| SoakError::Other(format!("`{text}` is no number")));
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| SoakError::Other(format!("{argument} wants a value")));
        match argument.as_str() {
            "--events" => options.events = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--policy" => options.policies.push(value()?.into()),
            // What cargo passes to every benchmark.
            "--bench" => {}
            other => return Err(SoakError::Other(format!("unknown argument {other}"))),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Nobody can be asked about processes that were made up.
struct Nobody;

impl Outside for Nobody {
    fn process(&mut self, _: ProcessKey) -> Option<Process> {
        None
    }

    fn names(&self) -> &dyn UserNames {
        &NoNames
    }
}

/// The most there was of everything, and how it stands.
#[derive(Clone, Copy, Debug, Default)]
struct Tables {
    processes: usize,
    groups: usize,
    containers: usize,
}

impl Tables {
    fn look(&mut self, state: &State) {
        self.processes = self.processes.max(state.processes.len());
        self.groups = self.groups.max(state.cgroups.len());
        self.containers = self.containers.max(state.cgroups.containers().count());
    }
}

fn run(options: &Options) -> Result<(), SoakError> {
    let loaded = PolicySet::load(load::read_sources(&options.policies)?);
    let set = loaded.set.ok_or_else(|| SoakError::Other("the policies are not good".into()))?;
    let rules = set.rules().len();
    let node = Node { name: "node".into(), ..Node::default() };
    let mut pipeline =
        Pipeline::new(State::new(StateLimits::default()), Clock::default(), node, RuleMatching::All);
    pipeline.set_policies((rules > 0).then(|| Arc::clone(&set)), |_| ());
    let mut traffic = Traffic::new(options.seed);

    let (mut done, mut alerts, mut held) = (0, 0u64, 0i64);
    let mut points = Vec::new();
    for point in POINTS {
        let end = options.events / 100 * point;
        let mut most = Tables::default();
        let began = Instant::now();
        let count = end - done;
        let memory = allocation_counter::measure(|| {
            while done < end {
                let bytes = traffic.record();
                // The traffic is made by this program, so what cannot be decoded is a mistake in it.
                let Ok(record) = decode(&bytes) else { break };
                pipeline.record(&record, &mut Nobody, |_| alerts += 1);
                if matches!(&record.body, Body::Gap(gap) if gap.ring == u32::from(Ring::State as u8)) {
                    traffic.sweep(&mut pipeline.state);
                }
                done += 1;
                if done % LOOK == 0 {
                    most.look(&pipeline.state);
                }
            }
        });
        if done < end {
            return Err(SoakError::Other(format!("record {done} could not be decoded")));
        }
        held += memory.bytes_current;
        let seconds = began.elapsed().as_secs_f64();
        eprintln!(
            "{point} %: {done} records, {:.0} records/s, {held} bytes held, {most:?}",
            count as f64 / seconds
        );
        points.push(json!({
            "percent": point,
            "records": done,
            "recordsPerSecond": count as f64 / seconds,
            "heldBytes": held,
            "rssKib": rss(),
            "processes": most.processes,
            "groups": most.groups,
            "containers": most.containers,
        }));
    }
    let (table, state) = (pipeline.state.processes.stats(), pipeline.state.stats());
    println!(
        "{}",
        json!({
            "seed": options.seed,
            "rules": rules,
            "alerts": alerts,
            "points": points,
            "hours": traffic.time() as f64 / 3.6e12,
            "containersStarted": traffic.containers_started(),
            "evicted": table.evicted_live + table.evicted_ended,
            "refusedGroups": pipeline.state.cgroups.refused,
            "stateLost": state.state_lost,
        })
    );
    Ok(())
}

/// The resident set of this process, KiB; 0 where the kernel does not tell.
fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}
