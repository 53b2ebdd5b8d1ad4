//! What the helper does with sockets.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use nix::{
    sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket},
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

/// Does it, if it is an operation of this family.
pub fn perform(operation: &str, args: &[&str]) -> Option<io::Result<()>> {
    Some(match operation {
        "packet-socket" => socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
            .map(drop)
            .map_err(io::Error::from),
        // Whoever writes on it writes the whole header.
        "raw-packet-socket" => raw_socket(SockProtocol::Raw),
        "echo-socket" => raw_socket(SockProtocol::Icmp),
        "udp-socket" => UdpSocket::bind("127.0.0.1:0").map(drop),
        // ADDRESS:PORT, which must be an own address
        "connect-own" => connection(args).map(drop),
        // ADDRESS:PORT DESCRIPTOR…
        "redirect" => connection(args).and_then(|socket| redirect(socket.as_fd(), &args[1..])),
        // FILE DESCRIPTOR…
        "redirect-file" => {
            let file = std::fs::File::open(args.first()?);
            file.and_then(|file| redirect(file.as_fd(), &args[1..]))
        }
        // ADDRESS:PORT: a connected socket gets a number that nobody reads or writes by default
        "duplicate" => connection(args).and_then(|socket| socket.try_clone()).and_then(|copy| {
            if copy.local_addr()?.port() > 0 { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
        }),
        _ => return None,
    })
}

fn raw_socket(protocol: SockProtocol) -> io::Result<()> {
    socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
        .map(drop)
        .map_err(io::Error::from)
}

/// A connection to a port of ours (0: any), whose ends are told: `LOCAL REMOTE`.
fn connection(args: &[&str]) -> io::Result<TcpStream> {
    let address: SocketAddr =
        args.first().and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
    let listener = TcpListener::bind(address)?;
    let socket = TcpStream::connect(listener.local_addr()?)?;
    listener.accept()?;
    writeln!(io::stdout(), "{} {}", socket.local_addr()?, socket.peer_addr()?)?;
    Ok(socket)
}

fn redirect(from: BorrowedFd<'_>, to: &[&str]) -> io::Result<()> {
    for number in to {
        match *number {
            "0" => dup2_stdin(from)?,
            "1" => dup2_stdout(from)?,
            "2" => dup2_stderr(from)?,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(())
}
