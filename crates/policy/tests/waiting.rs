//! Events that wait for the metadata of their container: who waits, for how long, what they see then, and that a
//! recording gives the same.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use std::sync::Arc;

use serde_json::{Value as Json, json};
use vedette_event::{
    Clock, Knowledge, Metadata, Mount, NoNames, Pod, Process, ProcessKey, State, StateLimits, UserNames,
    alert::Node, decode, testing::RecordBuilder,
};
use vedette_policy::{
    PolicySet, RuleMatching, Severity,
    pipeline::{HoldStats, Outside, Pipeline},
};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const HOST: ProcessKey = ProcessKey { tgid: 5, start: 50 };
const IN_A: ProcessKey = ProcessKey { tgid: 10, start: 100 };
const IN_B: ProcessKey = ProcessKey { tgid: 20, start: 200 };

const RULES: &str = r#"
- rule: by image
  desc: d
  condition: evt.type = openat and fd.name = /secret and container.image.repository = shop/web
  output: "%proc.name read %fd.name in %container.name"
  priority: Warning
- rule: plain
  desc: d
  condition: evt.type = openat and fd.name = /plain
  output: "%proc.name read %fd.name, parent %proc.pname"
  priority: Warning
"#;

struct Nothing;

impl Outside for Nothing {
    fn process(&mut self, _key: ProcessKey) -> Option<Process> {
        None
    }
    fn names(&self) -> &dyn UserNames {
        &NoNames
    }
}

struct Node7 {
    pipeline: Pipeline,
    alerts: Vec<Json>,
    time: u64,
}

fn load(text: &str) -> Arc<PolicySet> {
    let loaded = common::load(text);
    loaded.set.clone().unwrap_or_else(|| panic!("{}", loaded.render(Severity::Error, false)))
}

impl Node7 {
    fn new(rules: &str) -> Self {
        let state = State::new(StateLimits::default());
        let node = Node { name: "n7".into(), boot_id: "b".into(), kubernetes: false };
        let mut pipeline = Pipeline::new(state, Clock { boot_epoch_ns: 1 << 60 }, node, RuleMatching::All);
        pipeline.set_policies(Some(load(rules)), |_| panic!("nothing has happened"));
        let mut new = Self { pipeline, alerts: Vec::new(), time: 1000 };
        new.record(RecordBuilder::cgroup_mkdir(1, "/system.slice").build());
        new.record(RecordBuilder::cgroup_mkdir(2, &format!("/docker/{A}")).time(900).build());
        new.record(RecordBuilder::cgroup_mkdir(3, &format!("/docker/{B}")).build());
        for (key, group, exe) in [(HOST, 1, "/bin/host"), (IN_A, 2, "/bin/a"), (IN_B, 3, "/bin/b")] {
            let parent = if key == HOST { ProcessKey { tgid: 0, start: 0 } } else { HOST };
            new.record(
                RecordBuilder::process_exec(key, exe, &[exe])
                    .parent(parent)
                    .cgroup(group)
                    .comm(&exe[5..])
                    .build(),
            );
        }
        new
    }

    fn record(&mut self, bytes: Vec<u8>) {
        let alerts = &mut self.alerts;
        self.pipeline.record(&decode(&bytes).unwrap(), &mut Nothing, |raised| {
            alerts.push(serde_json::to_value(&*raised.alert).unwrap());
        });
    }

    fn open(&mut self, key: ProcessKey, path: &str) {
        self.time += 1;
        let group = if key == HOST {
            1
        } else if key == IN_A {
            2
        } else {
            3
        };
        self.record(RecordBuilder::file_open(key, path, path).cgroup(group).time(self.time).ret(3).build());
    }

    fn know(&mut self, id: &str, knowledge: Knowledge, metadata: Metadata) -> bool {
        let alerts = &mut self.alerts;
        self.pipeline.container(id, knowledge, metadata, &NoNames, |raised| {
            alerts.push(serde_json::to_value(&*raised.alert).unwrap());
        })
    }

    /// What has been raised since the last time: the message, and whether the container was known.
    fn raised(&mut self) -> Vec<(String, Option<bool>)> {
        let alerts = std::mem::take(&mut self.alerts);
        let short = |alert: Json| {
            let output = alert["output"].as_str().unwrap();
            let message = output.split_once(": Warning ").unwrap().1.to_owned();
            (message, alert["container"]["complete"].as_bool())
        };
        alerts.into_iter().map(short).collect()
    }
}

fn web() -> Metadata {
    Metadata { name: Some("web-1".into()), image: Some("shop/web:1".into()), ..Metadata::default() }
}

fn said(message: &str, complete: Option<bool>) -> (String, Option<bool>) {
    (message.to_owned(), complete)
}

#[test]
fn an_event_waits_for_its_container_and_nobody_else_does() {
    let mut node = Node7::new(RULES);
    assert!(node.know(A, Knowledge::Pending, Metadata::default()));
    node.open(IN_A, "/secret");
    node.open(IN_A, "/plain");
    node.open(IN_A, "/nobody/cares");
    node.open(HOST, "/plain");
    node.open(IN_B, "/plain");
    assert_eq!(
        node.raised(),
        [said("host read /plain, parent <NA>", None), said("b read /plain, parent host", Some(false))],
        "the host and a container that nobody asks about go on"
    );
    assert_eq!(node.pipeline.waiting(), 2, "what no rule cares about is not kept");
    node.know(A, Knowledge::Known, web());
    assert_eq!(
        node.raised(),
        [said("a read /secret in web-1", Some(true)), said("a read /plain, parent host", Some(true))]
    );
    node.open(IN_A, "/secret");
    assert_eq!(node.raised(), [said("a read /secret in web-1", Some(true))], "nothing waits any more");
    let stats = HoldStats { held: 2, gave_up: 0, refused: 0 };
    assert_eq!((node.pipeline.hold_stats(), node.pipeline.waiting()), (stats, 0));
}

#[test]
fn without_an_answer_the_rule_that_needs_it_does_not_match_and_the_other_says_so() {
    for knowledge in [Knowledge::Late, Knowledge::Unknown] {
        let mut node = Node7::new(RULES);
        node.know(A, Knowledge::Pending, Metadata::default());
        node.open(IN_A, "/secret");
        node.open(IN_A, "/plain");
        node.know(A, knowledge, Metadata::default());
        assert_eq!(node.raised(), [said("a read /plain, parent host", Some(false))]);
        assert_eq!(node.pipeline.hold_stats().gave_up, 2);
        // It comes after all.
        node.know(A, Knowledge::Known, web());
        assert_eq!(node.raised(), []);
        node.open(IN_A, "/secret");
        assert_eq!(node.raised(), [said("a read /secret in web-1", Some(true))]);
    }
}

#[test]
fn what_waits_sees_the_processes_as_they_were() {
    let mut node = Node7::new(RULES);
    node.know(A, Knowledge::Pending, Metadata::default());
    node.open(IN_A, "/plain");
    // The process becomes another, its parent ends, and then it ends itself.
    node.record(RecordBuilder::process_exec(IN_A, "/bin/later", &["later"]).comm("later").cgroup(2).build());
    node.record(RecordBuilder::process_exec(HOST, "/bin/other", &["other"]).comm("other").cgroup(1).build());
    node.record(RecordBuilder::process_exit(IN_A).cgroup(2).time(5000).build());
    node.record(RecordBuilder::cgroup_rmdir(2, "").time(6000).build());
    // Long after everything about it has been forgotten.
    node.record(RecordBuilder::process_exit(HOST).cgroup(1).time(1 << 40).build());
    assert!(!node.know(A, Knowledge::Known, web()), "no group of it is left");
    let alerts = std::mem::take(&mut node.alerts);
    assert_eq!(alerts.len(), 1);
    assert!(
        alerts[0]["output"].as_str().unwrap().ends_with("a read /plain, parent host"),
        "{}",
        alerts[0]["output"]
    );
    assert_eq!(alerts[0]["process"]["exe_path"], "/bin/a");
    assert_eq!(alerts[0]["container"]["id"], A);
    assert_eq!(alerts[0]["process"].get("end"), None, "it had not ended");
}

#[test]
fn waiting_is_bounded_and_who_finds_no_room_goes_at_once_in_order() {
    let mut node = Node7::new(RULES);
    node.know(A, Knowledge::Pending, Metadata::default());
    for _ in 0..5000 {
        node.open(IN_A, "/plain");
        assert!(node.pipeline.waiting() <= 2048);
    }
    node.know(A, Knowledge::Late, Metadata::default());
    let numbers: Vec<u64> = node.alerts.iter().map(|a| a["event"]["number"].as_u64().unwrap_or(0)).collect();
    assert_eq!(node.alerts.len(), 5000, "none is lost");
    assert!(numbers.is_sorted());
    let times: Vec<&str> = node.alerts.iter().map(|a| a["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "in the order in which they happened");
    assert_eq!(node.pipeline.hold_stats().refused, 2);
}

#[test]
fn what_a_threshold_counts_is_counted_once_and_in_order() {
    let rules = r#"
apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {name: p}
spec:
  rules:
    - name: often
      condition: evt.type = openat and fd.name = /plain
      output: "often in %container.name"
      priority: Warning
      threshold: {count: 3, within: 1m, by: [container.id]}
"#;
    let mut node = Node7::new(rules);
    node.know(A, Knowledge::Pending, Metadata::default());
    for _ in 0..4 {
        node.open(IN_A, "/plain");
    }
    assert_eq!(node.raised(), []);
    node.know(A, Knowledge::Known, web());
    assert_eq!(node.raised(), [said("often in web-1", Some(true))], "the third; the fourth begins anew");
    node.open(IN_A, "/plain");
    node.open(IN_A, "/plain");
    assert_eq!(node.raised(), [said("often in web-1", Some(true))]);
}

#[test]
fn new_policies_do_not_lose_what_waits_for_the_old_ones() {
    let mut node = Node7::new(RULES);
    node.know(A, Knowledge::Pending, Metadata::default());
    node.open(IN_A, "/plain");
    let alerts = &mut node.alerts;
    node.pipeline.stop_waiting(&NoNames, |raised| alerts.push(serde_json::to_value(&*raised.alert).unwrap()));
    node.pipeline.set_policies(None, |_| ());
    assert_eq!(node.raised(), [said("a read /plain, parent host", Some(false))]);
}

#[test]
fn every_field_of_containers_and_pods() {
    let fields: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
    let output = fields.iter().map(|field| format!("%{field}")).collect::<Vec<_>>().join(" ");
    let rules = format!(
        "- rule: r\n  desc: d\n  condition: evt.type = openat and fd.name = /plain\n  output: '{output}'\n  priority: Warning\n"
    );
    let mut node = Node7::new(&rules);
    node.open(HOST, "/plain");
    let host = std::mem::take(&mut node.alerts).remove(0)["output_fields"].clone();
    for (field, value) in host.as_object().unwrap() {
        let expected = match field.as_str() {
            "container.id" | "container.full_id" | "container.name" | "container.type" => json!("host"),
            "k8s.node.name" => json!("n7"),
            _ => json!(null),
        };
        assert_eq!(*value, expected, "{field} on the host");
    }
    node.know(A, Knowledge::Known, everything());
    node.open(IN_A, "/plain");
    let found = std::mem::take(&mut node.alerts).remove(0)["output_fields"].clone();
    for (field, expected) in FIELDS {
        let expected: Json = serde_json::from_str(expected).unwrap_or_else(|_| json!(expected));
        assert_eq!(found[*field], expected, "{field}");
    }
    // Nobody knows the container: there is nothing to compare with.
    node.know(A, Knowledge::Unknown, Metadata::default());
    node.open(IN_A, "/plain");
    let found = std::mem::take(&mut node.alerts).remove(0)["output_fields"].clone();
    let known: Vec<&String> =
        found.as_object().unwrap().iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| k).collect();
    // In the order of the alphabet.
    let always = [
        "container.duration",
        "container.full_id",
        "container.id",
        "container.start_ts",
        "container.type",
        "k8s.node.name",
    ];
    assert_eq!(known, always);
}

fn everything() -> Metadata {
    let labels =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let mount = |source: &str, dest: &str, rdwr| Mount {
        source: source.into(),
        dest: dest.into(),
        mode: "z".into(),
        rdwr,
        propagation: "rslave".into(),
    };
    let probes = vedette_event::Probes { liveness: Some("/live".into()), readiness: None };
    Metadata {
        runtime: Some("containerd".into()),
        name: Some("web".into()),
        image: Some("r.io:5000/shop/web:1.2".into()),
        image_id: Some("cafe".into()),
        image_digest: Some("sha256:beef".into()),
        privileged: Some(true),
        mounts: Some(vec![mount("/srv/data", "/data", true), mount("/proc/x", "/host/proc", false)]),
        started: None,
        labels: labels(&[("app", "web"), ("flag", ""), ("io.kubernetes.pod.uid", "u"), ("7", "seven")]),
        ip: Some("10.0.0.7".into()),
        cni: Some("[]".into()),
        host_pid: Some(false),
        host_network: Some(true),
        host_ipc: Some(false),
        healthcheck: Some("/bin/check -q".into()),
        probes: Default::default(),
        sandbox_id: Some(B.into()),
        pod: Some(Pod {
            uid: "u".into(),
            name: "web-5c9-x".into(),
            namespace: "shop".into(),
            labels: labels(&[("app", "web"), ("app.kubernetes.io/name", "w"), ("io.kubernetes.x", "y")]),
            ip: Some("10.0.0.7".into()),
            service_account: Some("sa".into()),
            owner: Some(vedette_event::Workload { kind: "ReplicaSet".into(), name: "web-5c9".into() }),
            deployment: Some("web".into()),
            namespace_labels: labels(&[("team", "red")]),
            probes: [("web".to_owned(), probes)].into(),
        }),
    }
}

/// Fields, and what they say of [`everything`]; text that is JSON stands for that.
const FIELDS: &[(&str, &str)] = &[
    ("container.id", "aaaaaaaaaaaa"),
    ("container.full_id", A),
    ("container.name", "web"),
    ("container.image", "r.io:5000/shop/web:1.2"),
    ("container.image.id", "cafe"),
    ("container.image.repository", "r.io:5000/shop/web"),
    ("container.image.tag", "\"1.2\""),
    ("container.image.digest", "sha256:beef"),
    ("container.type", "containerd"),
    ("container.privileged", "true"),
    ("container.mounts", "/srv/data:/data:z:true:rslave,/proc/x:/host/proc:z:false:rslave"),
    ("container.mount[0]", "/srv/data:/data:z:true:rslave"),
    ("container.mount[/proc*]", "/proc/x:/host/proc:z:false:rslave"),
    ("container.mount.source[/host/*]", "/proc/x"),
    ("container.mount.dest[/proc*]", "/host/proc"),
    ("container.mount.dest[1]", "/host/proc"),
    ("container.mount.dest[/none]", "null"),
    ("container.mount.mode[/srv/data]", "z"),
    ("container.mount.rdwr[/proc/?]", "\"false\""),
    ("container.mount.propagation[0]", "rslave"),
    ("container.healthcheck", "/bin/check -q"),
    ("container.liveness_probe", "NONE"),
    ("container.readiness_probe", "NONE"),
    // 2^60 nanoseconds at boot, and 900 since then when the group was made.
    ("container.start_ts", "1152921504606847876"),
    ("container.duration", "102"),
    ("container.ip", "10.0.0.7"),
    ("container.cni.json", "\"[]\""),
    ("container.host_pid", "false"),
    ("container.host_network", "true"),
    ("container.host_ipc", "false"),
    ("container.label[app]", "web"),
    ("container.label[flag]", "\"\""),
    ("container.label[7]", "seven"),
    ("container.label[none]", "null"),
    ("container.labels", "7:seven, app:web, flag"),
    ("k8s.ns.name", "shop"),
    ("k8s.ns.label[team]", "red"),
    ("k8s.pod.name", "web-5c9-x"),
    ("k8s.pod.id", "u"),
    ("k8s.pod.uid", "u"),
    ("k8s.pod.sandbox_id", "bbbbbbbbbbbb"),
    ("k8s.pod.full_sandbox_id", B),
    ("k8s.pod.label[app.kubernetes.io/name]", "w"),
    ("k8s.pod.label[app]", "web"),
    ("k8s.pod.labels", "app:web, app.kubernetes.io/name:w"),
    ("k8s.pod.ip", "10.0.0.7"),
    ("k8s.pod.cni.json", "\"[]\""),
    ("k8s.node.name", "n7"),
    ("k8s.deployment.name", "web"),
    ("k8s.rs.name", "web-5c9"),
    ("k8s.sa.name", "sa"),
];

#[test]
fn probes_of_the_pod_are_those_of_the_container_of_that_name() {
    let rules = "- rule: r\n  desc: d\n  condition: evt.type = openat and fd.name = /plain\n  output: '%container.liveness_probe %k8s.sa.name'\n  priority: Warning\n";
    let mut node = Node7::new(rules);
    let path = format!("/kubepods/pod0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f/{A}");
    node.record(RecordBuilder::cgroup_mkdir(2, &path).build());
    let mut metadata = everything();
    let pod = metadata.pod.take().unwrap();
    node.know(A, Knowledge::Known, metadata);
    node.pipeline.pod("0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f", Some(pod));
    node.open(IN_A, "/plain");
    assert_eq!(node.raised()[0].0, "/live sa");
}
