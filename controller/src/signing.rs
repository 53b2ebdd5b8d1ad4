//! The keys that bundles are signed with.
//!
//! One signs. Before another takes its place it is announced to agents for a while, endorsed by the one before, so that
//! they know it when it signs. Of those that signed earlier the public half and the endorsement stay: an agent that was away
//! for long finds its way from the key that it knows to the one that signs. Several replicas share what is stored, and
//! change over at the same time, because that stands with the key.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use vedette_proto::v1;

use crate::{
    bundle::{Bundles, sha256},
    secrets::{SecretError, SecretStore},
};

/// The secret's name, and that of what everybody may know.
const SECRET: &str = "signing-keys.json";
const PUBLISHED: &str = "signing-keys.pub";
/// What an endorsement signs before the key.
const CONTEXT: &[u8] = b"vedette.v1.SigningKey";
/// Most keys that are kept: agents keep no more.
const MOST: usize = 16;
/// How often it is looked for new keys, and for one whose time has come.
const LOOK: Duration = Duration::from_secs(5);

/// What is stored, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stored {
    keys: Vec<One>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    /// From when on it signs.
    signs_from: Timestamp,
    /// The public half, in base64.
    public: String,
    /// PKCS #8, in base64; empty, once another signs.
    private: String,
    /// By the key before; empty for the first.
    endorsement: String,
}

impl std::fmt::Debug for One {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key: this may be logged.
        f.debug_struct("One").field("public", &self.public).finish_non_exhaustive()
    }
}

fn fail(why: impl std::fmt::Display) -> SecretError {
    SecretError { name: SECRET.into(), why: why.to_string() }
}

impl One {
    fn new(signs_from: Timestamp, endorser: Option<&Ed25519KeyPair>) -> Result<Self, SecretError> {
        let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| fail("the kernel gives no random bytes"))?;
        let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).map_err(fail)?;
        let public = pair.public_key().as_ref();
        let endorsement = endorser
            .map(|key| BASE64.encode(key.sign(&[CONTEXT, public].concat()).as_ref()))
            .unwrap_or_default();
        let private = BASE64.encode(private.as_ref());
        Ok(Self { signs_from, public: BASE64.encode(public), private, endorsement })
    }

    fn pair(&self) -> Result<Ed25519KeyPair, SecretError> {
        let bytes = BASE64.decode(self.private.as_bytes()).map_err(fail)?;
        Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| fail("not an Ed25519 key (PKCS #8)"))
    }

    fn public(&self) -> Result<Vec<u8>, SecretError> {
        BASE64.decode(self.public.as_bytes()).map_err(fail)
    }
}

impl Stored {
    /// Number of the key that signs.
    fn signing(&self, now: Timestamp) -> usize {
        self.keys.iter().rposition(|key| key.signs_from <= now).unwrap_or(0)
    }

    /// Forgets what no longer signs. Returns whether there was anything.
    fn tidy(&mut self, now: Timestamp) -> bool {
        let signing = self.signing(now);
        let mut changed = false;
        for old in self.keys[..signing].iter_mut().filter(|old| !old.private.is_empty()) {
            old.private.clear();
            changed = true;
        }
        let surplus = self.keys.len().saturating_sub(MOST).min(signing);
        self.keys.drain(..surplus);
        changed || surplus > 0
    }

    fn signer(&self, now: Timestamp) -> Result<Signer, SecretError> {
        let key = self.keys.get(self.signing(now)).ok_or_else(|| fail("there is no key"))?.pair()?;
        let mut announced = Vec::with_capacity(self.keys.len());
        let mut before = String::new();
        for one in &self.keys {
            let public = one.public()?;
            let id = sha256(&public);
            let endorsement = BASE64.decode(one.endorsement.as_bytes()).map_err(fail)?;
            announced.push(v1::SigningKey {
                public_key: public.into(),
                endorsed_by: if endorsement.is_empty() { String::new() } else { std::mem::take(&mut before) },
                endorsement: endorsement.into(),
            });
            before = id;
        }
        Ok(Signer { id: sha256(key.public_key().as_ref()), key, announced })
    }

    /// The keys that sign now or soon, as agents take them from a file.
    fn published(&self, now: Timestamp) -> Result<String, SecretError> {
        use std::fmt::Write;
        let mut out = String::new();
        for one in &self.keys[self.signing(now)..] {
            for byte in one.public()? {
                // Writing to a string does not fail.
                let _ = write!(out, "{byte:02x}");
            }
            out.push('\n');
        }
        Ok(out)
    }
}

/// Changes what is stored until nobody else has changed it meanwhile; publishes what it comes to.
async fn change<T>(
    store: &dyn SecretStore,
    now: Timestamp,
    mut with: impl FnMut(&mut Stored) -> Result<T, SecretError>,
) -> Result<(Stored, T), SecretError> {
    loop {
        let before = store.load(SECRET).await?;
        let mut stored: Stored = match &before {
            None => Stored::default(),
            Some(bytes) => serde_json::from_slice(bytes).map_err(fail)?,
        };
        if stored.keys.is_empty() {
            if before.is_some() {
                return Err(fail("there is no key in it"));
            }
            stored.keys.push(One::new(now, None)?);
        }
        let result = with(&mut stored)?;
        stored.tidy(now);
        let after = serde_json::to_vec(&stored).map_err(fail)?;
        if before.as_deref() == Some(&after[..]) || store.replace(SECRET, before.as_deref(), &after).await? {
            return Ok((stored, result));
        }
    }
}

/// The key that signs, and what agents are told of it and of others.
pub struct Signer {
    key: Ed25519KeyPair,
    id: String,
    announced: Vec<v1::SigningKey>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

impl Signer {
    /// Loads the keys; makes the first, if there is none.
    ///
    /// # Errors
    /// The store fails, or has something else.
    pub async fn load(store: &dyn SecretStore) -> Result<Self, SecretError> {
        Self::load_at(store, Timestamp::now()).await
    }

    async fn load_at(store: &dyn SecretStore, now: Timestamp) -> Result<Self, SecretError> {
        let (stored, ()) = change(store, now, |_| Ok(())).await?;
        store.publish(PUBLISHED, &stored.published(now)?).await?;
        stored.signer(now)
    }

    /// Names the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What agents are told, the oldest first.
    pub fn announced(&self) -> &[v1::SigningKey] {
        &self.announced
    }

    /// Signs.
    pub fn sign(&self, bytes: &[u8]) -> Bytes {
        Bytes::copy_from_slice(self.key.sign(bytes).as_ref())
    }

    /// Whether it comes to the same.
    fn is_like(&self, other: &Self) -> bool {
        self.id == other.id && self.announced == other.announced
    }
}

/// A key that will sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The SHA-256 of its public half, in hexadecimal.
    pub id: String,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

/// Whether there are keys.
///
/// # Errors
/// The store fails.
pub async fn is_there(store: &dyn SecretStore) -> Result<bool, SecretError> {
    Ok(store.load(SECRET).await?.is_some())
}

/// Makes the next key, which is announced from now on and signs after that time.
///
/// # Errors
/// The store fails, or there is a next key already.
pub async fn rotate(store: &dyn SecretStore, after: SignedDuration) -> Result<Rotation, SecretError> {
    rotate_at(store, Timestamp::now(), after).await
}

async fn rotate_at(
    store: &dyn SecretStore,
    now: Timestamp,
    after: SignedDuration,
) -> Result<Rotation, SecretError> {
    let signs_from = now.checked_add(after).map_err(fail)?;
    let (stored, id) = change(store, now, |stored| {
        let newest = stored.keys.last().ok_or_else(|| fail("there is no key"))?;
        if newest.signs_from > now {
            let why = format!(
                "the next key signs from {}: wait for that before there is another",
                newest.signs_from
            );
            return Err(fail(why));
        }
        let next = One::new(signs_from, Some(&newest.pair()?))?;
        let id = sha256(&next.public()?);
        stored.keys.push(next);
        Ok(id)
    })
    .await?;
    store.publish(PUBLISHED, &stored.published(now)?).await?;
    Ok(Rotation { id, signs_from })
}

/// Takes in new keys, and changes over when it is time, until it is told to stop.
pub async fn maintain(store: Arc<dyn SecretStore>, bundles: Arc<Bundles>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK);
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        match Signer::load(&*store).await {
            Ok(signer) => {
                failing = false;
                if !signer.is_like(&bundles.signer()) {
                    tracing::info!(
                        key = signer.id(),
                        keys = signer.announced.len(),
                        "the signing keys have changed"
                    );
                    bundles.sign_with(signer);
                }
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the signing keys stay as they are");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::secrets::SecretFiles;

    #[tokio::test]
    async fn the_next_key_is_announced_then_signs_and_the_old_one_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretFiles::new(dir.path());
        let hour = SignedDuration::from_hours(1);
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let first = Signer::load_at(&store, start).await.unwrap();
        assert!(first.is_like(&Signer::load_at(&store, start + hour).await.unwrap()));
        assert_eq!(first.announced().len(), 1);

        let rotation = rotate_at(&store, start + hour, hour).await.unwrap();
        assert_eq!(rotation.signs_from, start + hour * 2);
        let why = rotate_at(&store, start + hour, hour).await.unwrap_err().to_string();
        assert!(why.contains("2026-01-01T02:00:00Z"), "{why}");
        let during = Signer::load_at(&store, start + hour).await.unwrap();
        assert_eq!((during.id(), during.announced().len()), (first.id(), 2));
        let [old, new] = during.announced() else { panic!("two") };
        assert_eq!((old.endorsed_by.as_str(), new.endorsed_by.as_str()), ("", first.id()));
        let signed = [CONTEXT, &new.public_key].concat();
        UnparsedPublicKey::new(&ED25519, &old.public_key).verify(&signed, &new.endorsement).unwrap();
        let published = std::fs::read_to_string(dir.path().join(PUBLISHED)).unwrap();
        assert_eq!(published.lines().count(), 2);

        let after = Signer::load_at(&store, start + hour * 3).await.unwrap();
        assert_eq!(after.id(), rotation.id);
        assert_eq!(after.announced(), during.announced(), "who was away finds the way");
        let stored: Stored = serde_json::from_slice(&store.load(SECRET).await.unwrap().unwrap()).unwrap();
        assert_eq!(stored.keys[0].private, "");
        assert!(!format!("{stored:?}").contains(&stored.keys[1].private));
        let published = std::fs::read_to_string(dir.path().join(PUBLISHED)).unwrap();
        assert_eq!(published.lines().count(), 1);
    }

    #[tokio::test]
    async fn no_more_keys_than_agents_keep() {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretFiles::new(dir.path());
        let minute = SignedDuration::from_mins(1);
        let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for _ in 0..20 {
            rotate_at(&store, now, minute).await.unwrap();
            now += minute * 2;
        }
        let signer = Signer::load_at(&store, now).await.unwrap();
        assert_eq!(signer.announced().len(), MOST);
        assert_eq!(sha256(&signer.announced()[MOST - 1].public_key), signer.id());
    }

    #[tokio::test]
    async fn something_else_is_not_taken_for_keys() {
        for bad in ["x", "{}", r#"{"keys":[]}"#] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(SECRET), bad).unwrap();
            assert!(Signer::load(&SecretFiles::new(dir.path())).await.is_err(), "{bad}");
        }
    }
}
