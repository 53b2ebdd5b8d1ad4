//! Asking runtimes and the API server, on a thread of its own.
//!
//! The engine says which container it wants to know about and goes on; answers come through a channel. Who is asked,
//! in this order: the CRI, for what may be Kubernetes' or its runtimes'; then what runtimes keep on disk, completed by
//! containerd's own API. A runtime may not have written down yet what it is just making, so it is asked again several
//! times; what nobody knows after that is said to be unknown, for good.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, TrySendError, never};
use tokio::{
    sync::{OnceCell, Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};
use tonic::{Code, Status};
use vedette_event::{ContainerRef, Metadata, Pod};

use super::{
    containerd::Containerd,
    cri::{Cri, SOCKETS},
    pods::{self, PodSettings},
    runtimes::Runtimes,
};

/// Questions that wait, and answers that wait for the engine.
const QUEUE: usize = 1024;

/// Most containers that are being asked about. Beyond that, they are unknown.
const TASKS: usize = 4096;

/// Most calls at the same time.
const CALLS: usize = 8;

/// Waits before each time that everybody is asked.
const DELAYS: [Duration; 11] = [
    Duration::ZERO,
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(4000),
];

/// As long as a runtime that speaks the CRI has not answered, that many attempts do without what is on disk: it is less.
const PATIENT: usize = 3;

/// Time between two looks whether the engine has room for an answer.
const FULL: Duration = Duration::from_millis(5);

/// Who is asked, and how long the engine waits.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// Where the host's root directory is seen.
    pub root: PathBuf,
    /// Sockets of runtimes that speak the CRI; empty: the usual ones.
    pub cri_sockets: Vec<PathBuf>,
    /// Longest time that an event waits for metadata; zero: none waits.
    pub wait: Duration,
    /// How long runtimes are asked about a container that none of them knows.
    pub give_up: Duration,
    /// The API server, if it is to be asked.
    pub pods: Option<PodSettings>,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            root: "/".into(),
            cri_sockets: Vec::new(),
            wait: Duration::from_millis(500),
            give_up: Duration::from_secs(8),
            pods: None,
        }
    }
}

/// Figures about look-ups. They only ever grow, but for the last two.
#[derive(Debug, Default)]
pub struct IdentityStats {
    /// Containers that were asked about.
    pub asked: AtomicU64,
    /// Of these, those that somebody knew.
    pub described: AtomicU64,
    /// Those that nobody knew.
    pub unknown: AtomicU64,
    /// Those whose answer did not come in time.
    pub late: AtomicU64,
    /// Calls that failed, an unknown container not counted.
    pub errors: AtomicU64,
    /// Changes of pods.
    pub pod_events: AtomicU64,
    /// Failures of the API server.
    pub pod_errors: AtomicU64,
    /// Pods that are known.
    pub pods: AtomicU64,
    /// Whether pods are known as they are.
    pub pods_ready: AtomicBool,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// About a container; `None` where nobody knows it.
    Container {
        /// Its id.
        id: String,
        /// What is known.
        metadata: Option<Box<Metadata>>,
    },
    /// About a pod; `None` when it is gone.
    Pod {
        /// Its uid.
        uid: String,
        /// What is known.
        pod: Option<Box<Pod>>,
    },
}

/// The engine's end.
#[derive(Debug)]
pub struct Identity {
    asks: Option<mpsc::Sender<ContainerRef>>,
    answers: Receiver<Answer>,
    /// Longest time that an event waits for metadata.
    pub wait: Duration,
    /// Figures.
    pub stats: Arc<IdentityStats>,
    wants_pods: bool,
}

impl Identity {
    /// Nobody is ever asked.
    pub fn off() -> Self {
        Self { asks: None, answers: never(), wait: Duration::ZERO, stats: Arc::default(), wants_pods: false }
    }

    /// Starts the thread. It ends when this is dropped.
    ///
    /// # Errors
    /// No thread could be had, or a socket's path is not text.
    pub fn start(settings: IdentitySettings) -> std::io::Result<Self> {
        let (asks, questions) = mpsc::channel(QUEUE);
        let (sender, answers) = crossbeam_channel::bounded(QUEUE);
        let stats = Arc::new(IdentityStats::default());
        let (wait, wants_pods) = (settings.wait, settings.pods.is_some());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Channels to sockets want to be made within the runtime.
        let sources = {
            let _guard = runtime.enter();
            Sources::new(&settings, Arc::clone(&stats)).map_err(std::io::Error::other)?
        };
        let counted = Arc::clone(&stats);
        std::thread::Builder::new().name("vedette-identity".into()).spawn(move || {
            runtime.block_on(async {
                let answers = Answers(sender);
                if let Some(pods) = settings.pods {
                    tokio::spawn(pods::watch(pods, answers.clone(), Arc::clone(&counted)));
                }
                serve(questions, Arc::new(sources), answers).await;
            });
        })?;
        Ok(Self { asks: Some(asks), answers, wait, stats, wants_pods })
    }

    /// Both ends for tests: the identity, what it asks, and where answers go in.
    #[cfg(test)]
    pub fn fake(wait: Duration) -> (Self, mpsc::Receiver<ContainerRef>, Sender<Answer>) {
        let (asks, questions) = mpsc::channel(QUEUE);
        let (sender, answers) = crossbeam_channel::bounded(QUEUE);
        let identity = Self { asks: Some(asks), answers, wait, stats: Arc::default(), wants_pods: true };
        (identity, questions, sender)
    }

    /// Asks about a container. False where nobody can be asked (any more), or too many are asked about already.
    pub fn ask(&self, container: &ContainerRef) -> bool {
        let Some(asks) = &self.asks else { return false };
        self.stats.asked.fetch_add(1, Relaxed);
        let asked = asks.try_send(Arc::clone(container)).is_ok();
        if !asked {
            self.stats.unknown.fetch_add(1, Relaxed);
        }
        asked
    }

    /// Whether anybody is asked.
    pub fn is_on(&self) -> bool {
        self.asks.is_some()
    }

    /// Where answers come from.
    pub fn answers(&self) -> &Receiver<Answer> {
        &self.answers
    }

    /// The thread has ended: nobody is asked any more.
    pub fn end(&mut self) {
        self.asks = None;
        self.answers = never();
    }

    /// Whether a pod that is not known yet will be.
    pub fn expects_pods(&self) -> bool {
        self.wants_pods && self.stats.pods_ready.load(Relaxed)
    }
}

/// The way of answers to the engine.
#[derive(Clone, Debug)]
pub(super) struct Answers(Sender<Answer>);

impl Answers {
    /// Waits for room.
    pub async fn send(&self, mut answer: Answer) {
        while let Err(TrySendError::Full(back)) = self.0.try_send(answer) {
            answer = back;
            sleep(FULL).await;
        }
    }
}

async fn serve(mut questions: mpsc::Receiver<ContainerRef>, sources: Arc<Sources>, answers: Answers) {
    let mut tasks = JoinSet::new();
    while let Some(container) = questions.recv().await {
        while tasks.try_join_next().is_some() {}
        let crowded = tasks.len() >= TASKS;
        let (sources, answers) = (Arc::clone(&sources), answers.clone());
        tasks.spawn(async move {
            let found = if crowded { None } else { sources.describe(&container).await };
            let counter = if found.is_some() { &sources.stats.described } else { &sources.stats.unknown };
            counter.fetch_add(1, Relaxed);
            answers.send(Answer::Container { id: container.id.clone(), metadata: found.map(Box::new) }).await;
        });
    }
}

/// Everybody who can be asked.
struct Sources {
    cris: Vec<(Cri, OnceCell<String>)>,
    containerds: Vec<Containerd>,
    runtimes: Runtimes,
    calls: Semaphore,
    give_up: Duration,
    stats: Arc<IdentityStats>,
}

impl Sources {
    fn new(settings: &IdentitySettings, stats: Arc<IdentityStats>) -> Result<Self, tonic::transport::Error> {
        let usual = || SOCKETS.iter().map(|path| settings.root.join(path.trim_start_matches('/'))).collect();
        let sockets: Vec<PathBuf> =
            if settings.cri_sockets.is_empty() { usual() } else { settings.cri_sockets.clone() };
        let cris = sockets.iter().map(|path| Ok((Cri::new(path.clone())?, OnceCell::new())));
        let containerds = sockets
            .iter()
            .filter(|path| path.ends_with("containerd.sock"))
            .map(|path| Containerd::new(path.clone()));
        Ok(Self {
            cris: cris.collect::<Result<_, _>>()?,
            containerds: containerds.collect::<Result<_, _>>()?,
            runtimes: Runtimes::below(&settings.root),
            calls: Semaphore::new(CALLS),
            give_up: settings.give_up,
            stats,
        })
    }

    async fn describe(&self, container: &ContainerRef) -> Option<Metadata> {
        let mut waited = Duration::ZERO;
        for (attempt, delay) in DELAYS.into_iter().enumerate() {
            waited += delay;
            if waited > self.give_up {
                break;
            }
            if !delay.is_zero() {
                sleep(delay).await;
            }
            // Never closed.
            let _slot = self.calls.acquire().await.ok()?;
            if let Some(found) = self.once(container, attempt).await {
                return Some(found);
            }
        }
        None
    }

    async fn once(&self, container: &ContainerRef, attempt: usize) -> Option<Metadata> {
        let may_be_cri =
            container.pod_uid.is_some() || matches!(container.runtime, "containerd" | "cri-o" | "container");
        if may_be_cri {
            match self.cri(&container.id).await {
                Ok(Some(found)) => return Some(found),
                Ok(None) => {}
                Err(_) if attempt < PATIENT => return None,
                Err(_) => {}
            }
        }
        let mut found = self.runtimes.describe(container)?;
        if found.runtime.as_deref() == Some("containerd")
            && let Some(bundle) = self.runtimes.containerd_bundle(&container.id)
        {
            for containerd in self.containerds.iter().filter(|c| c.path.exists()) {
                match containerd.complete(&container.id, &bundle, &mut found).await {
                    Ok(()) => break,
                    Err(status) => self.failed(&containerd.path, &status),
                }
            }
        }
        Some(found)
    }

    /// Asks the CRI. An error is the last of all, where nobody knew the container.
    async fn cri(&self, id: &str) -> Result<Option<Metadata>, Status> {
        let mut last = None;
        for (cri, name) in self.cris.iter().filter(|(cri, _)| cri.path.exists()) {
            match cri.describe(id).await {
                Ok(Some(mut found)) => {
                    let name = name.get_or_try_init(|| cri.runtime_name()).await;
                    found.runtime = name.ok().cloned();
                    return Ok(Some(found));
                }
                Ok(None) => {}
                // A containerd without its CRI plugin: nothing is amiss.
                Err(status) if status.code() == Code::Unimplemented => {}
                Err(status) => {
                    self.failed(&cri.path, &status);
                    last = Some(status);
                }
            }
        }
        last.map_or(Ok(None), Err)
    }

    fn failed(&self, socket: &std::path::Path, status: &Status) {
        if status.code() != Code::NotFound {
            self.stats.errors.fetch_add(1, Relaxed);
            tracing::debug!(socket = %socket.display(), %status, "a container runtime did not answer");
        }
    }
}

#[cfg(test)]
mod tests;
