//! Connecting: TCP with or without TLS, or a Unix socket.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint, Uri};

use super::{RemoteError, Url};

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a quiet connection is asked whether it lives, and how long it may take to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(10));

/// Whom to trust, and what to show.
pub(super) struct Trust<'a> {
    /// Authorities (PEM); without, those of the machine.
    pub ca: Option<&'a Path>,
    /// Our certificate with its key.
    pub certificate: Option<(&'a Path, &'a Path)>,
}

/// Any of the three connections.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects once. When the connection ends, so does the channel: who wants another connects again, and is told what is in
/// the way.
pub(super) async fn connect(url: &Url, trust: &Trust<'_>) -> Result<Channel, RemoteError> {
    let mut dialled = Some(dial(url, trust).await?);
    // What is dialled is done already; the name here is what the far side sees as authority.
    let endpoint = Endpoint::from_static("http://vedette-controller")
        .http2_keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .keep_alive_while_idle(true);
    let connector = tower::service_fn(move |_: Uri| {
        let stream = dialled.take().map(TokioIo::new);
        async move { stream.ok_or_else(|| io::Error::other("the connection was lost")) }
    });
    let channel = endpoint.connect_with_connector(connector).await;
    channel.map_err(|error| {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            why = error.to_string();
            source = error.source();
        }
        RemoteError::Lost { url: url.clone(), why }
    })
}

async fn dial(url: &Url, trust: &Trust<'_>) -> Result<Box<dyn Stream>, RemoteError> {
    let unreachable =
        |error: io::Error| RemoteError::Unreachable { url: url.clone(), why: error.to_string() };
    let late = || RemoteError::Unreachable {
        url: url.clone(),
        why: format!("no answer within {}s", CONNECT.as_secs()),
    };
    let (host, port) = match url {
        Url::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?)),
        Url::Plain { host, port } | Url::Tls { host, port } => (host.as_str(), *port),
    };
    // Before anything is sent, so that a file that cannot be read is told as such.
    let tls = match url {
        Url::Tls { .. } => Some(configure(trust)?),
        _ => None,
    };
    let stream =
        timeout(CONNECT, TcpStream::connect((host, port))).await.map_err(|_| late())?.map_err(unreachable)?;
    // Only the speed hangs on it.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| RemoteError::Unreachable {
        url: url.clone(),
        why: format!("`{host}` is no name of a host"),
    })?;
    let handshake = TlsConnector::from(Arc::new(tls)).connect(name, stream);
    let stream = timeout(CONNECT, handshake).await.map_err(|_| late())?;
    Ok(Box::new(stream.map_err(|error| RemoteError::of_handshake(url, trust.ca.is_some(), &error))?))
}

fn configure(trust: &Trust<'_>) -> Result<ClientConfig, RemoteError> {
    let fail = |path: &Path, why: &dyn fmt::Display| RemoteError::File {
        path: path.to_owned(),
        why: why.to_string(),
    };
    let mut roots = RootCertStore::empty();
    match trust.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| fail(path, &error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let internal = |error: rustls::Error| RemoteError::Refused(format!("TLS: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(internal)?
        .with_root_certificates(roots);
    let mut config = match trust.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            // The error says nothing of the key itself.
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|_| fail(key, &"it cannot be read, or is no private key (PEM)"))?;
            let chain = certificates(certificate)?;
            builder.with_client_auth_cert(chain, private).map_err(|error| fail(certificate, &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RemoteError> {
    let fail = |why: String| RemoteError::File { path: path.to_owned(), why };
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(error.to_string()))?;
    if all.is_empty() { Err(fail("there is no certificate in it (PEM)".into())) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_clear_only_on_this_host() {
        for (text, shown) in [
            ("https://controller.vedette.svc", "https://controller.vedette.svc:9465"),
            ("https://[fd00::1]:7", "https://[fd00::1]:7"),
            ("http://127.0.0.1:5", "http://127.0.0.1:5"),
            ("unix:///run/c.sock", "unix:/run/c.sock"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(shown.parse::<Url>().unwrap(), url);
        }
        for bad in ["http://10.0.0.1:5", "unix:", "ftp://x", "localhost:9465", "", "https://"] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
