//! Delivery under faults: agents, controller and sink are killed, connections cut and disks filled, and every alert that
//! was produced arrives at the sink or is in a report of what was given up.
//!
//! `VEDETTE_FAULT_SEEDS=1,2,3` says with which seeds, `VEDETTE_FAULT_STEPS=100` how long; by default it is a minute.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod books;
mod world;

use vedette_e2e::may_use_root;
use world::World;

/// Seeds, unless told otherwise.
const SEEDS: &str = "1,2,3";
/// Faults of each seed, unless told otherwise: each there is, once.
const STEPS: usize = world::FAULTS;

#[test]
fn whatever_fails_every_alert_arrives_or_is_reported() {
    if !may_use_root("whatever_fails_every_alert_arrives_or_is_reported") {
        return;
    }
    let seeds = std::env::var("VEDETTE_FAULT_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let steps = std::env::var("VEDETTE_FAULT_STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let seeds: Vec<u64> = seeds.split(',').map(|seed| seed.trim().parse().unwrap()).collect();
    // Most of the time everybody waits for somebody.
    for some in seeds.chunks(3) {
        std::thread::scope(|scope| {
            for seed in some {
                let run = move || World::start(&format!("seed {seed}"), *seed, true).run(steps);
                std::thread::Builder::new().name(format!("seed {seed}")).spawn_scoped(scope, run).unwrap();
            }
        });
    }
}

#[test]
fn what_was_given_up_is_exactly_what_is_missing() {
    if !may_use_root("what_was_given_up_is_exactly_what_is_missing") {
        return;
    }
    // In a thread of its own, which has mounts of its own.
    std::thread::scope(|scope| {
        scope.spawn(|| World::start("overflow", 0, false).overflow());
    });
}
