//! Controller and agent beside each other, as long as both live and nobody asks for the end.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What the controller says once agents can connect, before the address.
const READY: &str = "ready: agents connect to ";
/// How long it may take until it says so.
const START: Duration = Duration::from_secs(60);
/// How long each may take to end once it was asked to.
const END: Duration = Duration::from_secs(20);
/// How often it is looked whether something has ended.
const LOOK: Duration = Duration::from_millis(50);
/// After Ctrl-C: the terminal has told the agent, too.
const POLITE: Duration = Duration::from_millis(500);

/// Set when everything is to end.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Set by Ctrl-C, SIGTERM and the end of the terminal.
    ///
    /// # Errors
    /// What the system says.
    pub fn by_signals() -> Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop.0)).context("listen to signals")?;
        }
        Ok(stop)
    }

    fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A running controller. It ends when this is dropped.
pub struct Controller {
    child: Child,
    /// Where agents connect.
    pub address: String,
}

impl Controller {
    /// Starts it and waits until agents can connect. What it says goes on to standard error.
    ///
    /// # Errors
    /// It ends before, or does not get ready.
    pub fn start(mut command: Command, stop: &Stop) -> Result<Self> {
        // In a group of its own: Ctrl-C is for the agent first, so that its last alerts find a controller.
        command.process_group(0).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start the controller")?;
        let stderr = child.stderr.take().ok_or_else(|| anyhow!("the controller has no stderr"))?;
        let ready = forward(stderr);
        let mut controller = Self { child, address: String::new() };
        let end = Instant::now() + START;
        loop {
            match ready.recv_timeout(LOOK) {
                Ok(address) => {
                    controller.address = address;
                    return Ok(controller);
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the controller did not start; see above why"),
                Err(RecvTimeoutError::Timeout) if stop.is_set() => bail!("interrupted"),
                Err(RecvTimeoutError::Timeout) if Instant::now() > end => {
                    bail!("the controller is not ready in time")
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Runs the agent beside it until one of them ends or everything is to end; then ends both, the agent first.
    ///
    /// # Errors
    /// The agent did not end well, or the controller ended on its own.
    pub fn run_beside(mut self, mut agent: Command, stop: &Stop) -> Result<()> {
        let mut agent = Ended(agent.spawn().context("start the agent")?);
        let ended = loop {
            if let Some(status) = agent.0.try_wait()? {
                break Some(status);
            }
            if let Some(status) = self.child.try_wait()? {
                agent.end("the agent")?;
                bail!("the controller has ended on its own ({status}); see above why");
            }
            if stop.is_set() {
                break None;
            }
            std::thread::sleep(LOOK);
        };
        let status = match ended {
            Some(status) => status,
            None => match wait(&mut agent.0, POLITE)? {
                Some(status) => status,
                None => agent.end("the agent")?,
            },
        };
        let controller = end(&mut self.child, "the controller")?;
        if !status.success() {
            bail!("the agent ended with {status}");
        }
        if !controller.success() {
            bail!("the controller ended with {controller}");
        }
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = end(&mut self.child, "the controller");
    }
}

/// A child that does not outlive us.
struct Ended(Child);

impl Ended {
    fn end(&mut self, name: &str) -> Result<ExitStatus> {
        end(&mut self.0, name)
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.end("the agent");
    }
}

/// Asks a child to end, and ends it if it does not.
fn end(child: &mut Child, name: &str) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    if let Some(pid) = Pid::from_raw(i32::try_from(child.id())?) {
        // Of sudo, which is root's, only the terminal can end it.
        let _ = kill_process(pid, Signal::TERM);
    }
    if let Some(status) = wait(child, END)? {
        return Ok(status);
    }
    eprintln!("{name} does not end within {}s and is killed", END.as_secs());
    child.kill()?;
    Ok(child.wait()?)
}

fn wait(child: &mut Child, most: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + most;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() > end {
            return Ok(status);
        }
        std::thread::sleep(LOOK);
    }
}

/// Passes on what the controller says, and tells its address once it is ready.
fn forward(stderr: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            eprintln!("controller: {line}");
            if let Some(rest) = line.strip_prefix(READY)
                && let Some(sender) = sender.take()
            {
                // Nobody may be waiting any more.
                let _ = sender.send(rest.trim_start_matches("TLS ").to_owned());
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// A stand-in that says it is ready, and ends when it is asked to.
    fn controller(dir: &tempfile::TempDir) -> Command {
        let mut command = shell(
            "trap 'echo controller >> ends; exit 0' TERM
             echo 'ready: agents connect to TLS 127.0.0.1:7' >&2
             while :; do sleep 0.05; done",
        );
        command.current_dir(dir.path());
        command
    }

    fn agent(dir: &tempfile::TempDir, script: &str) -> Command {
        let mut command = shell(script);
        command.current_dir(dir.path());
        command
    }

    fn ends(dir: &tempfile::TempDir) -> String {
        std::fs::read_to_string(dir.path().join("ends")).unwrap_or_default()
    }

    #[test]
    fn the_agent_ends_first_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let running = Controller::start(controller(&dir), &stop).unwrap();
        assert_eq!(running.address, "127.0.0.1:7");
        // The end is asked for once the agent is there.
        let script = "trap 'echo agent >> ends; exit 0' TERM; touch there; while :; do sleep 0.05; done";
        let (asked, there) = (stop.clone(), dir.path().join("there"));
        let asking = std::thread::spawn(move || {
            let end = Instant::now() + START;
            while !there.exists() && Instant::now() < end {
                std::thread::yield_now();
            }
            asked.0.store(true, Relaxed);
        });
        running.run_beside(agent(&dir, script), &stop).unwrap();
        asking.join().unwrap();
        assert_eq!(ends(&dir), "agent\ncontroller\n");
    }

    #[test]
    fn the_end_of_one_is_the_end_of_both() {
        let dir = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let running = Controller::start(controller(&dir), &stop).unwrap();
        let error = running.run_beside(agent(&dir, "exit 3"), &stop).unwrap_err().to_string();
        assert!(error.contains("the agent ended with") && error.contains('3'), "{error}");
        assert_eq!(ends(&dir), "controller\n");

        let dies = shell("echo 'ready: agents connect to TLS 127.0.0.1:7' >&2; exit 70");
        let running = Controller::start(dies, &stop).unwrap();
        let script = "trap 'echo agent >> ends; exit 0' TERM; while :; do sleep 0.05; done";
        let error = running.run_beside(agent(&dir, script), &stop).unwrap_err().to_string();
        assert!(error.contains("the controller has ended"), "{error}");
    }

    #[test]
    fn a_controller_that_does_not_start_is_told() {
        let error = Controller::start(shell("echo no port >&2; exit 1"), &Stop::default()).err().unwrap();
        assert!(error.to_string().contains("did not start"), "{error}");
    }
}
