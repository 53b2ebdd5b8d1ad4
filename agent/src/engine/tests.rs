//! The engine with somebody who answers about containers as a test tells: who waits, for how long, and that a replay of
//! what it recorded gives the same alerts.

use std::fs;

use serde_json::Value;
use tokio::sync::mpsc;
use vedette_event::{
    ContainerRef, Metadata, Pod, ProcessKey, StateLimits,
    alert::Format,
    recording::{Frame, Header, Writer},
    testing::RecordBuilder,
};
use vedette_policy::{Source, replay::replay};

use super::*;
use crate::{
    sink::{Destination, SinkConfig},
    tap::Join,
};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const POD: &str = "0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f";
const HOST: ProcessKey = ProcessKey { tgid: 5, start: 50 };
const IN_A: ProcessKey = ProcessKey { tgid: 10, start: 100 };
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

const RULES: &str = r#"
- rule: by image
  desc: d
  condition: evt.type = openat and fd.name = /secret and container.image.repository = shop/web
  output: "%proc.name read %fd.name in %container.name of %k8s.pod.name for %k8s.sa.name"
  priority: Warning
- rule: plain
  desc: d
  condition: evt.type = openat and fd.name = /plain
  output: "%proc.name read %fd.name in %container.name"
  priority: Warning
"#;

struct Stage {
    running: Running,
    batches: Sender<Batch>,
    questions: mpsc::Receiver<ContainerRef>,
    answers: Sender<Answer>,
    sinks: Arc<Sinks>,
    stats: Arc<Stats>,
    identity: Arc<crate::identity::IdentityStats>,
    set: Arc<PolicySet>,
    writer: Writer<Vec<u8>>,
    frames: crate::tap::Frames,
    dir: tempfile::TempDir,
    time: u64,
}

/// What is left at the end.
struct Ended {
    alerts: Vec<Value>,
    lines: String,
    recording: Vec<u8>,
    set: Arc<PolicySet>,
    stats: Arc<Stats>,
    identity: Arc<crate::identity::IdentityStats>,
}

impl Stage {
    fn new(wait: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::from(dir.path().join("alerts.json").as_path());
        let sinks = Sinks::start(vec![SinkConfig::new(destination, Some(Format::Json))], Arc::new(|_| ()));
        let (sinks, stats) = (Arc::new(sinks.unwrap()), Arc::new(Stats::default()));
        let (identity, questions, answers) = Identity::fake(wait);
        let counted = Arc::clone(&identity.stats);
        let limits = StateLimits::default();
        let node = Node { name: "n7".into(), boot_id: "b".into(), kubernetes: false };
        let clock = Clock { boot_epoch_ns: 1 << 60 };
        let header = Header::new(&node, clock, limits);
        let (joins, tap) = crossbeam_channel::bounded(1);
        let (join, frames) = Join::new();
        joins.send(join).unwrap();
        let engine = Engine {
            state: State::new(limits),
            clock,
            node,
            names: None,
            proc: Proc::default(),
            sinks: Arc::clone(&sinks),
            stats: Arc::clone(&stats),
            on_cgroup: Box::new(|_| ()),
            matching: RuleMatching::All,
            hosts: None,
            tap: Tap::new(tap),
            identity,
        };
        let set = PolicySet::load([Source::new("p.yaml", RULES)]).set.unwrap();
        let (batches, receiver) = crossbeam_channel::bounded(4);
        let (recycle, _) = crossbeam_channel::bounded(4);
        let running = engine.start(Arc::clone(&set), receiver, recycle).unwrap();
        Self {
            running,
            batches,
            questions,
            answers,
            sinks,
            stats,
            identity: counted,
            set,
            writer: Writer::new(Vec::new(), &header).unwrap(),
            frames,
            dir,
            time: 1000,
        }
        .with_processes()
    }

    fn with_processes(mut self) -> Self {
        // The snapshot that a recording begins with comes first.
        let snapshot = self.frames.receive(PATIENCE).unwrap().unwrap();
        self.writer.frames(&snapshot).unwrap();
        let path = format!("/kubepods/pod{POD}/{A}");
        self.send(vec![
            RecordBuilder::cgroup_mkdir(1, "/system.slice").build(),
            RecordBuilder::process_exec(HOST, "/bin/host", &["host"]).cgroup(1).comm("host").build(),
            RecordBuilder::cgroup_mkdir(2, &path).build(),
            RecordBuilder::process_exec(IN_A, "/bin/a", &["a"]).parent(HOST).cgroup(2).comm("a").build(),
        ]);
        self
    }

    fn send(&mut self, records: Vec<Vec<u8>>) {
        let mut batch = Batch::default();
        records.iter().for_each(|record| batch.push(record));
        self.batches.send(batch).unwrap();
    }

    fn open(&mut self, key: ProcessKey, path: &str) {
        self.time += 1;
        let group = if key == HOST { 1 } else { 2 };
        let open = RecordBuilder::file_open(key, path, path).cgroup(group).time(self.time).ret(3);
        self.send(vec![open.build()]);
    }

    /// Waits until the engine has counted so many alerts.
    fn wait_for_alerts(&self, count: u64) {
        self.wait(|| self.stats.alerts.load(Relaxed) >= count);
        assert_eq!(self.stats.alerts.load(Relaxed), count);
    }

    fn wait(&self, done: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < deadline, "in vain");
            std::thread::yield_now();
        }
    }

    fn describe(&self, metadata: Option<Metadata>) {
        let metadata = metadata.map(Box::new);
        self.answers.send(Answer::Container { id: A.into(), metadata }).unwrap();
    }

    fn end(self) -> Ended {
        drop(self.batches);
        assert!(self.running.join());
        self.sinks.shutdown(PATIENCE);
        let lines = fs::read_to_string(self.dir.path().join("alerts.json")).unwrap_or_default();
        let mut writer = self.writer;
        while let Ok(Some(chunk)) = self.frames.receive(Duration::ZERO) {
            writer.frames(&chunk).unwrap();
            self.frames.written(&chunk);
        }
        Ended {
            alerts: lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            lines,
            recording: writer.finish().unwrap(),
            set: self.set,
            stats: self.stats,
            identity: self.identity,
        }
    }
}

impl Ended {
    fn messages(&self) -> Vec<(String, Option<bool>)> {
        let short = |alert: &Value| {
            let message = alert["output"].as_str().unwrap().split_once("Warning ").unwrap().1.to_owned();
            (message, alert["container"]["complete"].as_bool())
        };
        self.alerts.iter().map(short).collect()
    }

    /// A replay gives the same alerts, byte by byte.
    fn replays(&self) {
        let mut replayed = Vec::new();
        let (stats, ending) = replay(&*self.recording, &self.set, RuleMatching::All, |raised| {
            Format::Json.write_line(&raised.alert, &mut replayed).unwrap();
        });
        ending.unwrap();
        assert_eq!((stats.lost, stats.undecodable, stats.unknown_frames), (0, 0, 0));
        assert_eq!(String::from_utf8(replayed).unwrap(), self.lines);
    }
}

fn web() -> Metadata {
    let pod = Pod { uid: POD.into(), name: "web-1".into(), ..Pod::default() };
    Metadata {
        name: Some("web".into()),
        image: Some("shop/web:1".into()),
        pod: Some(pod),
        ..Metadata::default()
    }
}

fn said(message: &str, complete: Option<bool>) -> (String, Option<bool>) {
    (message.to_owned(), complete)
}

#[test]
fn a_new_container_is_asked_about_once_and_its_events_wait_for_the_answer() {
    let mut stage = Stage::new(LONG);
    assert_eq!(stage.questions.blocking_recv().unwrap().id, A);
    stage.open(IN_A, "/secret");
    stage.open(IN_A, "/plain");
    stage.open(HOST, "/plain");
    // A group within is not another container.
    let within = RecordBuilder::cgroup_mkdir(3, &format!("/kubepods/pod{POD}/{A}/init")).build();
    stage.send(vec![within]);
    stage.wait_for_alerts(1);
    stage.describe(Some(web()));
    stage.wait_for_alerts(3);
    assert!(stage.questions.try_recv().is_err(), "asked once");
    let ended = stage.end();
    assert_eq!(
        ended.messages(),
        [
            said("host read /plain in host", None),
            said("a read /secret in web of web-1 for <NA>", Some(true)),
            said("a read /plain in web", Some(true)),
        ]
    );
    assert_eq!(ended.stats.held.load(Relaxed), 2);
    ended.replays();
}

#[test]
fn the_wait_is_bounded_and_the_alert_says_that_it_left_without() {
    let wait = Duration::from_millis(50);
    let mut stage = Stage::new(wait);
    let began = Instant::now();
    stage.open(IN_A, "/secret");
    stage.open(IN_A, "/plain");
    stage.wait_for_alerts(1);
    assert!(began.elapsed() < PATIENCE);
    // The answer comes late, for what follows.
    stage.describe(Some(web()));
    stage.wait(|| stage.answers.is_empty());
    stage.open(IN_A, "/secret");
    stage.wait_for_alerts(2);
    let ended = stage.end();
    assert_eq!(
        ended.messages(),
        [
            said("a read /plain in <NA>", Some(false)),
            said("a read /secret in web of web-1 for <NA>", Some(true)),
        ]
    );
    assert_eq!((ended.stats.held_gave_up.load(Relaxed), ended.identity.late.load(Relaxed)), (2, 1));
    ended.replays();
}

#[test]
fn where_pods_are_watched_a_container_is_complete_with_its_pod() {
    let mut stage = Stage::new(LONG);
    stage.identity.pods_ready.store(true, Relaxed);
    stage.open(IN_A, "/secret");
    stage.describe(Some(web()));
    stage.open(HOST, "/plain");
    stage.wait_for_alerts(1);
    let pod =
        Pod { uid: POD.into(), name: "web-1".into(), service_account: Some("sa".into()), ..Pod::default() };
    stage.answers.send(Answer::Pod { uid: POD.into(), pod: Some(Box::new(pod)) }).unwrap();
    stage.wait_for_alerts(2);
    stage.answers.send(Answer::Pod { uid: POD.into(), pod: None }).unwrap();
    let ended = stage.end();
    assert_eq!(ended.messages()[1], said("a read /secret in web of web-1 for sa", Some(true)));
    ended.replays();
}

#[test]
fn what_nobody_knows_is_not_waited_for_and_neither_is_who_has_gone() {
    for gone in [false, true] {
        let mut stage = Stage::new(LONG);
        stage.open(IN_A, "/secret");
        stage.open(IN_A, "/plain");
        if gone {
            // The thread that asks has ended.
            let (other, _) = crossbeam_channel::bounded(1);
            stage.answers = other;
        } else {
            stage.describe(None);
        }
        stage.wait_for_alerts(1);
        let ended = stage.end();
        assert_eq!(ended.messages(), [said("a read /plain in <NA>", Some(false))]);
        ended.replays();
    }
}

#[test]
fn neither_a_reload_nor_the_end_loses_what_waits() {
    let mut stage = Stage::new(LONG);
    stage.open(IN_A, "/plain");
    stage.open(HOST, "/plain");
    stage.wait_for_alerts(1);
    assert!(stage.running.set_policies(Arc::clone(&stage.set)));
    stage.wait_for_alerts(2);
    let ended = stage.end();
    assert_eq!(ended.messages()[1], said("a read /plain in <NA>", Some(false)));
    ended.replays();

    let mut stage = Stage::new(LONG);
    stage.open(IN_A, "/plain");
    let ended = stage.end();
    assert_eq!(ended.messages(), [said("a read /plain in <NA>", Some(false))]);
    ended.replays();
}

#[test]
fn who_does_not_want_to_wait_does_not() {
    let mut stage = Stage::new(Duration::ZERO);
    stage.open(IN_A, "/plain");
    stage.wait_for_alerts(1);
    let ended = stage.end();
    assert_eq!(ended.messages(), [said("a read /plain in <NA>", Some(false))]);
    assert_eq!(ended.stats.held.load(Relaxed), 0);
    let mut frames = 0;
    let mut reader = vedette_event::recording::Reader::new(&*ended.recording);
    while let Some(frame) = reader.next_frame().unwrap() {
        frames += u32::from(matches!(frame, Frame::Container { .. }));
    }
    assert_eq!(frames, 1, "that nobody waits is noted, too");
}
