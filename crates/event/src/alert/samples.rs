//! Events that the tests of the formats share.

use std::{collections::BTreeMap, sync::Arc};

use vedette_abi::{Call, FileOpen, Header, InodeFacts, Kind, NetCall, ProcessExec, TaskFacts};
use zerocopy::FromZeros;

use super::*;
use crate::{
    Body, Clock, Knowledge, Metadata, Pod, Process, Record, State, StateLimits, UserNames, Workload,
};

/// 2026-11-24T05:00:00Z.
pub(super) const BOOT: Clock = Clock { boot_epoch_ns: 1_795_496_400_000_000_000 };
const SECOND: u64 = 1_000_000_000;
pub(super) const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const POD: &str = "0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f";

/// Root and one user.
pub(super) struct Names;

impl UserNames for Names {
    fn user(&self, uid: u32, _process: &Process) -> Option<Arc<str>> {
        match uid {
            0 => Some("root".into()),
            1000 => Some("ada".into()),
            _ => None,
        }
    }
    fn group(&self, gid: u32, _process: &Process) -> Option<Arc<str>> {
        (gid == 0).then(|| "root".into())
    }
}

/// A node with `sshd ← bash ← cat`, `cat` in a pod if asked for.
pub(super) struct Sample {
    pub(super) state: State,
    process: crate::ProcessId,
    tgid: u32,
}

pub(super) fn node() -> Node {
    Node {
        name: "n7".to_owned(),
        boot_id: "5d3f3c9e-8a0f-4a53-9a35-2f9c0d5a6b11".to_owned(),
        kubernetes: false,
    }
}

fn inode(mode: u32) -> InodeFacts {
    let mut inode: InodeFacts = InodeFacts::new_zeroed();
    (inode.ino, inode.dev, inode.mode) = (262_145, 8 << 20 | 1, mode);
    inode
}

fn header(kind: Kind, tgid: u32, seq: u64, time: u64) -> Header {
    let mut header = Header::new_zeroed();
    (header.kind, header.tgid, header.tid) = (kind as u16, tgid, tgid);
    (header.seq, header.time, header.cpu) = (seq, time, 1);
    header
}

impl Sample {
    pub(super) fn new(in_pod: bool, cat: &[u8], argv: &[u8], cwd: &[u8]) -> Self {
        let mut sample = Self { state: State::new(StateLimits::default()), process: unknown(), tgid: 0 };
        let path = format!("/kubepods/besteffort/pod{POD}/{CONTAINER}");
        sample.state.cgroups.insert(7, if in_pod { &path } else { "/user.slice" });
        sample.exec(100, 1, 0, (b"sshd", b"/usr/sbin/sshd", b"sshd: ada [priv]\0", b"/"));
        sample.exec(200, 100, 1000, (b"bash", b"/usr/bin/bash", b"-bash\0", b"/home/ada"));
        sample.exec(300, 200, 1000, (b"cat", cat, argv, cwd));
        sample
    }

    fn exec(
        &mut self,
        tgid: u32,
        parent: u32,
        uid: u32,
        (comm, exe, argv, cwd): (&[u8], &[u8], &[u8], &[u8]),
    ) {
        let start = |tgid: u32| u64::from(tgid) * SECOND;
        let mut facts = ProcessExec::new_zeroed();
        let task: &mut TaskFacts = &mut facts.task;
        (task.tgid, task.vpid, task.start, task.cgroup) = (tgid, tgid, start(tgid), 7);
        (task.parent_tgid, task.parent_start) = (parent, start(parent));
        (task.uid, task.gid, task.euid, task.egid) = (uid, 0, 0, 0);
        (task.loginuid, task.tty) = (1000, 136 << 20 | 3);
        task.comm[..comm.len()].copy_from_slice(comm);
        facts.exe = inode(0o100_755);
        facts.argv_total = argv.len() as u32;
        let record = Record {
            header: header(Kind::ProcessExec, tgid, 1, start(tgid)),
            kind: Kind::ProcessExec,
            call: Some(Call::Execve),
            body: Body::ProcessExec { facts, exe, filename: exe, cwd, argv, env: b"", stdio: [b""; 3] },
            bytes: &[],
        };
        self.process = self.state.apply(&record).process.unwrap();
        self.tgid = tgid;
    }

    pub(super) fn alert(&self, kind: Kind, call: Option<Call>, body: Body<'_>, finding: Finding) -> Alert {
        let time = 2434 * SECOND + 123_456_789;
        let record = Record { header: header(kind, self.tgid, 42, time), kind, call, body, bytes: &[] };
        let view = View {
            record: &record,
            number: 17,
            process: self.state.processes.get(self.process).unwrap(),
            id: self.process,
            state: &self.state,
            clock: BOOT,
            hostname: "n7.example.org",
            names: &Names,
        };
        Alert::new(&view, finding, &node())
    }

    pub(super) fn open(&self, path: &[u8], raw: &[u8], finding: Finding) -> Alert {
        let mut facts = FileOpen::new_zeroed();
        (facts.ret, facts.flags, facts.inode) = (3, 0o100_000, inode(0o100_640));
        let body = Body::FileOpen { facts, path, raw, cwd: b"", alias: b"" };
        self.alert(Kind::FileOpen, Some(Call::Openat), body, finding)
    }

    pub(super) fn connect(&self, finding: Finding) -> Alert {
        let mut facts = NetCall::new_zeroed();
        facts.ret = -115;
        let socket = &mut facts.socket;
        (socket.family, socket.protocol) = (2, 6);
        socket.local[..4].copy_from_slice(&[10, 1, 0, 5]);
        socket.remote[..4].copy_from_slice(&[169, 254, 169, 254]);
        (socket.local_port, socket.remote_port) = (43210, 80);
        self.alert(
            Kind::NetConnect,
            Some(Call::Connect),
            Body::NetCall { facts, path: b"", data: b"" },
            finding,
        )
    }
}

fn unknown() -> crate::ProcessId {
    State::new(StateLimits::default())
        .processes
        .insert(Process::unknown(crate::ProcessKey { tgid: 1, start: 1 }))
}

pub(super) fn finding() -> Finding {
    Finding {
        tags: ["host", "T1003.008", "mitre_credential_access"].map(str::to_owned).to_vec(),
        output_fields: IndexMap::from_iter([
            ("fd.name".to_owned(), Value::from("/etc/shadow")),
            ("proc.name".to_owned(), Value::from("cat")),
            ("user.loginuid".to_owned(), Value::from(1000)),
            ("container.id".to_owned(), Value::Null),
        ]),
        description: "A program read password hashes.".to_owned(),
        policy: Some(PolicyName { name: "credentials.yaml".to_owned(), ..PolicyName::default() }),
        ..Finding::new(
            "Sensitive file opened",
            Priority::Warning,
            "Sensitive file opened for reading (file=/etc/shadow process=cat)",
        )
    }
}

/// On a host: `ln -s /etc/shadow /tmp/x; cat /tmp/x`.
pub(super) fn host_alert() -> Alert {
    let sample = Sample::new(false, b"/usr/bin/cat", b"cat\0/tmp/x\0", b"/home/ada");
    sample.open(b"/etc/shadow", b"/tmp/x", finding())
}

/// The same of a rule that says what to do, for who looks at alerts by day; by a set-uid program.
pub(super) fn guided_alert() -> Alert {
    let sample = Sample::new(false, b"/usr/bin/cat", b"cat\0/tmp/x\0", b"/home/ada");
    let finding = Finding {
        level: Level::Strict,
        techniques: vec!["T1003.008".to_owned()],
        tags: vec!["host".to_owned()],
        guide: Some(Guide {
            why: "Hashes are cracked elsewhere, unseen.".to_owned(),
            response: "Find out who ran it; if nobody knows, change this machine's passwords.".to_owned(),
            benign: vec!["A backup".to_owned()],
        }),
        ..finding()
    };
    let mut alert = sample.open(b"/etc/shadow", b"/tmp/x", finding);
    let message = alert.message().to_owned();
    if let Some(user) = &mut alert.process.user {
        (user.uid, user.name, user.euid) = (33, Some("www-data".to_owned()), 0);
    }
    alert.set_output(&message);
    alert
}

fn metadata() -> Metadata {
    let labels = [("app", "web"), ("io.kubernetes.pod.name", "web-5c9-x")];
    let labels: BTreeMap<String, String> =
        labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Metadata {
        runtime: Some("containerd".to_owned()),
        name: Some("web".to_owned()),
        image: Some("registry.example.org/web:1.2".to_owned()),
        image_id: Some("9d2b".repeat(16)),
        image_digest: Some(format!("sha256:{}", "1c0f".repeat(16))),
        privileged: Some(false),
        started: Some(BOOT.realtime(90 * SECOND)),
        ip: Some("10.1.0.5".to_owned()),
        labels: labels.clone(),
        pod: Some(Pod {
            uid: POD.to_owned(),
            name: "web-5c9-x".to_owned(),
            namespace: "shop".to_owned(),
            labels,
            ip: Some("10.1.0.5".to_owned()),
            service_account: Some("web".to_owned()),
            owner: Some(Workload { kind: "ReplicaSet".to_owned(), name: "web-5c9".to_owned() }),
            deployment: Some("web".to_owned()),
            ..Pod::default()
        }),
        ..Metadata::default()
    }
}

/// In a pod, with everything an alert can have.
pub(super) fn pod_alert() -> Alert {
    let mut sample = Sample::new(true, b"/usr/bin/cat", b"cat\0/tmp/x\0", b"/");
    let exited = 2000 * SECOND;
    sample.state.processes.exit(crate::ProcessKey { tgid: 100, start: 100 * SECOND }, exited);
    sample.state.cgroups.describe(CONTAINER, |container| {
        container.knowledge = Knowledge::Known;
        container.metadata = metadata();
    });
    let step = |seconds: u64, event: &str, process: &str| CorrelationStep {
        time: Time(BOOT.realtime(seconds * SECOND)),
        name: event.to_owned(),
        fields: [("proc.name".to_owned(), process.into()), ("proc.pid".to_owned(), 300.into())].into(),
    };
    let mut alert = sample.connect(Finding {
        policy: Some(PolicyName {
            kind: Some("SecurityPolicy".to_owned()),
            namespace: Some("shop".to_owned()),
            name: "web-baseline".to_owned(),
        }),
        priority: Priority::Critical,
        action: Action { requested: RequestedAction::Deny, taken: TakenAction::Denied },
        correlation: Some(Correlation {
            kind: CorrelationKind::Sequence,
            count: 2,
            first: Time(BOOT.realtime(2400 * SECOND)),
            last: Time(BOOT.realtime(2434 * SECOND)),
            steps: vec![step(2400, "scan", "nmap"), step(2434, "way out", "cat")],
        }),
        tags: ["T1552.005", "T1046", "TA0007", "mitre_credential_access"].map(str::to_owned).to_vec(),
        ..Finding::new("Scan, then a way out", Priority::Critical, "Metadata service reached by cat")
    });
    alert.k8s = alert.k8s.map(|k| KubernetesInfo { node: Some("n7".to_owned()), ..k });
    alert.gaps = vec![GapInfo {
        ring: "events".to_owned(),
        cpu: 1,
        kind: "file_open".to_owned(),
        cgroup: Some(7),
        count: 12,
        from: Time(BOOT.realtime(2300 * SECOND)),
        to: Time(BOOT.realtime(2301 * SECOND)),
    }];
    alert
}

/// A chain of `count` processes below each other; the last one opens a file.
pub(super) fn deep_alert(count: u32) -> Alert {
    let mut sample = Sample::new(false, b"/bin/sh", b"sh\0", b"/");
    for tgid in 301..301 + count {
        let argv = [b"sh\0".as_slice(), &b"\xc3\xa4".repeat(2000), b"\0"].concat();
        sample.exec(tgid, tgid - 1, 0, (b"sh", b"/bin/sh", &argv, b"/"));
    }
    sample.open(b"/etc/shadow", b"/etc/shadow", finding())
}

/// An event of a process of which only the header is known, and that could not be looked up either.
pub(super) fn unknown_alert() -> Alert {
    let mut state = State::new(StateLimits::default());
    let process = state.processes.insert(Process {
        exec: Arc::default(),
        ..Process::unknown(crate::ProcessKey { tgid: 4711, start: 5 })
    });
    state.give_up(process);
    let sample = Sample { state, process, tgid: 4711 };
    sample.open(b"/etc/shadow", b"shadow", finding())
}
