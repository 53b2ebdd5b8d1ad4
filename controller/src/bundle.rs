//! Bundles: what a set of nodes runs, by content, signed.
//!
//! A bundle is made once for all nodes that share a [`NodePolicies`], and named by the SHA-256 of its manifest, which names
//! the documents by theirs. Its serial is the time when it was made, or more, so it grows over restarts and replicas.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use prost::Message;
use ring::digest::{SHA256, digest};
use tokio::sync::watch;
use vedette_proto::v1;

use crate::policies::NodePolicies;
pub use crate::signing::Signer;

/// What a serial may be ahead of the time when a node says that it has such a one: an hour. Who claims more wants to make
/// serials useless for all.
const AHEAD: u64 = 3_600_000_000;

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// A bundle, ready to be sent.
#[derive(Debug)]
pub struct Bundle {
    /// What it is made of.
    pub policies: Arc<NodePolicies>,
    /// SHA-256 of the manifest, in hexadecimal.
    pub digest: String,
    /// Its serial.
    pub serial: u64,
    /// The manifest, as it is signed.
    manifest: Bytes,
    signature: Bytes,
    key_id: String,
    /// Each once, sorted by digest.
    documents: Vec<v1::Document>,
}

impl Bundle {
    fn new(policies: &Arc<NodePolicies>, serial: u64, signer: &Signer) -> Self {
        let mut documents: Vec<v1::Document> = policies
            .documents
            .iter()
            .map(|document| v1::Document { digest: sha256(&document.text), content: document.text.clone() })
            .collect();
        let references = policies.documents.iter().zip(&documents);
        let manifest = v1::Manifest {
            documents: references
                .map(|(document, sent)| v1::DocumentReference {
                    name: document.name.clone(),
                    digest: sent.digest.clone(),
                    generation: document.generation,
                    size: document.text.len() as u64,
                })
                .collect(),
            serial,
        }
        .encode_to_vec();
        documents.sort_by(|a, b| a.digest.cmp(&b.digest));
        documents.dedup_by(|a, b| a.digest == b.digest);
        Self {
            policies: Arc::clone(policies),
            digest: sha256(&manifest),
            serial,
            signature: signer.sign(&manifest),
            manifest: manifest.into(),
            key_id: signer.id().to_owned(),
            documents,
        }
    }

    /// Whether this key has signed it.
    pub fn is_signed_by(&self, signer: &Signer) -> bool {
        self.key_id == signer.id()
    }

    /// Whether a document of this digest is in it.
    pub fn has(&self, digest: &str) -> bool {
        self.documents.binary_search_by(|document| document.digest.as_str().cmp(digest)).is_ok()
    }

    /// The message for an agent, with the documents that it does not have.
    pub fn message(&self, has: impl Fn(&str) -> bool) -> v1::WatchResponse {
        let documents = self.documents.iter().filter(|document| !has(&document.digest)).cloned().collect();
        v1::WatchResponse {
            manifest: self.manifest.clone(),
            signature: self.signature.clone(),
            key_id: self.key_id.clone(),
            documents,
        }
    }
}

/// The bundles that are in use.
#[derive(Debug)]
pub struct Bundles {
    /// Who signs.
    signer: watch::Sender<Arc<Signer>>,
    /// By the address of the policies, which the bundle keeps alive.
    made: Mutex<HashMap<usize, Arc<Bundle>>>,
}

impl Bundles {
    /// Signed by this key.
    pub fn new(signer: Signer) -> Self {
        Self { signer: watch::Sender::new(Arc::new(signer)), made: Mutex::default() }
    }

    /// The key.
    pub fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.signer.borrow())
    }

    /// The key, and whenever there is another.
    pub fn signers(&self) -> watch::Receiver<Arc<Signer>> {
        self.signer.subscribe()
    }

    /// Signs with this key from now on; what was signed with another is made anew.
    pub fn sign_with(&self, signer: Signer) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if self.signer.borrow().id() != signer.id() {
            made.clear();
        }
        self.signer.send_replace(Arc::new(signer));
    }

    /// The bundle of these policies, with a serial above `after`.
    pub fn of(&self, policies: &Arc<NodePolicies>, after: u64) -> Arc<Bundle> {
        self.of_at(policies, after, now())
    }

    fn of_at(&self, policies: &Arc<NodePolicies>, after: u64, now: u64) -> Arc<Bundle> {
        let after = if after > now.saturating_add(AHEAD) { 0 } else { after };
        let address = Arc::as_ptr(policies) as usize;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bundle) = made.get(&address)
            && bundle.serial > after
        {
            return Arc::clone(bundle);
        }
        // Those whose policies nobody has any more but they themselves.
        made.retain(|_, bundle| Arc::strong_count(&bundle.policies) > 1 || Arc::strong_count(bundle) > 1);
        let newest = made.values().map(|bundle| bundle.serial).max().unwrap_or(0);
        let serial = now.max(after + 1).max(newest.min(now + AHEAD) + 1);
        let bundle = Arc::new(Bundle::new(policies, serial, &self.signer()));
        made.insert(address, Arc::clone(&bundle));
        bundle
    }
}

/// Microseconds of the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::{policies::Document, secrets::SecretFiles};

    fn policies(texts: &[&'static str]) -> Arc<NodePolicies> {
        let document = |text: &&'static str| Document {
            name: format!("ClusterSecurityPolicy/{text}"),
            generation: 3,
            text: Bytes::from_static(text.as_bytes()),
        };
        Arc::new(NodePolicies { documents: texts.iter().map(document).collect() })
    }

    #[tokio::test]
    async fn signed_with_the_kept_key_and_only_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretFiles::new(dir.path());
        let signer = Signer::load(&store).await.unwrap();
        assert_eq!(signer.id(), Signer::load(&store).await.unwrap().id());
        let public = signer.announced()[0].public_key.clone();
        assert_eq!(sha256(&public), signer.id());
        let bundles = Bundles::new(signer);
        let bundle = bundles.of(&policies(&["a", "b", "b"]), 0);
        let message = bundle.message(|digest| digest == sha256(b"a"));
        assert_eq!(message.documents.len(), 1, "b, once");
        assert_eq!(message.documents[0].content, "b");
        let verifier = UnparsedPublicKey::new(&ED25519, &public);
        verifier.verify(&message.manifest, &message.signature).unwrap();
        assert_eq!(sha256(&message.manifest), bundle.digest);
        let manifest = v1::Manifest::decode(message.manifest).unwrap();
        assert_eq!((manifest.documents.len(), manifest.documents[0].generation), (3, 3));

        // Another key signs everything anew.
        let other = tempfile::tempdir().unwrap();
        let policies = Arc::clone(&bundle.policies);
        bundles.sign_with(Signer::load(&SecretFiles::new(other.path())).await.unwrap());
        let anew = bundles.of(&policies, 0);
        assert!(anew.is_signed_by(&bundles.signer()) && !bundle.is_signed_by(&bundles.signer()));
        assert!(anew.serial > bundle.serial && Arc::ptr_eq(&anew, &bundles.of(&policies, 0)));
    }

    #[tokio::test]
    async fn made_once_for_all_and_newer_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let bundles = Bundles::new(Signer::load(&SecretFiles::new(dir.path())).await.unwrap());
        let (x, y) = (policies(&["x"]), policies(&["y"]));
        let first = bundles.of_at(&x, 0, 1000);
        assert!(Arc::ptr_eq(&first, &bundles.of_at(&x, 0, 2000)));
        let second = bundles.of_at(&y, 0, 1000);
        assert!(second.serial > first.serial);
        // A node that comes from y to x gets an x that is newer.
        let again = bundles.of_at(&x, second.serial, 1000);
        assert!(again.serial > second.serial && again.digest != first.digest);
        // Nobody can use the serials up.
        let greedy = bundles.of_at(&x, u64::MAX, 5000);
        assert!(greedy.serial <= 5000 + AHEAD + 1, "{}", greedy.serial);
        // What nobody needs is not kept.
        let (weak, address) = (Arc::downgrade(&second), Arc::as_ptr(&y) as usize);
        drop((second, y));
        bundles.of_at(&policies(&["z"]), 0, 6000);
        assert!(weak.upgrade().is_none() || !bundles.made.lock().unwrap().contains_key(&address));
    }
}
