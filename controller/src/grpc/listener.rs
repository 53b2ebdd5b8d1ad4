//! Connections: taken from the listener, with TLS, and not more than there may be.

use std::{
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::{config::Listen, tls::TlsServer};

/// Longest time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Connections that the kernel holds until we take them: all agents of a large cluster may come at once, and whoever finds
/// no place asks again only after a second.
const BACKLOG: u32 = 4096;

/// Handshakes at once; more connections wait in the listener's queue, so that a crowd is served one after the other.
const HANDSHAKES: usize = 512;

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Opens it. A socket that a process left behind is removed.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                // Else what a process before us has left behind keeps the address for a minute.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Self::Tcp(socket.listen(BACKLOG)?))
            }
            Listen::Unix(path) => {
                remove_stale(path);
                Ok(Self::Unix(UnixListener::bind(path)?))
            }
        }
    }

    /// Where it listens, with the port that the system chose.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(listener) => Ok(Listen::Tcp(listener.local_addr()?)),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                Ok(Listen::Unix(address.as_pathname().unwrap_or(Path::new("")).to_owned()))
            }
        }
    }

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

/// Removes a socket that nobody listens on any more.
fn remove_stale(path: &Path) {
    let refused = std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if refused {
        // If it cannot be removed, binding will say so.
        let _ = std::fs::remove_file(path);
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    info: Peer,
    _slot: OwnedSemaphorePermit,
}

/// What is known of the other side of a connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its verified certificate in DER.
    pub certificate: Option<Bytes>,
}

/// Takes connections until it is told to stop, and sends them.
pub async fn accept(
    listener: Listener,
    tls: Option<Arc<TlsServer>>,
    connections: usize,
    out: mpsc::Sender<io::Result<Connection>>,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(connections));
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let handshake = tokio::select! {
            () = stop.cancelled() => return,
            permit = Arc::clone(&handshakes).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let socket = match accepted {
            Ok(socket) => socket,
            Err(error) => {
                // Out of descriptors, mostly: it passes when connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            tracing::warn!(connections, "a connection was closed: there are as many as there may be");
            continue;
        };
        let (tls, out) = (tls.clone(), out.clone());
        tokio::spawn(async move {
            let result = tokio::time::timeout(HANDSHAKE, establish(socket, tls.as_deref(), slot)).await;
            drop(handshake);
            match result {
                Ok(Ok(connection)) => {
                    // Closed only at the end.
                    let _ = out.send(Ok(connection)).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a connection was not established"),
                Err(_) => tracing::debug!("a client dawdled in the handshake"),
            }
        });
    }
}

async fn establish(
    socket: Socket,
    tls: Option<&TlsServer>,
    slot: OwnedSemaphorePermit,
) -> io::Result<Connection> {
    let mut info = Peer::default();
    let socket = match (socket, tls) {
        (Socket::Tcp(stream), Some(tls)) => {
            let stream = TlsAcceptor::from(tls.config()).accept(stream).await?;
            let certificates = stream.get_ref().1.peer_certificates();
            info.certificate =
                certificates.and_then(|all| all.first()).map(|first| Bytes::copy_from_slice(first));
            Socket::Tls(Box::new(stream))
        }
        (socket, _) => socket,
    };
    Ok(Connection { socket, info, _slot: slot })
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.info.clone()
    }
}

/// Does the same with whichever socket it is.
macro_rules! each {
    ($connection:expr, $stream:ident => $act:expr) => {
        match &mut $connection.get_mut().socket {
            Socket::Tcp($stream) => $act,
            Socket::Tls(stream) => {
                let $stream = &mut **stream;
                $act
            }
            Socket::Unix($stream) => $act,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
