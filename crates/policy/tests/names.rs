//! A file with several names: the policies are held against each, and fire once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use vedette_event::{
    Clock, NoNames, Process, ProcessKey, State, StateLimits, UserNames,
    abi::{Call, FileOpen, strings},
    alert::Node,
    decode,
    testing::RecordBuilder,
};
use vedette_policy::{
    PolicySet, RuleMatching, Source,
    pipeline::{Outside, Pipeline},
};

const CAT: ProcessKey = ProcessKey { tgid: 7, start: 9 };

struct Nobody;

impl Outside for Nobody {
    fn process(&mut self, _key: ProcessKey) -> Option<Process> {
        None
    }
    fn names(&self) -> &dyn UserNames {
        &NoNames
    }
}

/// The texts of the alerts that records make of rules in Falco's form.
fn alerts(policy: &str, matching: RuleMatching, records: &[Vec<u8>]) -> Vec<String> {
    let loaded = PolicySet::load([Source::new("test.yaml", policy)]);
    let set = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let state = State::new(StateLimits::default());
    let mut pipeline = Pipeline::new(state, Clock::default(), Node::default(), matching);
    pipeline.set_policies(Some(set), |_| {});
    let mut out = Vec::new();
    for record in records {
        pipeline.record(&decode(record).unwrap(), &mut Nobody, |raised| {
            let text = &raised.alert.message();
            out.push(format!("{} {}", raised.rule.name, text.split_once("T:").map_or("", |(_, rest)| rest)));
        });
    }
    out
}

fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: evt.type in (openat, rename, unlink, symlink) and {condition}\n  output: \"T:%fd.name|%fd.realpath\"\n  priority: Notice\n"
    )
}

fn open(path: &str, raw: &str) -> RecordBuilder<FileOpen> {
    RecordBuilder::file_open(CAT, path, raw)
}

/// The same, with the names that the file has elsewhere.
fn with_aliases(path: &str, raw: &str, aliases: &str) -> Vec<u8> {
    let mut record = open(path, raw);
    record.strings[3] = aliases.into();
    record.build()
}

#[test]
fn every_name_counts_and_the_resolved_path_stays() {
    let record = [with_aliases("/tmp/e/shadow", "/tmp/l", "/put/etc/shadow\0/etc/shadow")];
    for (condition, name) in [
        ("fd.name = /tmp/e/shadow", "/tmp/e/shadow"),
        ("fd.name = /put/etc/shadow", "/put/etc/shadow"),
        ("fd.name = /etc/shadow", "/etc/shadow"),
        ("fd.directory = /etc", "/etc/shadow"),
        ("fd.name = /tmp/l", "/tmp/l"),
        ("evt.arg.name = /etc/shadow", "/etc/shadow"),
        ("fs.path.name = /etc/shadow", "/etc/shadow"),
        ("fd.filename = shadow and fd.realpath = /tmp/e/shadow", "/tmp/e/shadow"),
        // Each name is looked at for itself: what excludes one does not exclude the file.
        ("fd.filename = shadow and not fd.name startswith /tmp", "/put/etc/shadow"),
        ("not fd.name startswith /tmp and not fd.name startswith /put", "/etc/shadow"),
    ] {
        let expected = [format!("R {name}|/tmp/e/shadow")];
        assert_eq!(alerts(&rule("R", condition), RuleMatching::All, &record), expected, "{condition}");
    }
    for condition in
        ["fd.realpath = /etc/shadow", "fd.name = /etc/passwd", "fd.name = /etc/shadow and fd.filename = l"]
    {
        assert!(alerts(&rule("R", condition), RuleMatching::All, &record).is_empty(), "{condition}");
    }
}

#[test]
fn the_first_rule_is_the_first_whatever_the_name() {
    let policy =
        [rule("By the other name", "fd.name = /etc/shadow"), rule("By the path", "fd.name = /tmp/x")]
            .concat();
    let record = [with_aliases("/tmp/x", "/tmp/x", "/etc/shadow")];
    assert_eq!(alerts(&policy, RuleMatching::First, &record), ["By the other name /etc/shadow|/tmp/x"]);
    assert_eq!(alerts(&policy, RuleMatching::All, &record).len(), 2);
}

#[test]
fn what_was_asked_for_is_a_name_where_it_says_something_else() {
    let seen = |record: RecordBuilder<FileOpen>, name: &str| {
        let policy = rule("R", &format!("fd.name = \"{name}\" and not fd.realpath = \"{name}\""));
        alerts(&policy, RuleMatching::All, &[record.build()]).len()
    };
    let base_end = |path: &str, raw: &str, base: &str| {
        open(path, raw).with(|open| open.base_end = 1 + base.len() as u16)
    };
    // Renamed while it was opened; a link.
    assert_eq!(seen(open("/d/away", "/d/file"), "/d/file"), 1);
    assert_eq!(seen(base_end("/d/away", "file", "/d"), "/d/file"), 1);
    assert_eq!(seen(base_end("/d/away", "../d/./file", "/d"), "/d/file"), 1);
    assert_eq!(seen(open("/away", "file").cwd("/d"), "/d/file"), 1);
    assert_eq!(seen(base_end("/away", "file", ""), "/file"), 1);
    // From a root of its own, told in the path or beside it.
    assert_eq!(seen(base_end("/jail/away", "/file", "/jail"), "/jail/file"), 1);
    assert_eq!(seen(base_end("/jail/away", "/file", "/jail"), "/file"), 0);
    assert_eq!(seen(open("/elsewhere", "/file").cwd("/jail"), "/jail/file"), 1);
    assert_eq!(seen(open("/elsewhere", "/file").cwd("/jail"), "/file"), 0);
    // The same in other words, and a directory that is not told.
    assert_eq!(seen(open("/d/file", "/d//x/../file"), "/d//x/../file"), 0);
    assert_eq!(seen(open("/usr/bin/sh", "/bin/sh"), "/bin/other"), 0);
    assert_eq!(seen(open("/d/away", "file"), "file"), 0);
}

#[test]
fn merged_spellings_are_no_other_name() {
    // Otherwise this would fire for the name that was asked for.
    let policy = rule("R", "not fd.name startswith /usr");
    assert!(alerts(&policy, RuleMatching::All, &[open("/usr/bin/sh", "/bin/sh").build()]).is_empty());
}

#[test]
fn correlations_count_an_event_once() {
    let policy = r#"
apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {name: p}
spec:
  rules:
    - name: Often
      desc: d
      condition: evt.type = openat and fd.filename = shadow
      threshold: {count: 3, by: [proc.pid], within: 1h}
      output: "T:%fd.name"
      priority: Warning
    - name: One after the other
      desc: d
      sequence:
        by: [proc.pid]
        within: 1h
        steps:
          - {name: first, condition: evt.type = openat and fd.name = /e/shadow}
          - {name: second, condition: evt.type = openat and fd.name = /etc/shadow}
      output: "T:%fd.name"
      priority: Warning
"#;
    let one = with_aliases("/e/shadow", "/l/shadow", "/etc/shadow");
    let all = alerts(policy, RuleMatching::All, &[one.clone(), one.clone(), one.clone()]);
    let of = |rule: &str| all.iter().filter(|text| text.starts_with(rule)).count();
    assert_eq!(of("Often"), 1, "{all:?}");
    // The first event is the first step under one name; the second is the second under another.
    assert_eq!(of("One after the other"), 1, "{all:?}");
    assert!(alerts(policy, RuleMatching::All, &[one]).is_empty(), "one event is not two steps");
}

#[test]
fn calls_with_paths_have_the_name_that_was_passed_as_well() {
    let rename = RecordBuilder::syscall(CAT, Call::Rename)
        .string(strings::RAW, "/l/a")
        .string(strings::RAW2, "b")
        .string(strings::BASE2, "/srv")
        .string(strings::TARGET, "/etc/a")
        .build();
    for (condition, expected) in [
        ("evt.arg.oldpath = /etc/a", 1),
        ("evt.arg.oldpath = /l/a", 1),
        ("fs.path.source = /etc/a and fs.path.target = /srv/b", 1),
        ("fs.path.sourceraw = /l/a and fs.path.targetraw = b", 1),
        ("evt.abspath.src = /etc/a and evt.abspath.dst = /srv/b", 1),
        ("fs.path.name exists", 0),
        ("evt.arg.oldpath = /l/b", 0),
    ] {
        let found = alerts(&rule("R", condition), RuleMatching::All, std::slice::from_ref(&rename));
        assert_eq!(found.len(), expected, "{condition}: {found:?}");
    }
    let link = RecordBuilder::syscall(CAT, Call::Symlink)
        .string(strings::RAW, "../etc/shadow")
        .string(strings::RAW2, "l")
        .string(strings::BASE2, "/tmp")
        .build();
    for condition in [
        "evt.arg.target = ../etc/shadow and evt.arg.linkpath = /tmp/l",
        "fs.path.target = /etc/shadow and fs.path.source = /tmp/l",
        "fs.path.targetraw = ../etc/shadow and evt.abspath = /tmp/l",
    ] {
        assert_eq!(
            alerts(&rule("R", condition), RuleMatching::All, std::slice::from_ref(&link)).len(),
            1,
            "{condition}"
        );
    }
    let failed = RecordBuilder::syscall(CAT, Call::Unlink).string(strings::RAW, "/etc/x").ret(-2).build();
    assert!(
        alerts(&rule("R", "fs.path.name exists"), RuleMatching::All, std::slice::from_ref(&failed))
            .is_empty()
    );
    assert_eq!(
        alerts(&rule("R", "evt.arg.path = /etc/x and evt.arg.res = ENOENT"), RuleMatching::All, &[failed])
            .len(),
        1
    );
}
