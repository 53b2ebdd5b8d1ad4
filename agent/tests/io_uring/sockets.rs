//! Connects and what else is done with sockets.

use std::{
    net::{SocketAddrV4, TcpListener},
    os::fd::AsRawFd,
    os::unix::net::UnixListener,
};

use io_uring::{opcode, squeue::Flags, types};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrLike, UnixAddr, getsockname, socket,
};
use vedette_abi::{Call, IORING_OP_CONNECT, NetCall, header_flags};
use vedette_event::{Body, Record};

use crate::{
    files::{is_mine, place},
    ring::{MODES, Mode, may_run, ring, run},
    sensor::record,
};

fn net<'r>(record: Record<'r>) -> (Record<'r>, NetCall, &'r [u8]) {
    let Body::NetCall { facts, path, .. } = record.body.clone() else { panic!("{record:?}") };
    (record, facts, path)
}

#[test]
fn connects_are_reported_with_both_ends() {
    if !may_run() {
        return;
    }
    let mut done = Vec::new();
    let records = record(&["connect"], || {
        for mode in MODES {
            for flags in [Flags::empty(), Flags::ASYNC] {
                for extra in [SockFlag::empty(), SockFlag::SOCK_NONBLOCK] {
                    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                    let port = listener.local_addr().unwrap().port();
                    let client = socket(AddressFamily::Inet, SockType::Stream, extra, None).unwrap();
                    let address = SockaddrIn::from(SocketAddrV4::new([127, 0, 0, 1].into(), port));
                    let mut ring = ring(mode, 8);
                    let fd = types::Fd(client.as_raw_fd());
                    let connect = opcode::Connect::new(fd, address.as_ptr().cast(), address.len());
                    assert_eq!(run(&mut ring, vec![connect.build().flags(flags)]), [0]);
                    let local: SockaddrIn = getsockname(client.as_raw_fd()).unwrap();
                    done.push((mode, port, local.port(), client));
                }
            }
        }
    });
    for (mode, port, local_port, client) in done {
        let (record, facts, _) = net(records.one(|r| {
            is_mine(r)
                && matches!(&r.body, Body::NetCall { facts, .. } if facts.socket.local_port == local_port)
        }));
        assert_eq!((record.call, record.header.io_uring_op), (Some(Call::Connect), IORING_OP_CONNECT.into()));
        assert_eq!(record.header.flags & header_flags::SQPOLL != 0, mode == Mode::Polled);
        assert_eq!((facts.ret, facts.fd, facts.args[2]), (0, client.as_raw_fd(), 16));
        let socket = facts.socket;
        assert_eq!((&socket.remote[..4], socket.remote_port), (&[127, 0, 0, 1][..], port), "{mode:?}");
        assert_eq!(&socket.local[..4], [127, 0, 0, 1]);
    }
}

#[test]
fn a_connect_that_fails_keeps_what_was_asked_for() {
    if !may_run() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let address = SockaddrIn::from(SocketAddrV4::new([127, 0, 0, 1].into(), port));
    let records = record(&["connect"], || {
        let mut ring = ring(Mode::Plain, 8);
        let fd = types::Fd(client.as_raw_fd());
        let connect = opcode::Connect::new(fd, address.as_ptr().cast(), address.len());
        assert_eq!(run(&mut ring, vec![connect.build()]), [-111]);
    });
    let (_, facts, _) = net(records.one(|r| is_mine(r) && r.call == Some(Call::Connect)));
    assert_eq!((facts.ret, facts.socket.remote_port), (-111, port));
    assert_eq!(facts.socket.remote[..4], [127, 0, 0, 1]);
}

#[test]
fn the_path_of_a_unix_socket_is_kept() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let path = |mode: Mode| root.join(format!("{mode:?}"));
    let records = record(&["connect"], || {
        for mode in MODES {
            let _listener = UnixListener::bind(path(mode)).unwrap();
            let client = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
            let address = UnixAddr::new(&path(mode)).unwrap();
            let connect =
                opcode::Connect::new(types::Fd(client.as_raw_fd()), address.as_ptr().cast(), address.len());
            assert_eq!(run(&mut ring(mode, 8), vec![connect.build()]), [0]);
        }
    });
    for mode in MODES {
        let wanted = path(mode);
        let (_, facts, _) = net(records.one(|r| {
            let is =
                |told: &[u8]| told.split(|b| *b == 0).next() == Some(wanted.as_os_str().as_encoded_bytes());
            is_mine(r) && matches!(&r.body, Body::NetCall { path, .. } if is(path))
        }));
        assert_eq!((facts.ret, facts.socket.family), (0, 1));
    }
}
