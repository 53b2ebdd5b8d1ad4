//! Where the tests act: this host, containers on it, and the agent that watches both.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    container::{Container, Containerd, Image, Options, Pods, Runc, Runtime},
    deed::Twin,
    harness::{Agent, PATIENCE},
    stage::Stage,
    wait,
};

/// The address of the API server, as the agent's host file has it.
pub const API_SERVER: &str = "10.96.0.1";

/// How long a process counts as new for the published rules.
const NEW: Duration = Duration::from_secs(5);

/// Raised on purpose after a benign act, to know that everything before it has been judged.
const SENTINEL: &str = "Sentinel";

/// Everything that tests share.
pub struct Scene {
    pub agent: Agent,
    pub stage: Stage,
    server: Server,
    runc: Arc<dyn Runtime>,
    containerd: Arc<Containerd>,
    pods: Arc<Pods>,
    sentinels: AtomicUsize,
    _settings: TempDir,
}

impl Scene {
    /// Starts the agent with a file of rules.
    pub fn new(rules: &Path) -> Self {
        assert_eq!(crate::container::missing(), None, "what containers need must be there");
        let stage = Stage::new();
        let server = Server::start(&stage);
        let image = Arc::new(Image::with_helper());
        for name in ["ssh", "scp", "debugfs", "ncat"] {
            image.link_helper(&format!("/opt/{name}"));
        }
        let runc: Arc<dyn Runtime> = Arc::new(Runc::new(Arc::clone(&image)));
        let containerd = Containerd::start(&image);
        let settings = tempfile::tempdir().unwrap();
        let agent = start_agent(settings.path(), rules, &containerd);
        Self {
            agent,
            stage,
            server,
            runc,
            pods: Pods::of(&containerd),
            containerd,
            sentinels: AtomicUsize::new(0),
            _settings: settings,
        }
    }

    /// Ends the agent; its books must balance.
    pub fn end(self) {
        let ended = self.agent.terminate();
        assert!(ended.status.success(), "the agent ended with {}: {:?}", ended.status, ended.stderr);
        let stopped = ended.stderr.iter().find(|line| line.text.starts_with("stopped:"));
        assert!(stopped.is_some_and(|line| !line.text.contains("UNBALANCED")), "{:?}", ended.stderr);
    }

    /// A new container, by runc.
    pub fn container(&self) -> Container {
        self.container_with(Options::default())
    }

    /// The same with more to say about it.
    pub fn container_with(&self, options: Options) -> Container {
        Container::run(&self.runc, options)
    }

    /// A new container, by containerd.
    pub fn container_of_containerd(&self) -> Container {
        let containerd: Arc<dyn Runtime> = Arc::clone(&self.containerd) as _;
        Container::run(&containerd, Options::default())
    }

    /// A new container in a pod, by the CRI of containerd.
    pub fn pod(&self, privileged: bool) -> Container {
        self.pods.run(&Options { privileged, ..Options::default() }).0
    }

    /// Has a program called `nginx`, which is no longer new, read a file. Returns its pid.
    pub fn read_by_old_server(&self, path: &Path) -> u32 {
        wait::until_some("a server to be no longer new", PATIENCE, || {
            (self.server.started.elapsed() > NEW + Duration::from_millis(100)).then_some(())
        });
        self.server.read(path);
        self.server.pid
    }

    /// Waits until all that was done before has been judged.
    pub fn wait_judged(&self, mark: usize, twin: &Twin) {
        let word = format!("vedette-sentinel-{}", self.sentinels.fetch_add(1, Relaxed));
        // From where it was done: alerts about one place keep their order.
        match twin {
            Twin::Process(_) => drop(self.stage.run(Command::new("true").arg(&word))),
            Twin::Container(container) => drop(container.exec(["/bin/true", &word])),
        }
        let is_it = |line: &crate::harness::Line| {
            line.at("output_fields").get("proc.args") == Some(&word.as_str().into())
        };
        self.agent.expect_alert(mark, SENTINEL, is_it);
    }
}

/// Starts the agent with a host file of its own, so that it knows the API server's address.
fn start_agent(settings: &Path, rules: &Path, containerd: &Containerd) -> Agent {
    let (hosts, sentinel) = (settings.join("hosts"), settings.join("sentinel.yaml"));
    let known = fs::read_to_string("/etc/hosts").unwrap_or_default();
    fs::write(&hosts, format!("{known}\n{API_SERVER} kubernetes.default.svc.cluster.local\n")).unwrap();
    fs::write(&sentinel, sentinel_rule()).unwrap();
    let mut command = Command::new("unshare");
    // The shell becomes the agent.
    command.args(["--mount", "--", "/bin/sh", "-euc", "mount --bind \"$0\" /etc/hosts; exec \"$@\""]);
    command.arg(&hosts).arg(Agent::command().get_program());
    // A ring that holds what others on this host do meanwhile.
    command.args([
        "run",
        "--no-default-policies",
        "--no-socket",
        "--output",
        "json",
        "--events-ring",
        "64MiB",
    ]);
    command.arg("--host-root").arg(containerd.root());
    command.arg("--policy").arg(rules).arg("--policy").arg(&sentinel);
    let agent = Agent::spawn(command);
    agent.wait_ready(PATIENCE);
    agent
}

fn sentinel_rule() -> String {
    format!(
        "- rule: {SENTINEL}\n  desc: A test knows by it what has been judged.\n  condition: evt.type in (execve, \
         execveat) and proc.args startswith vedette-sentinel-\n  output: \"%proc.args\"\n  priority: DEBUG\n"
    )
}

/// A process called `nginx` that reads files when told to.
struct Server {
    child: Mutex<Child>,
    pid: u32,
    started: Instant,
}

impl Server {
    fn start(stage: &Stage) -> Self {
        let started = Instant::now();
        let program: PathBuf = stage.named("nginx");
        let mut command = stage.act_by(&program, ["serve"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { pid: child.id(), child: Mutex::new(child), started }
    }

    /// Has it read a file, and waits until it has.
    fn read(&self, path: &Path) {
        let mut child = self.child.lock().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{}", path.display()).unwrap();
        let mut answer = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
        assert_eq!(answer, "read\n");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}
