//! What can be in the way between us and a controller, and what to do about it.

use std::error::Error;
use std::path::PathBuf;

use tokio_rustls::rustls;
use tonic::{Code, Status};

use super::Url;

/// Why the controller could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody answers there.
    #[error(
        "cannot reach the controller at {url}: {why}; is it running, and is --controller (VEDETTE_CONTROLLER) right?"
    )]
    Unreachable {
        /// Where it should be.
        url: Url,
        /// What the system said.
        why: String,
    },
    /// The connection was there and is no more.
    #[error("lost the connection to the controller at {url}: {why}; try again")]
    Lost {
        /// Where it is.
        url: Url,
        /// What happened.
        why: String,
    },
    /// Its certificate is of nobody who is trusted.
    #[error("the certificate of {url} is not trusted: {why}; {remedy}")]
    Untrusted {
        /// Where it is.
        url: Url,
        /// What is wrong with it.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// It speaks something else than TLS.
    #[error(
        "{url} does not speak TLS as it should: {why}; is it the controller's port, and does it run without --plaintext?"
    )]
    NoTls {
        /// Where it is.
        url: Url,
        /// What was seen.
        why: String,
    },
    /// A file that was given cannot be used.
    #[error("{}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It wants to know who we are.
    #[error(
        "the controller at {0} wants to know who asks; give an operator's token with --token-file (VEDETTE_TOKEN_FILE): \
         a standalone controller keeps one as operator-token in its data directory, in a cluster it is \
         `kubectl create token NAME --audience vedette-controller`"
    )]
    Nobody(Url),
    /// It does not know the token.
    #[error(
        "the token is refused: {0}; give an operator's token, one that is in the controller's file of tokens or was made \
         for the audience vedette-controller, with --token-file (VEDETTE_TOKEN_FILE)"
    )]
    Token(String),
    /// It does not take the certificate.
    #[error(
        "the controller does not take our certificate: {0}; --client-cert needs one of an authority that the controller \
         was given with --client-ca"
    )]
    Certificate(String),
    /// It knows us, and we may not.
    #[error(
        "these credentials may not do that: {0}; an operator's are needed: a line `operator NAME TOKEN` of the \
         controller's tokens, or in a cluster the right to get alerts.vedette.dev"
    )]
    Denied(String),
    /// It is older than we are.
    #[error("the controller at {0} is too old for this command; use a vedette of its version")]
    Old(Url),
    /// It said no for another reason.
    #[error("the controller says: {0}")]
    Refused(String),
}

impl RemoteError {
    /// Of what a call answered; `token` says whether a token was shown.
    pub(super) fn of_call(url: &Url, token: bool, status: Status) -> Self {
        let said = status.message().to_owned();
        if let Some(alert) = tls_alert(&status) {
            return Self::Certificate(alert);
        }
        match status.code() {
            Code::Unauthenticated if token => Self::Token(said),
            Code::Unauthenticated => Self::Nobody(url.clone()),
            Code::PermissionDenied => Self::Denied(said),
            Code::Unimplemented => Self::Old(url.clone()),
            // The transport's own: there was no answer.
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted => {
                let why = causes(&status).last().cloned().unwrap_or(said);
                Self::Lost { url: url.clone(), why }
            }
            code => Self::Refused(if said.is_empty() { code.description().to_owned() } else { said }),
        }
    }

    /// Whether it may be otherwise a little later.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }

    /// Of a failed handshake.
    pub(super) fn of_handshake(url: &Url, ca: bool, error: &std::io::Error) -> Self {
        use rustls::CertificateError as E;
        let url = url.clone();
        let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match fault {
            Some(rustls::Error::InvalidCertificate(bad)) => {
                let (why, remedy) = match bad {
                    E::UnknownIssuer | E::BadSignature if ca => (
                        "it is of none of the authorities given with --ca (VEDETTE_CA)".to_owned(),
                        "copy the controller's ca.pem anew: it may have a new authority, or be another controller".into(),
                    ),
                    E::UnknownIssuer | E::BadSignature => (
                        "it is of no authority that this machine trusts".to_owned(),
                        "give the controller's ca.pem, which is in its data directory, with --ca (VEDETTE_CA)".into(),
                    ),
                    E::NotValidForName | E::NotValidForNameContext { .. } => (
                        format!("it is not for {}", url.host()),
                        format!("use a name that it is for, or start the controller with --tls-name {}", url.host()),
                    ),
                    E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
                        ("its time is over, or has not come".to_owned(), "compare the clocks of both machines".into())
                    }
                    other => (other.to_string(), "see what the controller was given with --tls-cert".into()),
                };
                Self::Untrusted { url, why, remedy }
            }
            Some(rustls::Error::AlertReceived(alert)) => {
                Self::NoTls { url, why: format!("it ended with {alert:?}") }
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                Self::NoTls { url, why: "its answer is something else".into() }
            }
            _ => Self::NoTls { url, why: error.to_string() },
        }
    }
}

/// What the far side said of our certificate: that comes with the first answer only.
fn tls_alert(status: &Status) -> Option<String> {
    let mut source = status.source();
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let fault =
            io.and_then(|inner| inner.downcast_ref::<rustls::Error>()).or_else(|| error.downcast_ref());
        if let Some(rustls::Error::AlertReceived(alert)) = fault {
            return Some(format!("{alert:?}"));
        }
        source = error.source();
    }
    None
}

/// What is behind a failed call, the deepest cause last.
fn causes(status: &Status) -> Vec<String> {
    let mut all = Vec::new();
    let mut source = status.source();
    while let Some(error) = source {
        all.push(error.to_string());
        source = error.source();
    }
    all
}
