//! What a busy node reports, record by record, for as long as one likes: the same for the same seed.
//!
//! Services that live for hours, programs that live for milliseconds, containers that come and go with all that runs in
//! them, daemons that leave their parents behind, process ids that are used again, events of processes that nobody has
//! told of, and losses. The number of what is there at a time stays about the same, so that what holds the node's state
//! must not grow.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
};

use vedette_abi::Ring;

use super::RecordBuilder;
use crate::{ProcessKey, State};

/// Records of a day, at about a thousand a second.
pub const A_DAY: u64 = 100_000_000;

/// Nanoseconds between two records.
const STEP: u64 = 24 * 3600 * 1_000_000_000 / A_DAY;
/// Ids of processes are used again after this many (`/proc/sys/kernel/pid_max` of small machines).
const PID_MAX: u32 = 32_768;
/// Services of the host.
const SERVICES: usize = 150;
/// Containers at a time.
const CONTAINERS: usize = 60;
/// Records between the start of a container and the end of another.
const CONTAINER_EVERY: u64 = 12_000;
/// Of so many records of state, one is lost.
const LOSS: u64 = 5_000;
/// Records between two reports of losses.
const GAP_EVERY: u64 = 250_000;

const SECOND: u64 = 1_000_000_000;

/// Numbers that look random (SplitMix64, public domain).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Running {
    key: ProcessKey,
    group: u64,
    /// It ends by itself.
    is_short: bool,
}

#[derive(Clone, Debug)]
struct Container {
    group: u64,
    path: String,
}

/// The records of a node.
#[derive(Clone, Debug)]
pub struct Traffic {
    random: Random,
    time: u64,
    given: u64,
    pid: u32,
    running: Vec<Running>,
    /// Places in `running`.
    by_pid: HashMap<u32, usize>,
    /// When short ones end.
    ends: BinaryHeap<Reverse<(u64, ProcessKey)>>,
    containers: VecDeque<Container>,
    next_group: u64,
    /// Records that come before anything else happens.
    next: VecDeque<Vec<u8>>,
    /// Numbers of records: when a container starts, when losses are reported.
    next_container: u64,
    next_gap: u64,
    /// State records lost since the last report.
    lost: u32,
    /// Containers started so far.
    started: u64,
}

/// The group of everything on the host.
const HOST: u64 = 1;

impl Traffic {
    /// The records of this seed.
    pub fn new(seed: u64) -> Self {
        let mut traffic = Self {
            random: Random(seed),
            time: 100 * SECOND,
            given: 0,
            pid: 0,
            running: Vec::new(),
            by_pid: HashMap::new(),
            ends: BinaryHeap::new(),
            containers: VecDeque::new(),
            next_group: HOST + 1,
            next: VecDeque::new(),
            next_container: CONTAINER_EVERY,
            next_gap: GAP_EVERY,
            lost: 0,
            started: 0,
        };
        traffic.push(RecordBuilder::cgroup_mkdir(HOST, "/").build());
        let nobody = ProcessKey { tgid: 0, start: 0 };
        for _ in 0..SERVICES {
            let key = traffic.start(HOST, false);
            let parent = traffic.running.first().map_or(nobody, |first| first.key);
            let record = RecordBuilder::process_snapshot(key, parent).cgroup(HOST).time(traffic.time).build();
            traffic.push(record);
        }
        traffic
    }

    /// Containers that were started so far.
    pub fn containers_started(&self) -> u64 {
        self.started
    }

    /// Processes that run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// The time of the last record, nanoseconds.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Does what the agent does after a loss of state: ends what is not there any more.
    pub fn sweep(&self, state: &mut State) {
        let is_there =
            |key: ProcessKey| self.by_pid.get(&key.tgid).is_some_and(|place| self.running[*place].key == key);
        let living = state.processes.iter().filter(|p| p.exited.is_none()).map(|p| p.key);
        for key in living.filter(|key| !is_there(*key)).collect::<Vec<_>>() {
            state.processes.exit(key, self.time);
        }
        let has_group =
            |id: u64| id == HOST || self.containers.iter().any(|c| c.group == id || c.group + 1 == id);
        let groups = state.cgroups.iter().map(|(id, _)| id);
        for id in groups.filter(|id| !has_group(*id)).collect::<Vec<_>>() {
            state.cgroups.retire(id, self.time);
        }
    }

    /// The next record.
    pub fn record(&mut self) -> Vec<u8> {
        self.given += 1;
        self.time += STEP;
        loop {
            if let Some(mut record) = self.next.pop_front() {
                // The time of a header is behind its length, kind and number.
                record[16..24].copy_from_slice(&self.time.to_le_bytes());
                return record;
            }
            self.happen();
        }
    }

    /// What happens next. Leaves at least one record behind, or nothing happened.
    fn happen(&mut self) {
        if self.given >= self.next_gap && self.lost > 0 {
            self.next_gap = self.given + GAP_EVERY;
            let (lost, given) = (std::mem::take(&mut self.lost), self.given);
            self.next.push_back(RecordBuilder::gap(Ring::State, given, lost).build());
            return self.next.push_back(RecordBuilder::gap(Ring::Events, given, 9).build());
        }
        if let Some(Reverse((until, key))) = self.ends.peek().copied()
            && until <= self.time
        {
            self.ends.pop();
            return self.exit(key);
        }
        if self.given >= self.next_container {
            self.next_container += CONTAINER_EVERY;
            return self.container();
        }
        match self.random.below(1000) {
            0..25 => self.short_program(),
            25 => self.daemon(),
            26 if self.random.one_in(10) => self.stranger(),
            27..120 => self.connect(),
            _ => self.open(),
        }
    }

    /// Adds a record of state, which may be lost instead.
    fn push(&mut self, record: Vec<u8>) {
        if self.given > 0 && self.random.one_in(LOSS) {
            self.lost += 1;
        } else {
            self.next.push_back(record);
        }
    }

    /// A process that runs from now on, under a number that is free.
    fn start(&mut self, group: u64, is_short: bool) -> ProcessKey {
        loop {
            self.pid = self.pid % PID_MAX + 1;
            if !self.by_pid.contains_key(&self.pid) {
                break;
            }
        }
        // Several may start with one record.
        let key = ProcessKey { tgid: self.pid, start: self.time + u64::from(self.pid) };
        self.by_pid.insert(key.tgid, self.running.len());
        self.running.push(Running { key, group, is_short });
        key
    }

    fn stop(&mut self, key: ProcessKey) -> Option<Running> {
        let place = *self.by_pid.get(&key.tgid)?;
        if self.running.get(place)?.key != key {
            return None;
        }
        self.by_pid.remove(&key.tgid);
        let gone = self.running.swap_remove(place);
        if let Some(moved) = self.running.get(place) {
            self.by_pid.insert(moved.key.tgid, place);
        }
        Some(gone)
    }

    fn somebody(&mut self) -> Running {
        let place = self.random.below(self.running.len() as u64) as usize;
        self.running[place]
    }

    /// A process forks another, which runs a program.
    fn spawn(&mut self, parent: ProcessKey, group: u64, is_short: bool) -> ProcessKey {
        let key = self.start(group, is_short);
        self.push(RecordBuilder::process_fork(key, parent).cgroup(group).build());
        let exe = PROGRAMS[self.random.below(PROGRAMS.len() as u64) as usize];
        let long = "x".repeat(self.random.below(300) as usize);
        let args = [exe, "--option", &long];
        let exec = RecordBuilder::process_exec(key, exe, &args).parent(parent).cgroup(group).cwd("/srv/app");
        self.push(exec.build());
        key
    }

    fn exit(&mut self, key: ProcessKey) {
        if let Some(gone) = self.stop(key) {
            self.push(RecordBuilder::process_exit(key).cgroup(gone.group).build());
        }
    }

    /// Forked, opens a few files, and ends: after milliseconds, or after some seconds.
    fn short_program(&mut self) {
        let parent = self.somebody();
        let key = self.spawn(parent.key, parent.group, true);
        for _ in 0..self.random.below(8) {
            let record = self.open_by(Running { key, ..parent });
            self.next.push_back(record);
        }
        let span = if self.random.one_in(20) { 20 * SECOND } else { SECOND / 5 };
        let until = self.time + self.random.below(span);
        self.ends.push(Reverse((until, key)));
    }

    /// Forks itself and ends, as daemons do: what it leaves behind has an ancestor that is gone. It lives on for a while.
    fn daemon(&mut self) {
        let parent = self.somebody();
        let key = self.start(parent.group, true);
        self.push(RecordBuilder::process_fork(key, parent.key).cgroup(parent.group).build());
        let until = self.time + self.random.below(60 * SECOND);
        self.ends.push(Reverse((until, key)));
        // Services stay.
        if parent.is_short {
            self.exit(parent.key);
        }
    }

    /// An event of a process whose records all were lost, and which is gone.
    fn stranger(&mut self) {
        let key = ProcessKey { tgid: PID_MAX + 1 + self.random.below(1000) as u32, start: self.time };
        let record = self.open_by(Running { key, group: HOST, is_short: true });
        self.next.push_back(record);
    }

    /// A container starts; of those that are too many, the first ends.
    fn container(&mut self) {
        let group = self.next_group;
        self.next_group += 2;
        self.started += 1;
        let id: String = (0..4).map(|_| format!("{:016x}", self.random.next())).collect();
        let path = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{id:.8}_26f6_4d2e_9e41_7a0dbb5e7b9f.slice/cri-containerd-{id}.scope"
        );
        self.push(RecordBuilder::cgroup_mkdir(group, &path).build());
        self.push(RecordBuilder::cgroup_mkdir(group + 1, &format!("{path}/init")).build());
        let shim = self.running[0].key;
        let init = self.spawn(shim, group, false);
        for _ in 0..3 + self.random.below(5) {
            self.spawn(init, group + 1, false);
        }
        self.containers.push_back(Container { group, path });
        if self.containers.len() > CONTAINERS
            && let Some(old) = self.containers.pop_front()
        {
            let all = self.running.iter().filter(|r| r.group == old.group || r.group == old.group + 1);
            for key in all.map(|r| r.key).collect::<Vec<_>>() {
                self.exit(key);
            }
            self.push(RecordBuilder::cgroup_rmdir(old.group + 1, &format!("{}/init", old.path)).build());
            self.push(RecordBuilder::cgroup_rmdir(old.group, &old.path).build());
        }
    }

    fn open(&mut self) {
        let who = self.somebody();
        let record = self.open_by(who);
        self.next.push_back(record);
    }

    fn open_by(&mut self, who: Running) -> Vec<u8> {
        let path = format!("/var/lib/app/{}/{}", self.random.below(100), self.random.below(100_000));
        let ret = if self.random.one_in(5) { -2 } else { 3 + self.random.below(100) as i64 };
        RecordBuilder::file_open(who.key, &path, &path).cgroup(who.group).ret(ret).build()
    }

    fn connect(&mut self) {
        let who = self.somebody();
        let address = self.random.next().to_le_bytes();
        let remote = ([10, address[0], address[1], address[2]], 443).into();
        self.next.push_back(RecordBuilder::net_connect(who.key, remote).cgroup(who.group).build());
    }
}

/// What is run.
const PROGRAMS: &[&str] = &[
    "/usr/bin/cat",
    "/usr/bin/grep",
    "/usr/bin/sed",
    "/usr/bin/dash",
    "/usr/bin/curl",
    "/usr/bin/python3.13",
    "/usr/local/bin/server",
    "/opt/app/bin/worker-with-a-long-name",
];
