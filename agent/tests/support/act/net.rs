//! What the helper does with sockets.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    process::Command,
};

use nix::{
    sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket},
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

/// Does it, if it is an operation of this family.
pub fn perform(operation: &str, args: &[&str]) -> Option<io::Result<()>> {
    Some(match operation {
        "packet-socket" => socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
            .map(drop)
            .map_err(io::Error::from),
        "flush-rules" => flush_rules(),
        // Whoever writes on it writes the whole header.
        "raw-packet-socket" => raw_socket(SockProtocol::Raw),
        "echo-socket" => raw_socket(SockProtocol::Icmp),
        "udp-socket" => UdpSocket::bind("127.0.0.1:0").map(drop),
        // ADDRESS:PORT, which must be an own address
        "connect-own" => connection(args).map(drop),
        // ADDRESS:PORT DESCRIPTOR…
        "redirect" => connection(args).and_then(|socket| redirect(socket.as_fd(), &args[1..])),
        // ADDRESS:PORT PROGRAM ARGUMENT…: with the connection as input and output, as inetd does
        "run-on-connection" => connection(args).and_then(|socket| {
            let output = socket.try_clone()?;
            let mut command = Command::new(args.get(1).ok_or(io::ErrorKind::InvalidInput)?);
            command.args(&args[2..]).stdin(OwnedFd::from(socket)).stdout(OwnedFd::from(output));
            let status = command.status()?;
            if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
        }),
        // FIRST LAST: one connection to each port of this machine, whether anybody listens or not
        "connect-ports" => ports(args).map(|ports| {
            ports.for_each(|port| drop(TcpStream::connect(("127.0.0.1", port))));
        }),
        // ADDRESS: one connection to each of the last byte's values, in nobody's network
        "connect-hosts" => args.first().ok_or_else(|| io::ErrorKind::InvalidInput.into()).map(|network| {
            (1..=60).for_each(|host| drop(TcpStream::connect(format!("{network}{host}:22"))));
        }),
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

/// Takes all tables away from the packet filter of this network namespace, as `nft flush ruleset` does.
///
/// The messages are those of `<linux/netfilter/nfnetlink.h>`: begin, NFT_MSG_DELTABLE of no name, end.
fn flush_rules() -> io::Result<()> {
    const REQUEST: u16 = 1;
    const SUBSYSTEM_NFTABLES: u16 = 10;
    const DELETE_TABLE: u16 = SUBSYSTEM_NFTABLES << 8 | 2;
    const BEGIN: u16 = 16;
    const END: u16 = 17;
    let message = |kind: u16, sequence: u32, resource: u16| {
        let mut bytes = Vec::from(20_u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(REQUEST.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 6]);
        bytes.extend(resource.to_be_bytes());
        bytes
    };
    let batch = [
        message(BEGIN, 1, SUBSYSTEM_NFTABLES),
        message(DELETE_TABLE, 2, 0),
        message(END, 3, SUBSYSTEM_NFTABLES),
    ];
    let protocol = SockProtocol::NetlinkNetFilter;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    sendto(socket.as_raw_fd(), &batch.concat(), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    Ok(())
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

fn ports(args: &[&str]) -> io::Result<std::ops::RangeInclusive<u16>> {
    let port = |i: usize| {
        let text = args.get(i)?;
        text.parse().ok()
    };
    Ok(port(0).ok_or(io::ErrorKind::InvalidInput)?..=port(1).ok_or(io::ErrorKind::InvalidInput)?)
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
