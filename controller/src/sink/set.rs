//! All sinks of a controller.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    Builder,
    config::{NamedSink, Problem, SinkSpec, Start},
    dead_letters::DeadLetters,
    driver::Driver,
    far_side::LocalBuilder,
    metrics::Metrics,
    secrets::Secrets,
    status::{SinkStatus, StatusCell},
};
use crate::alert_log::{AlertLog, LogError};

/// How long a driver rests that has panicked.
const REST: Duration = Duration::from_secs(5);

/// The sinks that run.
pub struct Sinks {
    log: Arc<dyn AlertLog>,
    /// Where the dead letters are.
    directory: PathBuf,
    secrets: Arc<dyn Secrets>,
    metrics: Metrics,
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    spec: Arc<SinkSpec>,
    status: StatusCell,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Why a sink was not started.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Its settings are not good.
    #[error("sink {name}: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings {
        /// Its name.
        name: String,
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
    /// The log does not answer.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Sinks {
    /// None yet. Dead letters go to files in `directory`, one for each sink.
    pub fn new(log: Arc<dyn AlertLog>, directory: impl Into<PathBuf>, secrets: Arc<dyn Secrets>) -> Self {
        Self {
            log,
            directory: directory.into(),
            secrets,
            metrics: Metrics::default(),
            running: Mutex::default(),
        }
    }

    /// The metrics of all of them.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Makes these the sinks: starts those that are new, starts those anew whose settings have changed, and ends those
    /// that are not among them, for which the log then keeps nothing. When it returns, the log keeps what comes for
    /// each of them. Two calls at once are carried out one after the other.
    ///
    /// # Errors
    /// What is wrong with which; the others run.
    pub async fn apply(&self, wanted: Vec<NamedSink>) -> Result<(), Vec<SinkError>> {
        let mut errors = Vec::new();
        let mut running = self.running.lock().await;
        let names: Vec<String> = wanted.iter().map(|sink| sink.name.clone()).collect();
        let gone: Vec<String> = running.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            if let Some(sink) = running.remove(&name) {
                sink.end().await;
                self.metrics.forget(&name);
            }
        }
        for sink in wanted {
            if let Err(error) = self.start(&mut running, sink).await {
                errors.push(error);
            }
        }
        // Also those that ran when the controller ran the last time.
        match self.log.sinks().await {
            Ok(known) => {
                for name in known.iter().filter(|name| !names.contains(name)) {
                    if let Err(error) = self.log.forget(name).await {
                        errors.push(error.into());
                    }
                }
            }
            Err(error) => errors.push(error.into()),
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    async fn start(&self, running: &mut BTreeMap<String, Running>, sink: NamedSink) -> Result<(), SinkError> {
        let NamedSink { name, spec } = sink;
        if running.get(&name).is_some_and(|old| *old.spec == spec) {
            return Ok(());
        }
        let kind = match spec.far_side() {
            Ok(side) => side.kind(),
            Err(problems) => return Err(SinkError::Settings { name, problems }),
        };
        if let Some(old) = running.remove(&name) {
            old.end().await;
        }
        let spec = Arc::new(spec);
        let builder = LocalBuilder::new(Arc::clone(&spec), Arc::clone(&self.secrets));
        let started = self.launch(name.clone(), kind, spec, Arc::new(builder)).await?;
        running.insert(name, started);
        Ok(())
    }

    async fn launch(
        &self,
        name: String,
        kind: &'static str,
        spec: Arc<SinkSpec>,
        builder: Arc<dyn Builder>,
    ) -> Result<Running, SinkError> {
        let cursor = match self.log.cursor(&name).await? {
            Some(cursor) => cursor,
            None => {
                let (first, last) = self.log.range().await?;
                match spec.start {
                    Start::Now => last,
                    Start::Oldest => first.saturating_sub(1),
                }
            }
        };
        self.log.advance(&name, cursor).await?;
        let status = StatusCell::new(&name, kind);
        status.update(|status| status.cursor = cursor);
        let driver = Driver {
            format: spec.format(),
            log: Arc::clone(&self.log),
            builder,
            dead: DeadLetters::new(&self.directory, &name, spec.dead_letters),
            metrics: self.metrics.of(&name),
            status: status.clone(),
            stop: CancellationToken::new(),
            spec: Arc::clone(&spec),
            name,
        };
        let stop = driver.stop.clone();
        Ok(Running { spec, status, stop, task: tokio::spawn(supervise(driver)) })
    }

    /// Follows what is wanted until it is told to stop, and then ends all of them. Nothing changes as long as nothing is
    /// known.
    pub async fn follow(&self, mut wanted: watch::Receiver<Option<Vec<NamedSink>>>, stop: CancellationToken) {
        loop {
            let now = wanted.borrow_and_update().clone();
            if let Some(now) = now
                && let Err(errors) = self.apply(now).await
            {
                errors.iter().for_each(|error| tracing::error!("{error}"));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = wanted.changed() => if changed.is_err() {
                    stop.cancelled().await;
                    break;
                },
            }
        }
        self.stop().await;
    }

    /// Adds a sink that is not from settings.
    #[cfg(test)]
    pub(super) async fn add(&self, name: &str, spec: SinkSpec, builder: Arc<dyn Builder>) {
        let started = self.launch(name.to_owned(), "test", Arc::new(spec), builder).await.unwrap();
        self.running.lock().await.insert(name.to_owned(), started);
    }

    /// How each of them does, by name.
    pub async fn statuses(&self) -> Vec<SinkStatus> {
        let last = self.log.range().await.map(|(_, last)| last).unwrap_or_default();
        let running = self.running.lock().await;
        let statuses = running.values().map(|sink| {
            let status = sink.status.get();
            SinkStatus { lag: last.saturating_sub(status.cursor), ..status }
        });
        statuses.collect()
    }

    /// Ends all of them; each may end the attempt that it is at. Their cursors stay.
    pub async fn stop(&self) {
        let mut running = self.running.lock().await;
        running.values().for_each(|sink| sink.stop.cancel());
        for (_, sink) in std::mem::take(&mut *running) {
            sink.end().await;
        }
    }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// A fault of ours in one sink must not end it for good.
async fn supervise(driver: Driver) {
    use futures_util::FutureExt;
    let (name, status, stop) = (driver.name.clone(), driver.status.clone(), driver.stop.clone());
    while AssertUnwindSafe(driver.clone().run()).catch_unwind().await.is_err() {
        tracing::error!(sink = name, "the sink has panicked; it is started again");
        status.failed("it has panicked");
        tokio::select! {
            () = sleep(REST) => {}
            () = stop.cancelled() => return,
        }
    }
}
