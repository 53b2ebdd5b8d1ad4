//! A daemon under measurement: started, waited for, and always ended.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How many of the last lines are kept for an error message.
const KEPT_LINES: usize = 10;

/// A running daemon; dropping it kills it.
pub struct Daemon {
    child: Child,
    /// Time from the start to the line that began with `ready`.
    pub ready_after: Duration,
    /// That line.
    pub ready_line: String,
}

impl Daemon {
    /// Starts a daemon and waits for a line on stderr that begins with `ready`.
    ///
    /// # Errors
    /// When it cannot be started, ends before it is ready, or is not ready in time.
    pub fn start(program: &Path, arguments: &[String], patience: Duration) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let stderr = child.stderr.take().ok_or_else(|| anyhow!("the daemon has no stderr"))?;
        let (sender, lines) = channel();
        // Reads on after `ready`: a full pipe would stop the daemon.
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                // Nobody listens any more once the line was found.
                let _ = sender.send((Instant::now(), String::from_utf8_lossy(&line).into_owned()));
            }
        });
        let mut daemon = Self { child, ready_after: Duration::ZERO, ready_line: String::new() };
        let (at, line) = daemon.wait_for_ready(&lines, start + patience)?;
        daemon.ready_after = at - start;
        daemon.ready_line = line;
        Ok(daemon)
    }

    fn wait_for_ready(
        &mut self,
        lines: &Receiver<(Instant, String)>,
        deadline: Instant,
    ) -> Result<(Instant, String)> {
        let mut last = VecDeque::new();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((at, line)) if line.starts_with("ready") => return Ok((at, line)),
                Ok((_, line)) => {
                    last.push_back(line);
                    if last.len() > KEPT_LINES {
                        last.pop_front();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("no line `ready` in time; it said:\n{}", joined(&last))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!("it ended before it was ready ({status}); it said:\n{}", joined(&last));
                }
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as Ctrl-C would, and says how long that took.
    ///
    /// # Errors
    /// When it does not end in time, or not with 0.
    pub fn stop(mut self, patience: Duration) -> Result<Duration> {
        let start = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::INT).context("send SIGINT")?;
        let status = self.wait(start + patience)?;
        if !status.success() {
            bail!("it ended with {status} after SIGINT");
        }
        Ok(start.elapsed())
    }

    fn wait(&mut self, deadline: Instant) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("it did not end in time after SIGINT");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn joined(lines: &VecDeque<String>) -> String {
    lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn shell(script: &str, patience: Duration) -> Result<Daemon> {
        // A shell cannot trap what was ignored when it began, and who runs us may ignore it.
        let args = ["--default-signal=INT", "/bin/sh", "-c", script].map(str::to_owned);
        Daemon::start(Path::new("/usr/bin/env"), &args, patience)
    }

    #[test]
    fn a_daemon_is_ready_and_stops() {
        let script =
            "trap 'kill $!; exit 0' INT; echo starting >&2; sleep 60 & echo 'ready: 1 rule' >&2; wait";
        let daemon = shell(script, PATIENCE).unwrap();
        assert_eq!(daemon.ready_line, "ready: 1 rule");
        assert!(daemon.ready_after > Duration::ZERO);
        daemon.stop(PATIENCE).unwrap();
    }

    #[test]
    fn an_early_end_shows_what_it_said() {
        let error = shell("echo 'no such file' >&2; exit 3", PATIENCE).err().unwrap().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such file"), "{error}");
    }

    #[test]
    fn patience_ends() {
        let error =
            shell("echo almost >&2; exec sleep 60", Duration::from_millis(200)).err().unwrap().to_string();
        assert!(error.contains("in time") && error.contains("almost"), "{error}");
    }
}
