//! Bytes that are no calls.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use crate::scene::{Alice, Controller, EVE, PATIENCE};

/// The preface of HTTP/2 with empty settings (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn connect(controller: &Controller) -> TcpStream {
    TcpStream::connect(("127.0.0.1", controller.port)).await.unwrap()
}

/// Sends bytes, and waits until the other side has closed.
async fn is_closed_after(controller: &Controller, bytes: &[u8]) {
    let mut stream = connect(controller).await;
    // It may be closed before all is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = [0; 4096];
    let closed = async { while matches!(stream.read(&mut answer).await, Ok(1..)) {} };
    timeout(PATIENCE, closed).await.expect("the connection stays open");
}

/// A frame: kind, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn garbage_ends_its_connection() {
    let controller = Controller::start(false);
    let mut alice = Alice::connect(&controller, &controller.channel().await).await;
    let mut random = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100_000).collect();
    let with_preface = |bytes: &[u8]| [PREFACE, bytes].concat();
    is_closed_after(&controller, &noise).await;
    is_closed_after(&controller, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    is_closed_after(&controller, &with_preface(&noise)).await;
    // A frame that is larger than frames may be; headers that are no HPACK; data on a stream that nobody has opened.
    is_closed_after(&controller, &with_preface(b"\xff\xff\xff\0\0\0\0\0\x01")).await;
    is_closed_after(&controller, &with_preface(&frame(1, 4, 1, &[0xff; 50]))).await;
    is_closed_after(&controller, &with_preface(&frame(0, 0, 1, b"x"))).await;
    // Headers without an end.
    let endless: Vec<u8> = std::iter::once(frame(1, 0, 1, &[0x82]))
        .chain(std::iter::repeat_with(|| frame(9, 0, 1, &[0x00; 16_000])).take(2000))
        .flatten()
        .collect();
    is_closed_after(&controller, &with_preface(&endless)).await;
    // Streams that are opened and reset without end.
    let reset: Vec<u8> = (0..20_000u32)
        .flat_map(|number| {
            let stream = number * 2 + 1;
            [frame(1, 4, stream, &[0x83, 0x86, 0x84]), frame(3, 0, stream, &[0, 0, 0, 8])].concat()
        })
        .collect();
    is_closed_after(&controller, &with_preface(&reset)).await;
    alice.is_served().await;
    alice.was_undisturbed(&controller).await;
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let controller = Controller::start(false);
    let alice = Alice::connect(&controller, &controller.channel().await).await;
    let mut client =
        vedette_proto::v1::agent_service_client::AgentServiceClient::new(controller.channel().await);
    let mut request = crate::scene::with(EVE, vedette_proto::v1::HelloRequest::default());
    request.metadata_mut().insert("x-large", "x".repeat(64 << 10).parse().unwrap());
    let refused = timeout(PATIENCE, client.hello(request)).await.expect("no answer").unwrap_err();
    assert_ne!(refused.code(), tonic::Code::InvalidArgument, "it was looked at: {refused}");
    alice.was_undisturbed(&controller).await;
}

#[tokio::test]
async fn handshakes_that_never_end_and_too_many_connections_keep_nobody_out() {
    let controller = Arc::new(Controller::start(true));
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(controller.ca()));
    let url = format!("https://localhost:{}", controller.port);
    let endpoint = Channel::from_shared(url).unwrap().tls_config(tls.domain_name("localhost")).unwrap();
    let mut alice = Alice::connect(&controller, &endpoint.connect().await.unwrap()).await;
    // The beginning of a ClientHello (RFC 8446, 4.1.2), and no more.
    let mut halves = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(&controller).await;
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half").await.unwrap();
        halves.push(stream);
    }
    alice.is_served().await;
    timeout(PATIENCE, endpoint.connect()).await.expect("others are kept out").unwrap();
    is_closed_after(&controller, &[0x16; 5000]).await;
    // Who dawdles is let go of.
    for mut stream in halves {
        let mut byte = [0; 1];
        timeout(PATIENCE, stream.read(&mut byte)).await.expect("half a handshake stays").unwrap_or(0);
    }
    // More connections than there may be at once: those that are too many are closed at once.
    let mut many = Vec::new();
    for _ in 0..400 {
        many.push(connect(&controller).await);
    }
    let last = many.last_mut().unwrap();
    let mut byte = [0; 1];
    let closed = timeout(Duration::from_secs(8), last.read(&mut byte)).await.expect("there is no limit");
    assert_eq!(closed.unwrap_or(0), 0);
    alice.was_undisturbed(&controller).await;
}
