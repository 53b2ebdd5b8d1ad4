//! `net_send`: to whom something is sent, and what of it a rule has to ask for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/fields.rs"]
mod fields;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    io::IoSlice,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    os::{fd::AsRawFd, unix::net::UnixDatagram},
};

use fields::{assert_fields, every};
use harness::may_load_bpf;
use nix::sys::socket::{self, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6};
use sensor::{Records, record, record_all, record_with};
use vedette_abi::{filter_flags, socket_flags};
use vedette_event::{Body, Record};

const CALLS: &[&str] = &["sendto", "sendmsg", "sendmmsg"];

/// What this process sent through a descriptor.
fn sent(records: &Records, fd: i32) -> Vec<Record<'_>> {
    let mine = |r: &Record<'_>| {
        r.header.tgid == std::process::id()
            && CALLS.contains(&r.call.unwrap().name())
            && matches!(r.body, Body::NetCall { facts, .. } if facts.fd == fd)
    };
    records.iter().filter(|r| r.call.is_some() && mine(r)).collect()
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    let SocketAddr::V4(address) = address else { panic!("{address}") };
    address
}

fn bound() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[test]
fn each_new_remote_end_is_reported_once() {
    if !may_load_bpf("net_send") {
        return;
    }
    let ((near, port), (one, a), (two, b)) = (bound(), bound(), bound());
    let ends = (one.local_addr().unwrap(), two.local_addr().unwrap());
    let records = record(CALLS, || {
        for to in [ends.0, ends.0, ends.0, ends.1, ends.0] {
            assert_eq!(near.send_to(b"hello", to).unwrap(), 5);
        }
    });
    let found = sent(&records, near.as_raw_fd());
    assert_eq!(found.len(), 3, "the second and third go where the first went");
    for (record, to) in found.iter().zip([a, b, a]) {
        let name = format!("127.0.0.1:{port}->127.0.0.1:{to}");
        assert_fields(
            record,
            &[
                ("evt.type", "sendto"),
                ("evt.rawres", "5"),
                ("evt.arg.res", "5"),
                ("evt.arg.fd", &near.as_raw_fd().to_string()),
                ("evt.arg.tuple", &name),
                ("evt.arg.size", "5"),
                ("evt.arg.data", "<NA>"),
                ("evt.buffer", "<NA>"),
                ("evt.buflen", "5"),
                ("evt.is_io", "true"),
                ("evt.is_io_write", "true"),
                ("evt.is_io_read", "false"),
                ("evt.io_dir", "w"),
                ("evt.is_syslog", "false"),
                ("fd.name", &name),
                ("fd.type", "ipv4"),
                ("fd.l4proto", "udp"),
                ("fd.connected", "false"),
                ("fd.name_changed", "true"),
                ("fd.is_server", "false"),
                ("fd.sip", "127.0.0.1"),
                ("fd.sport", &to.to_string()),
                ("fd.cport", &port.to_string()),
                ("fd.rport", &to.to_string()),
            ],
        );
    }
}

#[test]
fn what_a_rule_asks_for_is_reported_with_its_data() {
    if !may_load_bpf("net_send") {
        return;
    }
    let ((near, _), (far, _)) = (bound(), bound());
    let to = far.local_addr().unwrap();
    let long: Vec<u8> = (0..1000u16).map(|n| b'a' + (n % 26) as u8).collect();
    let records = record_all(CALLS, || {
        near.send_to(b"first", to).unwrap();
        near.send_to(&long, to).unwrap();
    });
    let found = sent(&records, near.as_raw_fd());
    let [first, second] = &found[..] else { panic!("{} records", found.len()) };
    assert_fields(first, &[("fd.name_changed", "true"), ("evt.buffer", "first"), ("evt.arg.data", "first")]);
    let cut = String::from_utf8(long[..256].to_vec()).unwrap();
    assert_fields(second, &[("fd.name_changed", "false"), ("evt.buffer", &cut), ("evt.buflen", "1000")]);
}

#[test]
fn connected_sockets_and_tcp_are_left_out_unless_a_rule_asks() {
    if !may_load_bpf("net_send") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ((near, _), (far, port)) = (bound(), bound());
    near.connect(far.local_addr().unwrap()).unwrap();
    let send = |tcp: &mut TcpStream| {
        socket::send(tcp.as_raw_fd(), b"over tcp", MsgFlags::empty()).unwrap();
        nix::unistd::write(&*tcp, b"by write, which is another call").unwrap();
        near.send(b"connected").unwrap();
    };
    let with = |flags: u64, tcp: &mut TcpStream| {
        let records = record_with(CALLS, |plan| plan.want_traffic(flags), || send(tcp));
        (sent(&records, tcp.as_raw_fd()).len(), sent(&records, near.as_raw_fd()).len())
    };
    use filter_flags as f;
    assert_eq!(with(0, &mut tcp), (0, 0));
    assert_eq!(with(f::SEND_TCP, &mut tcp), (0, 0), "TCP, too, is connected");
    assert_eq!(with(f::SEND_CONNECTED | f::SEND_SAME_PEER, &mut tcp), (0, 1));
    let records = record_all(CALLS, || send(&mut tcp));
    let [record] = &sent(&records, tcp.as_raw_fd())[..] else { panic!() };
    assert_fields(
        record,
        &[
            ("fd.l4proto", "tcp"),
            ("fd.connected", "true"),
            ("fd.name_changed", "false"),
            ("fd.is_server", "false"),
            ("evt.buffer", "over tcp"),
            ("fd.sport", &listener.local_addr().unwrap().port().to_string()),
        ],
    );
    let [record] = &sent(&records, near.as_raw_fd())[..] else { panic!() };
    assert_fields(
        record,
        &[("fd.l4proto", "udp"), ("fd.connected", "true"), ("fd.rport", &port.to_string())],
    );
}

#[test]
fn an_address_that_nobody_chose_is_no_end() {
    if !may_load_bpf("net_send") {
        return;
    }
    let near = UdpSocket::bind("0.0.0.0:0").unwrap();
    let (far, port) = bound();
    let records = record(CALLS, || {
        near.send_to(b"x", far.local_addr().unwrap()).unwrap();
    });
    let [record] = &sent(&records, near.as_raw_fd())[..] else { panic!() };
    let local = near.local_addr().unwrap().port();
    assert_fields(
        record,
        &[
            ("fd.name", &format!("0.0.0.0:{local}->127.0.0.1:{port}")),
            ("fd.lip", "0.0.0.0"),
            ("fd.lport", &local.to_string()),
        ],
    );
    // `fd.ip != 0.0.0.0` is how rules leave out sockets without an address.
    assert_eq!(every(record, "fd.ip"), ["127.0.0.1"]);
    assert_eq!(every(record, "fd.port"), [local.to_string(), port.to_string()]);
}

#[test]
fn messages_have_their_address_and_their_first_piece() {
    if !may_load_bpf("net_send") {
        return;
    }
    let ((near, port), (far, to)) = (bound(), bound());
    let end = SockaddrIn::from(v4(far.local_addr().unwrap()));
    let records = record_all(CALLS, || {
        let pieces = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        let fd = near.as_raw_fd();
        assert_eq!(socket::sendmsg(fd, &pieces, &[], MsgFlags::empty(), Some(&end)).unwrap(), 7);
        let mut headers = MultiHeaders::preallocate(2, None);
        let slices = [[IoSlice::new(b"many")], [IoSlice::new(b"more")]];
        let to = [Some(end), Some(end)];
        let results = socket::sendmmsg(fd, &mut headers, &slices, to, [], MsgFlags::empty()).unwrap();
        assert_eq!(results.count(), 2);
    });
    let found = sent(&records, near.as_raw_fd());
    let [message, many, ..] = &found[..] else { panic!("{} records", found.len()) };
    let name = format!("127.0.0.1:{port}->127.0.0.1:{to}");
    assert_fields(
        message,
        &[
            ("evt.type", "sendmsg"),
            ("fd.name", &name),
            ("fd.name_changed", "true"),
            ("evt.buffer", "one "),
            ("evt.buflen", "7"),
            ("evt.arg.size", "4"),
        ],
    );
    assert_fields(
        many,
        &[
            ("evt.type", "sendmmsg"),
            ("fd.name", &name),
            ("fd.name_changed", "false"),
            ("evt.rawres", "2"),
            ("evt.buffer", "many"),
            ("evt.buflen", "4"),
        ],
    );
}

#[test]
fn ipv6_sockets_speak_both() {
    if !may_load_bpf("net_send") {
        return;
    }
    let Ok(near) = UdpSocket::bind("[::]:0") else {
        eprintln!("net_send: IPv6 left out, this machine has none");
        return;
    };
    let six = UdpSocket::bind("[::1]:0").unwrap();
    let (four, port) = bound();
    let mapped =
        SockaddrIn6::from(std::net::SocketAddrV6::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port, 0, 0));
    let records = record(CALLS, || {
        near.send_to(b"6", six.local_addr().unwrap()).unwrap();
        socket::sendto(near.as_raw_fd(), b"4", &mapped, MsgFlags::empty()).unwrap();
    });
    drop(four);
    let [one, two] = &sent(&records, near.as_raw_fd())[..] else { panic!() };
    assert_fields(one, &[("fd.typechar", "6"), ("fd.sip", "::1")]);
    assert_fields(two, &[("fd.typechar", "4"), ("fd.sip", "127.0.0.1"), ("fd.rport", &port.to_string())]);
}

#[test]
fn the_systems_log_is_known() {
    if !may_load_bpf("net_send") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let _log = UnixDatagram::bind(&path).unwrap();
    let near = UnixDatagram::unbound().unwrap();
    let records = record(CALLS, || assert_eq!(near.send_to(b"<13>x", &path).unwrap(), 5));
    let [record] = &sent(&records, near.as_raw_fd())[..] else { panic!() };
    assert_fields(
        record,
        &[
            ("fd.type", "unix"),
            ("fd.name", path.to_str().unwrap()),
            ("evt.is_syslog", "false"),
            ("fd.connected", "false"),
            ("fd.name_changed", "true"),
        ],
    );
}

#[test]
fn a_send_that_fails_changes_no_name() {
    if !may_load_bpf("net_send") {
        return;
    }
    let (near, _) = bound();
    // Broadcast without permission.
    let records = record_all(CALLS, || assert!(near.send_to(b"x", "255.255.255.255:9").is_err()));
    let [record] = &sent(&records, near.as_raw_fd())[..] else { panic!() };
    let Body::NetCall { facts, .. } = record.body else { panic!() };
    assert_eq!(facts.socket.flags & socket_flags::NAME_CHANGED, 0);
    assert_fields(
        record,
        &[
            ("evt.res", "EACCES"),
            ("fd.sip", "255.255.255.255"),
            ("fd.sport", "9"),
            ("evt.buflen", "<NA>"),
            ("evt.buffer", "<NA>"),
        ],
    );
}
