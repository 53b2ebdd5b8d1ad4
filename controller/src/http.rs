//! Health and Prometheus metrics, over HTTP on an address of the operator's choice.

use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// What the controller tells about itself. Parts register their metrics, and what must be so before it is ready.
pub struct Exposed {
    registry: Mutex<Registry>,
    conditions: Mutex<Vec<(&'static str, Condition)>>,
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposed").field("missing", &self.missing()).finish_non_exhaustive()
    }
}

/// Something that must be so before the controller is ready. It begins as not so.
#[derive(Clone, Debug, Default)]
pub struct Condition(Arc<AtomicBool>);

impl Condition {
    /// Says how it is.
    pub fn set(&self, holds: bool) {
        self.0.store(holds, Relaxed);
    }

    /// How it is.
    pub fn holds(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Default for Exposed {
    fn default() -> Self {
        Self {
            registry: Mutex::new(Registry::with_prefix("vedette_controller")),
            conditions: Mutex::default(),
        }
    }
}

impl Exposed {
    /// Registers metrics. Their names get `vedette_controller_` in front.
    pub fn register<T>(&self, with: impl FnOnce(&mut Registry) -> T) -> T {
        with(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds something that must be so before the controller is ready.
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition::default();
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).push((name, condition.clone()));
        condition
    }

    /// What is not so yet.
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.iter().filter(|(_, condition)| !condition.holds()).map(|(name, _)| *name).collect()
    }

    /// The metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        encode(&mut out, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(out)
    }

    fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        let (status, body) = match path {
            "/metrics" => match self.text() {
                Ok(text) => (StatusCode::OK, text),
                Err(_) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n".to_owned())
                }
            },
            "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => match self.missing() {
                missing if missing.is_empty() => (StatusCode::OK, "ready\n".to_owned()),
                missing => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", "))),
            },
            _ => (StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
        };
        let kind = if path == "/metrics" {
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            "text/plain; charset=utf-8"
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    }
}

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS: usize = 16;

/// Longest time for one connection.
const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// Opens the address.
///
/// # Errors
/// It is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until it is told to stop.
pub async fn serve(listener: TcpListener, exposed: Arc<Exposed>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accept = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            Some((slot, listener.accept().await))
        };
        let (slot, stream) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept => match accepted {
                Some((slot, Ok((stream, _)))) => (slot, stream),
                Some((_, Err(error))) => {
                    tracing::warn!(%error, "a connection to the metrics address could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                None => return,
            },
        };
        let exposed = Arc::clone(&exposed);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let response = exposed.answer(request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let connection =
                http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
            // A client that goes away or dawdles is its own affair.
            let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
            drop(slot);
        });
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn ready_when_everything_is_so() {
        let exposed = Exposed::default();
        assert_eq!(exposed.answer("/readyz").status(), StatusCode::OK);
        let (log, policies) = (exposed.condition("log"), exposed.condition("policies"));
        assert_eq!(exposed.missing(), ["log", "policies"]);
        assert_eq!(exposed.answer("/readyz").status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(exposed.answer("/healthz").status(), StatusCode::OK);
        log.set(true);
        policies.set(true);
        assert_eq!(exposed.answer("/readyz").status(), StatusCode::OK);
        policies.set(false);
        assert_eq!(exposed.missing(), ["policies"]);
    }

    #[test]
    fn metrics_bear_the_prefix() {
        let exposed = Exposed::default();
        let counter = Counter::<u64>::default();
        exposed.register(|registry| registry.register("alerts", "Alerts taken", counter.clone()));
        counter.inc_by(3);
        assert!(exposed.text().unwrap().contains("vedette_controller_alerts_total 3"));
        assert_eq!(exposed.answer("/nothing").status(), StatusCode::NOT_FOUND);
    }
}
