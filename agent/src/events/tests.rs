//! How events look.

use serde_json::Value as Json;
use vedette_abi::Ring;
use vedette_event::{
    Clock, ProcessKey, Record, State, StateLimits, alert::Node, decode, testing::RecordBuilder,
};
use vedette_policy::{
    LiveFacts, MapFacts, RuleMatching,
    pipeline::{Outcome, Outside, Pipeline},
};

use super::{json, text::Text};

/// A system in which nothing is looked up.
struct Nothing;

impl Outside for Nothing {
    fn process(&mut self, _: ProcessKey) -> Option<vedette_event::Process> {
        None
    }

    fn names(&self) -> &dyn vedette_event::UserNames {
        &vedette_event::NoNames
    }
}

const SHELL: ProcessKey = ProcessKey { tgid: 70, start: 1 };
const CAT: ProcessKey = ProcessKey { tgid: 77, start: 9 };
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new(
        State::new(StateLimits::default()),
        Clock { boot_epoch_ns: 1_795_498_834_000_000_000 },
        Node { name: "node".into(), ..Node::default() },
        RuleMatching::All,
    );
    for record in [
        RecordBuilder::process_exec(SHELL, "/usr/bin/bash", &["bash"]).time(1).build(),
        RecordBuilder::process_fork(CAT, SHELL).time(2).build(),
        RecordBuilder::process_exec(CAT, "/usr/bin/cat", &["cat", "/tmp/a b"]).parent(SHELL).time(3).build(),
    ] {
        observe(&mut pipeline, &record, |_| ());
    }
    pipeline
}

fn observe(pipeline: &mut Pipeline, bytes: &[u8], show: impl FnOnce(&LiveFacts<'_>)) -> Outcome {
    pipeline.observe(&decode(bytes).unwrap(), &mut Nothing, show)
}

fn line(bytes: &[u8], colour: bool, width: usize) -> String {
    let mut out = String::new();
    let shown =
        observe(&mut pipeline(), bytes, |facts| Text::new(colour, width).event(facts, &mut out).unwrap());
    assert_eq!(shown, Outcome::Event);
    out
}

#[test]
fn an_open_shows_what_was_asked_for_and_what_it_was() {
    let open = |ret| RecordBuilder::file_open(CAT, "/etc/shadow", "/tmp/a b").ret(ret).time(123_000_000);
    assert_eq!(
        line(&open(3).build(), false, 80),
        "05:40:34.123Z host cat[77] openat(fd=3, dirfd=AT_FDCWD, name=/etc/shadow, flags=O_RDONLY, mode=00, dev=0x0, \
         ino=2) = 3  fd.nameraw=\"/tmp/a b\""
    );
    // Of a failed one the resolved path is not known, and what was passed is said already: it is the argument.
    let failed = line(&open(-2).build(), false, 80);
    assert!(failed.ends_with("dev=0x0, ino=0) = ENOENT"), "{failed}");
    let coloured = line(&open(-2).build(), true, 80);
    assert!(coloured.contains("\x1b[31mENOENT\x1b[0m"), "{coloured:?}");
    let cut = line(&open(3).build(), false, 4);
    assert!(cut.contains("name=/etc…,") && cut.ends_with("fd.nameraw=/tmp…"), "{cut}");
}

#[test]
fn a_connect_shows_both_ends_once() {
    let record = RecordBuilder::net_connect(CAT, "192.0.2.7:443".parse().unwrap()).ret(-111).build();
    assert_eq!(
        line(&record, false, 80),
        "05:40:34.000Z host cat[77] connect(res=ECONNREFUSED, tuple=0.0.0.0:0->192.0.2.7:443, fd=3, \
         addr=192.0.2.7:443) = ECONNREFUSED"
    );
}

#[test]
fn an_exec_shows_the_parent_and_a_thread_its_number() {
    let record = RecordBuilder::process_exec(CAT, "/usr/bin/id", &["id", "-u"]).parent(SHELL).build();
    let shown = line(&record, false, 80);
    assert!(shown.starts_with("05:40:34.000Z host id[77] execve(res=0, exe=id, args=-u, "), "{shown}");
    assert!(shown.ends_with("= 0  proc.pname=bash"), "{shown}");
    let mut record = RecordBuilder::process_exit(CAT);
    record.header.tid = 78;
    let shown = line(&record.status(256).build(), false, 80);
    assert_eq!(shown, "05:40:34.000Z host cat[77/78] procexit(status=256, ret=1, sig=0, core=0)");
}

#[test]
fn the_container_is_where_it_happened() {
    let mut pipeline = pipeline();
    let made = RecordBuilder::cgroup_mkdir(5, &format!("/docker/{ID}")).build();
    let mut out = String::new();
    assert_eq!(observe(&mut pipeline, &made, |_| panic!("no event")), Outcome::State);
    let run = RecordBuilder::process_exec(CAT, "/usr/bin/id", &["id"]).parent(SHELL).cgroup(5).build();
    observe(&mut pipeline, &run, |facts| Text::new(false, 0).event(facts, &mut out).unwrap());
    assert!(out.starts_with("05:40:34.000Z 0123456789ab id[77] execve("), "{out}");
}

#[test]
fn json_is_an_event_of_a_policy_test() {
    for record in [
        RecordBuilder::file_open(CAT, "/etc/shadow", "/tmp/a b").ret(3).time(7).build(),
        RecordBuilder::net_connect(CAT, "192.0.2.7:443".parse().unwrap()).ret(0).build(),
        RecordBuilder::process_exec(CAT, "/usr/bin/id", &["id", "-u"]).parent(SHELL).build(),
        RecordBuilder::process_exit(CAT).build(),
    ] {
        let mut out = Vec::new();
        let shown = observe(&mut pipeline(), &record, |facts| json::event(facts, &mut out).unwrap());
        assert_eq!(shown, Outcome::Event);
        let json: serde_json::Map<String, Json> = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["proc.pid"], 77, "{json:?}");
        assert!(json.values().all(|value| !value.is_null()));
        MapFacts::from_json(json.iter().map(|(name, value)| (name.as_str(), value))).unwrap();
    }
    let mut out = Vec::new();
    let open = RecordBuilder::file_open(CAT, "/etc/shadow", "/tmp/a b").ret(3).build();
    observe(&mut pipeline(), &open, |facts| json::event(facts, &mut out).unwrap());
    let text = String::from_utf8(out).unwrap();
    for part in [
        "{\"evt.num\":4,",
        "\"evt.arg.name\":\"/etc/shadow\"",
        "\"fd.nameraw\":\"/tmp/a b\"",
        "\"proc.aname\":[\"bash\"]",
        "\"fd.name\":\"/etc/shadow\"",
        "\"evt.rawres\":3",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

fn record(bytes: &[u8]) -> (String, Json) {
    let record: Record<'_> = decode(bytes).unwrap();
    let (mut text, mut out) = (String::new(), Vec::new());
    Text::new(false, 0).record(&record, 1_795_498_834_000_000_000, &mut text).unwrap();
    json::record(&record, 1_795_498_834_000_000_000, &mut out).unwrap();
    (text, serde_json::from_slice(&out).unwrap())
}

#[test]
fn records_that_are_no_events() {
    let (text, json) = record(&RecordBuilder::cgroup_mkdir(5, "/a b").hierarchy(1).build());
    assert_eq!(text, "05:40:34.000Z cgroup_mkdir(id=5, hierarchy=1, path=\"/a b\")");
    assert_eq!((&json["kind"], &json["path"]), (&"cgroup_mkdir".into(), &"/a b".into()));
    let gap = RecordBuilder::gap(Ring::Events, 7, 9).with(|gap| {
        (gap.losses[0].kind, gap.losses[0].cgroup, gap.losses[0].count) = (16, 5, 8);
        (gap.losses[1].kind, gap.losses[1].count) = (u32::MAX, 1);
    });
    let (text, json) = record(&gap.build());
    assert_eq!(text, "05:40:34.000Z gap(cpu=0, total=9, file_open=8 in cgroup 5, mixed=1)");
    assert_eq!((&json["total"], &json["losses"][0]["count"]), (&9.into(), &8.into()));
}
