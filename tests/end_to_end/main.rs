//! From a policy file at the controller to an alert at a sink, by the real agent and the real controller.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use vedette_e2e::{
    controller::{Controller, free_port},
    may_use_root,
    process::{Log, Process},
    wait::until_some,
};
use vedette_event::alert::Time;

/// How soon a changed policy must be live. A controller that is not optimised takes most of a second alone to check it
/// together with the built-in ones.
const LIVE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 2 } else { 1 });

const NODE: &str = "first-node";

/// A controller with a file as its sink, and an agent of it.
struct Scene {
    directory: tempfile::TempDir,
    root: PathBuf,
    controller: Controller,
    agent: Option<Process>,
    /// Port of the agent's metrics.
    metrics: u16,
    /// What the agent writes as alerts, and of itself; of all its runs.
    alerts: Log,
    log: Log,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let sink =
            format!("start: oldest\nbatch: {{delay: 20ms}}\nfile: {{path: {}/sink.jsonl}}\n", root.display());
        let controller = Controller::new(env!("CARGO_BIN_EXE_e2e-controller"), &root, ("siem", &sink));
        let metrics = free_port();
        Self {
            directory,
            root,
            controller,
            agent: None,
            metrics,
            alerts: Log::default(),
            log: Log::default(),
        }
    }

    /// A policy that fires when a file of this name is read.
    fn write_policy(&self, file: &str, name: &str) {
        let text = format!(
            r#"apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {{name: {name}}}
spec:
  rules:
    - name: {name} was read
      desc: A test reads its marker.
      condition: evt.type in (open, openat, openat2) and fd.num >= 0 and fd.name = "{}"
      output: "%proc.name read %fd.name"
      priority: Warning
      tags: [T1003.008]
"#,
            self.root.join(name).display()
        );
        self.replace(file, &text);
    }

    /// Puts a policy file into its place as a whole.
    fn replace(&self, file: &str, text: &str) {
        let new = self.root.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.controller.policies.join(file)).unwrap();
    }

    fn start_agent(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_e2e-agent"));
        command.args(["run", "--no-default-policies", "--no-socket", "--no-container-metadata"]);
        command.args(["--output", "json", "--hostname", NODE, "--spool-sync", "always"]);
        command.arg("--controller").arg(format!("https://127.0.0.1:{}", self.controller.port));
        command.arg("--controller-ca").arg(self.controller.ca());
        command.arg("--controller-token").arg(self.controller.token());
        command.arg("--data").arg(self.root.join("agent"));
        command.arg("--metrics").arg(format!("127.0.0.1:{}", self.metrics));
        let (alerts, log, mark) = (self.alerts.clone(), self.log.clone(), self.log.mark());
        let agent = Process::spawn(command, move |line| alerts.push(line), move |line| log.push(line));
        self.agent = Some(agent);
        self.log.wait_text(mark, "ready");
    }

    /// A figure of the agent's metrics.
    fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    fn marker(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        if !path.exists() {
            fs::write(&path, "x").unwrap();
        }
        path
    }

    /// The alerts that the sink has.
    fn delivered(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.root.join("sink.jsonl")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The first alert of the rule about this marker that the sink gets.
    fn expect_delivered(&self, name: &str) -> Value {
        let rule = format!("{name} was read");
        until_some(&rule, || self.delivered().into_iter().find(|alert| alert["rule"] == rule.as_str()))
    }

    /// Reads the marker until the agent has an alert of that, and returns the alert.
    fn read_until_alert(&self, name: &str) -> Value {
        let path = self.marker(name);
        let mark = self.alerts.mark();
        let rule = format!("{name} was read");
        until_some(&rule, || {
            fs::read(&path).unwrap();
            self.alerts.since(mark).iter().find_map(|line| alert_of(line, &rule))
        })
    }

    /// The agent's alert of the rule about this marker, after a mark.
    fn expect_alert(&self, mark: usize, name: &str) -> Value {
        let rule = format!("{name} was read");
        self.alerts.wait(mark, &rule, |line| alert_of(line, &rule))
    }

    fn is_spooled(&self, alert: &Value) -> bool {
        let uid = alert["uid"].as_str().unwrap().as_bytes();
        let files = fs::read_dir(self.root.join("agent/spool")).unwrap();
        files.flatten().any(|file| {
            // One may go while we look.
            let bytes = fs::read(file.path()).unwrap_or_default();
            bytes.windows(uid.len()).any(|window| window == uid)
        })
    }

    fn count(&self, mark: usize, name: &str) -> usize {
        let rule = format!("{name} was read");
        self.alerts.since(mark).iter().filter(|line| alert_of(line, &rule).is_some()).count()
    }

    fn end(mut self) {
        let status = self.agent.take().unwrap().terminate();
        assert!(status.success(), "{status}:\n{}", self.log.since(0).join("\n"));
        self.controller.terminate();
        drop(self.directory);
    }
}

fn alert_of(line: &str, rule: &str) -> Option<Value> {
    let alert: Value = serde_json::from_str(line).unwrap();
    (alert["rule"] == rule).then_some(alert)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn time(alert: &Value) -> Duration {
    let time: Time = serde_json::from_value(alert["time"].clone()).unwrap();
    Duration::from_nanos(time.0)
}

/// How long after `began` the deed was that raised the alert.
fn live_after(alert: &Value, began: Duration) -> Duration {
    time(alert).saturating_sub(began)
}

#[test]
fn policies_go_out_and_alerts_come_in() {
    if !may_use_root("policies_go_out_and_alerts_come_in") {
        return;
    }
    let mut scene = Scene::new();
    scene.write_policy("first.yaml", "first");
    scene.controller.start();
    scene.start_agent();

    // A deed gives an alert at the sink, and it is the one that the agent has raised.
    let raised = scene.read_until_alert("first");
    let alert = scene.expect_delivered("first");
    let same = |alert: &Value| scene.delivered().iter().any(|delivered| delivered == alert);
    until_some("the alert as it was raised", || same(&raised).then_some(()));
    assert_eq!(alert["hostname"], NODE);
    assert_eq!(alert["priority"], "Warning");
    assert_eq!(alert["policy"]["name"], "first");
    assert_eq!(alert["output_fields"]["fd.name"], scene.root.join("first").display().to_string());
    assert_eq!(alert["process"]["pid"], std::process::id());
    assert_eq!(alert["attack"]["techniques"][0], "T1003.008");
    assert!(now() - time(&alert) < Duration::from_secs(60), "{alert}");

    // A policy that is changed is live soon. What else this machine does is no matter of ours: the quickest of
    // a few changes counts.
    let quickest = (0..5).map(|number| {
        let name = format!("changed-{number}");
        scene.marker(&name);
        let began = now();
        scene.write_policy("second.yaml", &name);
        live_after(&scene.read_until_alert(&name), began)
    });
    let mut all = Vec::new();
    let live = quickest.inspect(|took| all.push(*took)).any(|took| took < LIVE);
    eprintln!("a changed policy was live after {all:?}");
    let logs = [scene.controller.log.since(0), scene.log.since(0)].concat().join("\n");
    assert!(live, "{all:?}\n{logs}");
    scene.write_policy("second.yaml", "second");
    scene.read_until_alert("second");
    scene.expect_delivered("second");

    // One that is wrong is refused with where and why; the old ones stay.
    let mark = scene.controller.log.mark();
    scene.replace(
        "second.yaml",
        "- rule: wrong\n  desc: x\n  condition: proc.nmae = cat\n  output: x\n  priority: WARNING\n",
    );
    let finding = scene.controller.log.wait_text(mark, "second.yaml:");
    let text = scene.controller.log.since(mark).join("\n");
    assert!(finding.contains("second.yaml:3:") && text.contains("proc.nmae"), "{text}");
    let mark = scene.alerts.mark();
    fs::read(scene.marker("second")).unwrap();
    fs::read(scene.marker("first")).unwrap();
    scene.expect_alert(mark, "second");
    scene.expect_alert(mark, "first");

    // One that is deleted fires no more. A third comes with it, so that it is seen when that has happened.
    scene.write_policy("third.yaml", "third");
    fs::remove_file(scene.controller.policies.join("second.yaml")).unwrap();
    scene.read_until_alert("third");
    let mark = scene.alerts.mark();
    fs::read(scene.marker("second")).unwrap();
    fs::read(scene.marker("third")).unwrap();
    scene.expect_alert(mark, "third");
    assert_eq!(scene.count(mark, "second"), 0);
    scene.end();
}

#[test]
fn without_its_controller_an_agent_goes_on_and_nothing_is_lost() {
    if !may_use_root("without_its_controller_an_agent_goes_on_and_nothing_is_lost") {
        return;
    }
    let mut scene = Scene::new();
    scene.write_policy("first.yaml", "first");
    scene.controller.start();
    scene.start_agent();
    scene.read_until_alert("first");
    let bundle = scene.root.join("agent/bundle");
    until_some("the bundle on disk", || bundle.exists().then_some(()));

    scene.controller.kill();
    let mark = scene.alerts.mark();
    let path = scene.marker("first");
    for _ in 0..10 {
        fs::read(&path).unwrap();
    }
    until_some("ten alerts", || (scene.count(mark, "first") == 10).then_some(()));
    until_some("ten alerts in the spool", || (scene.metric("vedette_spool_alerts") >= 10).then_some(()));
    until_some("a lost connection", || (scene.metric("vedette_uplink_connected") == 0).then_some(()));
    // It starts without a controller, too, with the policies it had, and with the alerts that wait.
    let status = scene.agent.take().unwrap().terminate();
    assert!(status.success(), "{status}");
    scene.start_agent();
    let mark = scene.alerts.mark();
    fs::read(&path).unwrap();
    // It dies without a word this time, with an alert that it has told nobody but its disk.
    let alert = scene.expect_alert(mark, "first");
    until_some("the alert in the spool", || scene.is_spooled(&alert).then_some(()));
    scene.agent.take().unwrap().kill();
    scene.start_agent();
    let mark = scene.alerts.mark();
    fs::read(&path).unwrap();
    scene.expect_alert(mark, "first");

    scene.controller.start();
    arrives(&scene, &path);
    until_some("an empty spool", || (scene.metric("vedette_spool_alerts") == 0).then_some(()));
    assert_eq!(scene.metric("vedette_uplink_connected"), 1);
    assert!(scene.metric("vedette_uplink_alerts_acknowledged_total") >= 10);
    assert!(scene.metric("vedette_spool_bytes") > 0 && scene.metric("vedette_uplink_failures_total") > 0);
    scene.end();
}

/// All that the agent has raised is at the sink, in its order, and what is there twice is the same.
fn arrives(scene: &Scene, path: &Path) {
    let raised: Vec<Value> =
        scene.alerts.since(0).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(raised.len() >= 13, "{} alerts of {}", raised.len(), path.display());
    let delivered = until_some("all alerts at the sink", || {
        let delivered = scene.delivered();
        raised.iter().all(|alert| delivered.iter().any(|d| d["uid"] == alert["uid"])).then_some(delivered)
    });
    let mut order = Vec::new();
    for alert in &delivered {
        match order.iter().position(|known: &&Value| known["uid"] == alert["uid"]) {
            Some(known) => assert_eq!(order[known], alert),
            None => order.push(alert),
        }
    }
    assert_eq!(order, raised.iter().collect::<Vec<_>>());
}
