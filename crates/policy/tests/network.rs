//! The published rules about sockets match what the sensor reports of them, and not the innocent twin.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use vedette_event::{
    Clock, NoNames, ProcessKey, State, StateLimits, View,
    abi::{Call, socket_flags, strings},
    decode,
    testing::RecordBuilder,
};
use vedette_policy::{Evaluator, Facts, FieldName, LiveFacts, PolicySet, Source, Value, resolve::Resolver};

const KEY: ProcessKey = ProcessKey { tgid: 70, start: 9 };
/// A control group of a container.
const CONTAINER: u64 = 11;

/// Everybody's mining pool.
#[derive(Debug)]
struct Pools;

impl Resolver for Pools {
    fn is_host(&self, _host: &str, address: IpAddr) -> bool {
        address == IpAddr::from([203, 0, 113, 7])
    }
}

/// A node with one process in a container.
fn node(exe: &str) -> State {
    let mut state = State::new(StateLimits::default());
    let group = RecordBuilder::cgroup_mkdir(CONTAINER, &format!("/docker/{:064x}", 0xabc)).build();
    state.apply(&decode(&group).unwrap());
    let exec = RecordBuilder::process_exec(KEY, exe, &[exe]).cgroup(CONTAINER).build();
    state.apply(&decode(&exec).unwrap());
    state
}

fn with_event<T>(state: &mut State, record: &[u8], look: impl FnOnce(&LiveFacts<'_>) -> T) -> T {
    let record = decode(record).unwrap();
    let id = state.apply(&record).process.unwrap();
    let view = View {
        record: &record,
        number: 1,
        process: state.processes.get(id).unwrap(),
        id,
        state,
        clock: Clock::default(),
        hostname: "node",
        names: &NoNames,
    };
    look(&LiveFacts::new(view).unwrap())
}

/// All published rules, those that are switched off by default, too.
fn rules() -> Option<Arc<PolicySet>> {
    let directory = common::published_rules()?;
    let read = |name: &str| {
        let text = std::fs::read_to_string(directory.join(name)).unwrap();
        Source::new(name, text.replace("enabled: false", "enabled: true"))
    };
    let files = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    Some(PolicySet::load(files.map(read)).set.unwrap())
}

/// Names of the rules that match an event of `exe`.
fn matches(rules: &Arc<PolicySet>, exe: &str, record: &[u8]) -> Vec<String> {
    let mut evaluator = Evaluator::new(Arc::clone(rules)).with_resolver(Arc::new(Pools));
    let mut names = Vec::new();
    with_event(&mut node(exe), record, |facts| {
        evaluator.evaluate(facts, |m| names.push(m.rule.name.to_string()));
    });
    names
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What `exe` did on an IP socket between two ends.
fn call(call: Call, udp: bool, local: &str, remote: &str, flags: u16) -> Vec<u8> {
    let (kind, protocol) = if udp { (2, 17) } else { (1, 6) };
    RecordBuilder::net_call(KEY, call)
        .protocol(kind, protocol)
        .local(end(local))
        .remote(end(remote))
        .flags(flags)
        .build()
}

const NEW: u16 = socket_flags::NAME_CHANGED;
const SERVER: u16 = socket_flags::SERVER | socket_flags::CONNECTED;

#[test]
fn each_rule_about_sockets_matches_what_it_is_about_and_not_its_twin() {
    let Some(rules) = rules() else { return };
    let far = "203.0.113.7";
    let connect = |remote: String| call(Call::Connect, false, "10.0.0.5:40000", &remote, 0);
    let socket = |domain: u64| {
        RecordBuilder::net_call(KEY, Call::Socket)
            .with(|c| (c.args[0], c.socket.family) = (domain, 0))
            .build()
    };
    let dup = |ret: i64| {
        RecordBuilder::syscall(KEY, Call::Dup2)
            .ret(ret)
            .with(|c| {
                (c.socket.family, c.socket.sock_family, c.socket.sock_type, c.socket.protocol) = (2, 2, 1, 6);
                (c.inode.ino, c.inode.mode) = (5, 0o140_777);
            })
            .build()
    };
    let class = |data: &[u8]| {
        RecordBuilder::net_call(KEY, Call::Recvfrom)
            .local(end("10.0.0.5:40000"))
            .remote(end("203.0.113.7:8888"))
            .data(data)
            .build()
    };
    let cases: Vec<(&str, &str, Vec<u8>, Vec<u8>)> = vec![
        ("Packet socket created in container", "/bin/x", socket(17), socket(2)),
        ("Redirect STDOUT/STDIN to Network Connection in Container", "/bin/sh", dup(0), dup(3)),
        (
            "Disallowed SSH Connection Non Standard Port",
            "/usr/bin/ssh",
            connect(format!("{far}:443")),
            connect(format!("{far}:22")),
        ),
        (
            "Contact EC2 Instance Metadata Service From Container",
            "/bin/x",
            call(Call::Sendto, true, "0.0.0.0:40000", "169.254.169.254:80", NEW),
            call(Call::Sendto, true, "0.0.0.0:40000", "169.254.169.254:80", 0),
        ),
        (
            "Contact cloud metadata service from container",
            "/bin/x",
            connect("169.254.169.254:80".into()),
            connect("169.254.169.253:80".into()),
        ),
        (
            "System procs network activity",
            "/bin/bash",
            call(Call::Accept4, false, "10.0.0.5:9000", "203.0.113.7:50000", SERVER),
            call(Call::Accept4, false, "127.0.0.1:9000", "127.0.0.1:50000", SERVER),
        ),
        (
            "Unexpected UDP Traffic",
            "/bin/x",
            call(Call::Connect, true, "10.0.0.5:40000", "203.0.113.7:9999", 0),
            call(Call::Connect, true, "10.0.0.5:40000", "203.0.113.7:53", 0),
        ),
        (
            "Unexpected inbound connection source",
            "/bin/x",
            call(Call::Recvfrom, true, "10.0.0.5:9000", "192.0.2.1:50000", NEW | socket_flags::SERVER),
            call(Call::Recvfrom, true, "10.0.0.5:9000", "10.0.0.7:50000", NEW | socket_flags::SERVER),
        ),
        (
            "Interpreted procs inbound network activity",
            "/usr/bin/perl",
            call(Call::Accept, false, "10.0.0.5:9000", "10.0.0.7:50000", SERVER),
            call(Call::Recvmsg, true, "10.0.0.5:9000", "10.0.0.7:50000", 0),
        ),
        (
            "Interpreted procs outbound network activity",
            "/usr/bin/python3",
            call(Call::Sendmsg, true, "10.0.0.5:9000", "203.0.113.9:50000", NEW),
            call(Call::Sendmsg, true, "10.0.0.5:9000", "10.0.0.7:50000", NEW),
        ),
        ("Java Process Class File Download", "/usr/bin/java", class(b"\xca\xfe\xba\xbe\0"), class(b"GET /")),
        (
            "Unexpected K8s NodePort Connection",
            "/bin/x",
            connect("10.0.0.9:30080".into()),
            connect("10.0.0.9:8080".into()),
        ),
        (
            "Detect outbound connections to common miner pool ports",
            "/bin/x",
            connect(format!("{far}:3333")),
            connect("203.0.113.8:3333".into()),
        ),
    ];
    for (rule, exe, bad, good) in cases {
        let found = matches(&rules, exe, &bad);
        assert!(found.iter().any(|name| name == rule), "{rule}: {found:?}");
        assert!(!matches(&rules, exe, &good).iter().any(|name| name == rule), "{rule} matches its twin");
    }
}

fn field(record: &[u8], name: &str) -> String {
    let name = FieldName::parse(name).unwrap();
    with_event(&mut node("/bin/x"), record, |facts| match facts.get(name.id, &name.arg) {
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::Absent => "<NA>".to_owned(),
        Value::Ip(ip) => ip.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        other => format!("{other:?}"),
    })
}

#[test]
fn the_server_is_who_accepted_or_was_asked() {
    let accepted = call(Call::Accept4, false, "10.0.0.5:22", "10.0.0.7:50000", SERVER);
    let asked = call(Call::Sendto, true, "10.0.0.5:40000", "10.0.0.7:53", NEW);
    // Nobody saw this connection begin: ports for clients are high.
    let guessed = call(Call::Sendto, false, "10.0.0.5:22", "10.0.0.7:50000", socket_flags::CONNECTED);
    for (record, name, server, is_server) in [
        (&accepted, "10.0.0.7:50000->10.0.0.5:22", "10.0.0.5", "true"),
        (&asked, "10.0.0.5:40000->10.0.0.7:53", "10.0.0.7", "false"),
        (&guessed, "10.0.0.7:50000->10.0.0.5:22", "10.0.0.5", "true"),
    ] {
        assert_eq!(field(record, "fd.name"), name);
        assert_eq!(field(record, "fd.sip"), server);
        assert_eq!(field(record, "fd.is_server"), is_server);
        assert_eq!(
            (field(record, "fd.lip"), field(record, "fd.rip")),
            ("10.0.0.5".into(), "10.0.0.7".into())
        );
    }
    assert_eq!(field(&accepted, "fd.sproto"), "ssh");
    assert_eq!(field(&asked, "fd.sproto"), "domain");
    assert_eq!(field(&asked, "fd.cproto"), "40000");
}

#[test]
fn descriptors_without_a_path_are_told_apart() {
    let pseudo = |name: &str, mode: u32, magic: u64| {
        RecordBuilder::syscall(KEY, Call::Dup)
            .ret(4)
            .string(strings::PATH, name)
            .with(|c| {
                (c.inode.ino, c.inode.mode, c.inode.magic) = (77, mode, magic);
                c.inode.path_flags = vedette_event::abi::path_flags::PSEUDO;
            })
            .build()
    };
    for (path, mode, magic, kind, letter, name) in [
        ("/[io_uring]", 0o600, 0, "io_uring", "r", "anon_inode:[io_uring]"),
        ("/[userfaultfd]", 0o600, 0, "userfaultfd", "u", "anon_inode:[userfaultfd]"),
        ("/bpf-map", 0o600, 0, "bpf", "b", "anon_inode:bpf-map"),
        ("/[pidfd]", 0o600, 0, "pidfd", "P", "anon_inode:[pidfd]"),
        ("/memfd:x", 0o100_777, 0x0102_1994, "memfd", "m", "/memfd:x"),
        ("/", 0o010_600, 0, "pipe", "p", "pipe:[77]"),
    ] {
        let record = pseudo(path, mode, magic);
        assert_eq!(field(&record, "fd.type"), kind, "{path}");
        assert_eq!(field(&record, "fd.typechar"), letter, "{path}");
        assert_eq!(field(&record, "fd.name"), name, "{path}");
    }
}
