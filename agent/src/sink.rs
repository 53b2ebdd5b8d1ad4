//! Local sinks: where alerts go on this host.
//!
//! Each sink has a bounded queue and a thread of its own that formats and writes. Sending never waits: an alert
//! that finds a queue full is dropped and counted, for that sink only. So `received = written + dropped + queued`
//! holds for each sink at rest. What is queued is written as soon as nothing more waits behind it; at
//! [`Sinks::shutdown`] all of it is, as far as the deadline allows.

mod output;
mod spooler;
mod writer;

use std::{
    fmt,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use vedette_event::alert::{Alert, Format};

pub use spooler::SyncPolicy;

use crate::spool::Spool;
use output::Output;
use writer::{Control, Writer};

/// Where a sink writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file, which is appended to and opened anew when it has been moved or removed.
    File(PathBuf),
}

impl From<&Path> for Destination {
    /// `-` is standard output.
    fn from(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdout } else { Self::File(path.to_owned()) }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A sink to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Where it writes.
    pub destination: Destination,
    /// In which format.
    pub format: Format,
    /// Most alerts that wait; at least 1.
    pub queue: usize,
}

/// Most alerts that wait in a sink, unless told otherwise.
pub const DEFAULT_QUEUE: usize = 4096;

impl SinkConfig {
    /// A sink in the given format, else as text where a person looks on, else as JSON. Colour is for terminals that
    /// can show it and where `NO_COLOR` does not forbid it.
    pub fn new(destination: Destination, format: Option<Format>) -> Self {
        let terminal = destination == Destination::Stdout && io::stdout().is_terminal();
        let wanted = anstyle_query::clicolor_force() || (terminal && anstyle_query::term_supports_color());
        let color = wanted && destination == Destination::Stdout && !anstyle_query::no_color();
        Self { format: choose_format(format, terminal, color), destination, queue: DEFAULT_QUEUE }
    }
}

fn choose_format(asked: Option<Format>, terminal: bool, color: bool) -> Format {
    match asked {
        None if terminal => Format::Text { color },
        None => Format::Json,
        Some(Format::Text { .. }) => Format::Text { color },
        Some(other) => other,
    }
}

/// Why a sink could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The destination cannot be opened.
    #[error("cannot open {destination} for alerts: {source}")]
    Open {
        /// The destination.
        destination: Destination,
        /// Why.
        source: io::Error,
    },
    /// There is no thread to be had.
    #[error("cannot start a thread for the alerts of {destination}: {source}")]
    Thread {
        /// The destination.
        destination: Destination,
        /// Why.
        source: io::Error,
    },
    /// There is no thread to be had for the spool.
    #[error("cannot start a thread for the spool: {0}")]
    Spool(#[source] io::Error),
}

/// Figures of one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Its destination.
    pub name: String,
    /// Alerts sent to it.
    pub received: u64,
    /// Alerts written whole.
    pub written: u64,
    /// Alerts lost: the queue was full, or the destination was gone.
    pub dropped: u64,
    /// Alerts that are waiting or being written.
    pub queued: u64,
    /// Failed attempts to write or to open; of the spool, alerts that it did not take, which are in its book.
    pub errors: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Whether the reader of the destination has gone for good.
    pub closed: bool,
}

/// Name of the spool among the sinks.
pub const SPOOL: &str = "spool";

/// What a sink and its thread both see.
#[derive(Debug, Default)]
struct Shared {
    received: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
    bytes: AtomicU64,
    closed: AtomicBool,
    /// Set at the shutdown: when to give up.
    stop_at: OnceLock<Instant>,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

struct Sink {
    name: String,
    shared: Arc<Shared>,
    /// `None` after the shutdown.
    live: Mutex<Option<Live>>,
}

struct Live {
    queue: Sender<Arc<Alert>>,
    control: Sender<Control>,
    thread: JoinHandle<()>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

/// Told when the reader of a destination has gone for good (`EPIPE`), with the sink's name.
pub type OnClosed = Arc<dyn Fn(&str) + Send + Sync>;

/// The sinks of this host.
pub struct Sinks {
    sinks: Vec<Sink>,
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stats()).finish()
    }
}

impl Sinks {
    /// Opens all destinations and starts a thread for each.
    ///
    /// `on_closed` is called from such a thread when a destination's reader has gone (`… | head -1`), once for
    /// each sink; that is no failure, and usually the end of the run.
    ///
    /// # Errors
    /// A destination cannot be opened, or there is no thread to be had.
    pub fn start(configs: Vec<SinkConfig>, on_closed: OnClosed) -> Result<Self, SinkError> {
        let mut sinks = Vec::with_capacity(configs.len());
        for config in configs {
            let output = Output::open(&config.destination)
                .map_err(|source| SinkError::Open { destination: config.destination.clone(), source })?;
            sinks.push(Sink::start(config, output, Arc::clone(&on_closed))?);
        }
        Ok(Self { sinks })
    }

    /// Adds the spool, from which alerts go to the controller.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn add_spool(&mut self, spool: Arc<Spool>, sync: SyncPolicy) -> Result<(), SinkError> {
        let sink = Sink::spawn(SPOOL.to_owned(), DEFAULT_QUEUE, |shared| {
            move |alerts: &Receiver<Arc<Alert>>, _| spooler::run(&spool, alerts, sync, &shared)
        });
        self.sinks.push(sink.map_err(SinkError::Spool)?);
        Ok(())
    }

    /// Hands an alert to every sink. Never waits.
    pub fn send(&self, alert: &Arc<Alert>) {
        for sink in &self.sinks {
            sink.send(alert);
        }
    }

    /// Opens files anew, as after a `SIGHUP` of a log rotation. It happens in the sinks' threads, soon.
    pub fn reopen(&self) {
        for sink in &self.sinks {
            if let Some(live) = &*sink.live() {
                // One that is waiting there already does as well.
                let _ = live.control.try_send(Control::Reopen);
            }
        }
    }

    /// Figures of all sinks.
    pub fn stats(&self) -> Vec<SinkStats> {
        self.sinks.iter().map(Sink::stats).collect()
    }

    /// Writes and syncs what is queued, and ends the threads. After `deadline` it leaves behind what could not be
    /// written until then: that is what the returned figures call `dropped`, and `queued` where a write is stuck.
    pub fn shutdown(&self, deadline: Duration) -> Vec<SinkStats> {
        let stop_at = Instant::now() + deadline;
        let ending: Vec<_> = self.sinks.iter().filter_map(|s| s.begin_shutdown(stop_at)).collect();
        for (thread, ended) in ending {
            // A little more than the thread itself allows for its last attempt.
            let end = ended.recv_deadline(stop_at + Duration::from_millis(50));
            // A thread that is stuck in a write is left behind: it holds nothing that anybody waits for.
            if end == Err(RecvTimeoutError::Disconnected) && thread.join().is_err() {
                tracing::error!("the thread of a sink panicked");
            }
        }
        self.stats()
    }
}

impl Sink {
    fn start(config: SinkConfig, output: Output, on_closed: OnClosed) -> Result<Self, SinkError> {
        let (name, format, destination) =
            (config.destination.to_string(), config.format, config.destination.clone());
        Self::spawn(name.clone(), config.queue, |shared| {
            let writer = Writer::new(name, format, output, shared, on_closed);
            move |alerts: &Receiver<Arc<Alert>>, controls| writer.run(alerts, controls)
        })
        .map_err(|source| SinkError::Thread { destination, source })
    }

    /// Starts the thread of a sink: what `make` returns runs in it until all senders are gone.
    fn spawn<R>(name: String, queue: usize, make: impl FnOnce(Arc<Shared>) -> R) -> io::Result<Self>
    where
        R: FnOnce(&Receiver<Arc<Alert>>, Receiver<Control>) + Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let (queue, alerts) = bounded(queue.max(1));
        let (control, controls) = bounded(1);
        let (end, ended) = bounded(0);
        let run = make(Arc::clone(&shared));
        let thread = thread::Builder::new().name("vedette-sink".to_owned()).spawn(move || {
            run(&alerts, controls);
            drop(end);
        })?;
        let live = Mutex::new(Some(Live { queue, control, thread, ended }));
        Ok(Self { name, shared, live })
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        // Nothing under this lock can panic halfway.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, alert: &Arc<Alert>) {
        add(&self.shared.received, 1);
        let sent = self.live().as_ref().is_some_and(|live| live.queue.try_send(Arc::clone(alert)).is_ok());
        if !sent {
            add(&self.shared.dropped, 1);
        }
    }

    /// Closes the queue, so that the thread ends when it is empty.
    fn begin_shutdown(&self, stop_at: Instant) -> Option<(JoinHandle<()>, Receiver<()>)> {
        let Live { queue, control, thread, ended } = self.live().take()?;
        let _ = self.shared.stop_at.set(stop_at);
        drop((queue, control));
        Some((thread, ended))
    }

    fn stats(&self) -> SinkStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // In this order: what is counted as gone has been counted as received.
        let (written, dropped) = (read(&self.shared.written), read(&self.shared.dropped));
        let received = read(&self.shared.received);
        SinkStats {
            name: self.name.clone(),
            received,
            written,
            dropped,
            queued: received.saturating_sub(written + dropped),
            errors: read(&self.shared.errors),
            bytes: read(&self.shared.bytes),
            closed: self.shared.closed.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
