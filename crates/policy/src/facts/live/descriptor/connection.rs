//! The two ends of a socket, and which of them is the server.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vedette_event::{
    Body,
    abi::{Kind, SocketFacts, socket_flags},
};

use super::{super::LiveFacts, services};
use crate::facts::live::text::Assembled;
use crate::field::FieldId;
use crate::value::Value;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_NETLINK: u16 = 16;
const SOCK_STREAM: u16 = 1;
const SOCK_RAW: u16 = 3;
const EINPROGRESS: i64 = -115;
/// Ports from here on are given to clients that ask for none (`ip_local_port_range` as the kernel sets it).
const EPHEMERAL: u16 = 32_768;

/// One end of a connection.
#[derive(Clone, Copy)]
pub struct End {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
}

/// A socket that an event is about.
pub struct Connection<'a> {
    /// What the kernel told of it.
    pub socket: &'a SocketFacts,
    path: &'a [u8],
    kind: Kind,
}

/// What a field of a socket is for an event that has none; `None` where the field is not about sockets.
pub fn absent<'a>(field: FieldId) -> Option<Value<'a>> {
    field.name().starts_with("fd.").then_some(Value::Absent)
}

impl<'a> Connection<'a> {
    /// The socket of an event, where it is about one.
    pub fn of(facts: &LiveFacts<'a>) -> Option<Self> {
        let record = facts.view.record;
        let (socket, path) = match &record.body {
            Body::NetCall { facts: call, path, .. } => (&call.socket, *path),
            Body::Syscall { facts: call, strings } => (&call.socket, strings.path),
            _ => return None,
        };
        // A socket that could not be made has no family, and an address that was asked for has.
        let exists = socket.sock_family != 0 || socket.family != 0;
        exists.then_some(Self { socket, path, kind: record.kind })
    }

    fn end(&self, address: &[u8; 16], port: u16) -> Option<End> {
        let ip = match self.socket.family {
            AF_INET => IpAddr::V4(Ipv4Addr::new(address[0], address[1], address[2], address[3])),
            AF_INET6 => IpAddr::V6(Ipv6Addr::from(*address)),
            _ => return None,
        };
        Some(End { ip, port })
    }

    /// The local end; where there is a remote one, also before the kernel has chosen an address for it.
    pub fn local(&self) -> Option<End> {
        let end = self.end(&self.socket.local, self.socket.local_port)?;
        (self.remote().is_some() || end.port != 0 || !end.ip.is_unspecified()).then_some(end)
    }

    /// The remote end.
    pub fn remote(&self) -> Option<End> {
        let end = self.end(&self.socket.remote, self.socket.remote_port)?;
        let there = self.kind == Kind::NetConnect || self.socket.flags & socket_flags::CONNECTED != 0;
        (there || end.port != 0 || !end.ip.is_unspecified()).then_some(end)
    }

    /// Whether the local end is the server: it accepted, was spoken to first, or has no remote end at all. Where nobody
    /// saw the beginning, the ports tell.
    fn is_server(&self) -> bool {
        if self.socket.flags & socket_flags::SERVER != 0 {
            return true;
        }
        match (self.local(), self.remote()) {
            (Some(local), Some(remote)) => {
                self.kind != Kind::NetConnect
                    && self.socket.sock_type == SOCK_STREAM
                    && local.port < EPHEMERAL
                    && remote.port >= EPHEMERAL
            }
            (local, _) => local.is_some(),
        }
    }

    fn server(&self) -> Option<End> {
        if self.is_server() { self.local() } else { self.remote() }
    }

    fn client(&self) -> Option<End> {
        if self.is_server() { self.remote() } else { self.local() }
    }

    /// Type of the descriptor, and its letter.
    pub fn fd_type(&self) -> Option<(&'static str, &'static str)> {
        match self.socket.family {
            AF_INET => Some(("ipv4", "4")),
            AF_INET6 => Some(("ipv6", "6")),
            AF_UNIX => Some(("unix", "u")),
            AF_NETLINK => Some(("netlink", "n")),
            _ => None,
        }
    }

    /// The protocol above IP.
    pub fn l4proto(&self) -> Option<&'static str> {
        if !matches!(self.socket.family, AF_INET | AF_INET6) {
            return None;
        }
        match (self.socket.sock_type, self.socket.protocol) {
            (SOCK_RAW, _) => Some("raw"),
            // 262 is TCP over several paths.
            (_, 6 | 262) => Some("tcp"),
            (_, 17 | 136) => Some("udp"),
            (_, 1 | 58) => Some("icmp"),
            _ => None,
        }
    }

    /// The name of the service at an end, or its port.
    pub fn service<'v>(&self, end: End) -> Value<'v> {
        services::name(end.port).map_or_else(|| Value::owned(end.port.to_string()), Value::str)
    }

    /// The path of a Unix socket; an abstract name as `@name`.
    fn unix_name(&self) -> Vec<u8> {
        match self.path.split_first() {
            Some((0, name)) => [b"@", name].concat(),
            _ => self.path.iter().copied().take_while(|b| *b != 0).collect(),
        }
    }

    /// Both ends as `client:port->server:port`, the one end that there is, or the path of a Unix socket.
    pub fn name<'f>(&self, facts: &'f LiveFacts<'a>) -> Value<'f> {
        if self.socket.family == AF_UNIX {
            // A path is there already; an abstract name is written differently.
            if self.path.first() != Some(&0) {
                let end = self.path.iter().position(|b| *b == 0).unwrap_or(self.path.len());
                return if end == 0 { Value::Absent } else { Value::bytes(&self.path[..end]) };
            }
        } else if self.server().is_none() {
            return Value::Absent;
        }
        let made = facts.name.get_or_init(|| {
            let mut text = Assembled::new();
            match (self.client(), self.server()) {
                // Writing to it does not fail.
                (Some(from), Some(to)) => {
                    let _ = write!(text, "{}:{}->{}:{}", from.ip, from.port, to.ip, to.port);
                }
                (_, Some(end)) => {
                    let _ = write!(text, "{}:{}", end.ip, end.port);
                }
                _ => text.push(&self.unix_name()),
            }
            text
        });
        Value::bytes(made.as_bytes())
    }

    /// The remote address, or, where there is none, the local one.
    pub fn address<'v>(&self) -> Value<'v> {
        match self.remote().or_else(|| self.local()) {
            Some(end) => Value::owned(format!("{}:{}", end.ip, end.port)),
            None if self.path.is_empty() => Value::Absent,
            None => Value::Bytes(self.unix_name().into()),
        }
    }

    /// The value of a field that is about sockets.
    pub fn get<'v>(&self, facts: &LiveFacts<'_>, field: FieldId) -> Option<Value<'v>> {
        use FieldId as F;
        let ip = |end: Option<End>| end.map(|e| e.ip).into();
        let port = |end: Option<End>| end.map(|e| e.port).into();
        let service = |end: Option<End>| end.map_or(Value::Absent, |e| self.service(e));
        let result = crate::facts::live::event::result(facts).unwrap_or_default();
        Some(match field {
            F::FdIp | F::FdNet => ip(self.remote().or_else(|| self.local())),
            F::FdSip | F::FdSnet => ip(self.server()),
            F::FdCip | F::FdCnet => ip(self.client()),
            F::FdRip | F::FdRnet => ip(self.remote()),
            F::FdLip | F::FdLnet => ip(self.local()),
            F::FdPort => port(self.remote().or_else(|| self.local())),
            F::FdSport => port(self.server()),
            F::FdCport => port(self.client()),
            F::FdRport => port(self.remote()),
            F::FdLport => port(self.local()),
            F::FdProto => service(self.remote().or_else(|| self.local())),
            F::FdSproto => service(self.server()),
            F::FdCproto => service(self.client()),
            F::FdRproto => service(self.remote()),
            F::FdLproto => service(self.local()),
            F::FdL4proto => self.l4proto().into(),
            F::FdSockfamily => match self.socket.family {
                AF_INET | AF_INET6 => "ip".into(),
                AF_UNIX => "unix".into(),
                _ => Value::Absent,
            },
            F::FdIsServer => self.is_server().into(),
            F::FdConnected => match self.kind {
                Kind::NetConnect => matches!(result, 0 | EINPROGRESS).into(),
                _ => (self.socket.flags & socket_flags::CONNECTED != 0).into(),
            },
            F::FdNameChanged => match self.kind {
                Kind::NetConnect => true.into(),
                _ => (self.socket.flags & socket_flags::NAME_CHANGED != 0).into(),
            },
            _ => return None,
        })
    }
}
