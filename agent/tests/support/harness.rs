//! Runs the real agent for a test: starts it, reads what it writes, waits for a line, ends it.
//!
//! Test targets take it in with `#[path = "support/harness.rs"] mod harness;`. All waiting has a deadline and is
//! woken by the line that comes; nothing here sleeps.

// Each test target is a crate of its own, and none uses everything.
#![allow(dead_code)]

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// The variable by which `cargo xtask test` says that tests may load BPF programs into this host's kernel.
const GATE: &str = "VEDETTE_BPF_TESTS";

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this run may load BPF programs. Where it may not, says that the tests named `what` are left out;
/// in CI that is a failure.
///
/// # Panics
/// With `CI=true` and without the permission.
pub fn may_load_bpf(what: &str) -> bool {
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|v| v == value);
    if is(GATE, "1") {
        return true;
    }
    assert!(!is("CI", "true"), "{what}: in CI the tests that load BPF programs must run (root, {GATE}=1)");
    eprintln!("{what}: left out, because {GATE}=1 is not set; `cargo xtask test` as root runs them");
    false
}

/// A line that the agent wrote.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line without its end.
    pub text: String,
    /// What it is as JSON; `None` where it is none.
    pub json: Option<Value>,
    /// When it was read.
    pub at: Instant,
}

impl Line {
    /// The value at a path of keys such as `process.pid`; `Null` where there is none.
    pub fn at(&self, path: &str) -> &Value {
        let mut value = self.json.as_ref().unwrap_or(&Value::Null);
        for key in path.split('.') {
            value = value.get(key).unwrap_or(&Value::Null);
        }
        value
    }

    /// The name of the rule, for an alert.
    pub fn rule(&self) -> &str {
        self.at("rule").as_str().unwrap_or_default()
    }

    /// Whether the alert's process, or one of its ancestors, has this pid.
    pub fn is_of(&self, pid: u32) -> bool {
        let has = |process: &Value| process.get("pid").and_then(Value::as_u64) == Some(pid.into());
        let process = self.at("process");
        has(process)
            || process.get("ancestors").and_then(Value::as_array).is_some_and(|all| all.iter().any(has))
    }
}

/// The lines of one stream so far. Several tests can wait on the same.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    lines: Vec<Arc<Line>>,
    ended: bool,
}

impl Log {
    /// Reads a stream to its end, in a thread of its own.
    fn read(stream: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let log = Self::default();
        let writer = log.clone();
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                let text = String::from_utf8_lossy(&line).into_owned();
                let json = serde_json::from_str(&text).ok();
                writer.lock().lines.push(Arc::new(Line { text, json, at: Instant::now() }));
                writer.0.1.notify_all();
            }
            writer.lock().ended = true;
            writer.0.1.notify_all();
        });
        (log, thread)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap()
    }

    /// How many lines there are: a mark for [`Log::wait_from`] and [`Log::since`].
    pub fn mark(&self) -> usize {
        self.lock().lines.len()
    }

    /// The lines after a mark.
    pub fn since(&self, mark: usize) -> Vec<Arc<Line>> {
        self.lock().lines.get(mark..).unwrap_or_default().to_vec()
    }

    /// All lines as one text.
    pub fn text(&self) -> String {
        self.since(0).iter().map(|l| format!("{}\n", l.text)).collect()
    }

    /// Waits for a line that fulfils the predicate, among all that were and will be written. `None` when the stream
    /// ended without, or the time is over.
    pub fn wait_for(&self, timeout: Duration, wanted: impl FnMut(&Line) -> bool) -> Option<Arc<Line>> {
        self.wait_from(0, timeout, wanted)
    }

    /// The same, without the lines before a mark.
    pub fn wait_from(
        &self,
        mark: usize,
        timeout: Duration,
        mut wanted: impl FnMut(&Line) -> bool,
    ) -> Option<Arc<Line>> {
        let deadline = Instant::now() + timeout;
        let mut next = mark;
        let mut lines = self.lock();
        loop {
            while let Some(line) = lines.lines.get(next) {
                next += 1;
                if wanted(line) {
                    return Some(Arc::clone(line));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.ended || left.is_zero() {
                return None;
            }
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// A running agent. It is killed when the test lets go of it.
pub struct Agent {
    child: Child,
    /// What it writes on standard output: one alert a line.
    pub stdout: Log,
    /// What it writes on standard error: its own log.
    pub stderr: Log,
    readers: Vec<JoinHandle<()>>,
}

/// How an agent ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Everything it wrote on standard output.
    pub stdout: Vec<Arc<Line>>,
    /// Everything it wrote on standard error.
    pub stderr: Vec<Arc<Line>>,
    /// Time from the signal to the end.
    pub took: Duration,
}

impl Agent {
    /// The agent of this build, not yet started.
    pub fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_vedette-agent"))
    }

    /// Starts `vedette-agent` with these arguments.
    pub fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Self::command();
        command.args(args);
        Self::spawn(command)
    }

    /// Starts it with what else the test wants of the process (variables, directory); the streams are ours.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (stdout, out) = Log::read(child.stdout.take().unwrap());
        let (stderr, err) = Log::read(child.stderr.take().unwrap());
        Self { child, stdout, stderr, readers: vec![out, err] }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until every program is attached, and returns the line that says so.
    ///
    /// # Panics
    /// When it ends before, or is not ready in time; with what it wrote.
    pub fn wait_ready(&self, timeout: Duration) -> Arc<Line> {
        self.stderr
            .wait_for(timeout, |line| line.text.starts_with("ready"))
            .unwrap_or_else(|| panic!("the agent is not ready after {timeout:?}:\n{}", self.stderr.text()))
    }

    /// Waits for an alert of a rule that fulfils the predicate, after a mark on `stdout`.
    ///
    /// # Panics
    /// When none comes in time; with the alerts that came.
    pub fn expect_alert(&self, mark: usize, rule: &str, mut wanted: impl FnMut(&Line) -> bool) -> Arc<Line> {
        self.stdout.wait_from(mark, PATIENCE, |line| line.rule() == rule && wanted(line)).unwrap_or_else(
            || {
                let came: Vec<_> = self.stdout.since(mark).iter().map(|l| l.text.clone()).collect();
                panic!("no such alert of `{rule}` within {PATIENCE:?}; what came:\n{}", came.join("\n"))
            },
        )
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.nix_pid(), signal).unwrap();
    }

    /// Ends it with SIGTERM and waits for its end.
    pub fn terminate(self) -> Ended {
        self.end_with(Signal::SIGTERM)
    }

    /// Ends it with a signal and waits for its end.
    ///
    /// # Panics
    /// When it has not ended in time.
    pub fn end_with(self, signal: Signal) -> Ended {
        let began = Instant::now();
        self.signal(signal);
        let mut ended = self.wait_end(PATIENCE);
        ended.took = began.elapsed();
        ended
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it has not ended in time; with what it wrote.
    pub fn wait_end(mut self, timeout: Duration) -> Ended {
        let began = Instant::now();
        // Its end closes the streams; that can be waited for with a deadline, a child cannot.
        let open = |log: &Log| log.wait_for(timeout, |_| false).is_none() && !log.lock().ended;
        if open(&self.stderr) || open(&self.stdout) {
            panic!("the agent has not ended after {timeout:?}:\n{}", self.stderr.text());
        }
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Ended { status, stdout: self.stdout.since(0), stderr: self.stderr.since(0), took: began.elapsed() }
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Fails only when it has ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
