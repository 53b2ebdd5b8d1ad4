//! Every call is told who makes it, before anything of it is read.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Request, Response, header::AUTHORIZATION};
use tokio::sync::oneshot;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::listener::Peer;
use crate::config::Limits;
use crate::identity::{AuthError, Chain, Credentials, Identity, Role, is_node_name};

/// Puts an [`Identity`] into the extensions of each call, or refuses it. Health is for everybody.
#[derive(Clone, Debug)]
pub struct AuthLayer(Arc<Chain>);

impl AuthLayer {
    /// Asks this chain.
    pub fn new(chain: Arc<Chain>) -> Self {
        Self(chain)
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { chain: Arc::clone(&self.0), inner }
    }
}

/// See [`AuthLayer`].
#[derive(Clone, Debug)]
pub struct Auth<S> {
    chain: Arc<Chain>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Default + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready goes; a new one takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        if request.uri().path().starts_with("/grpc.health.v1.") {
            return Box::pin(inner.call(request));
        }
        let chain = Arc::clone(&self.chain);
        let (token, certificate) = shown(&request);
        Box::pin(async move {
            match identify(&chain, token.as_deref(), certificate.as_deref()).await {
                Ok(identity) => {
                    request.extensions_mut().insert(identity);
                    request.extensions_mut().insert(Proof { chain, token, certificate });
                    inner.call(request).await
                }
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// What a caller has shown, and who has looked at it.
#[derive(Clone)]
struct Proof {
    chain: Arc<Chain>,
    token: Option<String>,
    certificate: Option<Bytes>,
}

impl Proof {
    /// Whether it still is good for the same.
    async fn check(&self, identity: &Identity) -> Result<(), Status> {
        match identify(&self.chain, self.token.as_deref(), self.certificate.as_deref()).await {
            Ok(now) if now.role == identity.role => Ok(()),
            Ok(_) => Err(Status::permission_denied("these credentials are for something else by now")),
            // Who cannot be asked about has not been refused.
            Err(status) if status.code() == Code::Unavailable => Ok(()),
            Err(status) => Err(status),
        }
    }
}

/// Looks now and then whether the caller of a stream may still have it, for as long as somebody waits for the answer: a
/// token is taken back, or expires, and the stream that was opened with it must end.
///
/// # Errors
/// Nobody has said who calls.
pub fn watch<T>(
    request: &tonic::Request<T>,
    identity: &Identity,
    limits: &Limits,
) -> Result<oneshot::Receiver<Status>, Status> {
    let proof = request.extensions().get::<Proof>().cloned();
    let proof = proof.ok_or_else(|| Status::unauthenticated("it is not known who calls"))?;
    let (mut lost, told) = oneshot::channel();
    let (identity, every) = (identity.clone(), Duration::from_secs(limits.recheck_seconds.max(1).into()));
    tokio::spawn(async move {
        loop {
            // Spread, so that those who came together are not looked at together.
            let pause = every.mul_f64(0.75 + fastrand::f64() / 2.0);
            tokio::select! {
                () = lost.closed() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(status) = proof.check(&identity).await {
                let _ = lost.send(status);
                return;
            }
        }
    });
    Ok(told)
}

/// The token and the certificate that a caller shows.
fn shown<B>(request: &Request<B>) -> (Option<String>, Option<Bytes>) {
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")))
        .map(|token| token.trim().to_owned());
    (token, request.extensions().get::<Peer>().and_then(|peer| peer.certificate.clone()))
}

async fn identify(
    chain: &Chain,
    token: Option<&str>,
    certificate: Option<&[u8]>,
) -> Result<Identity, Status> {
    chain.identify(&Credentials { token, certificate }).await.map_err(|error| match error {
        AuthError::Refused(why) => Status::unauthenticated(why),
        AuthError::Unavailable(_) => Status::unavailable(error.to_string()),
    })
}

/// Who makes a call.
///
/// # Errors
/// Nobody has said.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<Identity, Status> {
    request
        .extensions()
        .get::<Identity>()
        .cloned()
        .ok_or_else(|| Status::unauthenticated("it is not known who calls"))
}

/// Whether the caller is an agent, of whichever node.
///
/// # Errors
/// It is not.
pub fn agent(identity: &Identity) -> Result<(), Status> {
    match identity.role {
        Role::Agent(_) => Ok(()),
        Role::Operator => Err(Status::permission_denied("this is for agents")),
    }
}

/// Whether the caller speaks for the node.
///
/// # Errors
/// It does not, or that is no name of a node.
pub fn speaks_for(identity: &Identity, node: &str) -> Result<(), Status> {
    agent(identity)?;
    if !is_node_name(node) {
        return Err(Status::invalid_argument("that is no name of a node"));
    }
    match &identity.role {
        Role::Agent(Some(own)) if **own != *node => Err(Status::permission_denied(format!(
            "these credentials are for node {own}, and nothing else may be said with them"
        ))),
        _ => Ok(()),
    }
}

/// Whether the caller may see alerts and agents.
///
/// # Errors
/// It may not.
pub fn operator(identity: &Identity) -> Result<(), Status> {
    match identity.role {
        Role::Operator => Ok(()),
        Role::Agent(_) => Err(Status::permission_denied("this is for operators, not for agents")),
    }
}
