//! The agent's socket, and the reasons to stop listening to it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

/// How often the reasons are looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// Set when recording is to stop: Ctrl-C, SIGTERM, or the time is over.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The stream of bytes. It ends when the agent ends it, or when it is time to stop.
pub struct Source {
    stream: UnixStream,
    stop: Stop,
    until: Option<Instant>,
}

impl Source {
    /// Connects and asks for a recording.
    ///
    /// # Errors
    /// Says for people what is in the way.
    pub fn connect(socket: &Path, duration: Option<Duration>) -> Result<Self, String> {
        let failed = |error: io::Error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ": is the agent running? (vedette-agent run; --socket for another place)"
                }
                io::ErrorKind::PermissionDenied => ": run as root, e.g. with sudo",
                _ => "",
            };
            format!("{}: {error}{hint}", socket.display())
        };
        let mut stream = UnixStream::connect(socket).map_err(failed)?;
        stream.write_all(b"{\"want\":\"recording\"}\n").map_err(failed)?;
        stream.set_read_timeout(Some(LOOK)).map_err(failed)?;
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop.0)).map_err(failed)?;
        }
        Ok(Self { stream, stop, until: duration.and_then(|d| Instant::now().checked_add(d)) })
    }

    /// What tells to stop.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// What the agent has sent and nobody has read, as text.
    pub fn rest(&self) -> String {
        let mut rest = Vec::new();
        // Ends with an error when nothing more comes: what came before it is what is wanted.
        let _ = (&self.stream).take(4096).read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.until.is_some_and(|until| Instant::now() >= until) {
                self.stop.0.store(true, Relaxed);
            }
            if self.stop.is_set() {
                return Ok(0);
            }
            match self.stream.read(buffer) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) => {}
                // The agent was killed: an end like any other.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                result => return result,
            }
        }
    }
}
