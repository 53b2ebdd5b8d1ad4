//! `net_receive`: from whom something is received, who is the server, and what of it a rule has to ask for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/fields.rs"]
mod fields;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    io::{IoSliceMut, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
};

use fields::{assert_fields, field};
use harness::may_load_bpf;
use nix::sys::socket::{self, MsgFlags, MultiHeaders, SockaddrIn};
use sensor::{Records, record, record_all};
use vedette_event::{Body, Record};

const CALLS: &[&str] = &["recvfrom", "recvmsg", "recvmmsg", "sendto"];

/// What this process received or sent through a descriptor.
fn moved(records: &Records, fd: i32) -> Vec<Record<'_>> {
    let mine = |r: &Record<'_>| {
        r.header.tgid == std::process::id()
            && r.call.is_some_and(|call| CALLS.contains(&call.name()))
            && matches!(r.body, Body::NetCall { facts, .. } if facts.fd == fd)
    };
    records.iter().filter(mine).collect()
}

fn bound() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[test]
fn who_speaks_first_is_the_client() {
    if !may_load_bpf("net_receive") {
        return;
    }
    let ((server, at), (client, from)) = (bound(), bound());
    let (near, far) = (server.local_addr().unwrap(), client.local_addr().unwrap());
    let mut buffer = [0; 64];
    let records = record(CALLS, || {
        for _ in 0..2 {
            client.send_to(b"question", near).unwrap();
            assert_eq!(server.recv_from(&mut buffer).unwrap(), (8, far));
            server.send_to(b"answer", far).unwrap();
            client.recv_from(&mut buffer).unwrap();
        }
    });
    let name = format!("127.0.0.1:{from}->127.0.0.1:{at}");
    let [received] = &moved(&records, server.as_raw_fd())[..] else {
        panic!("what follows the first message is between the same ends")
    };
    assert_fields(
        received,
        &[
            ("evt.type", "recvfrom"),
            ("evt.rawres", "8"),
            ("evt.arg.tuple", &name),
            ("evt.arg.fd", &server.as_raw_fd().to_string()),
            ("evt.arg.size", "64"),
            ("evt.buflen", "8"),
            ("evt.buffer", "<NA>"),
            ("evt.io_dir", "r"),
            ("evt.is_io_read", "true"),
            ("fd.name", &name),
            ("fd.l4proto", "udp"),
            ("fd.connected", "false"),
            ("fd.name_changed", "true"),
            ("fd.is_server", "true"),
            ("fd.cip", "127.0.0.1"),
            ("fd.cport", &from.to_string()),
            ("fd.sport", &at.to_string()),
            ("fd.rport", &from.to_string()),
            ("fd.lport", &at.to_string()),
        ],
    );
    let [asked] = &moved(&records, client.as_raw_fd())[..] else { panic!("an answer is no news") };
    assert_fields(asked, &[("evt.type", "sendto"), ("fd.name", &name), ("fd.is_server", "false")]);

    let records = record_all(CALLS, || {
        server.send_to(b"once more", far).unwrap();
        client.recv_from(&mut buffer).unwrap();
    });
    let [answer] = &moved(&records, client.as_raw_fd())[..] else { panic!() };
    assert_fields(answer, &[("evt.buffer", "once more"), ("evt.arg.data", "once more")]);
}

#[test]
fn tcp_has_its_bytes_where_a_rule_asks() {
    if !may_load_bpf("net_receive") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(near).unwrap();
    let (server, far) = listener.accept().unwrap();
    client.write_all(b"\xca\xfe\xba\xbe\0\0\0\x34").unwrap();
    let mut buffer = [0; 4];
    let read = |buffer: &mut [u8]| {
        assert_eq!(socket::recv(server.as_raw_fd(), buffer, MsgFlags::empty()).unwrap(), 4);
    };
    let records = record(CALLS, || read(&mut buffer));
    assert_eq!(moved(&records, server.as_raw_fd()).len(), 0);
    let records = record_all(CALLS, || read(&mut buffer));
    let [record] = &moved(&records, server.as_raw_fd())[..] else { panic!() };
    let Body::NetCall { data, .. } = record.body else { panic!() };
    assert_eq!(data, b"\0\0\0\x34");
    assert_fields(
        record,
        &[
            ("evt.type", "recvfrom"),
            ("evt.buflen", "4"),
            ("fd.type", "ipv4"),
            ("fd.l4proto", "tcp"),
            ("fd.connected", "true"),
            ("fd.name_changed", "false"),
            ("fd.lport", &near.port().to_string()),
            ("fd.rport", &far.port().to_string()),
        ],
    );
}

#[test]
fn messages_have_their_sender() {
    if !may_load_bpf("net_receive") {
        return;
    }
    let ((server, at), (client, from)) = (bound(), bound());
    for text in [b"one", b"two"] {
        client.send_to(text, server.local_addr().unwrap()).unwrap();
    }
    let records = record_all(CALLS, || {
        let (mut a, mut b) = ([0; 8], [0; 8]);
        let mut pieces = [IoSliceMut::new(&mut a)];
        let fd = server.as_raw_fd();
        let message = socket::recvmsg::<SockaddrIn>(fd, &mut pieces, None, MsgFlags::empty()).unwrap();
        assert_eq!(message.bytes, 3);
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(1, None);
        let mut slices = [[IoSliceMut::new(&mut b)]];
        let messages =
            socket::recvmmsg(fd, &mut headers, slices.iter_mut(), MsgFlags::empty(), None).unwrap();
        assert_eq!(messages.count(), 1);
    });
    let [one, many] = &moved(&records, server.as_raw_fd())[..] else { panic!() };
    let name = format!("127.0.0.1:{from}->127.0.0.1:{at}");
    for (record, kind, changed, text) in [(one, "recvmsg", "true", "one"), (many, "recvmmsg", "false", "two")]
    {
        assert_fields(
            record,
            &[
                ("evt.type", kind),
                ("fd.name", &name),
                ("fd.is_server", "true"),
                ("fd.name_changed", changed),
                ("evt.buffer", text),
                ("evt.buflen", "3"),
                ("evt.arg.size", "8"),
            ],
        );
    }
    assert_eq!((field(one, "evt.rawres"), field(many, "evt.rawres")), ("3".into(), "1".into()));
}

#[test]
fn waiting_is_nothing_to_report_unless_a_rule_asks() {
    if !may_load_bpf("net_receive") {
        return;
    }
    let (server, at) = bound();
    server.set_nonblocking(true).unwrap();
    let mut buffer = [0; 8];
    let records = record(CALLS, || assert!(server.recv_from(&mut buffer).is_err()));
    assert_eq!(moved(&records, server.as_raw_fd()).len(), 0);
    let records = record_all(CALLS, || assert!(server.recv_from(&mut buffer).is_err()));
    let [record] = &moved(&records, server.as_raw_fd())[..] else { panic!() };
    assert_fields(
        record,
        &[
            ("evt.res", "EAGAIN"),
            ("fd.name", &format!("127.0.0.1:{at}")),
            ("fd.name_changed", "false"),
            ("evt.buflen", "<NA>"),
        ],
    );
}
