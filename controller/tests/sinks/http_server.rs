//! An HTTP server that answers as it is told, and remembers what it was asked.

use std::{
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header::HeaderMap, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    /// Unpacked.
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The lines of the body, as JSON.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What the server does.
pub enum Reply {
    /// An answer.
    Status(u16, String),
    /// An answer with a header.
    With(u16, &'static str, &'static str),
    /// The connection breaks.
    Reset,
    /// Nothing comes for ever.
    Hang,
}

type Answer = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// The server.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Server {
    /// One that answers so.
    pub async fn start(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::start_with(None, answer).await
    }

    /// One with TLS.
    pub async fn start_with(
        tls: Option<TlsAcceptor>,
        answer: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, asked: Arc::default(), answer: Arc::new(Mutex::new(Box::new(answer))) };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serving.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serving.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// Everything that it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request: Request<Incoming>| {
            let server = self.clone();
            async move { server.answer(request).await }
        });
        // An error is a connection that broke, as planned.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, &'static str> {
        let (parts, body) = request.into_parts();
        let mut body = body.collect().await.map_err(|_| "cut off")?.to_bytes();
        if parts.headers.get("content-encoding").is_some_and(|value| value == "gzip") {
            let mut unpacked = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut unpacked).unwrap();
            body = unpacked.into();
        }
        let asked = Asked { path: parts.uri.to_string(), headers: parts.headers, body };
        let reply = (self.answer.lock().unwrap())(&asked);
        self.asked.lock().unwrap().push(asked);
        let response = |status: u16, body: String| {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        };
        match reply {
            Reply::Status(status, body) => Ok(response(status, body)),
            Reply::With(status, name, value) => {
                let mut response = response(status, String::new());
                response.headers_mut().insert(name, value.parse().unwrap());
                Ok(response)
            }
            Reply::Reset => Err("as planned"),
            Reply::Hang => std::future::pending().await,
        }
    }
}

/// Answers these, then 200 with an empty object.
pub fn script(replies: impl IntoIterator<Item = Reply>) -> impl FnMut(&Asked) -> Reply + Send {
    let mut replies: std::collections::VecDeque<Reply> = replies.into_iter().collect();
    move |_| replies.pop_front().unwrap_or(Reply::Status(200, "{}".to_owned()))
}
