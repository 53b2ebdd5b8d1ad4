//! The way to a controller: where it is, whom to trust, what to show, and what is in the way.

mod dial;
mod error;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use vedette_proto::v1::agent_service_client::AgentServiceClient;
use vedette_proto::v1::alert_service_client::AlertServiceClient;
use vedette_proto::v1::controller_service_client::ControllerServiceClient;

pub use error::RemoteError;
pub use vedette_settings::ControllerUrl as Url;

/// Most bytes of an answer: the list of thousands of nodes.
const MESSAGE: usize = 256 << 20;

/// Where a controller on this host keeps what its clients need, unless it was told otherwise.
const LOCAL_DATA: &str = "/var/lib/vedette-controller";

/// The controller to ask. On its own host, without any of these, what it keeps in /var/lib/vedette-controller is used.
#[derive(clap::Args)]
#[command(next_help_heading = "Controller")]
pub struct ConnectArgs {
    /// Where the controller is: https://HOST:PORT, on this host also http://127.0.0.1:PORT or unix:PATH.
    #[arg(long, value_name = "URL", env = "VEDETTE_CONTROLLER", default_value = "https://127.0.0.1:9465")]
    controller: Url,
    /// Authorities that the controller's certificate may be of (PEM): its ca.pem [default: those of this machine].
    #[arg(long, value_name = "FILE", env = "VEDETTE_CA")]
    ca: Option<PathBuf>,
    /// An operator's token. Others on this host can see the command line: rather use --token-file.
    #[arg(long, value_name = "TOKEN", env = "VEDETTE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with an operator's token.
    #[arg(long, value_name = "FILE", env = "VEDETTE_TOKEN_FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// A certificate to show (PEM), for urn:vedette:operator:NAME.
    #[arg(long, value_name = "FILE", env = "VEDETTE_CLIENT_CERT", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE", env = "VEDETTE_CLIENT_KEY", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

/// Puts the token into each call.
#[derive(Clone)]
pub struct ShowToken(Option<MetadataValue<tonic::metadata::Ascii>>);

impl Interceptor for ShowToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

type Service = InterceptedService<Channel, ShowToken>;

/// A controller that answers.
pub struct Controller {
    channel: Channel,
    token: ShowToken,
    url: Url,
}

impl ConnectArgs {
    /// Where the controller is.
    pub fn url(&self) -> &Url {
        &self.controller
    }

    /// Connects. Files are read anew each time, because they are renewed.
    ///
    /// # Errors
    /// What is in the way, with what to do about it.
    pub async fn connect(&self) -> Result<Controller, RemoteError> {
        let (ca, token) = self.local();
        let token = match (&self.token, self.token_file.as_deref().or(token.as_deref())) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(file)) => Some(read(file)?),
            (None, None) => None,
        };
        let token = token.map(|token| bearer(&token)).transpose()?;
        let trust = dial::Trust {
            ca: self.ca.as_deref().or(ca.as_deref()),
            certificate: self.client_cert.as_deref().zip(self.client_key.as_deref()),
        };
        let channel = dial::connect(&self.controller, &trust).await?;
        Ok(Controller { channel, token: ShowToken(token), url: self.controller.clone() })
    }

    /// The authorities and the token of a controller on this host, where neither was given and they can be read.
    fn local(&self) -> (Option<PathBuf>, Option<PathBuf>) {
        let data = Path::new(LOCAL_DATA);
        let readable = |name: &str| {
            let path = data.join(name);
            (self.controller.is_local() && std::fs::File::open(&path).is_ok()).then_some(path)
        };
        let shows_nothing = self.token.is_none() && self.token_file.is_none() && self.client_cert.is_none();
        let ca = if self.ca.is_none() { readable("ca.pem") } else { None };
        let token = if shows_nothing { readable("operator-token") } else { None };
        (ca, token)
    }
}

fn read(path: &Path) -> Result<String, RemoteError> {
    let fail = |why: String| RemoteError::File { path: path.to_owned(), why };
    let token = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    if token.trim().is_empty() { Err(fail("there is no token in it".into())) } else { Ok(token) }
}

fn bearer(token: &str) -> Result<MetadataValue<tonic::metadata::Ascii>, RemoteError> {
    let value = MetadataValue::try_from(format!("Bearer {}", token.trim()));
    let mut value = value.map_err(|_| RemoteError::Token("it has characters that no token has".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Controller {
    /// The alerts.
    pub fn alerts(&self) -> AlertServiceClient<Service> {
        AlertServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
            .max_decoding_message_size(MESSAGE)
    }

    /// The agents.
    pub fn agents(&self) -> AgentServiceClient<Service> {
        AgentServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
            .max_decoding_message_size(MESSAGE)
    }

    /// The controller itself.
    pub fn itself(&self) -> ControllerServiceClient<Service> {
        ControllerServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
            .max_decoding_message_size(MESSAGE)
    }

    /// What is in the way, of what a call answered.
    pub fn refused(&self, status: Status) -> RemoteError {
        RemoteError::of_call(&self.url, self.token.0.is_some(), status)
    }
}

/// Longest time for one call.
const CALL: Duration = Duration::from_secs(60);

/// Waits for the answer to a call.
///
/// # Errors
/// It was refused, or took too long.
pub async fn answer<T>(
    controller: &Controller,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, RemoteError> {
    let answer = tokio::time::timeout(CALL, call).await;
    let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
    answer.map(tonic::Response::into_inner).map_err(|status| controller.refused(status))
}

/// A runtime for one command.
///
/// # Errors
/// The system gives none.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
