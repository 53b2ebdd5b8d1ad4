//! `vedette-agent run`: putting the parts together, and taking them apart in the right order.

pub(crate) mod attach;
pub(crate) mod degraded;
pub(crate) mod host;
mod reload;
pub(crate) mod report;
mod start;
pub(crate) mod states;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use crate::{
    cli::RunArgs,
    config::Config,
    engine::Running,
    identity::IdentityStats,
    metrics::{self, Exposed, SinkCount},
    policies::{Origin, Watch},
    pump::Pump,
    sensor::Sensor,
    sink::Sinks,
    stats::Stats,
};

/// How long the sinks may take to write out what they hold at the end.
const FLUSH: Duration = Duration::from_millis(1500);

/// How often the running parts are looked at.
const CHECK: Duration = Duration::from_secs(1);

/// Why a run ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something that was given is not as it must be. The text is for the person who gave it.
    #[error("{0}")]
    Input(String),
    /// A part of the agent failed.
    #[error("{0}")]
    Internal(String),
}

impl RunError {
    pub(crate) fn input(error: impl std::fmt::Display) -> Self {
        Self::Input(format!("vedette-agent: {error}"))
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

/// The sensor, shared by who attaches, who reloads and who reads the books. Locked for moments only.
pub type SharedSensor = Arc<Mutex<Sensor>>;

/// Locks the sensor. A panic elsewhere does not make the tables wrong.
pub(crate) fn lock(sensor: &Mutex<Sensor>) -> std::sync::MutexGuard<'_, Sensor> {
    sensor.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that runs.
struct Parts {
    sensor: SharedSensor,
    pump: Pump,
    engine: Running,
    tap_server: Option<crate::tap::Server>,
    sinks: Arc<Sinks>,
    stats: Arc<Stats>,
    identity: Arc<IdentityStats>,
    asked: degraded::IdentitySources,
    origin: Origin,
    rules: Arc<AtomicUsize>,
    /// The reader of standard output has gone.
    closed: Arc<Notify>,
    /// The way to the controller.
    uplink: Option<start::Linked>,
}

/// Runs until asked to stop.
///
/// # Errors
/// What was given is not usable, or a part failed.
pub fn run(args: RunArgs) -> Result<(), RunError> {
    let config = Config::load(args).map_err(RunError::input)?;
    report::start_logging(config.log.filter());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::internal)?;
    runtime.block_on(async {
        // Before anything is started, so that an early Ctrl-C ends the start in order, too.
        let mut signals = Signals::new().map_err(RunError::internal)?;
        let mut parts = start::start(&config)?;
        let result = serve(&config, &mut parts, &mut signals).await;
        let balanced = stop(parts);
        result.and(balanced)
    })
}

/// The signals that we listen to.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for Ctrl-C or SIGTERM.
    pub(crate) async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn serve(config: &Config, parts: &mut Parts, signals: &mut Signals) -> Result<(), RunError> {
    let exposed = Arc::new(exposed(parts));
    if let Some(address) = config.metrics {
        let listener = metrics::bind(address)
            .await
            .map_err(|error| RunError::input(format_args!("cannot serve metrics on {address}: {error}")))?;
        tokio::spawn(metrics::serve(listener, Arc::clone(&exposed)));
    }
    let mut watch = match Watch::new(&parts.origin.paths) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(%error, "policy files are not watched; SIGHUP reads them again");
            None
        }
    };
    report::ready(parts);
    exposed.ready.store(true, Relaxed);
    let mut check = tokio::time::interval(CHECK);
    let mut untold = Untold::default();
    loop {
        tokio::select! {
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.terminate.recv() => return Ok(()),
            () = parts.closed.notified() => {
                tracing::info!("nobody reads the alerts any more");
                return Ok(());
            }
            _ = signals.hangup.recv() => {
                parts.sinks.reopen();
                reload::reload(parts);
            }
            change = changed(watch.as_mut()) => match change {
                Ok(_) => reload::reload(parts),
                Err(error) => {
                    tracing::warn!(%error, "policy files are not watched any more; SIGHUP reads them again");
                    watch = None;
                }
            },
            Some(offer) = offered(parts.uplink.as_mut()) => reload::take(parts, offer),
            _ = check.tick() => {
                if parts.uplink.as_ref().is_some_and(start::Linked::has_ended) {
                    return Err(RunError::Internal("the uplink has ended".into()));
                }
                if parts.engine.has_ended() {
                    return Err(RunError::Internal("the engine thread has ended".into()));
                }
                if parts.pump.has_ended() {
                    return Err(RunError::Internal("the pump thread has ended".into()));
                }
                if let Some(lost) = untold.look(&lock(&parts.sensor)) {
                    parts.engine.lost_state(lost);
                }
            }
        }
    }
}

/// Losses of state that no gap record has told yet. A gap is told with the next record of its CPU, and on a CPU that is
/// idle that can be long.
#[derive(Default)]
struct Untold(Vec<vedette_abi::Gap>);

impl Untold {
    /// How many records, where there is something that was not there when it was looked at last.
    fn look(&mut self, sensor: &Sensor) -> Option<u32> {
        let mut gaps = sensor.pending_gaps().ok()?;
        gaps.retain(|gap| gap.ring == u32::from(vedette_abi::Ring::State as u8));
        let new = !gaps.is_empty() && gaps != self.0;
        self.0 = gaps;
        new.then(|| self.0.iter().map(|gap| gap.total).fold(0, u32::saturating_add))
    }
}

/// Waits for a change; for ever where nothing is watched.
async fn changed(watch: Option<&mut Watch>) -> std::io::Result<crate::policies::Change> {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Waits for a bundle; for ever where there is no controller.
async fn offered(uplink: Option<&mut start::Linked>) -> Option<crate::uplink::Offer> {
    match uplink {
        Some(uplink) => uplink.offers.recv().await,
        None => std::future::pending().await,
    }
}

/// Stops in the order of the data: programs, rings, engine, sinks. Nothing that is in the rings is lost.
fn stop(parts: Parts) -> Result<(), RunError> {
    lock(&parts.sensor).detach_all();
    parts.pump.finish();
    let engine = parts.engine.join();
    let pump = parts.pump.join();
    if !parts.tap_server.is_none_or(|server| server.finish(FLUSH / 3)) {
        tracing::warn!("a recorder did not take what was left for it");
    }
    let sinks = parts.sinks.shutdown(FLUSH);
    if let Some(uplink) = parts.uplink {
        uplink.finish();
    }
    report::stopped(&parts.sensor, &parts.stats, &sinks);
    if !engine {
        return Err(RunError::Internal("the engine thread panicked".into()));
    }
    pump.map_err(RunError::internal)
}

fn exposed(parts: &Parts) -> Exposed {
    let (counters, programs) = (Arc::clone(&parts.sensor), Arc::clone(&parts.sensor));
    let (sinks, rules) = (Arc::clone(&parts.sinks), Arc::clone(&parts.rules));
    Exposed {
        stats: Arc::clone(&parts.stats),
        identity: Arc::clone(&parts.identity),
        counters: Box::new(move || lock(&counters).counters().ok()),
        programs: Box::new(move || report::program_counts(&lock(&programs))),
        sinks: Box::new(move || {
            let count = |s: crate::sink::SinkStats| SinkCount {
                name: s.name,
                written: s.written,
                dropped: s.dropped,
            };
            sinks.stats().into_iter().map(count).collect()
        }),
        rules: Box::new(move || rules.load(Relaxed)),
        uplink: parts.uplink.as_ref().map(|uplink| {
            let (spool, stats) = (Arc::clone(&uplink.spool), uplink.stats());
            Box::new(move || metrics::UplinkFigures {
                spool: spool.figures(),
                connected: stats.connected.load(Relaxed),
                connections: stats.connections.load(Relaxed),
                failures: stats.failures.load(Relaxed),
            }) as Box<dyn Fn() -> metrics::UplinkFigures + Send + Sync>
        }),
        ready: false.into(),
    }
}
