//! The agent, the runtimes, and a container from before the agent.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    container::{Container, Containerd, Image, Options, Pods, Runc, Runtime},
    harness::{Agent, Line, PATIENCE},
};

/// Tells of every exec in a container, and of what has a mark of ours outside.
const RULES: &str = r#"
- rule: Exec in container
  desc: Any program in any container.
  condition: evt.type in (execve, execveat) and container.id != host
  output: "%proc.args %proc.name %proc.vpid %proc.pid %proc.exepath %proc.cwd %user.name %user.uid %group.name %container.id
    %container.full_id %container.type %container.name %container.image %container.image.repository
    %container.image.tag %container.privileged %container.mounts %container.start_ts %container.label[app]
    %k8s.pod.name %k8s.ns.name %k8s.pod.uid %k8s.pod.label[app] %k8s.pod.full_sandbox_id"
  priority: NOTICE
- rule: Exec on host
  desc: A program with a mark, outside of containers.
  condition: evt.type in (execve, execveat) and container.id = host and proc.args contains vedette-mark
  output: "%proc.args %proc.vpid %proc.pid %user.name %container.id %container.name %container.type %container.image %k8s.pod.name"
  priority: NOTICE
- rule: Open
  desc: A file with a mark is opened.
  condition: evt.type in (open, openat, openat2) and fd.name contains vedette-mark
  output: "%fd.name %fd.nameraw %proc.name %proc.vpid %container.id %user.name"
  priority: NOTICE
"#;

/// Everything that tests share.
pub struct Scene {
    pub agent: Agent,
    /// It was there before the agent.
    pub early: Container,
    pub runc: Arc<Runc>,
    pub pods: Arc<Pods>,
    /// The last to go: the state of the others is in its directory.
    pub containerd: Arc<Containerd>,
    marks: AtomicUsize,
    _rules: TempDir,
}

impl Scene {
    /// Starts everything.
    pub fn new() -> Self {
        assert_eq!(crate::container::missing(), None, "what containers need must be there");
        let image = Arc::new(Image::with_helper());
        let containerd = Containerd::start(&image);
        let runc = Arc::new(Runc::new(Arc::clone(&image)).with_state(containerd.root().join("run/runc")));
        let early = Container::run(&(Arc::clone(&runc) as _), Options::default());
        let directory = tempfile::tempdir().unwrap();
        let rules = directory.path().join("rules.yaml");
        fs::write(&rules, RULES).unwrap();
        let agent = Agent::start([
            "run",
            "--no-default-policies",
            "--no-socket",
            "--output",
            "json",
            "--events-ring",
            "64MiB",
            "--policy",
            rules.to_str().unwrap(),
            "--host-root",
            containerd.root().to_str().unwrap(),
        ]);
        agent.wait_ready(PATIENCE);
        let pods = Pods::of(&containerd);
        Self { agent, runc, containerd, pods, early, marks: AtomicUsize::new(0), _rules: directory }
    }

    /// Ends the agent; its books must balance.
    pub fn end(self) {
        let ended = self.agent.terminate();
        assert!(ended.status.success(), "the agent ended with {}: {:?}", ended.status, ended.stderr);
        let stopped = ended.stderr.iter().find(|line| line.text.starts_with("stopped:"));
        assert!(stopped.is_some_and(|line| !line.text.contains("UNBALANCED")), "{:?}", ended.stderr);
    }

    /// The runtimes, each with its name.
    pub fn runtimes(&self) -> [(&'static str, Arc<dyn Runtime>); 2] {
        [("runc", Arc::clone(&self.runc) as _), ("containerd", Arc::clone(&self.containerd) as _)]
    }

    /// A new container, by runc.
    pub fn container(&self, options: Options) -> Container {
        Container::run(&(Arc::clone(&self.runc) as _), options)
    }

    /// A word that nobody else uses.
    pub fn mark(&self) -> String {
        format!("vedette-mark-{}-{}", std::process::id(), self.marks.fetch_add(1, Relaxed))
    }

    /// What the agent tells of an exec with this mark among its arguments.
    pub fn told(&self, rule: &str, mark: &str) -> Arc<Line> {
        self.agent.expect_alert(0, rule, |line| {
            field(line, "proc.args").as_str().is_some_and(|args| args.split(' ').any(|arg| arg == mark))
        })
    }

    /// What it tells of an exec in a container, that of a program which only bears a mark.
    pub fn told_of_exec_in(&self, container: &Container) -> Arc<Line> {
        let mark = self.mark();
        container.exec(["/bin/true", &mark]);
        self.told("Exec in container", &mark)
    }
}

/// A field of the rule's output.
pub fn field<'l>(line: &'l Line, name: &str) -> &'l Value {
    line.at("output_fields").get(name).unwrap_or(&Value::Null)
}

/// Holds fields against what they should be.
pub fn assert_fields(line: &Line, wanted: &[(&str, Value)]) {
    let wrong: Vec<String> = wanted
        .iter()
        .filter(|(name, value)| field(line, name) != value)
        .map(|(name, value)| format!("{name} is {}, not {value}", field(line, name)))
        .collect();
    assert!(wrong.is_empty(), "{}\nin {}", wrong.join("\n"), line.text);
}
