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
    pki_types::{CertificateDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use tokio_util::sync::CancellationToken;

use super::{Authority, TlsError};
use crate::secrets::SecretStore;

/// How often it is looked what is due, and whether the client authorities have changed.
const LOOK: Duration = Duration::from_secs(30);

/// Serves with a certificate that is renewed while everything runs.
pub struct TlsServer {
    store: Arc<dyn SecretStore>,
    names: Vec<String>,
    client_ca: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    /// And when the certificate in it is to be renewed.
    config: RwLock<(Arc<ServerConfig>, Timestamp)>,
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsServer").field("names", &self.names).finish_non_exhaustive()
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
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = make(&*store, &names, &provider, client_ca.as_deref(), Timestamp::now()).await?;
        Ok(Self { store, names, client_ca, provider, config: RwLock::new(config) })
    }

    /// What the next connection is served with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.config.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Renews what is due until it is told to stop.
    pub async fn maintain(&self, stop: CancellationToken) {
        let mut seen = self.client_ca_text();
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = Timestamp::now();
            let clients = self.client_ca_text();
            if !self.is_due(now) && clients == seen {
                continue;
            }
            match self.renew(now).await {
                Ok(()) => {
                    seen = clients;
                    tracing::info!("the server's certificate was renewed");
                }
                Err(error) => tracing::error!(%error, "the server's certificate stays as it was"),
            }
        }
    }

    /// Makes a new certificate, of an authority that is renewed too if that is due.
    ///
    /// # Errors
    /// As [`Self::start`]; then what was there stays.
    pub async fn renew(&self, now: Timestamp) -> Result<(), TlsError> {
        let client_ca = self.client_ca.as_deref();
        let config = make(&*self.store, &self.names, &self.provider, client_ca, now).await?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    fn client_ca_text(&self) -> Option<Vec<u8>> {
        self.client_ca.as_ref().and_then(|path| std::fs::read(path).ok())
    }
}

/// The settings with a new certificate, and when that is to be renewed.
async fn make(
    store: &dyn SecretStore,
    names: &[String],
    provider: &Arc<CryptoProvider>,
    client_ca: Option<&Path>,
    now: Timestamp,
) -> Result<(Arc<ServerConfig>, Timestamp), TlsError> {
    let made = Authority::load(store, now).await?.certify(names, now)?;
    let certificate = CertifiedKey::from_der(vec![made.certificate], made.key, provider)?;
    Ok((configure(provider, Arc::new(certificate), client_ca)?, made.renew))
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
