//! The validating webhook: who applies a policy with errors is told at once, with field, line and column.
//!
//! It is a courtesy, not the gate: where it cannot be reached the API server goes on without it, and the status of the
//! policy says the same.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use kube::api::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vedette_policy::document::native::PolicyKind;

use super::check::Checker;

/// The path that is asked.
pub const PATH: &str = "/validate";

/// Most bytes of a request: the API server itself takes objects of at most 3 MiB, and sends the old one, too.
const MAX_BODY: usize = 8 << 20;
/// Most connections at once. The API server keeps few open.
const MAX_CONNECTIONS: usize = 64;
/// How long one step with a client may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most errors that are told.
const MAX_ERRORS: usize = 20;
/// Most warnings that are told: the API server cuts them off after 4 kB.
const MAX_WARNINGS: usize = 10;

/// What the next connection is served with.
pub type Tls = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// Serves until it is told to stop.
pub async fn serve(listener: TcpListener, tls: Tls, checker: Checker, stop: CancellationToken) {
    let (checker, connections) = (Arc::new(checker), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    let tasks = TaskTracker::new();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&connections).acquire_owned() => permit,
        };
        // It is never closed.
        let Ok(permit) = permit else { break };
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "webhook: no connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (acceptor, checker, stop) = (TlsAcceptor::from(tls()), Arc::clone(&checker), stop.clone());
        tasks.spawn(connection(stream, acceptor, checker, stop, permit));
    }
    tasks.close();
    tasks.wait().await;
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    checker: Arc<Checker>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let Ok(Ok(stream)) = timeout(PATIENCE, acceptor.accept(stream)).await else { return };
    let service = service_fn(move |request| {
        let checker = Arc::clone(&checker);
        async move { Ok::<_, Infallible>(answer(request, checker).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE * 6).max_headers(64);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What goes wrong with a client is its own concern.
        _ = served.as_mut() => {}
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = timeout(PATIENCE, served).await;
        }
    }
}

async fn answer(request: Request<Incoming>, checker: Arc<Checker>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST || request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "there is POST /validate");
    }
    let body = match timeout(PATIENCE, Limited::new(request.into_body(), MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large, or was cut off");
        }
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the request did not come in time"),
    };
    let review = serde_json::from_slice::<AdmissionReview<DynamicObject>>(&body).map_err(|e| e.to_string());
    let request: Result<AdmissionRequest<DynamicObject>, String> =
        review.and_then(|review| review.try_into().map_err(|_| "the review has no request".to_owned()));
    let request = match request {
        Ok(request) => request,
        Err(why) => return plain(StatusCode::BAD_REQUEST, why),
    };
    let answered = tokio::task::spawn_blocking(move || review_of(&request, &checker)).await;
    match answered.map(|review| serde_json::to_vec(&review)) {
        Ok(Ok(json)) => {
            let mut response = Response::new(Full::new(Bytes::from(json)));
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        _ => plain(StatusCode::INTERNAL_SERVER_ERROR, "a fault of ours"),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

/// What is said about an object.
fn review_of(request: &AdmissionRequest<DynamicObject>, checker: &Checker) -> AdmissionReview<DynamicObject> {
    let mut response = AdmissionResponse::from(request);
    let kind = match request.kind.kind.as_str() {
        "AlertSink" => return review_of_sink(request, response).into_review(),
        "SecurityPolicy" => PolicyKind::SecurityPolicy,
        "ClusterSecurityPolicy" => PolicyKind::ClusterSecurityPolicy,
        // Not asked about by our configuration; somebody else's is none of our business.
        _ => return response.into_review(),
    };
    let Some(object) = &request.object else { return response.into_review() };
    let name = object.metadata.name.as_deref().unwrap_or(&request.name);
    let namespace = object.metadata.namespace.as_deref().or(request.namespace.as_deref());
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    let checked = checker.check(kind, namespace, name, &spec);
    let warnings: Vec<_> = checked.warnings.iter().take(MAX_WARNINGS).map(ToString::to_string).collect();
    response.warnings = (!warnings.is_empty()).then_some(warnings);
    if !checked.errors.is_empty() {
        let lines: Vec<_> = checked.errors.iter().map(ToString::to_string).collect();
        response = denied(response, &lines);
    }
    response.into_review()
}

/// What is said about a sink.
fn review_of_sink(
    request: &AdmissionRequest<DynamicObject>,
    response: AdmissionResponse,
) -> AdmissionResponse {
    let Some(object) = &request.object else { return response };
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    match super::sinks::check(&request.name, &spec) {
        Ok(_) => response,
        Err(lines) => denied(response, &lines),
    }
}

fn denied(response: AdmissionResponse, lines: &[String]) -> AdmissionResponse {
    let mut told = lines[..lines.len().min(MAX_ERRORS)].join("\n");
    if lines.len() > MAX_ERRORS {
        told.push_str(&format!("\nand {} more", lines.len() - MAX_ERRORS));
    }
    let mut response = response.deny(told);
    response.result.code = 422;
    response.result.reason = "Invalid".into();
    response
}
