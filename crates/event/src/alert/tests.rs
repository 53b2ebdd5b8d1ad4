use insta::assert_snapshot;
use proptest::prelude::*;
use vedette_abi::{FileOpen, Kind, NetCall, ProcessExec, ProcessExit};
use zerocopy::FromZeros;

use super::samples::*;
use super::*;
use crate::Body;

const FORMATS: [Format; 6] = [
    Format::Text { color: false },
    Format::Text { color: true },
    Format::Json,
    Format::Ocsf,
    Format::Ecs,
    Format::Falco,
];

fn line(alert: &Alert, format: Format) -> String {
    let mut out = Vec::new();
    format.write_line(alert, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// As it is sent, but over several lines so that people can read a snapshot.
fn pretty(alert: &Alert, format: Format) -> String {
    let line = line(alert, format);
    // Through no map, so that the order of keys stays that of the line.
    let mut out = Vec::new();
    let mut from = serde_json::Deserializer::from_str(&line);
    let mut to = serde_json::Serializer::pretty(&mut out);
    serde_transcode(&mut from, &mut to);
    // A release does not change the format.
    let version = concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    String::from_utf8(out).unwrap().replace(version, "\"version\": \"(of this build)\"")
}

/// Copies JSON value by value.
fn serde_transcode<'de>(
    from: &mut serde_json::Deserializer<serde_json::de::StrRead<'de>>,
    to: &mut serde_json::Serializer<&mut Vec<u8>, serde_json::ser::PrettyFormatter<'_>>,
) {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Map(IndexMap<String, Any>),
        List(Vec<Any>),
        Leaf(Value),
    }
    impl Serialize for Any {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Map(map) => map.serialize(s),
                Self::List(list) => list.serialize(s),
                Self::Leaf(leaf) => leaf.serialize(s),
            }
        }
    }
    Any::deserialize(from).unwrap().serialize(to).unwrap();
}

#[test]
fn text_of_a_host_alert() {
    let text = line(&host_alert(), Format::Text { color: false });
    assert_snapshot!(text.trim_end(), @"05:40:34.123Z Warning Sensitive file opened: Sensitive file opened for reading (file=/etc/shadow process=cat) | user ada as root on n7.example.org | cat (pid 300) ← bash ← sshd");
}

#[test]
fn a_long_ancestry_is_told_from_both_ends_and_a_long_message_is_cut() {
    let mut alert = host_alert();
    let bash = alert.process.ancestors[0].clone();
    let named = |name: &str| {
        let mut ancestor = bash.clone();
        ancestor.name = name.to_owned();
        ancestor
    };
    let names = ["bash", "bash", "a", "b", "c", "d", "e", "f", "f", "g", "sshd", "systemd"];
    alert.process.ancestors = names.map(named).to_vec();
    let text = line(&alert, Format::Text { color: false });
    let told = "| cat (pid 300) ← bash ×2 ← a ← b ← c ← d ← e ← … ← sshd ← systemd";
    assert!(text.trim_end().ends_with(told), "{text}");
    alert.output = format!("05:40:34.123456789: Warning {}", "ü".repeat(4000));
    let text = line(&alert, Format::Text { color: false });
    assert!(text.len() < 700 && text.contains("ü… | user"), "{text}");
}

#[test]
fn text_of_a_pod_alert() {
    let text = line(&pod_alert(), Format::Text { color: false });
    assert_snapshot!(text.trim_end(), @"05:40:34.123Z Critical Scan, then a way out: Metadata service reached by cat [denied] [sequence of 2 events] | user ada as root in container web (0123456789ab) of pod shop/web-5c9-x | cat (pid 300) ← bash ← sshd [12 events lost before this]");
}

#[test]
fn text_of_an_alert_that_says_what_to_do() {
    let alert = guided_alert();
    let text = line(&alert, Format::Text { color: false });
    assert_snapshot!(text.trim_end(), @"05:40:34.123Z Warning [strict] Sensitive file opened: Sensitive file opened for reading (file=/etc/shadow process=cat) | user www-data as root (logged in as ada) on n7.example.org | cat (pid 300) ← bash ← sshd | → Find out who ran it; if nobody knows, change this machine's passwords.");
    let colored = line(&alert, Format::Text { color: true });
    assert_snapshot!(colored.trim_end().replace('\u{1b}', "ESC"), @"ESC[2m05:40:34.123ZESC[0m ESC[33mWarningESC[0m ESC[2m[strict]ESC[0m ESC[1mSensitive file openedESC[0m: Sensitive file opened for reading (file=/etc/shadow process=cat) ESC[2m| user www-data as root (logged in as ada) on n7.example.org | cat (pid 300) ← bash ← sshdESC[0m | ESC[1m→ESC[0m Find out who ran it; if nobody knows, change this machine's passwords.");
    // Machines pass on the same, and the rule's own words can be had of it.
    assert_snapshot!(alert.output, @"05:40:34.123456789: Warning Sensitive file opened for reading (file=/etc/shadow process=cat) | user www-data as root (logged in as ada) on n7.example.org | cat (pid 300) ← bash ← sshd | → Find out who ran it; if nobody knows, change this machine's passwords.");
    assert_eq!(alert.message(), "Sensitive file opened for reading (file=/etc/shadow process=cat)");
}

#[test]
fn json_of_an_alert_that_says_what_to_do() {
    assert_snapshot!(pretty(&guided_alert(), Format::Json));
}

#[test]
fn text_in_colour_is_the_same_text() {
    let alert = pod_alert();
    let colored = line(&alert, Format::Text { color: true });
    assert_snapshot!(colored.trim_end().replace('\u{1b}', "ESC"), @"ESC[2m05:40:34.123ZESC[0m ESC[1mESC[31mCriticalESC[0m ESC[1mScan, then a way outESC[0m: Metadata service reached by cat ESC[1mESC[35m[denied]ESC[0m [sequence of 2 events] ESC[2m| user ada as root in container web (0123456789ab) of pod shop/web-5c9-x | cat (pid 300) ← bash ← sshdESC[0m ESC[31m[12 events lost before this]ESC[0m");
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, line(&alert, Format::Text { color: false }));
}

#[test]
fn json_of_a_host_alert() {
    assert_snapshot!(pretty(&host_alert(), Format::Json));
}

#[test]
fn json_of_a_pod_alert() {
    assert_snapshot!(pretty(&pod_alert(), Format::Json));
}

#[test]
fn json_of_an_unknown_process_claims_no_user() {
    let alert = unknown_alert();
    assert_eq!(alert.process.user, None);
    assert_snapshot!(line(&alert, Format::Json).trim_end());
    assert!(line(&alert, Format::Text { color: false }).contains("| pid 4711\n"));
}

#[test]
fn ocsf_of_a_host_alert() {
    assert_snapshot!(pretty(&host_alert(), Format::Ocsf));
}

#[test]
fn ocsf_of_a_pod_alert() {
    assert_snapshot!(pretty(&pod_alert(), Format::Ocsf));
}

#[test]
fn ecs_of_a_host_alert() {
    assert_snapshot!(pretty(&host_alert(), Format::Ecs));
}

#[test]
fn ecs_of_a_pod_alert() {
    assert_snapshot!(pretty(&pod_alert(), Format::Ecs));
}

#[test]
fn falco_json_has_no_other_keys() {
    assert_snapshot!(pretty(&pod_alert(), Format::Falco));
}

#[test]
fn json_can_be_read_back() {
    for alert in [host_alert(), pod_alert(), guided_alert(), deep_alert(20), unknown_alert()] {
        assert_eq!(serde_json::from_str::<Alert>(&line(&alert, Format::Json)).unwrap(), alert);
        assert!(!alert.message().starts_with("05:"));
        assert!(alert.output.contains(alert.message()));
    }
}

#[test]
fn what_each_kind_of_event_tells() {
    let sample = Sample::new(false, b"/usr/bin/cat", b"cat\0", b"/");
    let info = |kind, body| sample.alert(kind, None, body, finding()).event;

    let mut open = FileOpen::new_zeroed();
    open.ret = -2;
    let failed =
        |path, raw, cwd| info(Kind::FileOpen, Body::FileOpen { facts: open, path, raw, cwd, alias: b"" });
    let relative = failed(b"", b"x/y", b"/tmp");
    assert_eq!((relative.path.as_str(), relative.raw_path.as_str()), ("/tmp/x/y", "x/y"));
    assert_eq!((relative.result, relative.error.as_deref(), relative.file), (Some(-2), Some("ENOENT"), None));
    assert_eq!(failed(b"", b"/x", b"/tmp").path, "/x");
    assert_eq!(failed(b"", b"x", b"").path, "");

    let mut connect = NetCall::new_zeroed();
    connect.socket.family = 1;
    let unix = |path| info(Kind::NetConnect, Body::NetCall { facts: connect, path, data: b"" });
    assert_eq!(unix(b"/run/docker.sock").path, "/run/docker.sock");
    let hidden = unix(b"\0hidden");
    assert_eq!((hidden.path.as_str(), hidden.family.as_deref()), ("@hidden", Some("unix")));
    assert_eq!((hidden.remote, hidden.protocol), (None, None));

    let exit = |status| info(Kind::ProcessExit, Body::ProcessExit(ProcessExit { status, pad: 0 }));
    assert_eq!((exit(3 << 8).exit_code, exit(3 << 8).signal), (Some(3), None));
    assert_eq!((exit(0x8b).exit_code, exit(0x8b).signal), (None, Some(11)));

    let facts = ProcessExec::new_zeroed();
    let body = Body::ProcessExec {
        facts,
        exe: b"/usr/bin/sh",
        filename: b"./sh",
        cwd: b"/",
        argv: b"",
        env: b"",
        stdio: [b""; 3],
    };
    let exec = info(Kind::ProcessExec, body);
    assert_eq!(
        (exec.kind.as_str(), exec.path.as_str(), exec.raw_path.as_str()),
        ("process_exec", "/usr/bin/sh", "./sh")
    );
}

/// The keys and types that Falco's consumers read (falcosidekick decodes them into a struct).
#[test]
fn json_has_what_falco_consumers_read() {
    let json: Value = serde_json::from_str(&line(&host_alert(), Format::Json)).unwrap();
    assert_eq!(json["time"], "2026-11-24T05:40:34.123456789Z");
    assert_eq!(json["rule"], "Sensitive file opened");
    assert_eq!(json["priority"], "Warning");
    assert_eq!(json["source"], "syscall");
    assert_eq!(json["hostname"], "n7.example.org");
    assert_eq!(
        json["output"],
        "05:40:34.123456789: Warning Sensitive file opened for reading (file=/etc/shadow process=cat)"
    );
    assert_eq!(json["tags"][1], "T1003.008");
    assert_eq!(json["output_fields"]["fd.name"], "/etc/shadow");
    assert_eq!(json["output_fields"]["user.loginuid"], 1000);
}

#[test]
fn ancestors_are_bounded_and_their_arguments_too() {
    let alert = deep_alert(40);
    assert_eq!(alert.process.ancestors.len(), MAX_ANCESTORS);
    assert!(alert.process.ancestors_truncated);
    assert!(alert.process.cmdline.len() > 4000 && !alert.process.args_truncated);
    for ancestor in &alert.process.ancestors {
        assert!(ancestor.cmdline.len() <= 1024 && ancestor.args_truncated && ancestor.args.is_empty());
    }
    assert!(line(&alert, Format::Json).len() < 64 * 1024);
    let few = deep_alert(MAX_ANCESTORS as u32 - 2);
    assert_eq!(few.process.ancestors.len(), MAX_ANCESTORS);
    assert!(!few.process.ancestors_truncated);
}

#[test]
fn uids_are_stable_and_tell_alerts_apart() {
    let alert = host_alert();
    assert_eq!(alert.uid, host_alert().uid);
    assert_eq!(alert.uid.get_version_num(), 5);
    let sample = Sample::new(false, b"/usr/bin/cat", b"cat\0/tmp/x\0", b"/home/ada");
    let open = |finding: Finding| sample.open(b"/etc/shadow", b"/tmp/x", finding).uid;
    let policy = |namespace: Option<&str>, name: &str| {
        let namespace = namespace.map(str::to_owned);
        Some(PolicyName { kind: None, namespace, name: name.to_owned() })
    };
    let rmdir = || Body::CgroupRmdir { facts: FromZeros::new_zeroed(), path: b"/" };
    let summary = Correlation {
        kind: CorrelationKind::Throttle,
        count: 9,
        first: Time(0),
        last: Time(0),
        steps: Vec::new(),
    };
    let uids = [
        alert.uid,
        open(Finding { rule: "Another".to_owned(), ..finding() }),
        open(Finding { policy: None, ..finding() }),
        open(Finding { policy: policy(Some("a"), "b"), ..finding() }),
        open(Finding { policy: policy(None, "ab"), ..finding() }),
        open(Finding { correlation: Some(summary), ..finding() }),
        sample.alert(Kind::CgroupRmdir, None, rmdir(), finding()).uid,
        unknown_alert().uid,
    ];
    for (i, uid) in uids.iter().enumerate() {
        assert!(!uids[..i].contains(uid), "{i}");
    }
    // What is told about an event does not name it.
    assert_eq!(open(Finding { message: "other words".to_owned(), ..finding() }), alert.uid);
}

fn assert_one_harmless_line(alert: &Alert) {
    for format in FORMATS {
        let line = line(alert, format);
        let text = line.strip_suffix('\n').unwrap();
        let ours = format == Format::Text { color: true };
        let bad = text.chars().find(|c| text::is_unsafe(*c) && !(ours && *c == '\u{1b}'));
        assert_eq!(bad, None, "{format} {text:?}");
        match format {
            Format::Text { .. } => {}
            Format::Json => assert_eq!(&serde_json::from_str::<Alert>(text).unwrap(), alert),
            Format::Ocsf => assert_eq!(serde_json::from_str::<Value>(text).unwrap()["class_uid"], 2004),
            Format::Ecs => assert_eq!(serde_json::from_str::<Value>(text).unwrap()["event"]["kind"], "alert"),
            Format::Falco => assert!(serde_json::from_str::<Value>(text).unwrap()["output"].is_string()),
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_make_one_harmless_line(
        exe in proptest::collection::vec(any::<u8>(), 0..64),
        argv in proptest::collection::vec(any::<u8>(), 0..256),
        cwd in proptest::collection::vec(any::<u8>(), 0..64),
        path in proptest::collection::vec(any::<u8>(), 0..64),
        raw in proptest::collection::vec(any::<u8>(), 0..64),
        in_pod: bool,
    ) {
        let sample = Sample::new(in_pod, &exe, &argv, &cwd);
        let message = String::from_utf8_lossy(&argv).into_owned();
        assert_one_harmless_line(&sample.open(&path, &raw, Finding { message, ..finding() }));
    }

    #[test]
    fn any_text_makes_one_harmless_line(
        rule: String,
        message: String,
        tag: String,
        field: String,
        value: String,
        response: String,
    ) {
        let sample = Sample::new(true, b"/bin/sh", b"sh\0", b"/");
        assert_one_harmless_line(&sample.connect(Finding {
            rule,
            message,
            tags: vec![tag],
            guide: Some(Guide { response, ..Guide::default() }),
            output_fields: IndexMap::from_iter([(field, Value::from(value))]),
            ..finding()
        }));
    }
}
