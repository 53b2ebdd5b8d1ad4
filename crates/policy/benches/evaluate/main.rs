//! What evaluation costs on recorded events. `cargo xtask bench policy` makes the recording and judges the figures.
//!
//! The events are decoded once, and their processes are those of the whole recording, so that what is timed is
//! evaluation: the facts of each event, every rule for its type. Beside that, the whole way from a record's bytes
//! through the state of the node to the rules is timed. Rounds alternate between what is compared, because the
//! speed of a machine changes while it works. Times are those of this thread on its
//! processor, so that other work on the machine disturbs them less; what is judged is the least disturbed round.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod rules;
mod stream;

use std::{hint::black_box, path::PathBuf, process::ExitCode, sync::Arc};

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use vedette_event::{Clock, alert::Node, recording::RecordingError};
use vedette_policy::{Evaluator, PolicySet, RuleMatching, load, pipeline::Pipeline};

use stream::{Prepared, Stream};

/// Rules in the larger set.
const MANY: usize = 1000;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Load(#[from] load::LoadError),
    #[error("{0}")]
    Other(String),
}

#[derive(Default)]
struct Options {
    recording: Option<PathBuf>,
    policies: Vec<PathBuf>,
    rounds: usize,
}

fn options() -> Result<Options, BenchError> {
    let mut options = Options { rounds: 15, ..Options::default() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| BenchError::Other(format!("{argument} wants a value")));
        match argument.as_str() {
            "--recording" => options.recording = Some(value()?.into()),
            "--policy" => options.policies.push(value()?.into()),
            "--rounds" => {
                options.rounds =
                    value()?.parse().map_err(|_| BenchError::Other("--rounds wants a number".into()))?;
            }
            // What cargo passes to every benchmark.
            "--bench" => {}
            other => return Err(BenchError::Other(format!("unknown option {other}"))),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), BenchError> {
    let (Some(recording), false) = (&options.recording, options.policies.is_empty()) else {
        eprintln!("left out: no --recording and --policy; `cargo xtask bench policy` makes and passes them");
        return Ok(());
    };
    let stream = Stream::read(std::io::BufReader::new(std::fs::File::open(recording)?))?;
    let sources = load::read_sources(&options.policies)?;
    let few = compiled(sources.clone())?;
    let fill = MANY.saturating_sub(few.rules().len());
    let others =
        compiled(sources.clone().into_iter().chain([rules::on_other_types(&stream.event_types, fill)]))?;
    let same = compiled(sources.into_iter().chain([rules::on_same_types(fill)]))?;
    let prepared = stream.prepare();
    let events = prepared.len();
    if events == 0 {
        return Err(BenchError::Other("there is no event in the recording".into()));
    }

    let sets = [&few, &others, &same];
    let mut evaluation: [Vec<f64>; 3] = Default::default();
    let mut whole = Vec::new();
    let mut without = Vec::new();
    let mut matches = 0;
    for _ in 0..options.rounds.max(1) {
        for (set, times) in sets.iter().zip(&mut evaluation) {
            let (time, found) = evaluate(&prepared, set);
            times.push(time);
            if Arc::ptr_eq(set, &few) {
                matches = found;
            }
        }
        whole.push(whole_way(&stream, Some(&few)));
        without.push(whole_way(&stream, None));
    }
    let per_event = |times: &mut Vec<f64>, count: usize| -> Vec<f64> {
        times.iter().map(|time| time * 1e9 / count as f64).collect()
    };
    let [few_ns, others_ns, same_ns] = evaluation.each_mut().map(|times| per_event(times, events));
    let (allocations, silent) = allocations(&prepared, &few);
    let figures = json!({
        "events": events,
        "records": stream.records(),
        "rules": few.rules().len(),
        "matches": matches,
        "silentEvents": silent,
        "allocationsPerSilentEvent": allocations as f64 / silent.max(1) as f64,
        "evaluateNs": few_ns,
        "evaluateManyNs": others_ns,
        "evaluateManySameTypesNs": same_ns,
        "wholeWayNs": per_event(&mut whole, stream.records()),
        "stateOnlyNs": per_event(&mut without, stream.records()),
        "kinds": stream.kinds(),
    });
    println!("{figures}");
    Ok(())
}

fn compiled(sources: impl IntoIterator<Item = vedette_policy::Source>) -> Result<Arc<PolicySet>, BenchError> {
    let loaded = PolicySet::load(sources);
    let findings = loaded.render(vedette_policy::Severity::Error, false);
    loaded.set.ok_or(BenchError::Other(findings))
}

/// Seconds of processor time that this thread has used.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds for one round over all events, and the number of matches.
fn evaluate(prepared: &Prepared<'_>, set: &Arc<PolicySet>) -> (f64, u64) {
    let mut evaluator = Evaluator::new(Arc::clone(set));
    let mut matches = 0;
    // The first events of a new evaluator grow its memory.
    for facts in prepared.facts().take(1000) {
        evaluator.evaluate(&facts, |_| {});
    }
    let start = processor_time();
    for facts in prepared.facts() {
        evaluator.evaluate(black_box(&facts), |matched| {
            black_box(matched);
            matches += 1;
        });
    }
    (processor_time() - start, matches)
}

/// Seconds from the bytes of all records to alerts, or with no policies, to an up-to-date state.
fn whole_way(stream: &Stream, set: Option<&Arc<PolicySet>>) -> f64 {
    let mut pipeline =
        Pipeline::new(stream.first_state(), Clock::default(), Node::default(), RuleMatching::All);
    pipeline.set_policies(set.cloned(), |_| {});
    let mut outside = stream.outside();
    let start = processor_time();
    for bytes in stream.bytes() {
        if let Ok(record) = vedette_event::decode(black_box(bytes)) {
            pipeline.record(&record, &mut outside, |raised| {
                black_box(raised);
            });
        }
    }
    processor_time() - start
}

/// Allocations over all events that match no rule, and the number of these.
fn allocations(prepared: &Prepared<'_>, set: &Arc<PolicySet>) -> (u64, usize) {
    let mut evaluator = Evaluator::new(Arc::clone(set));
    let mut silent = Vec::with_capacity(prepared.len());
    for (index, facts) in prepared.facts().enumerate() {
        let mut matched = false;
        evaluator.evaluate(&facts, |_| matched = true);
        if !matched {
            silent.push(index);
        }
    }
    let found = allocation_counter::measure(|| {
        for index in &silent {
            if let Some(facts) = prepared.nth(*index) {
                evaluator.evaluate(&facts, |_| {});
            }
        }
    });
    (found.count_total, silent.len())
}
