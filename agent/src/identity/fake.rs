//! Servers for tests: gRPC over a Unix socket, and HTTP over loopback, which answer as they are told.

use std::{
    convert::Infallible,
    future::Future,
    net::{SocketAddr, TcpListener},
    path::Path,
    pin::Pin,
    sync::Arc,
};

use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    http::{HeaderMap, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::{Builder, Runtime};

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a gRPC method answers: a message, or a code and a text.
pub type Reply = Result<Vec<u8>, (u8, &'static str)>;

/// A server that runs until it is dropped.
pub struct Server {
    _runtime: Runtime,
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Serves gRPC: `answer` gets the method's path, the request's headers and its message.
pub fn grpc<F>(path: &Path, answer: F) -> Server
where
    F: Fn(String, HeaderMap, Vec<u8>) -> Answer<Reply> + Send + Sync + 'static,
{
    let runtime = runtime();
    let answer = Arc::new(answer);
    let listener = {
        let _guard = runtime.enter();
        tokio::net::UnixListener::bind(path).unwrap()
    };
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = Arc::clone(&answer);
                    async move {
                        let (parts, body) = request.into_parts();
                        // One byte says whether it is compressed, four how long it is.
                        let message = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
                        let message = message.get(5..).unwrap_or_default().to_vec();
                        let reply = answer(parts.uri.path().to_owned(), parts.headers, message).await;
                        Ok::<_, Infallible>(grpc_response(reply))
                    }
                });
                let connection =
                    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
            });
        }
    });
    Server { _runtime: runtime }
}

fn grpc_response(reply: Reply) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    let mut frames = Vec::new();
    match reply {
        Ok(message) => {
            let mut bytes = vec![0];
            bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&message);
            frames.push(Ok(Frame::data(Bytes::from(bytes))));
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
        }
        Err((code, text)) => {
            trailers.insert("grpc-status", HeaderValue::from(u16::from(code)));
            trailers.insert("grpc-message", HeaderValue::from_static(text));
        }
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

/// What an HTTP request is answered with: a status, and parts of the body. It ends when the channel is closed.
pub type Parts = (u16, tokio::sync::mpsc::UnboundedReceiver<String>);

/// Serves HTTP: `answer` gets the path and query. Returns where.
pub fn http<F>(answer: F) -> (Server, SocketAddr)
where
    F: Fn(String) -> Answer<Parts> + Send + Sync + 'static,
{
    let runtime = runtime();
    let answer = Arc::new(answer);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = {
        let _guard = runtime.enter();
        tokio::net::TcpListener::from_std(listener).unwrap()
    };
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = Arc::clone(&answer);
                    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
                    async move {
                        let (status, parts) = answer(path).await;
                        let frames = stream::unfold(parts, |mut parts| async move {
                            let part = parts.recv().await?;
                            Some((Ok(Frame::data(Bytes::from(part))), parts))
                        });
                        let response = Response::builder()
                            .status(status)
                            .header("content-type", "application/json")
                            .body(StreamBody::new(frames).boxed_unsync());
                        Ok::<_, Infallible>(
                            response
                                .unwrap_or_else(|_| Response::new(Full::new(Bytes::new()).boxed_unsync())),
                        )
                    }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (Server { _runtime: runtime }, address)
}
