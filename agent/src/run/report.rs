//! What people are told on stderr: what runs, what does not, and how the books stand at the end.

use std::{io::IsTerminal, sync::Mutex, sync::atomic::Ordering::Relaxed};

use vedette_policy::PolicySet;

use super::{
    Parts,
    degraded::{self, IdentitySources},
    lock,
};
use crate::{
    sensor::{ProgramState, Sensor},
    sink::SinkStats,
    stats::Stats,
};

/// Sends our own log to stderr.
pub fn start_logging(filter: tracing_subscriber::EnvFilter) {
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only where a logger is set already, as in tests.
    let _ = logger.try_init();
}

/// Programs that run, and programs that this kernel does not take.
pub fn program_counts(sensor: &Sensor) -> (usize, usize) {
    let count =
        |wanted: fn(&ProgramState) -> bool| sensor.programs().iter().filter(|p| wanted(&p.state)).count();
    (
        count(|state| *state == ProgramState::Attached),
        count(|state| matches!(state, ProgramState::Unavailable(_))),
    )
}

/// Names what is missing.
pub fn degradations(sensor: &Sensor, set: &PolicySet, asked: IdentitySources) {
    for sentence in degraded::sentences(sensor, set, asked) {
        tracing::warn!("degraded: {sentence}");
    }
}

/// The line that says that everything is attached.
pub(super) fn ready(parts: &Parts) {
    let sensor = lock(&parts.sensor);
    let (attached, unavailable) = program_counts(&sensor);
    let unseen = sensor.plan().unseen.len();
    let missing = sensor.missing_fields().len();
    let degraded = match (unavailable, unseen, missing) {
        (0, 0, 0) => "nothing degraded".to_owned(),
        _ => format!("degraded: {unavailable} programs, {unseen} event types, {missing} kernel fields"),
    };
    eprintln!("ready: {} rules, {attached} programs attached, {degraded}", parts.rules.load(Relaxed));
}

/// The last line: what came, what went, what was lost.
pub fn stopped(sensor: &Mutex<Sensor>, stats: &Stats, sinks: &[SinkStats]) {
    let alerts = stats.alerts.load(Relaxed);
    let unwritten: u64 = sinks.iter().map(|s| s.dropped + s.queued).sum();
    match lock(sensor).counters() {
        Ok(counters) => {
            let total = counters.total();
            let delivered = stats.delivered_events();
            let dropped = total.ring_full + total.errors + stats.undecodable.load(Relaxed);
            let balance =
                if total.balances() && total.produced == delivered + dropped { "" } else { " (UNBALANCED)" };
            eprintln!(
                "stopped: {} events produced = {delivered} delivered + {dropped} dropped{balance}; {alerts} alerts, {unwritten} not written",
                total.produced
            );
        }
        Err(error) => {
            eprintln!("stopped: {alerts} alerts, {unwritten} not written; the kernel's books: {error}")
        }
    }
}
