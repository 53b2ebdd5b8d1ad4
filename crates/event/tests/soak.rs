//! Hours of a busy node, compressed: what is known of it does not grow. `cargo xtask bench soak` does a whole day.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use vedette_event::{Body, State, StateLimits, abi::Ring, decode, testing::Traffic};

/// Records to begin with: by then as many containers run as ever will.
const WARM_UP: u64 = 800_000;
/// Records in each of the two stretches that are compared after that.
const STRETCH: u64 = 500_000;

/// The most there was of anything.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    processes: usize,
    groups: usize,
    containers: usize,
}

fn run(traffic: &mut Traffic, state: &mut State, records: u64) -> Most {
    let mut most = Most::default();
    for number in 0..records {
        let bytes = traffic.record();
        let record = decode(&bytes).unwrap();
        state.apply(&record);
        if matches!(&record.body, Body::Gap(gap) if gap.ring == u32::from(Ring::State as u8)) {
            traffic.sweep(state);
        }
        if number % 1024 == 0 {
            most.processes = most.processes.max(state.processes.len());
            most.groups = most.groups.max(state.cgroups.len());
            most.containers = most.containers.max(state.cgroups.containers().count());
        }
    }
    most
}

#[test]
fn what_is_known_does_not_grow() {
    let mut traffic = Traffic::new(4711);
    let mut state = State::new(StateLimits::default());
    run(&mut traffic, &mut state, WARM_UP);
    let mut stretches = [Most::default(); 2];
    // Bytes that are held in the end and were not in the beginning, whatever came and went.
    let grown = allocation_counter::measure(|| {
        stretches = [0; 2].map(|_| run(&mut traffic, &mut state, STRETCH));
    });
    let [first, second] = stretches;
    eprintln!("{first:?}, then {second:?}; {} bytes grown; {:?}", grown.bytes_current, state.stats());
    assert!(traffic.containers_started() > 140 && state.stats().state_lost > 15, "it was busy");
    assert!(first.processes > 500 && first.containers > 55, "{first:?}");
    assert!(second.processes < first.processes * 5 / 4, "{first:?}, then {second:?}");
    assert!(second.groups < first.groups * 5 / 4, "{first:?}, then {second:?}");
    assert!(second.containers < first.containers * 5 / 4, "{first:?}, then {second:?}");
    assert!(grown.bytes_current < 512 << 10, "{grown:?}");
    assert_eq!(state.processes.stats().evicted_live + state.processes.stats().evicted_ended, 0);
    assert_eq!(state.cgroups.refused, 0);
}
