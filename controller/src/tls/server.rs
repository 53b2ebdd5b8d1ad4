//! The server's side of TLS.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use tokio_util::sync::CancellationToken;

use super::{Authority, TlsError};
use crate::secrets::SecretStore;

/// How often it is looked what is due, and whether files have changed.
const LOOK: Duration = Duration::from_secs(10);

/// Where the certificate comes from.
enum Origin {
    /// One of our own authority.
    Made { store: Arc<dyn SecretStore>, names: Vec<String> },
    /// Files (PEM), which somebody else renews.
    Given { certificate: PathBuf, key: PathBuf },
}

/// Serves with a certificate that is renewed while everything runs.
pub struct TlsServer {
    origin: Origin,
    client_ca: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    /// And when the certificate in it is to be renewed; never, where somebody else does that.
    config: RwLock<(Arc<ServerConfig>, Option<Timestamp>)>,
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut f = f.debug_struct("TlsServer");
        match &self.origin {
            Origin::Made { names, .. } => f.field("names", names),
            Origin::Given { certificate, .. } => f.field("certificate", certificate),
        };
        f.finish_non_exhaustive()
    }
}

/// One certificate for everybody.
#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl TlsServer {
    /// Makes the first certificate, for these names and addresses.
    ///
    /// # Errors
    /// The authority cannot be had, or a name or file is not good.
    pub async fn start(
        store: Arc<dyn SecretStore>,
        names: Vec<String>,
        client_ca: Option<PathBuf>,
    ) -> Result<Self, TlsError> {
        Self::of(Origin::Made { store, names }, client_ca).await
    }

    /// Serves with a certificate of somebody else: files (PEM), the certificate first and those that it hangs on behind it.
    ///
    /// # Errors
    /// A file cannot be read, or the key is not that of the certificate.
    pub async fn with_certificate(
        certificate: PathBuf,
        key: PathBuf,
        client_ca: Option<PathBuf>,
    ) -> Result<Self, TlsError> {
        Self::of(Origin::Given { certificate, key }, client_ca).await
    }

    async fn of(origin: Origin, client_ca: Option<PathBuf>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = make(&origin, &provider, client_ca.as_deref(), Timestamp::now()).await?;
        Ok(Self { origin, client_ca, provider, config: RwLock::new(config) })
    }

    /// What the next connection is served with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.config.read().unwrap_or_else(PoisonError::into_inner).1.is_some_and(|renew| now >= renew)
    }

    /// Renews what is due until it is told to stop.
    pub async fn maintain(&self, stop: CancellationToken) {
        let mut seen = self.files();
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = Timestamp::now();
            let files = self.files();
            if !self.is_due(now) && files == seen {
                continue;
            }
            // What cannot be used is told once, and tried again when it has changed.
            seen = files;
            match self.renew(now).await {
                Ok(()) => tracing::info!("the server's certificate was renewed"),
                Err(error) => tracing::error!(%error, "the server's certificate stays as it was"),
            }
        }
    }

    /// Makes a new certificate, of an authority that is renewed too if that is due; or reads the one that was given.
    ///
    /// # Errors
    /// As [`Self::start`]; then what was there stays.
    pub async fn renew(&self, now: Timestamp) -> Result<(), TlsError> {
        let client_ca = self.client_ca.as_deref();
        let config = make(&self.origin, &self.provider, client_ca, now).await?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// What the files have now.
    fn files(&self) -> Vec<Option<Vec<u8>>> {
        let given = match &self.origin {
            Origin::Made { .. } => vec![],
            Origin::Given { certificate, key } => vec![certificate, key],
        };
        given.into_iter().chain(&self.client_ca).map(|path| std::fs::read(path).ok()).collect()
    }
}

/// The settings with a new certificate, and when that is to be renewed.
async fn make(
    origin: &Origin,
    provider: &Arc<CryptoProvider>,
    client_ca: Option<&Path>,
    now: Timestamp,
) -> Result<(Arc<ServerConfig>, Option<Timestamp>), TlsError> {
    let (certificate, renew) = match origin {
        Origin::Made { store, names } => {
            let made = Authority::load(&**store, now).await?.certify(names, now)?;
            (CertifiedKey::from_der(vec![made.certificate], made.key, provider)?, Some(made.renew))
        }
        Origin::Given { certificate, key } => (read(certificate, key, provider)?, None),
    };
    Ok((configure(provider, Arc::new(certificate), client_ca)?, renew))
}

/// A certificate with its key, of files.
fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let fail = |path: &Path, why: String| TlsError::File { path: path.display().to_string(), why };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(fail(certificate, "there is no certificate in it: PEM is needed".into()));
    }
    // The error says nothing of the key itself.
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|_| fail(key, "it cannot be read, or is no private key: PEM is needed".into()))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| {
        fail(key, format!("it does not go with the certificate {}: {error}", certificate.display()))
    })
}

fn configure(
    provider: &Arc<CryptoProvider>,
    certificate: Arc<CertifiedKey>,
    client_ca: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let fail = |why: String| TlsError::File { path: path.display().to_string(), why };
            let mut roots = RootCertStore::empty();
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| fail(error.to_string()))?;
            for certificate in certificates {
                roots.add(certificate.map_err(|error| fail(error.to_string()))?)?;
            }
            // Who shows none may have a token.
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| fail(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(One(certificate)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Sessions would outlive what a renewed certificate says, and cost memory for each client.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["controller.example".to_owned()]).unwrap();
        let (certificate, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    #[tokio::test(start_paused = true)]
    async fn a_given_certificate_is_read_again_when_it_changes_and_only_if_it_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = write(dir.path(), "tls");
        let server = TlsServer::with_certificate(certificate.clone(), key.clone(), None).await.unwrap();
        let server = Arc::new(server);
        let stop = CancellationToken::new();
        let (maintained, stopped) = (Arc::clone(&server), stop.clone());
        let maintained = tokio::spawn(async move { maintained.maintain(stopped).await });
        let first = server.config();
        let a_while = async || {
            for _ in 0..8 {
                tokio::time::advance(LOOK).await;
                tokio::task::yield_now().await;
            }
        };
        a_while().await;
        assert!(Arc::ptr_eq(&first, &server.config()), "nothing has changed");

        // Half of a pair does not go with the other half.
        let (other, other_key) = write(dir.path(), "other");
        std::fs::copy(&other, &certificate).unwrap();
        let error = server.renew(Timestamp::now()).await.unwrap_err().to_string();
        assert!(error.contains("tls.key") && error.contains("does not go with"), "{error}");
        a_while().await;
        assert!(Arc::ptr_eq(&first, &server.config()));

        std::fs::copy(&other_key, &key).unwrap();
        a_while().await;
        assert!(!Arc::ptr_eq(&first, &server.config()), "the whole pair is taken");
        stop.cancel();
        maintained.await.unwrap();
    }

    #[tokio::test]
    async fn files_that_are_none_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = write(dir.path(), "tls");
        let none = dir.path().join("none.pem");
        for (certificate, key, named) in
            [(&none, &key, "none.pem"), (&certificate, &none, "none.pem"), (&key, &key, "tls.key")]
        {
            let made = TlsServer::with_certificate(certificate.clone(), key.clone(), None).await;
            assert!(made.unwrap_err().to_string().contains(named));
        }
    }
}
