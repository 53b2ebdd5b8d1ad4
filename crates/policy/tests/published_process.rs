//! Falco's published rules about processes, memory and the kernel, on the facts of records: each is true when what it
//! looks for happens, and false for the innocent twin.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/common.rs"]
mod common;

use std::sync::Arc;

use vedette_event::{
    Clock, Process, ProcessKey, State, StateLimits, UserNames, View,
    abi::{Call, ProcessExec, Syscall, path_flags, strings},
    decode,
    testing::RecordBuilder,
};
use vedette_policy::{Evaluator, LiveFacts, PolicySet, Source};

const FILES: [&str; 3] = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];

struct Names;

impl UserNames for Names {
    fn user(&self, uid: u32, _process: &Process) -> Option<Arc<str>> {
        match uid {
            0 => Some("root".into()),
            33 => Some("www-data".into()),
            1000 => Some("alice".into()),
            _ => None,
        }
    }
    fn group(&self, _gid: u32, _process: &Process) -> Option<Arc<str>> {
        None
    }
}

/// A node with the published rules.
struct Node {
    state: State,
    evaluator: Evaluator,
}

/// A program of the user with this id, on the host.
const PROGRAM: ProcessKey = ProcessKey { tgid: 50, start: 500 };
/// A control group that is a container.
const CONTAINER: u64 = 77;

impl Node {
    fn new() -> Option<Self> {
        let directory = common::published_rules()?;
        let sources = FILES.iter().map(|name| {
            // Rules that are off by default are looked at as well.
            let text = std::fs::read_to_string(directory.join(name)).unwrap();
            Source::new(*name, text.replace("enabled: false", "enabled: true"))
        });
        let set = PolicySet::load(sources).set.unwrap();
        let mut node = Self { state: State::new(StateLimits::default()), evaluator: Evaluator::new(set) };
        let id = "3ad7b26ded6d8e7b23da7d48fe889434573036c27ae5a74837233de441c3601e";
        node.rules(RecordBuilder::cgroup_mkdir(CONTAINER, &format!("/docker/{id}")).build());
        Some(node)
    }

    /// A program runs; nobody asks what rules say of that.
    fn runs(&mut self, exe: &str, cgroup: u64, change: impl FnOnce(&mut ProcessExec)) {
        self.rules(exec(exe, &[exe]).cgroup(cgroup).with(change).build());
    }

    /// The rules that match a record.
    fn rules(&mut self, record: Vec<u8>) -> Vec<String> {
        let record = decode(&record).unwrap();
        let Some(id) = self.state.apply(&record).process else { return Vec::new() };
        let view = View {
            record: &record,
            number: 1,
            process: self.state.processes.get(id).unwrap(),
            id,
            state: &self.state,
            clock: Clock::default(),
            hostname: "node",
            names: &Names,
        };
        let mut rules = Vec::new();
        if let Some(facts) = LiveFacts::new(view) {
            self.evaluator.evaluate(&facts, |m| rules.push(m.rule.name.clone()));
        }
        rules
    }

    #[track_caller]
    fn check(&mut self, rule: &str, expected: bool, record: Vec<u8>) {
        let rules = self.rules(record);
        assert_eq!(rules.iter().any(|r| r == rule), expected, "{rule}: {rules:?}");
    }
}

fn exec(exe: &str, args: &[&str]) -> RecordBuilder<ProcessExec> {
    RecordBuilder::process_exec(PROGRAM, exe, args).time(1_000_000_000)
}

fn syscall(call: Call, args: &[u64]) -> RecordBuilder<Syscall> {
    RecordBuilder::syscall(PROGRAM, call).args(args)
}

const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_SYS_ADMIN: u64 = 1 << 21;

#[test]
fn bpf_programs() {
    let Some(mut node) = Node::new() else { return };
    node.runs("/opt/rootkit", 0, |_| ());
    node.check("BPF Program Not Profiled", true, syscall(Call::Bpf, &[5, 1, 64]).build());
    node.check("BPF Program Not Profiled", false, syscall(Call::Bpf, &[1, 1, 64]).build());
}

#[test]
fn kernel_modules() {
    let Some(mut node) = Node::new() else { return };
    let rule = "Linux Kernel Module Injection Detected";
    let load = || syscall(Call::FinitModule, &[3]).cgroup(CONTAINER).build();
    node.runs("/bin/insmod", CONTAINER, |e| e.task.cap_effective = CAP_SYS_MODULE);
    node.check(rule, true, load());
    node.runs("/bin/insmod", CONTAINER, |e| e.task.cap_effective = CAP_SYS_ADMIN);
    node.check(rule, false, load());
    node.runs("/bin/insmod", 0, |e| e.task.cap_effective = CAP_SYS_MODULE);
    node.check(rule, false, syscall(Call::InitModule, &[0, 4]).build());
}

#[test]
fn tracing() {
    let Some(mut node) = Node::new() else { return };
    node.runs("/opt/inject", 0, |_| ());
    let ptrace = |request: u64| syscall(Call::Ptrace, &[request, 1]).build();
    for request in [4, 5, 13, 16, 0x4206] {
        node.check("PTRACE attached to process", true, ptrace(request));
    }
    node.check("PTRACE attached to process", false, ptrace(1));
    node.check("PTRACE anti-debug attempt", true, ptrace(0));
    node.check("PTRACE anti-debug attempt", false, ptrace(16));
}

#[test]
fn namespaces() {
    let Some(mut node) = Node::new() else { return };
    let setns = || RecordBuilder::process_change(PROGRAM, Some(Call::Setns)).build();
    node.runs("/opt/escape", 0, |_| ());
    node.check("Change thread namespace", true, setns());
    node.runs("/usr/bin/nsenter", 0, |_| ());
    node.check(
        "Change thread namespace",
        false,
        RecordBuilder::process_change(PROGRAM, Some(Call::Setns)).comm("nsenter").build(),
    );

    // A new user namespace gives all capabilities; what counts is who asked for it.
    let rule = "Change namespace privileges via unshare";
    let unshare = || {
        RecordBuilder::process_change(PROGRAM, Some(Call::Unshare))
            .cgroup(CONTAINER)
            .facts(|t| t.cap_permitted = u64::MAX)
            .build()
    };
    node.runs("/bin/unshare", CONTAINER, |_| ());
    node.check(rule, true, unshare());
    node.check(rule, false, unshare());
    node.runs("/bin/unshare", CONTAINER, |e| e.task.cap_permitted = CAP_SYS_ADMIN);
    node.check(rule, false, unshare());
}

#[test]
fn page_faults_in_user_space() {
    let Some(mut node) = Node::new() else { return };
    let rule = "Unprivileged Delegation of Page Faults Handling to a Userspace Process";
    node.runs("/opt/exploit", 0, |e| e.task.euid = 1000);
    node.check(rule, true, syscall(Call::Userfaultfd, &[1]).ret(5).build());
    node.runs("/opt/exploit", 0, |_| ());
    node.check(rule, false, syscall(Call::Userfaultfd, &[1]).ret(5).build());
}

#[test]
fn users_who_become_others() {
    let Some(mut node) = Node::new() else { return };
    let rule = "Non sudo setuid";
    let setuid = |uid: u32| {
        RecordBuilder::process_change(PROGRAM, Some(Call::Setuid))
            .comm("exploit")
            .uid(uid)
            .with(|c| c.syscall.args[0] = uid.into())
            .build()
    };
    let run_as = |node: &mut Node, uid: u32| {
        node.rules(exec("/opt/exploit", &["exploit"]).uid(uid).build());
    };
    run_as(&mut node, 1000);
    node.check(rule, true, setuid(0));
    // Root gives its privileges up, once and for all.
    run_as(&mut node, 0);
    node.check(rule, false, setuid(1000));
    run_as(&mut node, 33);
    node.check(rule, false, setuid(33));
    run_as(&mut node, 33);
    node.check(rule, true, setuid(1000));
}

#[test]
fn programs_in_memory() {
    let Some(mut node) = Node::new() else { return };
    let rule = "Fileless execution via memfd_create";
    let in_memory =
        |name: &str| exec(name, &["x"]).comm("3").with(|e| e.exe.path_flags = path_flags::PSEUDO).build();
    node.check(rule, true, in_memory("/memfd:payload"));
    node.check(rule, false, in_memory("/memfd:runc_cloned:/proc/self/exe"));
    node.check(rule, false, exec("/memfd:payload", &["x"]).build());
}

#[test]
fn programs_that_are_no_part_of_their_image() {
    let Some(mut node) = Node::new() else { return };
    let rule = "Drop and execute new binary in container";
    let run = |flags: u32, cgroup: u64| {
        exec("/tmp/dropped", &["dropped"]).cgroup(cgroup).with(|e| e.exe.path_flags = flags).build()
    };
    node.check(rule, true, run(path_flags::UPPER_LAYER, CONTAINER));
    node.check(rule, false, run(path_flags::LOWER_LAYER, CONTAINER));
    node.check(rule, false, run(path_flags::UPPER_LAYER, 0));
}

#[test]
fn programs_typed_into_a_terminal() {
    let Some(mut node) = Node::new() else { return };
    let rule = "Basic Interactive Reconnaissance";
    let whoami = |tty: u32, group: u32| {
        exec("/usr/bin/whoami", &["whoami"]).facts(|t| (t.tty, t.vpgid, t.vpid) = (tty, group, 50)).build()
    };
    node.check(rule, true, whoami(136 << 20, 50));
    node.check(rule, false, whoami(136 << 20, 49));
    node.check(rule, false, whoami(0, 50));
}

#[test]
fn programs_that_could_not_be_started_are_no_programs() {
    let Some(mut node) = Node::new() else { return };
    let failed = |path: &str| syscall(Call::ExecveFailed, &[]).ret(-2).string(strings::RAW, path).build();
    // A shell called as a tool that some rule is about: what it tries and does not find is not it.
    node.runs("/usr/bin/nmap", CONTAINER, |_| ());
    let rules = node.rules(failed("/usr/local/bin/x"));
    assert_eq!(rules, Vec::<String>::new());
}
