//! The books: every fork, exec and exit is delivered or counted as lost, whatever the size of the rings.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    process::Command,
};

use harness::may_load_bpf;
use vedette_abi::{ABSENT, EVERY_SCOPE, Gap, KIND_MIXED, Kind};
use vedette_agent::{
    btf::{Btf, resolve_all},
    identity::Hierarchy,
    pump::Pump,
    sensor::{Counters, Drain, Plan, Sensor, SensorError, SensorOptions, self_check},
};
use vedette_event::{Body, State, StateLimits, decode};

/// A control group of this test's own, so that its processes can be told from everybody else's.
struct Group {
    directory: PathBuf,
    id: u64,
}

impl Group {
    fn new(hierarchy: &Hierarchy, name: &str) -> Self {
        use std::os::unix::fs::MetadataExt;
        let directory = hierarchy.mount.join(format!("vedette-{name}-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let id = std::fs::metadata(&directory).unwrap().ino();
        Self { directory, id }
    }

    /// Runs /bin/true so many times in the group, one after the other.
    fn spawn(&self, times: usize) {
        let script = format!(
            "echo $$ > {}/cgroup.procs && i=0 && while [ $i -lt {times} ]; do /bin/true; i=$((i+1)); done",
            self.directory.display()
        );
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails only while a process is in it; the next boot removes it then.
        let _ = std::fs::remove_dir(&self.directory);
    }
}

/// What a run gave.
struct Run {
    /// Records by kind, of the group.
    seen: BTreeMap<Kind, u64>,
    /// Reported as lost by kind, of the group.
    lost: BTreeMap<Kind, u64>,
    /// Lost without kind and group.
    mixed: u64,
    /// Records of all groups that came up, gaps left out.
    delivered: u64,
    /// Everything that gaps reported.
    in_gaps: u64,
    counters: Counters,
    /// (cpu, ring) → sequence numbers that came up.
    sequences: BTreeMap<(u16, u8), HashSet<u64>>,
}

impl Run {
    fn gap(&mut self, gap: &Gap, group: u64) {
        self.in_gaps += u64::from(gap.total);
        for loss in gap.losses.iter().filter(|l| l.count > 0) {
            if loss.kind == KIND_MIXED {
                self.mixed += u64::from(loss.count);
            } else if loss.cgroup == group {
                let kind = Kind::try_from(loss.kind as u16).unwrap();
                *self.lost.entry(kind).or_default() += u64::from(loss.count);
            }
        }
    }

    fn of(&self, kind: Kind) -> (u64, u64) {
        (self.seen.get(&kind).copied().unwrap_or(0), self.lost.get(&kind).copied().unwrap_or(0))
    }
}

fn options(hierarchy: &Hierarchy) -> SensorOptions {
    SensorOptions {
        cgroup_controller: hierarchy.controller.map(|c| c.enumerator),
        ..SensorOptions::default()
    }
}

fn run(name: &str, ring: u32, times: usize) -> Run {
    let hierarchy = Hierarchy::of_host().unwrap();
    let group = Group::new(&hierarchy, name);
    let mut sensor =
        Sensor::load(&SensorOptions { state_ring: ring, events_ring: ring, ..options(&hierarchy) }).unwrap();
    let (state, events) = sensor.take_rings().unwrap();
    let pump = Pump::start(Drain::new(state, events)).unwrap();
    let mut plan = Plan::default();
    plan.want("openat", EVERY_SCOPE);
    sensor.apply(&plan).unwrap();

    let reader = std::thread::spawn({
        let (batches, recycle, id) = (pump.batches.clone(), pump.recycle.clone(), group.id);
        move || {
            let mut run = Run {
                seen: BTreeMap::new(),
                lost: BTreeMap::new(),
                mixed: 0,
                delivered: 0,
                in_gaps: 0,
                counters: Counters::default(),
                sequences: BTreeMap::new(),
            };
            for mut batch in batches {
                for bytes in batch.iter() {
                    let record = decode(bytes).unwrap();
                    let header = &record.header;
                    if let Body::Gap(gap) = &record.body {
                        run.gap(gap, id);
                        continue;
                    }
                    run.delivered += 1;
                    let fresh = run
                        .sequences
                        .entry((header.cpu, record.kind.ring() as u8))
                        .or_default()
                        .insert(header.seq);
                    assert!(fresh, "sequence number {} of CPU {} came twice", header.seq, header.cpu);
                    if header.cgroup == id {
                        *run.seen.entry(record.kind).or_default() += 1;
                    }
                }
                batch.clear();
                let _ = recycle.try_send(batch);
            }
            run
        }
    });
    group.spawn(times);
    sensor.detach_all();
    pump.finish();
    let mut run = reader.join().unwrap();
    pump.join().unwrap();
    for gap in sensor.pending_gaps().unwrap() {
        run.gap(&gap, group.id);
    }
    run.counters = sensor.counters().unwrap();
    run
}

/// What must hold in every run.
fn balanced(run: &Run) {
    let total = run.counters.total();
    for (kind, count) in &run.counters.kinds {
        assert!(count.balances(), "{kind:?}: {count:?}");
    }
    assert_eq!(total.produced, run.delivered + total.ring_full + total.errors, "{total:?}");
    assert_eq!(run.in_gaps, total.ring_full, "gaps tell every loss: {total:?}");
    let numbers: u64 = run.sequences.values().map(|s| s.iter().max().copied().unwrap_or(0)).sum();
    let came: u64 = run.sequences.values().map(|s| s.len() as u64).sum();
    assert!(
        numbers - came <= total.ring_full,
        "a hole in the sequence is a loss: {numbers} given, {came} came"
    );
}

const TIMES: usize = 20_000;

#[test]
fn every_fork_exec_and_exit_of_20_000_comes_up() {
    if !may_load_bpf("accounting") {
        return;
    }
    let run = run("all", 4 << 20, TIMES);
    balanced(&run);
    let times = TIMES as u64;
    assert_eq!(run.counters.total().ring_full, 0, "{:?}", run.counters.total());
    assert_eq!(run.of(Kind::ProcessFork), (times, 0));
    assert_eq!(run.of(Kind::ProcessExec), (times, 0));
    // And the shell's own.
    assert_eq!(run.of(Kind::ProcessExit), (times + 1, 0));
}

#[test]
fn with_rings_of_a_page_each_is_delivered_or_counted() {
    if !may_load_bpf("accounting") {
        return;
    }
    let run = run("page", 4096, TIMES);
    balanced(&run);
    let total = run.counters.total();
    assert!(total.ring_full > 0, "a page is too small for this: {total:?}");
    let times = TIMES as u64;
    for (kind, expected) in
        [(Kind::ProcessFork, times), (Kind::ProcessExec, times), (Kind::ProcessExit, times + 1)]
    {
        let (seen, lost) = run.of(kind);
        assert!(
            seen + lost <= expected && expected <= seen + lost + run.mixed,
            "{kind:?}: {seen} + {lost} of {expected}"
        );
        if run.mixed == 0 {
            assert_eq!(seen + lost, expected, "{kind:?}");
        }
    }
}

#[test]
fn an_offset_that_does_not_fit_the_kernel_is_noticed() {
    if !may_load_bpf("accounting") {
        return;
    }
    let hierarchy = Hierarchy::of_host().unwrap();
    let offsets = resolve_all(&Btf::of_kernel().unwrap()).unwrap();
    let right = offsets.get("TASK_TGID").unwrap();
    let check = |symbol: &str, value: u32| -> Result<(), String> {
        let offsets = Some(offsets.clone().with(symbol, value));
        let mut sensor = match Sensor::load(&SensorOptions { offsets, ..options(&hierarchy) }) {
            Ok(sensor) => sensor,
            // The verifier knows the type and refuses to read it as what it is not: noticed, too.
            Err(SensorError::Nothing(why)) => return Err(why),
            Err(other) => panic!("{other}"),
        };
        let snapshot = sensor.snapshot()?;
        let mut state = State::new(StateLimits::default());
        let mut rest = snapshot.as_slice();
        while let Some(len) = rest.first_chunk().map(|b| u32::from_le_bytes(*b) as usize) {
            let (record, tail) = rest.split_at(len);
            state.apply(&decode(record).unwrap());
            rest = tail;
        }
        self_check(&state.processes)
    };
    check("TASK_TGID", right).expect("the right offsets are right");
    for (symbol, wrong) in [
        ("TASK_TGID", right + 4),
        ("TASK_COMM", offsets.get("TASK_COMM").unwrap() + 64),
        ("TASK_REAL_PARENT", offsets.get("TASK_GROUP_LEADER").unwrap()),
        ("TASK_CRED", offsets.get("TASK_FS").unwrap()),
        ("TASK_START_BOOTTIME", offsets.get("TASK_SIGNAL").unwrap()),
    ] {
        let error = check(symbol, wrong).expect_err(symbol);
        assert!(!error.is_empty(), "{symbol}");
    }
}

#[test]
fn a_field_that_the_kernel_lacks_costs_only_its_value() {
    if !may_load_bpf("accounting") {
        return;
    }
    let hierarchy = Hierarchy::of_host().unwrap();
    let offsets = resolve_all(&Btf::of_kernel().unwrap()).unwrap();
    let optional = vedette_abi::KERNEL_FIELDS.iter().filter(|f| !f.required);
    let offsets = optional.fold(offsets, |offsets, field| offsets.with(field.symbol, ABSENT));
    let mut sensor = Sensor::load(&SensorOptions { offsets: Some(offsets), ..options(&hierarchy) }).unwrap();
    assert_eq!(sensor.programs().iter().filter_map(|p| p.degradation()).collect::<Vec<_>>(), [""; 0]);
    let snapshot = sensor.snapshot().unwrap();
    let len = u32::from_le_bytes(*snapshot.first_chunk().unwrap()) as usize;
    match decode(&snapshot[..len]).unwrap().body {
        Body::ProcessSnapshot(first) => assert_eq!(first.task.loginuid, u32::MAX),
        other => panic!("{other:?}"),
    }
}
