//! Bundles: verified whole, put together from what is known, kept on disk.

use std::{
    collections::HashMap,
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use prost::Message;
use vedette_proto::v1;

use super::keys::{Keys, sha256};

/// Most bytes of all documents of a bundle.
const DOCUMENTS: u64 = 64 << 20;

/// Why a bundle is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The signature is none of a key that is trusted.
    #[error("the signature is not by a key that is trusted here")]
    Signature,
    /// It cannot be read.
    #[error("the manifest cannot be read: {0}")]
    Manifest(String),
    /// A document is missing, or has another content than the manifest says.
    #[error("the document {0} is missing or not what the manifest says")]
    Document(String),
    /// It is older than the one that runs.
    #[error("its serial {offered} is not above {running}, the one that runs")]
    Older {
        /// Of the one that was offered.
        offered: u64,
        /// Of the one that runs.
        running: u64,
    },
}

/// A bundle, as it was signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// SHA-256 of the manifest, in hexadecimal.
    pub digest: String,
    manifest: v1::Manifest,
    /// What was signed, with all documents.
    signed: v1::WatchResponse,
}

impl Bundle {
    /// Verifies what was received and puts it together with the documents of the one that runs.
    ///
    /// # Errors
    /// It is not signed, not whole, or older than what runs.
    pub(super) fn verify(
        mut signed: v1::WatchResponse,
        running: Option<&Self>,
        keys: &Keys,
    ) -> Result<Self, BundleError> {
        if !keys.verify(&signed.key_id, &signed.manifest, &signed.signature) {
            return Err(BundleError::Signature);
        }
        let manifest = v1::Manifest::decode(signed.manifest.clone())
            .map_err(|error| BundleError::Manifest(error.to_string()))?;
        if let Some(running) = running.filter(|running| running.signed.key_id == signed.key_id)
            && manifest.serial <= running.manifest.serial
            && manifest.documents != running.manifest.documents
        {
            return Err(BundleError::Older { offered: manifest.serial, running: running.manifest.serial });
        }
        if manifest.documents.iter().map(|document| document.size).fold(0, u64::saturating_add) > DOCUMENTS {
            return Err(BundleError::Manifest("the documents are too large".into()));
        }
        let known = running.iter().flat_map(|running| &running.signed.documents);
        let there: HashMap<&str, &Bytes> =
            known.chain(&signed.documents).map(|d| (d.digest.as_str(), &d.content)).collect();
        let mut documents = Vec::with_capacity(manifest.documents.len());
        for reference in &manifest.documents {
            let content = there
                .get(reference.digest.as_str())
                .filter(|content| sha256(content) == reference.digest)
                .ok_or_else(|| BundleError::Document(reference.name.clone()))?;
            documents.push(v1::Document { digest: reference.digest.clone(), content: Bytes::clone(content) });
        }
        signed.documents = documents;
        Ok(Self { digest: sha256(&signed.manifest), manifest, signed })
    }

    /// Its serial.
    pub fn serial(&self) -> u64 {
        self.manifest.serial
    }

    /// The key that has signed it.
    pub(super) fn key_id(&self) -> &str {
        &self.signed.key_id
    }

    /// Its documents, in order; what is not UTF-8 is replaced, and the checker will say so.
    pub fn documents(&self) -> impl Iterator<Item = (&v1::DocumentReference, String)> {
        let texts = self.signed.documents.iter().map(|d| String::from_utf8_lossy(&d.content).into_owned());
        self.manifest.documents.iter().zip(texts)
    }

    /// Digests of its documents.
    pub fn digests(&self) -> Vec<String> {
        self.manifest.documents.iter().map(|document| document.digest.clone()).collect()
    }
}

/// Where the last good bundle is kept.
#[derive(Clone, Debug)]
pub struct Store {
    data: PathBuf,
}

impl Store {
    /// In this directory, which is made if there is none.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(data: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
        Ok(Self { data: data.to_owned() })
    }

    /// The bundle that is kept. Nothing, if there is none, or none that is as it was signed.
    pub fn load(&self, signing_key: Option<&Path>) -> Option<Bundle> {
        let bytes = fs::read(self.file()).ok()?;
        let keys = Keys::open(&self.data, signing_key)
            .inspect_err(|error| tracing::error!(%error, "the kept policies are not used"))
            .ok()?;
        let bundle = v1::WatchResponse::decode(Bytes::from(bytes))
            .map_err(|error| BundleError::Manifest(error.to_string()))
            .and_then(|signed| Bundle::verify(signed, None, &keys));
        bundle.inspect_err(|error| tracing::error!(%error, "the kept policies are not used")).ok()
    }

    /// Keeps the bundle.
    ///
    /// # Errors
    /// What the system says; then the one before is kept.
    pub fn save(&self, bundle: &Bundle) -> io::Result<()> {
        replace(&self.file(), &bundle.signed.encode_to_vec())
    }

    fn file(&self) -> PathBuf {
        self.data.join("bundle")
    }
}

/// Replaces a file as a whole, for its owner alone.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
