//! The agent as a person runs it: start, alerts, reload, stop.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;

use std::{
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use harness::{Agent, Line, PATIENCE, may_load_bpf};
use nix::sys::signal::Signal;

/// A policy that alerts when anything called `marker…` is read through any name.
fn marker_policy(rule: &str, file: &Path) -> String {
    format!(
        r#"apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {{name: marker}}
spec:
  rules:
    - name: {rule}
      desc: A test reads its marker.
      condition: evt.type in (open, openat, openat2) and fd.num >= 0 and fd.name = "{}"
      output: "%proc.name read %fd.name as %fd.nameraw below %proc.pname"
      priority: Warning
      tags: [T1003.008]
"#,
        file.display()
    )
}

/// What was written, as one text.
fn written(lines: &[std::sync::Arc<Line>]) -> String {
    lines.iter().map(|l| l.text.clone() + "\n").collect()
}

struct Setup {
    dir: tempfile::TempDir,
    policies: std::path::PathBuf,
    marker: std::path::PathBuf,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (policies, marker) = (root.join("policies"), root.join("marker"));
        std::fs::create_dir(&policies).unwrap();
        std::fs::write(&marker, "x").unwrap();
        std::fs::write(policies.join("a.yaml"), marker_policy("Marker read", &marker)).unwrap();
        Self { dir, policies, marker }
    }

    fn agent(&self) -> Agent {
        let policies = self.policies.to_str().unwrap();
        let agent = Agent::start(["run", "--no-default-policies", "--policy", policies, "--output", "json"]);
        agent.wait_ready(PATIENCE);
        agent
    }

    fn cat(&self, path: &Path) -> u32 {
        let mut child = Command::new("cat").arg(path).stdout(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        assert!(child.wait().unwrap().success());
        pid
    }
}

#[test]
fn a_read_through_a_symlink_is_told_within_a_second_with_both_names_and_the_ancestry() {
    if !may_load_bpf("lifecycle") {
        return;
    }
    let setup = Setup::new();
    let link = setup.dir.path().join("innocent");
    symlink(&setup.marker, &link).unwrap();
    let agent = setup.agent();
    let mark = agent.stdout.mark();
    let began = Instant::now();
    let pid = setup.cat(&link);
    let line = agent.expect_alert(mark, "Marker read", |l| l.is_of(pid));
    assert!(line.at.duration_since(began) < Duration::from_secs(1), "{:?}", line.at.duration_since(began));
    let alert = line.json.as_ref().unwrap();
    assert_eq!(alert["process"]["pid"], pid);
    assert_eq!(alert["process"]["name"], "cat");
    assert_eq!(alert["output_fields"]["fd.name"], setup.marker.to_str().unwrap());
    assert_eq!(alert["output_fields"]["fd.nameraw"], link.to_str().unwrap());
    let parent = &alert["process"]["ancestors"][0];
    assert_eq!(parent["pid"], std::process::id());
    let ended = agent.terminate();
    assert!(
        ended.status.success() && ended.took < Duration::from_secs(2),
        "{:?} after {:?}",
        ended.status,
        ended.took
    );
}

#[test]
fn standard_output_has_alerts_and_nothing_else_and_both_signals_end_it_in_order() {
    if !may_load_bpf("lifecycle") {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let setup = Setup::new();
        let agent = setup.agent();
        let mark = agent.stdout.mark();
        let pid = setup.cat(&setup.marker);
        agent.expect_alert(mark, "Marker read", |l| l.is_of(pid));
        let ended = agent.end_with(signal);
        assert_eq!(ended.status.code(), Some(0), "{signal:?}: {}", written(&ended.stderr));
        assert!(ended.took < Duration::from_secs(2), "{signal:?} took {:?}", ended.took);
        for line in &ended.stdout {
            let alert = line.json.as_ref().unwrap_or_else(|| panic!("not JSON: {}", line.text));
            assert_eq!(alert["rule"], "Marker read");
        }
        assert!(ended.stderr.iter().any(|l| l.text.starts_with("ready")), "{}", written(&ended.stderr));
        assert!(
            written(&ended.stderr).contains("stopped: ") && !written(&ended.stderr).contains("UNBALANCED"),
            "{}",
            written(&ended.stderr)
        );
    }
}

#[test]
fn what_is_in_the_rings_at_the_end_is_still_told() {
    if !may_load_bpf("lifecycle") {
        return;
    }
    let setup = Setup::new();
    let agent = setup.agent();
    const READS: usize = 500;
    for _ in 0..READS {
        std::fs::read(&setup.marker).unwrap();
    }
    let ended = agent.terminate();
    assert_eq!(ended.stdout.len(), READS);
}

#[test]
fn a_broken_policy_is_refused_with_its_place_and_exit_code_1() {
    let setup = Setup::new();
    let file = setup.policies.join("a.yaml");
    let text = std::fs::read_to_string(&file).unwrap().replace("fd.num >= 0", "fd.nmu >= 0");
    std::fs::write(&file, text).unwrap();
    let agent = Agent::start(["run", "--no-default-policies", "--policy", setup.policies.to_str().unwrap()]);
    let ended = agent.wait_end(PATIENCE);
    assert_eq!(ended.status.code(), Some(1), "{}", written(&ended.stderr));
    assert!(ended.stdout.is_empty());
    assert!(written(&ended.stderr).contains("a.yaml:8:"), "names file and line: {}", written(&ended.stderr));
    assert!(
        written(&ended.stderr).contains("fd.nmu") && written(&ended.stderr).contains("fd.num"),
        "names the remedy: {}",
        written(&ended.stderr)
    );
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    let ended = Agent::start(["run", "--polici", "x"]).wait_end(PATIENCE);
    assert_eq!(ended.status.code(), Some(64), "{}", written(&ended.stderr));
    assert!(
        written(&ended.stderr).contains("--policy"),
        "suggests the right one: {}",
        written(&ended.stderr)
    );
}

#[test]
fn new_policies_come_into_force_and_bad_ones_leave_the_old_in_place() {
    if !may_load_bpf("lifecycle") {
        return;
    }
    let setup = Setup::new();
    let agent = setup.agent();
    let file = setup.policies.join("a.yaml");
    let stderr = agent.stderr.mark();
    std::fs::write(&file, "- rule: broken\n  condition: proc.nam = x\n").unwrap();
    agent.stderr.wait_from(stderr, PATIENCE, |l| l.text.contains("the old ones stay")).unwrap();
    assert!(agent.stderr.since(stderr).iter().any(|l| l.text.contains("a.yaml:")), "the findings are told");
    let mark = agent.stdout.mark();
    let pid = setup.cat(&setup.marker);
    agent.expect_alert(mark, "Marker read", |l| l.is_of(pid));

    let stderr = agent.stderr.mark();
    std::fs::write(&file, marker_policy("Renamed", &setup.marker)).unwrap();
    agent.stderr.wait_from(stderr, PATIENCE, |l| l.text.contains("policies reloaded")).unwrap();
    let mark = agent.stdout.mark();
    let pid = setup.cat(&setup.marker);
    agent.expect_alert(mark, "Renamed", |l| l.is_of(pid));
    assert!(agent.terminate().status.success());
}

/// A shell that waits for a line and then reads a file, inside another shell.
fn waiting_reader(marker: &Path) -> Child {
    let script = format!("sh -c 'read go; cat {}; true'; true", marker.display());
    Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_process_from_before_the_agent_is_known_with_its_ancestry() {
    if !may_load_bpf("lifecycle") {
        return;
    }
    let setup = Setup::new();
    let mut outer = waiting_reader(&setup.marker);
    let agent = setup.agent();
    let mark = agent.stdout.mark();
    outer.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let outer_pid = outer.id();
    let line = agent.expect_alert(mark, "Marker read", |l| l.is_of(outer_pid));
    let alert = line.json.as_ref().unwrap();
    let ancestors = alert["process"]["ancestors"].as_array().unwrap();
    assert!(ancestors.len() >= 3, "{alert:#}");
    // cat ← the inner shell ← the outer shell ← this test, the last three from before the agent.
    assert!(ancestors[0]["cmdline"].as_str().unwrap().contains("read go"), "{alert:#}");
    assert_eq!(ancestors[1]["pid"], outer_pid);
    assert_eq!(ancestors[2]["pid"], std::process::id());
    assert!(ancestors[2]["exe_path"].as_str().unwrap().contains("lifecycle"), "{alert:#}");
    outer.wait().unwrap();
}

#[test]
fn a_process_id_that_comes_back_is_another_process() {
    if !may_load_bpf("lifecycle") {
        return;
    }
    let setup = Setup::new();
    let agent = setup.agent();
    let mark = agent.stdout.mark();
    let first = setup.cat(&setup.marker);
    let before = agent.expect_alert(mark, "Marker read", |l| l.is_of(first));
    // The kernel gives the next free id after this one; other processes may be faster, so try again until it is ours.
    let deadline = Instant::now() + PATIENCE;
    let second = loop {
        assert!(Instant::now() < deadline, "the id {first} did not come back");
        std::fs::write("/proc/sys/kernel/ns_last_pid", (first - 1).to_string()).unwrap();
        let mut shell = Command::new("sh");
        let script = format!("exec cat {}", setup.marker.display());
        let mut child = shell.args(["-c", &script]).stdout(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        let mark = agent.stdout.mark();
        child.wait().unwrap();
        if pid == first {
            break agent.expect_alert(mark, "Marker read", |l| l.is_of(first));
        }
    };
    let (before, after) = (before.json.as_ref().unwrap(), second.json.as_ref().unwrap());
    assert_eq!(before["process"]["pid"], after["process"]["pid"]);
    assert_ne!(before["process"]["id"], after["process"]["id"], "the start tells them apart");
    assert!(before["process"]["start"].as_str() < after["process"]["start"].as_str());
}

#[test]
fn metrics_and_health_are_served() {
    if !may_load_bpf("lifecycle") {
        return;
    }
    use std::io::Read as _;
    let setup = Setup::new();
    // A port that was free a moment ago; the agent says so if it is not any more.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (policies, metrics) = (setup.policies.to_str().unwrap().to_owned(), address.to_string());
    let agent = Agent::start([
        "run",
        "--no-default-policies",
        "--policy",
        &policies,
        "--output",
        "json",
        "--metrics",
        &metrics,
    ]);
    agent.wait_ready(PATIENCE);
    let mark = agent.stdout.mark();
    let pid = setup.cat(&setup.marker);
    agent.expect_alert(mark, "Marker read", |l| l.is_of(pid));
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(get("/readyz").contains("ready"));
    assert!(get("/nothing").starts_with("HTTP/1.1 404"));
    let text = get("/metrics");
    for name in
        ["vedette_events_produced_total{kind=\"file_open\"}", "vedette_alerts_total", "vedette_rules 1"]
    {
        assert!(text.contains(name), "{name} in {text}");
    }
}
