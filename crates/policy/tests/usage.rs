//! Fields that tell what goes on around an event: how long after others it came, what its process uses, where its user
//! lives, in which control group it is. And that a replay says the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(feature = "recording")]
#[path = "support/common.rs"]
mod common;

use std::{cell::Cell, sync::Arc};

use vedette_event::{
    Clock, Process, ProcessKey, State, StateLimits, Usage, UserNames, alert::Node, decode,
    testing::RecordBuilder,
};
use vedette_policy::{
    Facts, FieldName, LiveFacts, RuleMatching, Value,
    pipeline::{Outcome, Outside, Pipeline},
};

const KEY: ProcessKey = ProcessKey { tgid: 50, start: 500 };
const ID: &str = "3ad7b26ded6d8e7b23da7d48fe889434573036c27ae5a74837233de441c3601e";

const USAGE: Usage = Usage {
    descriptors: Some(16),
    descriptor_limit: Some(64),
    virtual_memory: Some(900),
    resident_memory: Some(300),
    swapped_memory: Some(0),
    threads: Some(3),
    minor_faults: Some(70),
    major_faults: None,
    cpu_time: Some(5_000),
};

/// Counts how often it is asked what a process uses.
#[derive(Default)]
struct System(Cell<u32>);

impl UserNames for System {
    fn user(&self, uid: u32, _process: &Process) -> Option<Arc<str>> {
        (uid == 33).then(|| "web".into())
    }
    fn group(&self, _gid: u32, _process: &Process) -> Option<Arc<str>> {
        None
    }
    fn home(&self, uid: u32, _process: &Process) -> Option<Arc<str>> {
        (uid == 33).then(|| "/var/www".into())
    }
    fn shell(&self, uid: u32, _process: &Process) -> Option<Arc<str>> {
        (uid == 33).then(|| "/usr/sbin/nologin".into())
    }
    fn usage(&self, process: &Process, _tid: u32) -> Option<Usage> {
        self.0.set(self.0.get() + 1);
        (process.key == KEY).then_some(USAGE)
    }
}

impl Outside for System {
    fn process(&mut self, _key: ProcessKey) -> Option<Process> {
        None
    }
    fn names(&self) -> &dyn UserNames {
        self
    }
}

fn records() -> [Vec<u8>; 4] {
    let exec = RecordBuilder::process_exec(KEY, "/bin/web", &["web"]).time(1_000).cgroup(7);
    let open = |time: u64| RecordBuilder::file_open(KEY, "/etc/x", "x").time(time).cgroup(7).ret(3).build();
    [
        RecordBuilder::cgroup_mkdir(7, &format!("/docker/{ID}")).time(10).build(),
        exec.with(|e| e.task.euid = 33).build(),
        open(2_500_000_000),
        open(2_500_000_250),
    ]
}

fn pipeline() -> Pipeline {
    let node = Node { name: "n".into(), boot_id: "b".into(), kubernetes: false };
    Pipeline::new(State::new(StateLimits::default()), Clock::default(), node, RuleMatching::All)
}

fn field(facts: &LiveFacts<'_>, name: &str) -> String {
    let field = FieldName::parse(name).unwrap();
    assert!(field.id.info().filled, "{name}");
    match facts.get(field.id, &field.arg) {
        Value::Absent => "<NA>".to_owned(),
        Value::Float(number) => number.to_string(),
        value => match value.as_whole() {
            Some(number) => number.to_string(),
            None => String::from_utf8_lossy(value.as_bytes().unwrap()).into_owned(),
        },
    }
}

#[test]
fn what_is_around_an_event() {
    let (mut pipeline, mut system) = (pipeline(), System::default());
    let [group, exec, first, second] = records();
    pipeline.observe(&decode(&group).unwrap(), &mut system, |_| panic!("no event"));
    pipeline.observe(&decode(&exec).unwrap(), &mut system, |facts| {
        assert_eq!((field(facts, "evt.reltime"), field(facts, "evt.deltatime")), ("0".into(), "0".into()));
    });
    pipeline.observe(&decode(&first).unwrap(), &mut system, |_| ());
    assert_eq!(system.0.get(), 0, "nobody wanted to know");
    let outcome = pipeline.observe(&decode(&second).unwrap(), &mut system, |facts| {
        for (name, expected) in [
            ("evt.reltime", "2499999250"),
            ("evt.reltime.s", "2"),
            ("evt.reltime.ns", "499999250"),
            ("evt.deltatime", "250"),
            ("user.homedir", "/var/www"),
            ("user.shell", "/usr/sbin/nologin"),
            ("proc.fdopencount", "16"),
            ("proc.fdlimit", "64"),
            ("proc.fdusage", "25"),
            ("proc.vmsize", "900"),
            ("proc.vmrss", "300"),
            ("proc.vmswap", "0"),
            ("proc.nthreads", "3"),
            ("proc.nchilds", "2"),
            ("thread.vmrss", "300"),
            ("thread.pfminor", "70"),
            ("thread.pfmajor", "<NA>"),
            ("thread.totexectime", "5000"),
            ("thread.cgroup.memory", &format!("/docker/{ID}")),
            ("thread.cgroup.nothing", "<NA>"),
            ("fd.uid", "503"),
            ("fd.containername", "3ad7b26ded6d:/etc/x"),
            ("fd.containerdirectory", "3ad7b26ded6d:/etc"),
        ] {
            assert_eq!(field(facts, name), expected, "{name}");
        }
        let cgroups = field(facts, "thread.cgroups");
        assert!(cgroups.split(' ').any(|c| c == format!("cpu=/docker/{ID}")), "{cgroups}");
    });
    assert_eq!((outcome, system.0.get()), (Outcome::Event, 1), "asked once for one event");
}

#[cfg(feature = "recording")]
#[test]
fn a_replay_gives_the_answers_of_the_original() {
    use vedette_event::{
        EventTimes,
        recording::{Frame, Header, NameKind, Snapshot, Writer, snapshot},
    };
    use vedette_policy::replay::replay;

    let mut state = State::new(StateLimits::default());
    let [group, exec, first, second] = records();
    for record in [&group, &exec, &first] {
        state.apply(&decode(record).unwrap());
    }
    assert_eq!(state.times(), EventTimes { first: 1_000, previous: 1_000, last: 2_500_000_000 });
    let known = Snapshot { times: state.times(), ..Snapshot::default() };
    let mut frames = Vec::new();
    snapshot::write(&state, known, usize::MAX, &mut frames);
    let ns_mnt = 0;
    let mut told = |frame: Frame<'_>| frame.encode(&mut frames);
    told(Frame::Name { ns_mnt, kind: NameKind::Home, id: 33, name: Some("/var/www") });
    told(Frame::Name { ns_mnt, kind: NameKind::Shell, id: 33, name: Some("/bin/false") });
    told(Frame::Usage { key: KEY, tid: 50, usage: Some(USAGE) });
    told(Frame::Record(&second));
    // At that moment nobody asked, and what was true before is no answer.
    told(Frame::Record(&second));
    let mut file = Vec::new();
    let header = Header {
        abi: vedette_event::abi::ABI_VERSION,
        max_processes: 100,
        max_cgroups: 100,
        ..Header::default()
    };
    let mut writer = Writer::new(&mut file, &header).unwrap();
    writer.frames(&frames).unwrap();
    writer.finish().unwrap();

    let set = common::load(
        "- rule: r\n  desc: d\n  condition: evt.type = openat\n  priority: Notice\n  output: >-\n    \
         %evt.reltime %evt.deltatime %user.homedir %user.shell %proc.nthreads %proc.fdusage\n",
    );
    let mut outputs = Vec::new();
    let (_, ending) = replay(&*file, set.set.as_ref().unwrap(), RuleMatching::All, |raised| {
        let output = &raised.alert.output;
        outputs.push(output.split_once(": Notice ").unwrap().1.to_owned());
    });
    ending.unwrap();
    assert_eq!(
        outputs,
        ["2499999250 250 /var/www /bin/false 3 25", "2499999250 0 /var/www /bin/false <NA> <NA>"]
    );
}
