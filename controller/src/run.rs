//! `vedette-controller run`: putting the parts together, and taking them apart in the right order.

mod start;

use std::{io::IsTerminal, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    cli::{RotateArgs, RunArgs},
    config::{Config, DEFAULT_DATA},
    kube::secrets::ClusterSecrets,
    secrets::{SecretFiles, SecretStore},
    signing,
    tasks::Tasks,
};

/// How long the parts may take to write out what they hold at the end.
const FINISH: Duration = Duration::from_secs(10);

/// Why a run ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something that was given is not as it must be. The text is for the person who gave it.
    #[error("{0}")]
    Input(String),
    /// A part of the controller failed.
    #[error("{0}")]
    Internal(String),
}

impl RunError {
    /// Bad input, with the program's name before the text.
    pub fn input(error: impl std::fmt::Display) -> Self {
        Self::Input(format!("vedette-controller: {error}"))
    }

    /// A fault of ours.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Runs until asked to stop.
///
/// # Errors
/// What was given is not usable, or a part failed.
pub fn run(args: RunArgs) -> Result<(), RunError> {
    let config = Config::load(args).map_err(RunError::input)?;
    start_logging(config.log.filter());
    raise_open_files();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::internal)?;
    runtime.block_on(async {
        // Before anything is started, so that an early Ctrl-C ends the start in order, too.
        let mut signals = Signals::new().map_err(RunError::internal)?;
        let mut tasks = Tasks::default();
        let started = tokio::select! {
            started = start::start(&config, &mut tasks) => started,
            () = signals.end() => Ok(()),
        };
        let result = match started {
            Ok(()) => tokio::select! {
                () = signals.end() => Ok(()),
                ended = tasks.ended() => Err(RunError::internal(ended)),
            },
            Err(error) => Err(error),
        };
        let finished = match tokio::time::timeout(FINISH, tasks.finish()).await {
            Ok(finished) => finished.map_err(RunError::internal),
            Err(_) => Err(RunError::Internal(format!("not everything ended within {}s", FINISH.as_secs()))),
        };
        result.and(finished)
    })
}

/// Makes the next key that bundles are signed with.
///
/// # Errors
/// There is no controller's data there, or a next key already.
pub fn rotate(args: &RotateArgs) -> Result<(), RunError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::internal)?;
    runtime.block_on(async {
        let store: Box<dyn SecretStore> = if args.standalone {
            let data = args.data.clone().unwrap_or_else(|| DEFAULT_DATA.into());
            if !signing::is_there(&SecretFiles::new(&data)).await.map_err(RunError::input)? {
                let data = data.display();
                return Err(RunError::input(format_args!(
                    "no controller has kept keys in {data}: see --data"
                )));
            }
            Box::new(SecretFiles::new(&data))
        } else {
            let client = start::connect().await?;
            let namespace = client.default_namespace().to_owned();
            Box::new(ClusterSecrets::new(client, &namespace))
        };
        let after = jiff::SignedDuration::try_from(args.after).map_err(RunError::input)?;
        let next = signing::rotate(&*store, after).await.map_err(RunError::input)?;
        println!("{}\nsigns from {}", next.id, next.signs_from);
        Ok(())
    })
}

/// Lets us have as many open files as we may: each connection is one, and the usual first limit is 1024.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, limit = limit.current, "the limit of open files could not be raised");
    }
}

/// Sends our own log to stderr.
fn start_logging(filter: tracing_subscriber::EnvFilter) {
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only where a logger is set already, as in tests.
    let _ = logger.try_init();
}

/// The signals that end the controller.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for Ctrl-C or SIGTERM.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
