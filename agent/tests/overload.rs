//! More than the agent can take: events are lost before state is, each loss is told with its kind and group, nothing
//! overtakes, and what was lost of the state is made good.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Write as _},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use harness::{Agent, PATIENCE, may_load_bpf};
use nix::sys::signal::Signal;
use vedette_abi::{EVERY_SCOPE, Gap, KIND_MIXED, Kind, Ring};
use vedette_agent::{
    identity::Hierarchy,
    pump::Pump,
    sensor::{Counters, Drain, Plan, Sensor, SensorOptions},
};
use vedette_event::{Body, decode};

/// These tests take turns: each is a storm to the others.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A control group of this test's own.
struct Group {
    directory: PathBuf,
    id: u64,
}

impl Group {
    fn new(hierarchy: &Hierarchy, name: &str) -> Self {
        let directory = hierarchy.mount.join(format!("vedette-overload-{name}-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let id = std::fs::metadata(&directory).unwrap().ino();
        Self { directory, id }
    }

    /// Runs a script in the group.
    fn run(&self, script: &str) {
        let script = format!("echo $$ > {}/cgroup.procs && {script}", self.directory.display());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails only while a process is in it; the next boot removes it then.
        let _ = std::fs::remove_dir(&self.directory);
    }
}

/// By kind and control group.
type Sums = BTreeMap<(Kind, u64), u64>;

/// What came of a storm.
#[derive(Default)]
struct Storm {
    seen: Sums,
    lost: Sums,
    /// Lost without kind and group, by ring.
    mixed: BTreeMap<u32, u64>,
    /// Everything that gaps told, by ring.
    in_gaps: BTreeMap<u32, u64>,
    counters: Counters,
    /// Records of the same process that came in another order than they happened.
    overtaken: Vec<String>,
}

impl Storm {
    fn gap(&mut self, gap: &Gap) {
        *self.in_gaps.entry(gap.ring).or_default() += u64::from(gap.total);
        let listed: u64 = gap.losses.iter().map(|loss| u64::from(loss.count)).sum();
        assert_eq!(listed, u64::from(gap.total), "the rows of a gap add up: {gap:?}");
        for loss in gap.losses.iter().filter(|loss| loss.count > 0) {
            let count = u64::from(loss.count);
            if loss.kind == KIND_MIXED {
                *self.mixed.entry(gap.ring).or_default() += count;
            } else {
                let kind = Kind::try_from(loss.kind as u16).unwrap();
                *self.lost.entry((kind, loss.cgroup)).or_default() += count;
            }
        }
    }

    fn of(sums: &Sums, kind: Kind, group: &Group) -> u64 {
        sums.get(&(kind, group.id)).copied().unwrap_or(0)
    }
}

/// Lets `act` happen while nobody takes what the pump has, then takes all of it.
fn while_stalled(hierarchy: &Hierarchy, events_ring: u32, act: impl FnOnce()) -> Storm {
    let mut sensor = Sensor::load(&SensorOptions {
        events_ring,
        cgroup_controller: hierarchy.controller.map(|c| c.enumerator),
        skip_tgid: std::process::id(),
        ..SensorOptions::default()
    })
    .unwrap();
    let (state, events) = sensor.take_rings().unwrap();
    let pump = Pump::start(Drain::new(state, events)).unwrap();
    let mut plan = Plan::default();
    plan.want("openat", EVERY_SCOPE);
    sensor.apply(&plan).unwrap();
    act();
    sensor.detach_all();
    let counters = sensor.counters().unwrap();
    pump.finish();

    let mut storm = Storm { counters, ..Storm::default() };
    let mut latest: HashMap<(u32, u64), (u64, Kind)> = HashMap::new();
    let (batches, recycle) = (pump.batches.clone(), pump.recycle.clone());
    for mut batch in batches {
        for bytes in batch.iter() {
            let record = decode(bytes).unwrap();
            if let Body::Gap(gap) = &record.body {
                storm.gap(gap);
                continue;
            }
            let header = &record.header;
            *storm.seen.entry((record.kind, header.cgroup)).or_default() += 1;
            let now = (header.time, record.kind);
            let before = latest.insert((header.tgid, header.start), now).unwrap_or(now);
            if before.0 > now.0 {
                storm.overtaken.push(format!("{}: {before:?} came before {now:?}", header.tgid));
            }
        }
        batch.clear();
        let _ = recycle.try_send(batch);
    }
    pump.join().unwrap();
    for gap in sensor.pending_gaps().unwrap() {
        storm.gap(&gap);
    }
    storm
}

/// Opens by a loop of a shell that forks nothing.
fn opens(times: u64) -> String {
    format!("i=0; while [ $i -lt {times} ]; do : </dev/null; i=$((i+1)); done")
}

/// Programs run one after the other, each of which opens files.
fn programs(times: u64) -> String {
    format!("i=0; while [ $i -lt {times} ]; do /bin/true; i=$((i+1)); done")
}

/// Opens that a shell makes besides, when it starts.
const STARTING: u64 = 100;

#[test]
fn events_are_lost_and_told_and_state_is_not() {
    if !may_load_bpf("overload") {
        return;
    }
    let _turn = turn();
    let hierarchy = Hierarchy::of_host().unwrap();
    let [forks, small, large] = ["forks", "small", "large"].map(|name| Group::new(&hierarchy, name));
    // Four times what fits into the state ring, if nobody emptied it.
    const PROGRAMS: u64 = 6000;
    const SMALL: u64 = 3000;
    const LARGE: u64 = 9000;
    let storm = while_stalled(&hierarchy, 64 << 10, || {
        std::thread::scope(|scope| {
            scope.spawn(|| forks.run(&programs(PROGRAMS)));
            scope.spawn(|| {
                small.run(&opens(SMALL));
                large.run(&opens(LARGE));
            });
        });
    });

    for (kind, count) in &storm.counters.kinds {
        assert!(count.balances(), "{kind:?}: {count:?}");
        assert!(!kind.is_state() || count.ring_full == 0, "{kind:?} was lost: {count:?}");
    }
    let bytes = 3 * PROGRAMS * 300;
    assert!(bytes > 2 << 20, "the state does not fit into its ring of 2 MiB");
    for (kind, expected) in
        [(Kind::ProcessFork, PROGRAMS), (Kind::ProcessExec, PROGRAMS), (Kind::ProcessExit, PROGRAMS + 1)]
    {
        assert_eq!(Storm::of(&storm.seen, kind, &forks), expected, "{kind:?}");
    }
    let events = u32::from(Ring::Events as u8);
    let lost = storm.counters.of(Kind::FileOpen).ring_full;
    assert!(lost > SMALL, "a ring of 64 KiB holds few of them: {lost}");
    assert_eq!(storm.in_gaps, BTreeMap::from([(events, lost)]), "gaps tell every loss, and where");
    let mixed = storm.mixed.get(&events).copied().unwrap_or(0);
    assert!(
        mixed < SMALL / 2,
        "there are few groups, so most is told by group: {mixed} beside {:?}",
        storm.lost
    );
    for (group, times) in [(&small, SMALL), (&large, LARGE)] {
        let told =
            Storm::of(&storm.seen, Kind::FileOpen, group) + Storm::of(&storm.lost, Kind::FileOpen, group);
        assert!(
            told <= times + STARTING && times <= told + mixed,
            "{told} of {times} opens are told, and {mixed} without a group"
        );
    }
    assert_eq!(storm.overtaken, [""; 0]);
}

#[test]
fn nothing_overtakes_what_happened_before_it() {
    if !may_load_bpf("overload") {
        return;
    }
    let _turn = turn();
    let hierarchy = Hierarchy::of_host().unwrap();
    let group = Group::new(&hierarchy, "order");
    // Larger than what is taken of events in one round, and all of it waits.
    let storm = while_stalled(&hierarchy, 16 << 20, || group.run(&programs(3000)));
    assert_eq!(storm.counters.total().ring_full, 0, "{:?}", storm.counters.total());
    let opens = Storm::of(&storm.seen, Kind::FileOpen, &group);
    assert!(opens >= 2 * 3000, "each program opens its libraries: {opens}");
    assert_eq!(storm.overtaken, [""; 0]);
}

/// A shell that does what it is told, line by line, and says `done` after each.
struct Told {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Told {
    fn new() -> Self {
        let mut child = Command::new("bash")
            .args(["-c", "while read -r line; do eval \"$line\"; echo done; done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "{line}");
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Fails only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Becomes another program, which also does what it is told. The answer is the first of that program.
const BECOME_ANOTHER: &str =
    "exec sh -c 'echo done; while read -r line; do eval \"$line\"; echo done; done' another";

/// A metric with its labels.
fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn metrics(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    std::io::read_to_string(stream).unwrap()
}

fn policy(directory: &Path, marker: &Path) -> PathBuf {
    let file = directory.join("marker.yaml");
    let text = format!(
        "- rule: Marker\n  desc: d\n  condition: evt.type in (open, openat) and fd.name = {}\n  output: \"%proc.cmdline\"\n  priority: Notice\n",
        marker.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn the_process_table_is_made_true_again_after_a_loss_of_state() {
    if !may_load_bpf("overload") {
        return;
    }
    let _turn = turn();
    let hierarchy = Hierarchy::of_host().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().canonicalize().unwrap().join("marker");
    std::fs::write(&marker, "").unwrap();
    let policy = policy(dir.path(), &marker);
    // Free a moment ago; that is as good as it gets.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();

    let (mut changes, mut ends) = (Told::new(), Told::new());
    let agent = Agent::start([
        "run",
        "--no-default-policies",
        "--policy",
        policy.to_str().unwrap(),
        "--no-socket",
        "--output",
        "json",
        "--state-ring",
        "16KiB",
        "--metrics",
        &address,
    ]);
    agent.wait_ready(PATIENCE);
    let old = Group::new(&hierarchy, "old");
    let mark = agent.stdout.mark();
    changes.tell(&format!(": <{}", marker.display()));
    let alert = agent.expect_alert(mark, "Marker", |_| true);
    assert_eq!(alert.at("process.name"), "bash");

    // Stopped, it takes nothing, and the ring is full after a few dozen programs.
    agent.signal(Signal::SIGSTOP);
    ends.tell("i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done");
    let ended = ends.child.id();
    drop(ends);
    changes.tell(BECOME_ANOTHER);
    let mut starts = Told::new();
    drop(old);
    let _new = Group::new(&hierarchy, "new");
    agent.signal(Signal::SIGCONT);

    // No record need come on the CPU that lost some: the agent looks by itself.
    let said = "the process table was compared with /proc after a loss of records";
    let line = agent.stderr.wait_for(PATIENCE, |line| line.text.contains(said));
    let line = line.unwrap_or_else(|| panic!("{}", agent.stderr.text()));
    let count = |name: &str| -> u64 {
        let text = line.text.split_once(&format!("{name}=")).unwrap().1;
        text.split(' ').next().unwrap().parse().unwrap()
    };
    assert!(count("ended") >= 1, "{} has ended: {}", ended, line.text);
    assert!(count("changed") >= 1, "one runs another program: {}", line.text);
    assert!(count("groups_added") >= 1 && count("groups_removed") >= 1, "{}", line.text);
    assert!(agent.stderr.text().contains("records of process state were lost"));

    let mark = agent.stdout.mark();
    changes.tell(&format!(": <{}", marker.display()));
    starts.tell(&format!(": <{}", marker.display()));
    let id = changes.child.id();
    let changed = agent.expect_alert(mark, "Marker", |alert| alert.is_of(id));
    assert_ne!(changed.at("process.name"), "bash");
    let cmdline = changed.at("output").as_str().unwrap();
    assert!(cmdline.contains("another"), "{cmdline}");
    let id = starts.child.id();
    let started = agent.expect_alert(mark, "Marker", |alert| alert.is_of(id));
    assert_eq!(started.at("process.name"), "bash");
    assert!(started.is_of(std::process::id()), "its ancestry leads here");

    let text = metrics(&address);
    let lost = ["process_fork", "process_exec", "process_exit"].map(|kind| {
        metric(&text, &format!("vedette_events_dropped_total{{kind=\"{kind}\",stage=\"ring\"}}"))
    });
    assert!(lost.iter().all(|lost| *lost > 100), "{lost:?}");
    assert!(metric(&text, "vedette_process_table_comparisons_total") >= 1, "{text}");
    assert!(metric(&text, "vedette_processes_healed_total") >= 1, "{text}");
    assert!(metric(&text, "vedette_processes_ended_unseen_total") >= 1, "{text}");
    let ended = agent.terminate();
    assert_eq!(ended.status.code(), Some(0));
    let last = ended.stderr.last().unwrap();
    assert!(last.text.starts_with("stopped:") && !last.text.contains("UNBALANCED"), "{}", last.text);
}
