//! The way to the controller: policies come, alerts and counters go.
//!
//! Everything runs on a thread of its own, and nothing else in the agent waits for it. Without a controller the agent goes
//! on with the last good bundle, and its spool keeps the alerts. Three tasks share one connection: [`hello`] says who we are
//! and that we live, [`watch`] takes bundles, [`push`] sends the spool.

mod authority;
mod backoff;
mod bundle;
mod channel;
mod hello;
mod keys;
mod push;
mod watch;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    thread::JoinHandle,
};

use tokio::sync::{mpsc, oneshot, watch as channels};
use tokio_util::sync::CancellationToken;
use vedette_policy::Source;
use vedette_proto::v1;

pub use authority::Authority;
pub use bundle::{Bundle, BundleError, Store};
pub use channel::Credentials;
pub use hello::{Losses, Reported};
pub use vedette_settings::ControllerUrl;

use crate::spool::Spool;

/// What connects an agent to its controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkSettings {
    /// Where the controller is.
    pub url: ControllerUrl,
    /// What we show and whom we trust.
    pub credentials: Credentials,
    /// The controller's signing key (32 bytes, or their hexadecimal), where it was handed over another way.
    pub signing_key: Option<PathBuf>,
    /// Where spool, bundle and keys are kept.
    pub data: PathBuf,
    /// Most bytes of the spool.
    pub spool_bytes: u64,
    /// When the spool is made durable.
    pub sync: crate::sink::SyncPolicy,
}

/// A bundle that the agent is to run from now on.
#[derive(Debug)]
pub struct Offer {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// To say that it runs, or why it does not.
    pub reply: oneshot::Sender<Result<(), String>>,
}

/// What the agent runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effective {
    /// Digest of the bundle; empty for none.
    pub running: String,
    /// How each of its policies does.
    pub policies: Vec<v1::PolicyStatus>,
}

/// What the uplink needs of the agent.
pub struct Uplink {
    /// The settings.
    pub settings: UplinkSettings,
    /// Name of the node.
    pub node: String,
    /// What is sent.
    pub spool: Arc<Spool>,
    /// Where the bundle is kept.
    pub store: Store,
    /// The bundle that the agent has started with.
    pub running: Option<Arc<Bundle>>,
    /// Takes new bundles.
    pub offers: mpsc::Sender<Offer>,
    /// What the agent runs.
    pub effective: channels::Receiver<Effective>,
    /// What the agent says of itself.
    pub reported: Reported,
}

/// How the uplink does.
#[derive(Debug, Default)]
pub struct UplinkStats {
    /// Whether alerts can be sent now.
    pub connected: AtomicBool,
    /// How often the stream of alerts was opened.
    pub connections: AtomicU64,
    /// How often it was lost, or could not be opened.
    pub failures: AtomicU64,
}

/// A running uplink.
#[derive(Debug)]
pub struct Connected {
    /// How it does.
    pub stats: Arc<UplinkStats>,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

/// Why the uplink cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// There is no thread or runtime to be had.
    #[error("cannot start the uplink: {0}")]
    Thread(#[from] std::io::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
}

impl Uplink {
    /// Starts it. Nothing is connected yet, and that nobody is there is no error.
    ///
    /// # Errors
    /// There is no thread to be had, or a key is not good.
    pub fn start(self) -> Result<Connected, UplinkError> {
        let keys = keys::Keys::open(&self.settings.data, self.settings.signing_key.as_deref())?;
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let token = stop.clone();
        let stats = Arc::new(UplinkStats::default());
        let told = Arc::clone(&stats);
        let thread = std::thread::Builder::new().name("vedette-uplink".to_owned()).spawn(move || {
            runtime.block_on(self.run(keys, told, token));
            // A read of the spool may still be under way.
            runtime.shutdown_background();
        })?;
        Ok(Connected { stats, stop, thread })
    }

    async fn run(self, keys: keys::Keys, stats: Arc<UplinkStats>, stop: CancellationToken) {
        let client = channel::Client::new(&self.settings.url, &self.settings.credentials);
        let keys = Arc::new(std::sync::Mutex::new(keys));
        let introduced = Arc::new(tokio::sync::Notify::new());
        let wanted = Arc::new(tokio::sync::Notify::new());
        let hello = hello::Hello {
            node: self.node.clone(),
            keys: Arc::clone(&keys),
            introduced: Arc::clone(&introduced),
            wanted: Arc::clone(&wanted),
            spool: Arc::clone(&self.spool),
            effective: self.effective.clone(),
            reported: self.reported,
        };
        let watch = watch::Watch {
            node: self.node.clone(),
            keys,
            introduced,
            wanted,
            store: self.store,
            running: self.running,
            offers: self.offers,
            effective: self.effective,
        };
        let push = push::Push { node: self.node, spool: self.spool, stats };
        tokio::select! {
            () = stop.cancelled() => {}
            () = async { tokio::join!(hello.run(&client), watch.run(&client), push.run(&client)); } => {}
        }
    }
}

impl Connected {
    /// Ends it. What has not arrived stays in the spool.
    pub fn finish(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the uplink's thread panicked");
        }
    }

    /// Whether it has ended on its own, which it never should.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Bundle {
    /// Its policies as sources, in order.
    pub fn sources(&self) -> Vec<Source> {
        self.documents().map(|(reference, text)| Source::new(reference.name.clone(), text)).collect()
    }
}
