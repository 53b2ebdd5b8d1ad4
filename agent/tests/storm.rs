//! Storms of short processes and of containers: what the agent remembers of them stays bounded and true, and its books
//! balance.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/container.rs"]
mod container;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/wait.rs"]
mod wait;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use container::{Groups, Image, Options, Runc, fresh_id};
use harness::{Agent, PATIENCE, may_load_bpf};
use tempfile::TempDir;

/// How many short processes.
const PROCESSES: usize = 50_000;

/// How many of them one parent has.
const CHILDREN: usize = 1_000;

/// How many containers are started and stopped.
const CONTAINERS: usize = 1_000;

/// How many storm at the same time.
const WORKERS: usize = 2;

/// Most bytes by which the agent may have grown at the height of a storm.
const GROWTH: u64 = 96 << 20;

/// How long what has ended may be remembered.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// These tests take turns: each is a storm to the other.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An agent with one rule, whose alerts go to a file.
struct Watch {
    agent: Agent,
    metrics: SocketAddr,
    directory: TempDir,
    began: Instant,
    /// Its memory before the storm, bytes.
    memory: u64,
    /// Its tables before the storm: processes, control groups.
    known: [u64; 2],
}

impl Watch {
    fn start(rule: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(path("rules.yaml"), rule).unwrap();
        // A port that was free a moment ago; the agent says so if it is not any more.
        let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let agent = Agent::start([
            "run",
            "--no-default-policies",
            "--no-socket",
            "--output",
            "text",
            "--policy",
            &path("rules.yaml"),
            "--alerts",
            &path("alerts"),
            "--metrics",
            &metrics.to_string(),
        ]);
        agent.wait_ready(PATIENCE);
        let memory = memory(agent.pid(), "VmRSS:");
        let mut this = Self { agent, metrics, directory, began: Instant::now(), memory, known: [0; 2] };
        this.known = wait::until_some("the tables to be filled", PATIENCE, || {
            let metrics = this.metrics();
            let known = [metrics["vedette_processes"], metrics["vedette_cgroups"]];
            known.iter().all(|count| *count > 0).then_some(known)
        });
        this
    }

    /// Its metrics by name and labels.
    fn metrics(&self) -> BTreeMap<String, u64> {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let lines = answer.lines().filter(|line| line.starts_with("vedette_"));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(k, v)| Some((k.into(), v.parse().ok()?)))
            .collect()
    }

    /// What came of the storm: it is over, all is told, what has ended is forgotten, and nothing is missing in the
    /// books. Returns the alerts, one a line, and how many execs were lost.
    fn conclude(self, what: &str) -> (Vec<String>, u64) {
        let took = self.began.elapsed();
        let peak = memory(self.agent.pid(), "VmHWM:");
        // While others on this host go on, the books balance in any moment in which nothing is under way.
        for kind in ["process_fork", "process_exec", "process_exit", "cgroup_mkdir", "cgroup_rmdir"] {
            wait::until_some(&format!("the books of {kind} to balance"), PATIENCE, || {
                let metrics = self.metrics();
                let of = |name: &str| metrics[&format!("vedette_events_{name}_total{{kind=\"{kind}\"}}")];
                let dropped: u64 = dropped(&metrics, kind);
                (of("produced") == of("delivered") + dropped).then_some(())
            });
        }
        // Others on this host go on meanwhile.
        let others = [500, 50];
        let after = wait::until_some("what has ended to be forgotten", FORGOTTEN, || {
            let metrics = self.metrics();
            let now = [metrics["vedette_processes"], metrics["vedette_cgroups"]];
            let mut tables = now.iter().zip(self.known).zip(others);
            tables.all(|((now, before), others)| *now <= before + others).then_some(metrics)
        });
        let rest = memory(self.agent.pid(), "VmRSS:");
        let mebibytes = |bytes: u64| bytes >> 20;
        eprintln!(
            "{what} in {:.1} s: memory {} MiB before, {} at most, {} after; processes {} before, {} after; groups {} \
             before, {} after",
            took.as_secs_f64(),
            mebibytes(self.memory),
            mebibytes(peak),
            mebibytes(rest),
            self.known[0],
            after["vedette_processes"],
            self.known[1],
            after["vedette_cgroups"],
        );
        assert!(peak - self.memory < GROWTH, "it grew by {} MiB", mebibytes(peak - self.memory));
        let lost = dropped(&after, "process_exec");
        let alerts = self.directory.path().join("alerts");
        let ended = self.agent.terminate();
        assert!(ended.status.success(), "the agent ended with {}: {:?}", ended.status, ended.stderr);
        let stopped = ended.stderr.iter().find(|line| line.text.starts_with("stopped:")).unwrap();
        assert!(
            !stopped.text.contains("UNBALANCED") && stopped.text.contains(" 0 not written"),
            "{}",
            stopped.text
        );
        let text = fs::read_to_string(alerts).unwrap();
        (text.lines().map(str::to_owned).collect(), lost)
    }
}

/// Records of a kind that were lost, at whatever stage.
fn dropped(metrics: &BTreeMap<String, u64>, kind: &str) -> u64 {
    let prefix = format!("vedette_events_dropped_total{{kind=\"{kind}\"");
    metrics.iter().filter(|(name, _)| name.starts_with(&prefix)).map(|(_, count)| count).sum()
}

/// A line of `/proc/PID/status`, in bytes.
fn memory(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kibibytes = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    kibibytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The value of `key=…` in an alert.
fn value<'l>(line: &'l str, key: &str) -> &'l str {
    let (_, rest) = line.split_once(&format!("{key}=")).unwrap_or_else(|| panic!("{key} in {line}"));
    rest.split(' ').next().unwrap()
}

#[test]
fn a_fork_bomb_leaves_no_trace_and_no_stale_ancestry() {
    if !may_load_bpf("storm") {
        return;
    }
    let _turn = turn();
    let watch = Watch::start(
        "- rule: Storm\n  desc: A process of the storm.\n  condition: evt.type in (execve, execveat) and proc.args \
         startswith \"true storm-\"\n  output: \"ppid=%proc.ppid parent=%proc.pname args=%proc.args end\"\n  priority: \
         DEBUG\n",
    );
    let busybox = container::busybox().expect("a static busybox (`cargo xtask setup`)");
    // Each child is told who its parent is. Fifty run at a time.
    let script = "i=0; while [ $i -lt $1 ]; do \"$0\" true storm-$$ & i=$((i+1)); [ $((i % 50)) = 0 ] && wait; done; wait";
    let parents: Vec<u32> = std::thread::scope(|scope| {
        let workers = (0..WORKERS).map(|_| {
            scope.spawn(|| {
                let shells = (0..PROCESSES / CHILDREN / WORKERS).map(|_| {
                    let mut shell = Command::new("/bin/sh");
                    shell.args(["-c", script]).arg(&busybox).arg(CHILDREN.to_string());
                    let mut shell = shell.stdin(Stdio::null()).spawn().unwrap();
                    assert!(shell.wait().unwrap().success());
                    shell.id()
                });
                shells.collect::<Vec<_>>()
            })
        });
        let workers: Vec<_> = workers.collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (alerts, lost) = watch.conclude(&format!("{PROCESSES} short processes"));
    let mut children: BTreeMap<u32, usize> = BTreeMap::new();
    for alert in &alerts {
        let parent = value(alert, "ppid");
        assert!(alert.contains(&format!("args=true storm-{parent} end")), "not its parent: {alert}");
        assert_eq!(value(alert, "parent"), "sh", "{alert}");
        *children.entry(parent.parse().unwrap()).or_default() += 1;
    }
    assert!(alerts.len() as u64 + lost >= PROCESSES as u64, "{} told, {lost} lost", alerts.len());
    assert!(children.keys().all(|parent| parents.contains(parent)));
    if lost == 0 {
        let all: usize = parents.iter().collect::<BTreeSet<_>>().iter().map(|parent| children[parent]).sum();
        assert_eq!(all, PROCESSES);
    }
}

/// Starts containers one after the other, each for one short process, and returns their ids.
fn run_containers(runc: &Runc, image: &Image, groups: &Groups, bundle: &Path, count: usize) -> Vec<String> {
    let start = |_| {
        let id = fresh_id();
        let options = Options {
            cgroup: Some(groups.path(&format!("/docker/{id}"))),
            args: vec!["/bin/true".into(), format!("storm-{id}")],
            ..Options::default()
        };
        let config = options.config(image.root().to_str().unwrap(), false);
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        let mut command = runc.command();
        command.arg("run").arg("--bundle").arg(bundle).arg(&id);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        id
    };
    (0..count).map(start).collect()
}

#[test]
fn a_thousand_containers_come_and_go_and_are_told_apart() {
    if !may_load_bpf("storm") {
        return;
    }
    let _turn = turn();
    let watch = Watch::start(
        "- rule: Storm\n  desc: A process of the storm.\n  condition: evt.type in (execve, execveat) and proc.args \
         startswith storm-\n  output: \"container=%container.full_id vpid=%proc.vpid args=%proc.args end\"\n  priority: \
         DEBUG\n",
    );
    let image = Arc::new(Image::new());
    let runc = Runc::new(Arc::clone(&image));
    let bundles = tempfile::tempdir().unwrap();
    let bundle = |number: usize| -> PathBuf {
        let path = bundles.path().join(number.to_string());
        fs::create_dir(&path).unwrap();
        path
    };
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let (runc, image, bundle) = (&runc, &image, bundle(number));
                scope.spawn(move || run_containers(runc, image, runc.groups(), &bundle, CONTAINERS / WORKERS))
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (alerts, lost) = watch.conclude(&format!("{CONTAINERS} containers"));
    let mut told = BTreeSet::new();
    for alert in &alerts {
        let container = value(alert, "container");
        assert!(alert.contains(&format!("args=storm-{container} end")), "another container's: {alert}");
        assert_eq!(value(alert, "vpid"), "1", "{alert}");
        told.insert(container.to_owned());
    }
    assert!(told.is_subset(&ids));
    assert!(told.len() as u64 + lost >= CONTAINERS as u64, "{} told, {lost} lost", told.len());
}
