//! `net_connect`: both ends, as the socket has them; where the call left none, what was asked for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
};

use harness::may_load_bpf;
use sensor::{Records, record};
use vedette_abi::NetCall;
use vedette_event::Body;

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// The connects of this process that `wanted` picks.
fn connects(records: &Records, wanted: impl Fn(&NetCall, &[u8]) -> bool) -> Vec<NetCall> {
    records
        .iter()
        .filter(|r| r.header.tgid == std::process::id())
        .filter_map(|r| match r.body {
            Body::NetCall { facts, path, .. } if wanted(&facts, path) => Some(facts),
            _ => None,
        })
        .collect()
}

#[test]
fn tcp_shows_both_ends() {
    if !may_load_bpf("net_connect") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = listener.local_addr().unwrap();
    let mut near = None;
    let records = record(&["connect"], || {
        let stream = TcpStream::connect(far).unwrap();
        near = Some(stream.local_addr().unwrap());
    });
    let found = connects(&records, |c, _| c.socket.remote_port == far.port());
    let [c] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((c.ret, c.socket.family, c.socket.sock_type, c.socket.protocol), (0, 2, 1, 6));
    assert_eq!((&c.socket.remote[..4], &c.socket.local[..4]), (&LOOPBACK[..], &LOOPBACK[..]));
    assert_eq!(c.socket.local_port, near.unwrap().port());
    assert!(c.fd >= 0 && c.socket.ino != 0);
}

#[test]
fn a_refused_connection_shows_where_it_wanted_to_go() {
    if !may_load_bpf("net_connect") {
        return;
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let records = record(&["connect"], || assert!(TcpStream::connect(free).is_err()));
    let found = connects(&records, |c, _| c.socket.remote_port == free.port());
    let [c] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((c.ret, &c.socket.remote[..4]), (-111, &LOOPBACK[..]));
}

#[test]
fn udp_and_ipv6_are_told_apart() {
    if !may_load_bpf("net_connect") {
        return;
    }
    let far = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
    let records = record(&["connect"], || {
        UdpSocket::bind("127.0.0.1:0").unwrap().connect(far).unwrap();
        if let Some(six) = &six {
            TcpStream::connect(six.local_addr().unwrap()).unwrap();
        }
    });
    let udp = connects(&records, |c, _| c.socket.remote_port == far.port());
    assert_eq!(udp.iter().map(|c| (c.socket.sock_type, c.socket.protocol)).collect::<Vec<_>>(), [(2, 17)]);
    match six {
        None => eprintln!("net_connect: IPv6 left out, this machine has none on loopback"),
        Some(six) => {
            let found = connects(&records, |c, _| c.socket.remote_port == six.local_addr().unwrap().port());
            let [c] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((c.socket.family, c.socket.remote), (10, Ipv6Addr::LOCALHOST.octets()));
        }
    }
}

#[test]
fn unix_sockets_have_paths_and_abstract_names() {
    if !may_load_bpf("net_connect") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let name = format!("vedette-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let records = record(&["connect"], || {
        UnixStream::connect(&path).unwrap();
        UnixStream::connect_addr(&address).unwrap();
    });
    let named =
        |wanted: &[u8]| connects(&records, |c, p| c.socket.family == 1 && p.starts_with(wanted)).len();
    assert_eq!(named(path.as_os_str().as_encoded_bytes()), 1);
    assert_eq!(named(format!("\0{name}").as_bytes()), 1);
}
