//! The connection to the controller.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use vedette_proto::v1::{
    agent_service_client::AgentServiceClient, alert_service_client::AlertServiceClient,
    policy_service_client::PolicyServiceClient,
};
use vedette_settings::ControllerUrl;

use super::authority::{Authority, named};

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a quiet connection is asked whether it lives, and how long it may take to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Most bytes of a message from the controller: a bundle with all its documents.
const MESSAGE: usize = 64 << 20;

/// What we show, and whom we trust. Files are read anew for each call and connection, because they are renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Authorities of the controller's certificate.
    pub ca: Option<Authority>,
    /// The token.
    pub token: Option<PathBuf>,
    /// Our certificate (PEM), with the key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Puts the token into each call.
#[derive(Clone, Debug)]
pub(super) struct ShowToken(Option<PathBuf>);

impl Interceptor for ShowToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(path) = &self.0 {
            let fail =
                |error: &dyn fmt::Display| Status::unauthenticated(format!("{}: {error}", path.display()));
            let token = std::fs::read_to_string(path).map_err(|error| fail(&error))?;
            let mut value =
                MetadataValue::try_from(format!("Bearer {}", token.trim())).map_err(|error| fail(&error))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

type Service = InterceptedService<Channel, ShowToken>;

/// The controller's services.
#[derive(Clone, Debug)]
pub(super) struct Client {
    channel: Channel,
    token: ShowToken,
}

impl Client {
    /// Connects when it is first used, and again whenever the connection was lost.
    pub fn new(url: &ControllerUrl, credentials: &Credentials) -> Self {
        // What is dialled is the connector's affair; the name here is what the far side sees as authority.
        let endpoint = Endpoint::from_static("http://vedette-controller")
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .keep_alive_while_idle(true);
        let (url, ours) = (url.clone(), credentials.clone());
        let connector = tower::service_fn(move |_: Uri| {
            let (url, credentials) = (url.clone(), ours.clone());
            async move { dial(&url, &credentials).await.map(TokioIo::new) }
        });
        let channel = endpoint.connect_with_connector_lazy(connector);
        Self { channel, token: ShowToken(credentials.token.clone()) }
    }

    pub fn agents(&self) -> AgentServiceClient<Service> {
        AgentServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
    }

    pub fn policies(&self) -> PolicyServiceClient<Service> {
        PolicyServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
            .max_decoding_message_size(MESSAGE)
    }

    pub fn alerts(&self) -> AlertServiceClient<Service> {
        AlertServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
    }
}

/// Any of the three connections.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for S {}

async fn dial(url: &ControllerUrl, credentials: &Credentials) -> io::Result<Box<dyn Stream>> {
    match url {
        ControllerUrl::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        ControllerUrl::Plain { host, port } => Ok(Box::new(tcp(host, *port).await?)),
        ControllerUrl::Tls { host, port } => {
            let config = tls(credentials).await?;
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let stream = tcp(host, *port).await?;
            Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
        }
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn tls(credentials: &Credentials) -> io::Result<ClientConfig> {
    let ca = credentials.ca.as_ref().ok_or_else(|| io::Error::other("no certificate authority was given"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&ca.read().await?) {
        let certificate = certificate.map_err(|error| named(&ca.file, &error))?;
        roots.add(certificate).map_err(|error| named(&ca.file, &error))?;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&tokio_rustls::rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let mut config = match &credentials.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| named(certificate, &error))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, &error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| named(certificate, &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_anew_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let mut show = ShowToken(Some(path.clone()));
        assert!(show.call(Request::new(())).is_err());
        for token in ["one", "two"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            let request = show.call(Request::new(())).unwrap();
            let value = request.metadata().get("authorization").unwrap();
            assert_eq!(value.to_str().unwrap(), format!("Bearer {token}"));
            assert!(!format!("{:?}", request.metadata()).contains(token));
        }
    }
}
