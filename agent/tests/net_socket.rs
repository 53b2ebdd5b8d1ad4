//! `net_socket`: sockets that are made, bound, listened on, accepted from and set up, as the kernel has them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/fields.rs"]
mod fields;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{UnixListener, UnixStream},
    },
};

use fields::{assert_fields, every, field};
use harness::may_load_bpf;
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrIn, UnixAddr, sockopt,
};
use sensor::{Records, record};
use vedette_abi::{Call, NetCall};
use vedette_event::{Body, Record};

/// The inode number of a socket, as `/proc` shows it.
fn inode(fd: &impl AsFd) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).unwrap();
    let text = link.to_str().unwrap();
    text.trim_start_matches("socket:[").trim_end_matches(']').to_owned()
}

fn number(fd: &impl AsFd) -> String {
    fd.as_fd().as_raw_fd().to_string()
}

/// The record of a call that this process made on the descriptor, the last one.
fn of(records: &Records, call: Call, fd: i32) -> Record<'_> {
    records
        .iter()
        .filter(|r| r.header.tgid == std::process::id() && r.call == Some(call))
        .filter(|r| matches!(r.body, Body::NetCall { facts, .. } if facts.fd == fd))
        .last()
        .unwrap_or_else(|| panic!("no {} of descriptor {fd}", call.name()))
}

fn facts(record: &Record<'_>) -> NetCall {
    match record.body {
        Body::NetCall { facts, .. } => facts,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn sockets_tell_what_they_were_made_as() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let make =
        |family, kind, protocol| socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    let mut made = Vec::new();
    let records = sensor::record_all(&["socket"], || {
        made.push(make(AddressFamily::Inet, SockType::Stream, None));
        made.push(make(AddressFamily::Inet6, SockType::Datagram, None));
        made.push(make(AddressFamily::Unix, SockType::SeqPacket, None));
        made.push(make(AddressFamily::Packet, SockType::Raw, Some(SockProtocol::EthAll)));
        made.push(make(AddressFamily::Netlink, SockType::Raw, Some(SockProtocol::NetlinkAudit)));
        made.push(make(AddressFamily::Inet, SockType::Raw, Some(SockProtocol::Icmp)));
    });
    // Types and flags: include/linux/net.h. The protocol of a packet socket is in network order.
    let cloexec = 0o2_000_000;
    let all = u16::to_be(3);
    for (fd, domain, kind, protocol, typechar, l4, family) in [
        (&made[0], "AF_INET", 1, 0, "4", "tcp", "ip"),
        (&made[1], "AF_INET6", 2, 0, "6", "udp", "ip"),
        (&made[2], "AF_UNIX", 5, 0, "u", "<NA>", "unix"),
        (&made[3], "AF_PACKET", 3, all, "<NA>", "<NA>", "<NA>"),
        (&made[4], "AF_NETLINK", 3, 9, "n", "<NA>", "<NA>"),
        (&made[5], "AF_INET", 3, 1, "4", "raw", "ip"),
    ] {
        let record = of(&records, Call::Socket, fd.as_raw_fd());
        assert_fields(
            &record,
            &[
                ("evt.type", "socket"),
                ("evt.res", "SUCCESS"),
                ("evt.arg.domain", domain),
                ("evt.arg.type", &(kind | cloexec).to_string()),
                ("evt.arg.proto", &protocol.to_string()),
                ("evt.rawarg.fd", &number(fd)),
                ("evt.rawres", &number(fd)),
                ("fd.num", &number(fd)),
                ("fd.ino", &inode(fd)),
                ("fd.typechar", typechar),
                ("fd.l4proto", l4),
                ("fd.sockfamily", family),
                ("fd.name", "<NA>"),
                ("fd.connected", "false"),
                ("fd.uid", &format!("{}{}", record.header.tid, number(fd))),
            ],
        );
    }
}

#[test]
fn plain_sockets_are_reported_only_where_they_are_asked_for() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let make = |family, kind| socket::socket(family, kind, SockFlag::SOCK_NONBLOCK, None).unwrap();
    let mut made = Vec::new();
    let records = record(&["socket"], || {
        made.push(make(AddressFamily::Inet, SockType::Stream));
        made.push(make(AddressFamily::Inet6, SockType::Datagram));
        made.push(make(AddressFamily::Unix, SockType::Stream));
        made.push(make(AddressFamily::Unix, SockType::SeqPacket));
    });
    let mine = records.iter().filter(|r| r.header.tgid == std::process::id());
    let told: Vec<String> = mine.map(|r| field(&r, "fd.num")).collect();
    assert_eq!(told, [number(&made[3])]);
}

#[test]
fn a_socket_that_could_not_be_made_tells_what_it_would_have_been() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let records = sensor::record_all(&["socket"], || {
        let made = socket::socket(AddressFamily::Inet, SockType::SeqPacket, SockFlag::empty(), None);
        assert_eq!(made.err(), Some(nix::errno::Errno::ESOCKTNOSUPPORT));
    });
    assert_fields(
        &of(&records, Call::Socket, -1),
        &[
            ("evt.arg.fd", "ESOCKTNOSUPPORT"),
            ("evt.arg.domain", "AF_INET"),
            ("fd.num", "-1"),
            ("fd.type", "<NA>"),
            ("fd.name", "<NA>"),
            ("fd.ino", "<NA>"),
            ("fd.is_server", "<NA>"),
        ],
    );
}

#[test]
fn a_pair_tells_both_descriptors() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let mut pair = None;
    let records = record(&["socketpair"], || pair = Some(UnixStream::pair().unwrap()));
    let (a, b) = pair.unwrap();
    let record = of(&records, Call::Socketpair, a.as_raw_fd());
    assert_fields(
        &record,
        &[
            ("evt.arg.res", "0"),
            ("evt.arg.fd1", &number(&a)),
            ("evt.arg.fd2", &number(&b)),
            ("evt.arg.domain", "AF_UNIX"),
            ("fd.type", "unix"),
            ("fd.ino", &inode(&a)),
            ("fd.connected", "true"),
        ],
    );
}

#[test]
fn a_listener_has_its_address_and_accepts_as_the_server() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let mut kept = None;
    let records = record(&["bind", "listen", "accept", "accept4"], || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = listener.local_addr().unwrap();
        let client = TcpStream::connect(near).unwrap();
        let (stream, far) = listener.accept().unwrap();
        let second = TcpStream::connect(near).unwrap();
        // The old call, which the standard library does not make.
        let old = socket::accept(listener.as_raw_fd()).unwrap();
        kept = Some((listener, stream, old, (near.port(), far.port()), [client, second]));
    });
    let (socket, stream, old, ports, _clients) = kept.unwrap();
    nix::unistd::close(old).unwrap();
    let (listener, four) = (socket.as_raw_fd(), stream.as_raw_fd());
    let (near, far) = (ports.0.to_string(), ports.1.to_string());
    let name = format!("127.0.0.1:{near}");
    for call in [Call::Bind, Call::Listen] {
        let record = of(&records, call, listener);
        assert_fields(
            &record,
            &[
                ("evt.res", "SUCCESS"),
                ("fd.name", &name),
                ("fd.type", "ipv4"),
                ("fd.l4proto", "tcp"),
                ("fd.sip", "127.0.0.1"),
                ("fd.sport", &near),
                ("fd.lip", "127.0.0.1"),
                ("fd.lport", &near),
                ("fd.cip", "<NA>"),
                ("fd.rip", "<NA>"),
                ("fd.rport", "<NA>"),
                ("fd.is_server", "true"),
                ("fd.connected", "false"),
                ("fd.ino", &inode(&socket)),
                ("evt.arg.fd", &listener.to_string()),
            ],
        );
        assert_eq!(every(&record, "fd.ip"), ["127.0.0.1"]);
        assert_eq!(every(&record, "fd.port"), [near.as_str()]);
    }
    assert_eq!(field(&of(&records, Call::Bind, listener), "evt.arg.addr"), name);
    assert_eq!(field(&of(&records, Call::Listen, listener), "evt.arg.backlog"), "128");

    let name = format!("127.0.0.1:{far}->127.0.0.1:{near}");
    let record = of(&records, Call::Accept4, four);
    assert_fields(
        &record,
        &[
            ("evt.arg.fd", &four.to_string()),
            ("evt.arg.tuple", &name),
            ("evt.arg.queuelen", "0"),
            ("evt.arg.queuemax", &queue()),
            ("evt.arg.queuepct", "0"),
            ("evt.arg.flags", "SOCK_CLOEXEC"),
            ("evt.rawres", &four.to_string()),
            ("fd.num", &four.to_string()),
            ("fd.name", &name),
            ("fd.type", "ipv4"),
            ("fd.typechar", "4"),
            ("fd.sip", "127.0.0.1"),
            ("fd.sport", &near),
            ("fd.cport", &far),
            ("fd.lport", &near),
            ("fd.rport", &far),
            ("fd.sproto", &near),
            ("fd.is_server", "true"),
            ("fd.connected", "true"),
            ("fd.ino", &inode(&stream)),
        ],
    );
    assert_eq!(facts(&record).socket.state, 1, "established");
    let old = of(&records, Call::Accept, old);
    assert_fields(&old, &[("evt.type", "accept"), ("fd.sport", &near), ("fd.is_server", "true")]);
}

/// How long the queue gets that the standard library asks for.
fn queue() -> String {
    let most: u32 = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    most.min(128).to_string()
}

#[test]
fn ipv4_through_an_ipv6_socket_is_ipv4() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let Ok(listener) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
        eprintln!("net_socket: IPv6 left out, this machine has none");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let mut accepted = Vec::new();
    let records = record(&["accept4", "listen"], || {
        for address in ["127.0.0.1", "::1"] {
            let client = TcpStream::connect((address, port)).unwrap();
            accepted.push((listener.accept().unwrap(), client));
        }
        socket::listen(&listener, Backlog::new(1).unwrap()).unwrap();
    });
    let [((four, peer), _), ((six, peer6), _)] = &accepted[..] else { panic!("{accepted:?}") };
    assert!(matches!(peer, SocketAddr::V6(a) if a.ip().to_ipv4_mapped().is_some()));
    assert_fields(
        &of(&records, Call::Accept4, four.as_raw_fd()),
        &[
            ("fd.type", "ipv4"),
            ("fd.cip", "127.0.0.1"),
            ("fd.sip", "127.0.0.1"),
            ("fd.name", &format!("127.0.0.1:{}->127.0.0.1:{port}", peer.port())),
        ],
    );
    assert_fields(
        &of(&records, Call::Accept4, six.as_raw_fd()),
        &[
            ("fd.type", "ipv6"),
            ("fd.typechar", "6"),
            ("fd.cip", "::1"),
            ("fd.name", &format!("::1:{}->::1:{port}", peer6.port())),
        ],
    );
    assert_fields(
        &of(&records, Call::Listen, listener.as_raw_fd()),
        &[("fd.type", "ipv6"), ("fd.name", &format!(":::{port}")), ("evt.arg.backlog", "1")],
    );
}

#[test]
fn unix_sockets_have_their_address_or_their_peers() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let name = format!("vedette-accept-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let mut kept = Vec::new();
    let records = record(&["bind", "listen", "accept4"], || {
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (stream, _) = listener.accept().unwrap();
        kept.extend([OwnedFd::from(listener), OwnedFd::from(stream), OwnedFd::from(client)]);
        kept.push(UnixListener::bind_addr(&address).unwrap().into());
    });
    let path = path.to_str().unwrap();
    for (call, fd, name, server) in [
        (Call::Bind, &kept[0], path.to_owned(), "<NA>"),
        (Call::Listen, &kept[0], path.to_owned(), "<NA>"),
        (Call::Accept4, &kept[1], path.to_owned(), "<NA>"),
        (Call::Bind, &kept[3], format!("@{name}"), "<NA>"),
    ] {
        assert_fields(
            &of(&records, call, fd.as_raw_fd()),
            &[
                ("fd.type", "unix"),
                ("fd.typechar", "u"),
                ("fd.sockfamily", "unix"),
                ("fd.name", &name),
                ("fd.sip", server),
                ("fd.l4proto", "<NA>"),
                ("fd.ino", &inode(fd)),
            ],
        );
    }
}

#[test]
fn a_bind_that_fails_tells_what_was_asked_for() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut fds = Vec::new();
    let records = record(&["bind"], || {
        let fd = socket::socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None).unwrap();
        assert!(socket::bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).is_err());
        let unix = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
        assert!(socket::bind(unix.as_raw_fd(), &UnixAddr::new("/nowhere/socket").unwrap()).is_err());
        fds.extend([fd, unix]);
    });
    let name = format!("127.0.0.1:{port}");
    assert_fields(
        &of(&records, Call::Bind, fds[0].as_raw_fd()),
        &[("evt.arg.res", "EADDRINUSE"), ("evt.arg.addr", &name), ("fd.name", &name), ("fd.l4proto", "udp")],
    );
    assert_fields(
        &of(&records, Call::Bind, fds[1].as_raw_fd()),
        &[("evt.res", "ENOENT"), ("evt.arg.addr", "/nowhere/socket"), ("fd.name", "/nowhere/socket")],
    );
}

#[test]
fn options_have_names() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let records = record(&["setsockopt"], || {
        socket::setsockopt(&socket, sockopt::Broadcast, &true).unwrap();
        socket::setsockopt(&tcp, sockopt::TcpNoDelay, &true).unwrap();
    });
    assert_fields(
        &of(&records, Call::Setsockopt, socket.as_raw_fd()),
        &[
            ("evt.arg.res", "0"),
            ("evt.arg.level", "SOL_SOCKET"),
            ("evt.arg.optname", "SO_BROADCAST"),
            ("evt.arg.val", "1"),
            ("evt.arg.optlen", "4"),
            ("fd.lport", &socket.local_addr().unwrap().port().to_string()),
        ],
    );
    assert_fields(
        &of(&records, Call::Setsockopt, tcp.as_raw_fd()),
        &[("evt.arg.level", "SOL_TCP"), ("evt.arg.optname", "1")],
    );
}

#[test]
fn an_accept_that_would_wait_is_nothing_to_report_unless_a_rule_asks() {
    if !may_load_bpf("net_socket") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let count = |records: &Records| {
        let accepts = records.iter().filter(|r| {
            r.header.tgid == std::process::id()
                && matches!(r.body, Body::NetCall { facts, .. } if facts.args[0] == listener.as_raw_fd() as u64)
        });
        accepts.count()
    };
    let records = record(&["accept4"], || assert!(listener.accept().is_err()));
    assert_eq!(count(&records), 0);
    let records = sensor::record_all(&["accept4"], || assert!(listener.accept().is_err()));
    assert_eq!(count(&records), 1);
    let one = records.one(|r| r.call == Some(Call::Accept4) && r.header.tgid == std::process::id());
    let port = listener.local_addr().unwrap().port();
    assert_fields(
        &one,
        &[
            ("evt.res", "EAGAIN"),
            ("fd.num", "-1"),
            ("fd.name", &format!("127.0.0.1:{port}")),
            ("fd.is_server", "true"),
        ],
    );
}
