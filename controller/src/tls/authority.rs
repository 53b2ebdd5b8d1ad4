//! The certificate authority that agents trust.
//!
//! It is replaced with overlap. A year after it was made a certificate of an authority ends; after eight months the next
//! one is made and published beside it. It signs once it has been published for a month, so that by then all agents know
//! it. Several replicas share what is stored; whoever is first decides.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use super::TlsError;
use crate::secrets::SecretStore;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How long an authority is good.
const LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How old the newest is when the next one is made.
const RENEW: SignedDuration = SignedDuration::from_hours(240 * 24);
/// How long a new one is published before it signs.
const OVERLAP: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a server's certificate is good, unless its authority ends before.
const CERTIFICATE_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The secret's name, and that of what is published.
const SECRET: &str = "ca.json";
const PUBLISHED: &str = "ca.pem";

/// What is stored, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stored {
    authorities: Vec<One>,
}

#[derive(Clone, Serialize, Deserialize)]
struct One {
    made: Timestamp,
    certificate: String,
    key: String,
}

impl std::fmt::Debug for One {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key: this may be logged.
        f.debug_struct("One").field("made", &self.made).finish_non_exhaustive()
    }
}

/// The authority.
#[derive(Clone, Debug)]
pub struct Authority(Stored);

/// A certificate with its key.
#[derive(Debug)]
pub struct MadeCertificate {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// When the next one should be made: after half of its life.
    pub renew: Timestamp,
}

impl Authority {
    /// Loads the authority, makes what is due, and publishes what agents are to trust.
    ///
    /// # Errors
    /// The store fails, or has something else.
    pub async fn load(store: &dyn SecretStore, now: Timestamp) -> Result<Self, TlsError> {
        loop {
            let before = store.load(SECRET).await?;
            let stored = match &before {
                None => Stored::default(),
                Some(bytes) => serde_json::from_slice(bytes)
                    .map_err(|error| TlsError::Stored(format!("{SECRET}: {error}")))?,
            };
            let mut authority = Self(stored);
            if authority.maintain(now)? {
                let bytes =
                    serde_json::to_vec(&authority.0).map_err(|error| TlsError::Stored(error.to_string()))?;
                if !store.replace(SECRET, before.as_deref(), &bytes).await? {
                    // Another replica was first.
                    continue;
                }
            }
            store.publish(PUBLISHED, &authority.bundle()).await?;
            return Ok(authority);
        }
    }

    /// Drops what has ended and makes what is due. Returns whether something has changed.
    fn maintain(&mut self, now: Timestamp) -> Result<bool, TlsError> {
        let all = &mut self.0.authorities;
        let before = all.len();
        all.retain(|one| now.duration_since(one.made) < LIFE);
        let due = all.last().is_none_or(|newest| now.duration_since(newest.made) >= RENEW);
        if due {
            all.push(make(now)?);
        }
        Ok(due || all.len() != before)
    }

    /// What agents are to trust, as PEM.
    pub fn bundle(&self) -> String {
        self.0.authorities.iter().map(|one| one.certificate.as_str()).collect()
    }

    /// The one that signs: the newest that has been published for long enough, else the oldest.
    fn signing(&self, now: Timestamp) -> Result<&One, TlsError> {
        let all = &self.0.authorities;
        all.iter()
            .rfind(|one| now.duration_since(one.made) >= OVERLAP)
            .or(all.first())
            .ok_or_else(|| TlsError::Stored("there is no authority".into()))
    }

    /// Makes a certificate for a server of these names and addresses.
    ///
    /// # Errors
    /// A name is not good for a certificate.
    pub fn certify(&self, names: &[String], now: Timestamp) -> Result<MadeCertificate, TlsError> {
        let one = self.signing(now)?;
        let issuer = Issuer::from_ca_cert_pem(&one.certificate, KeyPair::from_pem(&one.key)?)?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, "vedette-controller");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        // Not longer than the authority itself.
        let end = (now + CERTIFICATE_LIFE).min(one.made + LIFE);
        (params.not_before, params.not_after) = (date(now - SignedDuration::from_hours(1)), date(end));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(MadeCertificate {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            renew: now + end.duration_since(now) / 2,
        })
    }
}

fn make(now: Timestamp) -> Result<One, TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Each has a name of its own, so that nobody takes one for the other.
    params.distinguished_name.push(DnType::CommonName, format!("Vedette authority {}", now.as_second()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Clocks differ.
    (params.not_before, params.not_after) = (date(now - DAY), date(now + LIFE));
    let certificate = params.self_signed(&key)?;
    Ok(One { made: now, certificate: certificate.pem(), key: key.serialize_pem() })
}

fn date(time: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(time.as_second()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::SecretFiles;

    #[tokio::test]
    async fn a_new_authority_is_known_before_it_signs() {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretFiles::new(dir.path());
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |days: i64| start + SignedDuration::from_hours(24 * days);
        let mut signed_by = Vec::new();
        for days in [0, 1, 239, 241, 260, 272, 364, 366, 600] {
            let authority = Authority::load(&store, at(days)).await.unwrap();
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            let renew = authority.certify(&names, at(days)).unwrap().renew;
            assert!(!format!("{authority:?}").contains("PRIVATE"));
            let published = std::fs::read_to_string(dir.path().join("ca.pem")).unwrap();
            assert_eq!(published, authority.bundle());
            let signing = authority.signing(at(days)).unwrap();
            assert!(published.contains(&signing.certificate));
            // It is renewed before it ends, or its authority does.
            assert!(renew < (at(days) + CERTIFICATE_LIFE).min(signing.made + LIFE), "{days}: {renew}");
            signed_by.push((days, signing.made, authority.0.authorities.len()));
        }
        let (first, second) = (at(0), at(241));
        assert_eq!(
            signed_by[..8],
            [
                (0, first, 1),
                (1, first, 1),
                (239, first, 1),
                (241, first, 2),
                (260, first, 2),
                (272, second, 2),
                (364, second, 2),
                (366, second, 1),
            ]
        );
    }

    #[tokio::test]
    async fn something_else_is_not_taken_for_an_authority() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SECRET), "{}").unwrap();
        let loaded = Authority::load(&SecretFiles::new(dir.path()), Timestamp::UNIX_EPOCH).await;
        assert!(matches!(loaded, Err(TlsError::Stored(_))));
    }
}
