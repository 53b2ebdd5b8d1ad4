//! The keys that bundles must be signed with.
//!
//! They are pinned: either handed over as a file, or the first that the controller announced over a connection on which it
//! was known by its certificate. A later one is taken only with the endorsement of one that is pinned, so who has the
//! controller's certificate alone cannot change policies.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ring::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use vedette_proto::v1;

/// What an endorsement signs before the key.
const CONTEXT: &[u8] = b"vedette.v1.SigningKey";
/// Bytes of a public key.
const KEY: usize = 32;
/// Most keys.
const MOST: usize = 16;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("signing key {path}: {why}")]
pub struct KeyError {
    path: String,
    why: String,
}

/// The pinned keys.
#[derive(Debug)]
pub(super) struct Keys {
    file: PathBuf,
    keys: Vec<[u8; KEY]>,
    /// Whether they were handed over, and none is taken from the controller.
    fixed: bool,
    /// Keys that were not taken: each is told once.
    refused: Vec<[u8; KEY]>,
}

/// The SHA-256 of bytes, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; KEY]> {
    let text = text.trim().as_bytes();
    let mut out = [0; KEY];
    if text.len() != 2 * KEY {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

impl Keys {
    /// Reads the pinned keys.
    ///
    /// # Errors
    /// A file cannot be read, or has no key.
    pub fn open(data: &Path, handed_over: Option<&Path>) -> Result<Self, KeyError> {
        let file = handed_over.map_or_else(|| data.join("signing-keys"), Path::to_owned);
        let fail = |why: &str| KeyError { path: file.display().to_string(), why: why.to_owned() };
        let keys = match fs::read(&file) {
            Ok(bytes) if bytes.len() == KEY => bytes.first_chunk().copied().into_iter().collect(),
            Ok(bytes) => {
                let text =
                    String::from_utf8(bytes).map_err(|_| fail("neither 32 bytes nor their hexadecimal"))?;
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                let keys: Option<Vec<_>> = lines.map(unhex).collect();
                keys.ok_or_else(|| fail("a line is not the hexadecimal of 32 bytes"))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && handed_over.is_none() => Vec::new(),
            Err(error) => return Err(fail(&error.to_string())),
        };
        if handed_over.is_some() && keys.is_empty() {
            return Err(fail("there is no key in it: 32 bytes or their hexadecimal are needed"));
        }
        Ok(Self { fixed: handed_over.is_some(), file, keys, refused: Vec::new() })
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes in what the controller announces, as far as that may be.
    pub fn announce(&mut self, announced: &[v1::SigningKey]) {
        if self.fixed {
            return;
        }
        let first = self.keys.is_empty();
        let before = self.keys.len();
        let announced = if first { &announced[announced.len().saturating_sub(MOST)..] } else { announced };
        // Keys that signed before those that are pinned come along for agents that know no other.
        let known = |key: &v1::SigningKey| self.keys.iter().any(|pinned| pinned[..] == key.public_key[..]);
        let oldest = announced.iter().position(known).unwrap_or(0);
        for key in &announced[oldest..] {
            let Some(public) = <&[u8; KEY]>::try_from(&key.public_key[..]).ok() else { continue };
            if self.keys.contains(public) || self.keys.len() >= MOST {
                continue;
            }
            if first || self.is_endorsed(key) {
                tracing::info!(
                    key = sha256(public),
                    "a key that policies are signed with is trusted from now on"
                );
                self.keys.push(*public);
            } else if !self.refused.contains(public) && self.refused.len() < MOST {
                self.refused.push(*public);
                tracing::error!(
                    key = sha256(public),
                    "the controller has a new signing key that no known key endorses: its policies are not taken; \
                     if that is meant, remove {}",
                    self.file.display()
                );
            }
        }
        if self.keys.len() != before
            && let Err(error) = self.save()
        {
            tracing::error!(%error, "the trusted keys could not be kept");
        }
    }

    /// Forgets the keys that were pinned before this one: it signs now in their place.
    pub fn forget_before(&mut self, id: &str) {
        let Some(at) = self.keys.iter().position(|key| sha256(key) == id) else { return };
        if self.fixed || at == 0 {
            return;
        }
        tracing::info!(
            key = id,
            forgotten = at,
            "keys that signed policies before are not trusted any longer"
        );
        self.keys.drain(..at);
        if let Err(error) = self.save() {
            tracing::error!(%error, "the trusted keys could not be kept");
        }
    }

    fn is_endorsed(&self, key: &v1::SigningKey) -> bool {
        let signed = [CONTEXT, &key.public_key].concat();
        self.keys.iter().any(|known| {
            sha256(known) == key.endorsed_by
                && UnparsedPublicKey::new(&ED25519, known).verify(&signed, &key.endorsement).is_ok()
        })
    }

    fn save(&self) -> io::Result<()> {
        let text: String = self.keys.iter().map(|key| format!("{}\n", hex(key))).collect();
        super::bundle::replace(&self.file, text.as_bytes())
    }

    /// Whether the key of that name is pinned and has signed the bytes.
    pub fn verify(&self, id: &str, bytes: &[u8], signature: &[u8]) -> bool {
        let key = self.keys.iter().find(|key| sha256(*key) == id);
        key.is_some_and(|key| UnparsedPublicKey::new(&ED25519, key).verify(bytes, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{Ed25519KeyPair, KeyPair},
    };

    use super::*;

    fn key() -> Ed25519KeyPair {
        let bytes = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(bytes.as_ref()).unwrap()
    }

    fn announced(key: &Ed25519KeyPair, by: Option<&Ed25519KeyPair>) -> v1::SigningKey {
        let public = key.public_key().as_ref();
        v1::SigningKey {
            public_key: public.to_vec().into(),
            endorsed_by: by.map(|by| sha256(by.public_key().as_ref())).unwrap_or_default(),
            endorsement: by
                .map(|by| by.sign(&[CONTEXT, public].concat()).as_ref().to_vec().into())
                .unwrap_or_default(),
        }
    }

    #[test]
    fn the_first_key_is_kept_and_the_next_needs_its_word() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second, stranger) = (key(), key(), key());
        let mut keys = Keys::open(dir.path(), None).unwrap();
        assert!(keys.is_empty());
        keys.announce(&[announced(&first, None)]);
        keys.announce(&[announced(&stranger, None), announced(&stranger, Some(&stranger))]);
        let mut keys = Keys::open(dir.path(), None).unwrap();
        let signed_by = |keys: &Keys, key: &Ed25519KeyPair| {
            keys.verify(&sha256(key.public_key().as_ref()), b"x", key.sign(b"x").as_ref())
        };
        assert!(signed_by(&keys, &first) && !signed_by(&keys, &stranger) && !signed_by(&keys, &second));
        keys.announce(&[announced(&second, Some(&first))]);
        assert!(signed_by(&keys, &second));
        assert!(!keys.verify(&sha256(first.public_key().as_ref()), b"y", first.sign(b"x").as_ref()));

        // Once the second signs, the first is forgotten, and does not come back with the list of them.
        keys.forget_before(&sha256(second.public_key().as_ref()));
        keys.announce(&[announced(&first, None), announced(&second, Some(&first))]);
        let mut keys = Keys::open(dir.path(), None).unwrap();
        assert!(signed_by(&keys, &second) && !signed_by(&keys, &first));
        // Who was away for long finds the way from key to key.
        let third = key();
        let chain =
            [announced(&first, None), announced(&second, Some(&first)), announced(&third, Some(&second))];
        keys.announce(&chain);
        assert!(signed_by(&keys, &third) && !signed_by(&keys, &first));

        // Handed over, it is that one only.
        let file = dir.path().join("key");
        fs::write(&file, first.public_key().as_ref()).unwrap();
        let mut keys = Keys::open(dir.path(), Some(&file)).unwrap();
        keys.announce(&[announced(&second, Some(&first))]);
        assert!(signed_by(&keys, &first) && !signed_by(&keys, &second));
        for bad in ["not a key", "", "\n"] {
            fs::write(&file, bad).unwrap();
            assert!(Keys::open(dir.path(), Some(&file)).is_err(), "{bad:?}");
        }
    }
}
