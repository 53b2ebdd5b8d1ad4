//! Taking bundles, and saying what became of them.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::spawn_blocking,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use vedette_proto::v1::{self, watch_request::Message};

use super::{
    Effective, Offer,
    backoff::Backoff,
    bundle::{Bundle, BundleError, Store},
    channel::Client,
    keys::Keys,
};

/// How long to wait for the first key before asking for bundles all the same.
const KEYS: Duration = Duration::from_secs(20);

/// Most characters of an error that is sent.
const ERROR: usize = 16 << 10;

/// The task.
pub(super) struct Watch {
    pub node: String,
    pub keys: Arc<Mutex<Keys>>,
    pub introduced: Arc<Notify>,
    /// Asks for the keys at once.
    pub wanted: Arc<Notify>,
    pub store: Store,
    pub running: Option<Arc<Bundle>>,
    pub offers: mpsc::Sender<Offer>,
    pub effective: watch::Receiver<Effective>,
}

impl Watch {
    pub async fn run(mut self, client: &Client) {
        let mut backoff = Backoff::default();
        loop {
            if self.keys.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                // Without a key nothing can be verified; the hello brings it.
                let _ = tokio::time::timeout(KEYS, self.introduced.notified()).await;
            }
            let error = match self.session(client, &mut backoff).await {
                Ok(()) => Status::unavailable("the controller has ended the stream"),
                Err(error) => error,
            };
            backoff.wait("taking policies", &error).await;
        }
    }

    async fn session(&mut self, client: &Client, backoff: &mut Backoff) -> Result<(), Status> {
        let (out, requests) = mpsc::channel(4);
        let running = self.running.as_deref();
        let hello = v1::WatchHello {
            node: self.node.clone(),
            running: running.map(|bundle| bundle.digest.clone()).unwrap_or_default(),
            documents: running.map(Bundle::digests).unwrap_or_default(),
            serial: running.map(Bundle::serial).unwrap_or_default(),
        };
        let request = |message| v1::WatchRequest { message: Some(message) };
        let gone = || Status::unavailable("the stream has ended");
        out.try_send(request(Message::Hello(hello))).map_err(|_| gone())?;
        let mut bundles = client.policies().watch(ReceiverStream::new(requests)).await?.into_inner();
        backoff.connected();
        // Said with the first bundle, and again with every change.
        let mut last: Option<v1::BundleStatus> = None;
        self.effective.mark_unchanged();
        loop {
            let status = tokio::select! {
                message = bundles.message() => match message? {
                    Some(message) => self.take(message).await,
                    None => return Ok(()),
                },
                changed = self.effective.changed() => {
                    changed.map_err(|_| gone())?;
                    let Some(last) = &last else { continue };
                    self.status(last.digest.clone(), if last.accepted { Ok(()) } else { Err(last.error.clone()) })
                }
            };
            if last.as_ref() != Some(&status) {
                out.send(request(Message::Status(status.clone()))).await.map_err(|_| gone())?;
                last = Some(status);
            }
        }
    }

    /// Takes a bundle: verified, run, kept.
    async fn take(&mut self, message: v1::WatchResponse) -> v1::BundleStatus {
        let digest = super::keys::sha256(&message.manifest);
        let mut verified = self.verify(message.clone());
        for _ in 0..2 {
            if verified != Err(BundleError::Signature) {
                break;
            }
            // By a key that was announced while we were away, or since the last heartbeat. What is told first may be old
            // news, hence twice.
            self.wanted.notify_one();
            let _ = tokio::time::timeout(KEYS, self.introduced.notified()).await;
            verified = self.verify(message.clone());
        }
        let result = match verified {
            Ok(bundle) => self.offer(Arc::new(bundle)).await,
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &result {
            tracing::error!(error, "a bundle of policies is refused; the old ones stay");
        }
        self.status(digest, result)
    }

    fn verify(&self, message: v1::WatchResponse) -> Result<Bundle, BundleError> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Bundle::verify(message, self.running.as_deref(), &keys)
    }

    async fn offer(&mut self, bundle: Arc<Bundle>) -> Result<(), String> {
        let stopping = |_| "the agent stops".to_owned();
        let (reply, result) = oneshot::channel();
        let offer = Offer { bundle: Arc::clone(&bundle), reply };
        self.offers.send(offer).await.map_err(|_| "the agent stops".to_owned())?;
        result.await.map_err(stopping)??;
        let (store, kept) = (self.store.clone(), Arc::clone(&bundle));
        // The disk's time, which heartbeats and alerts do not wait for.
        let saved = spawn_blocking(move || store.save(&kept)).await;
        match saved.unwrap_or_else(|error| Err(io::Error::other(error))) {
            // Nothing that is kept needs an older key any more, so whoever may have that one has nothing of it.
            Ok(()) => self.keys.lock().unwrap_or_else(PoisonError::into_inner).forget_before(bundle.key_id()),
            // It runs; after a restart without the controller it would be the one before.
            Err(error) => tracing::error!(%error, "the policies could not be kept on disk"),
        }
        self.running = Some(bundle);
        Ok(())
    }

    fn status(&mut self, digest: String, result: Result<(), String>) -> v1::BundleStatus {
        let effective = self.effective.borrow_and_update();
        let mut error = result.as_ref().err().cloned().unwrap_or_default();
        if let Some((at, _)) = error.char_indices().nth(ERROR) {
            error.truncate(at);
        }
        v1::BundleStatus {
            digest,
            accepted: result.is_ok(),
            error,
            running: effective.running.clone(),
            policies: effective.policies.clone(),
        }
    }
}
