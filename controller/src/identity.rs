//! Who it is that calls.
//!
//! An [`Authenticator`] looks at what a caller shows and says who that is, or passes. [`Chain`] asks one after the other.
//! What the caller may do then hangs on its [`Role`]: an agent speaks for its own node and for nothing else, an operator
//! sees alerts and agents.

mod certificates;
mod kubernetes;
mod tokens;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

pub use certificates::Certificates;
pub use kubernetes::{AUDIENCE, ServiceAccounts};
pub use tokens::{Tokens, TokensError, create_tokens};

/// What a caller shows.
#[derive(Clone, Default)]
pub struct Credentials<'a> {
    /// The token of `Authorization: Bearer`.
    pub token: Option<&'a str>,
    /// The certificate of the connection in DER, verified against the client authorities already.
    pub certificate: Option<&'a [u8]>,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the token itself: this may be logged.
        f.debug_struct("Credentials")
            .field("token", &self.token.is_some())
            .field("certificate", &self.certificate.is_some())
            .finish()
    }
}

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Speak for this node; for any, if there is none.
    Agent(Option<Arc<str>>),
    /// See alerts and agents.
    Operator,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A name for logs.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
}

/// Why a caller is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// What it shows is not good, or it shows nothing.
    #[error("{0}")]
    Refused(String),
    /// It cannot be told at the moment.
    #[error("credentials cannot be checked at the moment: {0}")]
    Unavailable(String),
}

/// Knows callers by one kind of credentials.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who shows these; nothing, if they are of another kind.
    ///
    /// # Errors
    /// They are of this kind and not good, or that cannot be told now.
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<Identity>, AuthError>;
}

/// Several authenticators; the first that knows the caller decides.
#[derive(Default)]
pub struct Chain(Vec<Box<dyn Authenticator>>);

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain of {}", self.0.len())
    }
}

impl Chain {
    /// Asks this one after those that are there.
    #[must_use]
    pub fn with(mut self, authenticator: impl Authenticator) -> Self {
        self.0.push(Box::new(authenticator));
        self
    }

    /// Who shows these.
    ///
    /// # Errors
    /// Nobody knows them, or the one who could cannot be asked.
    pub async fn identify(&self, credentials: &Credentials<'_>) -> Result<Identity, AuthError> {
        for authenticator in &self.0 {
            if let Some(identity) = authenticator.authenticate(credentials).await? {
                return Ok(identity);
            }
        }
        let why = match (credentials.token, credentials.certificate) {
            (None, None) => "show a token (authorization: Bearer …) or a client certificate",
            _ => "these credentials are not known",
        };
        Err(AuthError::Refused(why.into()))
    }
}

/// Whether it can be the name of a node: a DNS name, as Kubernetes has it, or a host name.
pub fn is_node_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=253).contains(&name.len()) && name.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Only(&'static str, Result<Option<Identity>, AuthError>);

    #[async_trait]
    impl Authenticator for Only {
        async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<Identity>, AuthError> {
            if credentials.token == Some(self.0) { self.1.clone() } else { Ok(None) }
        }
    }

    #[tokio::test]
    async fn the_first_that_knows_decides() {
        let identity = Identity { name: "a".into(), role: Role::Operator };
        let chain = Chain::default()
            .with(Only("a", Ok(Some(identity.clone()))))
            .with(Only("b", Err(AuthError::Unavailable("down".into()))))
            .with(Only("a", Err(AuthError::Refused("too late".into()))));
        let ask = async |token| chain.identify(&Credentials { token, certificate: None }).await;
        assert_eq!(ask(Some("a")).await, Ok(identity));
        assert!(matches!(ask(Some("b")).await, Err(AuthError::Unavailable(_))));
        assert!(matches!(ask(Some("c")).await, Err(AuthError::Refused(_))));
        assert!(matches!(ask(None).await, Err(AuthError::Refused(why)) if why.contains("Bearer")));
    }

    #[test]
    fn names_of_nodes() {
        assert!(is_node_name("ip-10-0-0-1.eu-west-1.compute.internal") && is_node_name("Host_1"));
        for bad in ["", "a b", "a/b", "ä", "a\n", &"a".repeat(254)] {
            assert!(!is_node_name(bad), "{bad}");
        }
    }
}
