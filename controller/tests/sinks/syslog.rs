//! Syslog servers of this test: what is on the wire, and what happens when they die.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    rig::{Rig, uid},
    tls::Authority,
    wait::until,
};

/// What one connection does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Reads to the end, then closes.
    Good,
    /// Reads a little, then resets.
    Resets,
    /// Reads everything and never closes.
    Stays,
}

#[derive(Clone, Default)]
struct Server {
    port: u16,
    /// What each connection brought, when it ended.
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    async fn start(tls: Option<TlsAcceptor>, ways: Vec<Way>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), got: Arc::default() };
        let got = Arc::clone(&server.got);
        tokio::spawn(async move {
            let mut ways = ways.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                let way = ways.next().unwrap_or(Way::Good);
                if way == Way::Resets {
                    stream.set_zero_linger().unwrap();
                }
                let (got, tls) = (Arc::clone(&got), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, way, got).await,
                        Some(tls) => serve(tls.accept(stream).await.unwrap(), way, got).await,
                    }
                });
            }
        });
        server
    }

    fn got(&self) -> Vec<Vec<u8>> {
        self.got.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, way: Way, got: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut bytes = Vec::new();
    match way {
        Way::Good => {
            stream.read_to_end(&mut bytes).await.unwrap();
            got.lock().unwrap().push(bytes);
            stream.shutdown().await.unwrap();
        }
        Way::Resets => {
            let mut some = [0; 100];
            stream.read_exact(&mut some).await.unwrap();
        }
        Way::Stays => {
            let mut part = [0; 4096];
            loop {
                let count = stream.read(&mut part).await.unwrap_or(0);
                if count == 0 {
                    std::future::pending::<()>().await;
                }
                bytes.extend_from_slice(&part[..count]);
                *got.lock().unwrap() = vec![bytes.clone()];
            }
        }
    }
}

/// Messages with their lengths before them.
fn messages(mut bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let (message, rest) = bytes[space + 1..].split_at(length);
        all.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = rest;
    }
    all
}

#[tokio::test]
async fn messages_are_counted_over_tls() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.acceptor(true)), Vec::new()).await;
    let settings =
        format!("syslog:\n  address: localhost:{}\n  tls: {}\n", server.port, authority.settings(true));
    let rig = Rig::start(&settings).await;
    rig.append(0..3).await;
    rig.settled(3).await;
    let messages = messages(&server.got().concat());
    assert_eq!(messages.len(), 3);
    // Log audit, critical.
    let header = "<106>1 2026-11-24T05:40:34.123456Z n7.example.org vedette - - - {";
    assert!(messages[0].starts_with(header), "{}", messages[0]);
    let json: serde_json::Value = serde_json::from_str(&messages[2][header.len() - 1..]).unwrap();
    assert_eq!(json["uid"], uid(2).as_str());
}

#[tokio::test]
async fn what_a_dying_server_had_not_read_is_sent_again() {
    let server = Server::start(None, vec![Way::Resets, Way::Resets]).await;
    let settings = format!(
        "syslog: {{address: '127.0.0.1:{}', transport: tcp, facility: 4, appName: siem}}\n",
        server.port
    );
    let rig = Rig::start(&settings).await;
    rig.append(0..50).await;
    rig.settled(50).await;
    let messages = messages(&server.got().concat());
    assert_eq!(messages.len(), 50);
    assert!(messages[0].starts_with("<34>1 ") && messages[0].contains(" siem - - - "));
}

#[tokio::test]
async fn a_server_that_does_not_close_is_not_believed() {
    let server = Server::start(None, vec![Way::Stays]).await;
    let settings =
        format!("timeout: 300ms\nsyslog: {{address: '127.0.0.1:{}', transport: tcp}}\n", server.port);
    let rig = Rig::start(&settings).await;
    rig.append(0..2).await;
    let status = rig.settled(2).await;
    assert_eq!(status.last_error.unwrap().1, "no answer within 300ms");
}

#[tokio::test]
async fn lines_on_a_connection_that_stays() {
    let server = Server::start(None, vec![Way::Stays]).await;
    let settings = format!(
        "format: text\nsyslog: {{address: '127.0.0.1:{}', transport: tcp, framing: lineFeed, confirm: written}}\n",
        server.port
    );
    let rig = Rig::start(&settings).await;
    rig.append(0..2).await;
    rig.settled(2).await;
    rig.append(2..4).await;
    rig.settled(4).await;
    let bytes = until("all lines are there", async || {
        Some(server.got().concat()).filter(|bytes| bytes.iter().filter(|b| **b == b'\n').count() == 4)
    })
    .await;
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.lines().all(|line| line.starts_with("<106>1 ") && line.contains("Metadata service")),
        "{text}"
    );
}
