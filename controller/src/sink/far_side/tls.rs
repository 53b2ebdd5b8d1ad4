//! TLS towards far sides: rustls with ring.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::sink::{config::Tls, secrets::Secrets};

/// The settings of connections. Without any, the machine's authorities are trusted; where it has none, Mozilla's.
pub(super) async fn client(tls: Option<&Tls>, secrets: &dyn Secrets) -> Result<ClientConfig, String> {
    let nothing = Tls::default();
    let tls = tls.unwrap_or(&nothing);
    let roots = match &tls.ca {
        Some(ca) => given(secrets.read(ca).await.map_err(|error| format!("tls.ca: {error}"))?.expose())?,
        None => usual(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let certificate = secrets.read(certificate).await.map_err(|error| format!("tls.certificate: {error}"))?;
    let key = secrets.read(key).await.map_err(|error| format!("tls.key: {error}"))?;
    let chain = certificates(certificate.expose()).map_err(|error| format!("tls.certificate: {error}"))?;
    // The error says nothing of the key itself.
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|_| "tls.key: it is no private key in PEM".to_owned())?;
    builder.with_client_auth_cert(chain, key).map_err(|error| format!("tls.certificate and tls.key: {error}"))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if all.is_empty() => Err("there is no certificate in PEM in it".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

fn given(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|error| format!("tls.ca: {error}"))? {
        roots.add(certificate).map_err(|error| format!("tls.ca: {error}"))?;
    }
    Ok(roots)
}

fn usual() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
