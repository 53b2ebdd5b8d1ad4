//! Processes of a test: what they write is read as it comes, and they end with the test.

use std::{
    io::{BufRead, BufReader, Read, Write as _},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait::PATIENCE;

/// The lines of a stream so far. Clones are the same log, and a process that is started again may go on with it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.0.lock().unwrap()
    }

    /// Adds a line.
    pub fn push(&self, line: &str) {
        self.lock().push(line.to_owned());
        self.0.1.notify_all();
    }

    /// How many lines there are.
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    /// The lines after a mark.
    pub fn since(&self, mark: usize) -> Vec<String> {
        self.lock().get(mark..).unwrap_or_default().to_vec()
    }

    /// Waits for a line after the mark of which something can be made.
    ///
    /// # Panics
    /// None comes in time; with what came.
    pub fn wait<T>(&self, mark: usize, what: &str, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut next = mark;
        let mut lines = self.lock();
        loop {
            while let Some(line) = lines.get(next) {
                next += 1;
                if let Some(found) = wanted(line) {
                    return found;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let came = lines.get(mark..).unwrap_or_default();
            assert!(!left.is_zero(), "waited in vain: {what}; what came:\n{}", came.join("\n"));
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits for a line after the mark that contains the text.
    ///
    /// # Panics
    /// None comes in time; with what came.
    pub fn wait_text(&self, mark: usize, text: &str) -> String {
        self.wait(mark, text, |line| line.contains(text).then(|| line.to_owned()))
    }
}

/// A running process. It is killed when the test lets go of it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it. Each line of its two outputs is handed over without its end; one that was cut off is not.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(
        mut command: Command,
        out: impl FnMut(&str) + Send + 'static,
        err: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let readers = vec![read(child.stdout.take().unwrap(), out), read(child.stderr.take().unwrap(), err)];
        Self { input: child.stdin.take(), child, readers }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its input. A process that has died does not read it.
    pub fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}");
        }
    }

    /// Kills it, and reads what it had written.
    pub fn kill(mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Ends it in order.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn terminate(mut self) -> ExitStatus {
        // If it does not heed the first signal, the second ends it, and the test fails.
        let pid = self.pid();
        let (ended, guard) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            let late = guard.recv_timeout(Duration::from_secs(30));
            if late == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                signal(pid, Signal::SIGKILL);
            }
        });
        let status = self.end(Signal::SIGTERM);
        drop(ended);
        watch.join().unwrap();
        status
    }

    fn end(&mut self, with: Signal) -> ExitStatus {
        signal(self.pid(), with);
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, signal: Signal) {
    // Fails only when it has ended.
    let _ = kill(Pid::from_raw(pid.try_into().unwrap()), signal);
}

fn read(stream: impl Read + Send + 'static, mut each: impl FnMut(&str) + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok() && line.pop() == Some(b'\n') {
            each(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}
