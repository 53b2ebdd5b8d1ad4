//! Syslog (RFC 5424) over TLS (RFC 5425) or TCP (RFC 6587).
//!
//! Syslog has no acknowledgement: a server may die with what it had received but not read. Therefore a batch is sent on
//! a connection of its own, which is then closed from this side; the batch counts as delivered when the server has read
//! up to there and closes too. With `confirm: written` the connection stays, and what was written counts.

use std::{fmt::Write, io, sync::Arc};

use async_trait::async_trait;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::tls;
use crate::sink::{
    Item, Report, Sink,
    config::{self, Confirm, Framing, SyslogTransport},
    secrets::Secrets,
};

/// “Log audit”.
const FACILITY: u8 = 13;

pub(super) struct SyslogSink {
    address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    framing: Framing,
    confirm: Confirm,
    facility: u8,
    app_name: String,
    connection: Option<Box<dyn Stream>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

impl SyslogSink {
    pub(super) async fn new(config: &config::SyslogSink, secrets: &dyn Secrets) -> Result<Self, String> {
        let with_tls = config.transport == SyslogTransport::Tls;
        let (host, address) = split(&config.address, if with_tls { 6514 } else { 514 });
        let tls = if with_tls {
            let settings: ClientConfig = tls::client(config.tls.as_ref(), secrets).await?;
            let name = ServerName::try_from(host).map_err(|error| format!("{}: {error}", config.address))?;
            Some((TlsConnector::from(Arc::new(settings)), name))
        } else {
            None
        };
        Ok(Self {
            address,
            tls,
            framing: config.framing,
            confirm: config.confirm,
            facility: config.facility.unwrap_or(FACILITY),
            app_name: config.app_name.clone().unwrap_or_else(|| "vedette".to_owned()),
            connection: None,
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), tcp).await?)),
            None => Ok(Box::new(tcp)),
        }
    }

    fn frames(&self, batch: &[Item]) -> Vec<u8> {
        let mut frames = Vec::with_capacity(batch.iter().map(|item| item.body.len() + 128).sum());
        for item in batch {
            let header = header(item, self.facility, &self.app_name);
            match self.framing {
                Framing::OctetCounting => {
                    let length = header.len() + item.body.len();
                    frames.extend_from_slice(format!("{length} ").as_bytes());
                    frames.extend_from_slice(header.as_bytes());
                    frames.extend_from_slice(&item.body);
                }
                // A body is one line.
                Framing::LineFeed => {
                    frames.extend_from_slice(header.as_bytes());
                    frames.extend_from_slice(&item.body);
                    frames.push(b'\n');
                }
            }
        }
        frames
    }

    async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        // Taken out: should this be cut off, nobody goes on with half a message.
        let mut open = None;
        if let Some(mut stream) = self.connection.take()
            && is_open(&mut stream).await
        {
            open = Some(stream);
        }
        let mut stream = match open {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        stream.write_all(frames).await?;
        stream.flush().await?;
        match self.confirm {
            Confirm::Written => {
                self.connection = Some(stream);
                Ok(())
            }
            Confirm::Close => {
                stream.shutdown().await?;
                let mut rest = [0; 256];
                loop {
                    match stream.read(&mut rest).await {
                        Ok(0) => return Ok(()),
                        Ok(_) => {}
                        // Many servers close without TLS's farewell. That it is no reset says that all was read.
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
}

/// Whether the far side has not closed it meanwhile: syslog servers say nothing, so whatever can be read is the end.
async fn is_open(stream: &mut Box<dyn Stream>) -> bool {
    let mut byte = [0];
    tokio::select! {
        biased;
        _ = stream.read(&mut byte) => false,
        () = std::future::ready(()) => true,
    }
}

/// The header up to where the message begins: the priority, version 1, time, host, application, no process and no
/// message id, no structured data.
fn header(item: &Item, facility: u8, app_name: &str) -> String {
    // Both count from 0, emergency, to 7, debug.
    let severity = item.priority() as u8;
    let mut header = format!("<{}>1 {:.6} ", u16::from(facility) * 8 + u16::from(severity), item.entry.time);
    let name: String =
        item.hostname().chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(255).collect();
    let name = if name.is_empty() { "-" } else { &name };
    // Writing to a string does not fail.
    let _ = write!(header, "{name} {app_name} - - - ");
    header
}

/// Host and address of `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`.
fn split(address: &str, port: u16) -> (String, String) {
    let (host, given) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if address.matches(':').count() > 1 => (address, None),
        None => address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = given.map_or_else(|| port.to_string(), str::to_owned);
    let bracketed = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    (host.to_owned(), bracketed)
}

#[async_trait]
impl Sink for SyslogSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let frames = self.frames(batch);
        match self.write(&frames).await {
            Ok(()) => Report::delivered(batch.len()),
            Err(error) => Report::retry(batch.len(), format!("{}: {error}", self.address)),
        }
    }

    async fn close(&mut self) {
        if let Some(mut stream) = self.connection.take() {
            let _ = stream.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_ports() {
        let of = |address: &str| split(address, 6514);
        let pair = |host: &str, address: &str| (host.to_owned(), address.to_owned());
        assert_eq!(of("logs.example.org"), pair("logs.example.org", "logs.example.org:6514"));
        assert_eq!(of("logs:1514"), pair("logs", "logs:1514"));
        assert_eq!(of("::1"), pair("::1", "[::1]:6514"));
        assert_eq!(of("[fe80::1]:10514"), pair("fe80::1", "[fe80::1]:10514"));
    }
}
