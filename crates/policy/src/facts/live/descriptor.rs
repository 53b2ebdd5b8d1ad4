//! `fd.*` and `fs.*`: what the event opened, or the two ends of what it connected.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vedette_event::{
    Body,
    abi::{InodeFacts, RET, SocketFacts, path_flags},
};

use super::{
    LiveFacts, container, event,
    path::{self, Which},
    text::Assembled,
};
use crate::field::FieldId;
use crate::value::Value;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const SOCK_STREAM: u16 = 1;
const SOCK_DGRAM: u16 = 2;
const SOCK_RAW: u16 = 3;
const EINPROGRESS: i64 = -115;

fn map_path<'a>(facts: &'a LiveFacts<'_>, part: impl Fn(&[u8]) -> &[u8]) -> Value<'a> {
    match path::name(facts) {
        Value::Bytes(std::borrow::Cow::Borrowed(path)) => Value::bytes(slice_of(path, part(path))),
        Value::Bytes(std::borrow::Cow::Owned(path)) => Value::Bytes(part(&path).to_vec().into()),
        other => other,
    }
}

/// `part` of `whole`, with the lifetime of `whole`.
fn slice_of<'a>(whole: &'a [u8], part: &[u8]) -> &'a [u8] {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    whole.get(start..start + part.len()).unwrap_or_default()
}

/// A file that an event is about, and its descriptor.
struct Opened<'a> {
    inode: &'a InodeFacts,
    fd: i64,
}

fn opened<'a>(facts: &'a LiveFacts<'_>) -> Option<Opened<'a>> {
    match &facts.view.record.body {
        Body::FileOpen { facts: open, .. } => Some(Opened { inode: &open.inode, fd: open.ret }),
        Body::Syscall { facts: call, .. } if call.inode.ino != 0 && call.socket.sock_family == 0 => {
            let fd = match facts.view.record.call?.spec().file {
                RET => call.ret,
                number => i64::from(*call.args.get(usize::from(number).checked_sub(1)?)? as i32),
            };
            Some(Opened { inode: &call.inode, fd })
        }
        _ => None,
    }
}

/// Type of a file, and its letter.
fn file_type(inode: &InodeFacts) -> (&'static str, &'static str) {
    if path::is_pseudo(inode.path_flags) && inode.magic == TMPFS_MAGIC {
        return ("memfd", "m");
    }
    match inode.mode & 0o170_000 {
        0o040_000 => ("directory", "d"),
        0o010_000 => ("pipe", "p"),
        _ => ("file", "f"),
    }
}

/// `TMPFS_MAGIC` of `include/uapi/linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// One end of a connection.
#[derive(Clone, Copy)]
struct End {
    ip: IpAddr,
    port: u16,
}

/// A socket that an event is about.
struct Connection<'a> {
    socket: &'a SocketFacts,
    path: &'a [u8],
    fd: i64,
}

fn connection<'a>(facts: &'a LiveFacts<'_>) -> Option<Connection<'a>> {
    match &facts.view.record.body {
        Body::NetCall { facts: call, path, .. } => {
            Some(Connection { socket: &call.socket, path, fd: i64::from(call.fd) })
        }
        Body::Syscall { facts: call, .. } if call.socket.sock_family != 0 => {
            Some(Connection { socket: &call.socket, path: b"", fd: call.ret })
        }
        _ => None,
    }
}

impl Connection<'_> {
    fn end(&self, address: &[u8; 16], port: u16) -> Option<End> {
        let ip = match self.socket.family {
            AF_INET => IpAddr::V4(Ipv4Addr::new(address[0], address[1], address[2], address[3])),
            AF_INET6 => IpAddr::V6(Ipv6Addr::from(*address)),
            _ => return None,
        };
        Some(End { ip, port })
    }

    fn local(&self) -> Option<End> {
        self.end(&self.socket.local, self.socket.local_port)
    }

    fn remote(&self) -> Option<End> {
        self.end(&self.socket.remote, self.socket.remote_port)
    }

    fn fd_type(&self) -> Option<(&'static str, &'static str)> {
        match self.socket.family {
            AF_INET => Some(("ipv4", "4")),
            AF_INET6 => Some(("ipv6", "6")),
            AF_UNIX => Some(("unix", "u")),
            _ => None,
        }
    }

    fn l4proto(&self) -> Option<&'static str> {
        match (self.socket.protocol, self.socket.sock_type) {
            (6, _) => Some("tcp"),
            (17, _) => Some("udp"),
            (1 | 58, _) => Some("icmp"),
            (_, SOCK_RAW) => Some("raw"),
            (_, SOCK_STREAM | SOCK_DGRAM) if self.socket.family == AF_UNIX => Some("<NA>"),
            _ => None,
        }
        .filter(|p| *p != "<NA>")
    }

    /// The path of a Unix socket; an abstract name as `@name`.
    fn unix_name(&self) -> Vec<u8> {
        match self.path.split_first() {
            Some((0, name)) => [b"@", name].concat(),
            _ => self.path.iter().copied().take_while(|b| *b != 0).collect(),
        }
    }
}

fn write_end(end: End) -> String {
    match end.ip {
        IpAddr::V4(ip) => format!("{ip}:{}", end.port),
        IpAddr::V6(ip) => format!("{ip}:{}", end.port),
    }
}

/// Both ends as `client:port->server:port`, or the path of a Unix socket.
pub fn name<'a>(facts: &'a LiveFacts<'_>) -> Value<'a> {
    let Some(connection) = connection(facts) else { return path::name(facts) };
    let ends = connection.local().zip(connection.remote());
    if ends.is_none() {
        if connection.socket.family != AF_UNIX {
            return Value::Absent;
        }
        // A path is there already; an abstract name is written differently.
        if connection.path.first() != Some(&0) {
            let end = connection.path.iter().position(|b| *b == 0).unwrap_or(connection.path.len());
            return Value::bytes(&connection.path[..end]);
        }
    }
    let made = facts.name.get_or_init(|| {
        let mut text = Assembled::new();
        match ends {
            Some((local, remote)) => {
                // Writing to it does not fail.
                let _ = write!(text, "{}:{}->{}:{}", local.ip, local.port, remote.ip, remote.port);
            }
            None => text.push(&connection.unix_name()),
        }
        text
    });
    Value::bytes(made.as_bytes())
}

/// The address that was asked for.
pub fn remote<'a>(facts: &'a LiveFacts<'_>) -> Value<'a> {
    match connection(facts) {
        Some(c) if c.socket.family == AF_UNIX => Value::Bytes(c.unix_name().into()),
        Some(c) => c.remote().map_or(Value::Absent, |end| Value::owned(write_end(end))),
        None => Value::Absent,
    }
}

/// A name or path with the container's id before it.
fn in_container<'a>(facts: &LiveFacts<'_>, text: &Value<'_>) -> Value<'a> {
    let Value::Bytes(text) = text else { return Value::Absent };
    let id = container::id(facts);
    Value::Bytes([id.as_bytes(), b":", text].concat().into())
}

/// The values of a field that has one for each end; false where it is none.
pub fn each<'a>(facts: &'a LiveFacts<'_>, field: FieldId, push: &mut dyn FnMut(Value<'a>)) -> bool {
    use FieldId as F;
    if !matches!(field, F::FdIp | F::FdNet | F::FdPort) {
        return false;
    }
    if let Some(connection) = connection(facts) {
        for end in [connection.local(), connection.remote()].into_iter().flatten() {
            push(if field == F::FdPort { end.port.into() } else { end.ip.into() });
        }
    }
    true
}

/// `fs.path.*`: what a call that succeeded did something to.
fn fs_path<'a>(facts: &'a LiveFacts<'_>, field: FieldId) -> Value<'a> {
    use FieldId as F;
    let Some(call) = facts.view.record.call else { return Value::Absent };
    if let Body::FileOpen { .. } = facts.view.record.body {
        return match field {
            F::FsPathName => path::name(facts),
            F::FsPathNameraw => path::raw(facts, Which::First),
            _ => Value::Absent,
        };
    }
    if event::result(facts).is_none_or(|result| result < 0) {
        return Value::Absent;
    }
    let roles = path::roles(call);
    let (which, is_raw) = match field {
        F::FsPathName => (roles.name, false),
        F::FsPathNameraw => (roles.name, true),
        F::FsPathSource => (roles.source, false),
        F::FsPathSourceraw => (roles.source, true),
        F::FsPathTarget => (roles.target, false),
        _ => (roles.target, true),
    };
    match which {
        Some(which) if is_raw => path::raw(facts, which),
        Some(which) => path::of_call(facts, which),
        // Of a call on a descriptor.
        None if field == F::FsPathName => path::name(facts),
        None => Value::Absent,
    }
}

/// The value of a field of this family, or `None` where it belongs to another.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId) -> Option<Value<'a>> {
    use FieldId as F;
    let open = opened(facts);
    let connection = connection(facts);
    let end = |server: bool| {
        let c = connection.as_ref()?;
        if server { c.remote() } else { c.local() }
    };
    let fd_type = || match (&open, &connection) {
        (Some(open), _) => Some(file_type(open.inode)),
        (_, Some(connection)) => connection.fd_type(),
        _ => None,
    };
    Some(match field {
        F::FdNum => match (&open, &connection) {
            // A failed open has no descriptor; rules ask for -1.
            (Some(open), _) => open.fd.max(-1).into(),
            (_, Some(connection)) => connection.fd.into(),
            _ => Value::Absent,
        },
        F::FdType => fd_type().map(|t| t.0).into(),
        F::FdTypechar => fd_type().map(|t| t.1).into(),
        F::FdName => name(facts),
        F::FdNameraw => match &facts.view.record.body {
            Body::FileOpen { .. } => path::raw(facts, Which::First),
            _ => Value::Absent,
        },
        F::FdRealpath => match &facts.view.record.body {
            Body::FileOpen { path, .. } if !path.is_empty() => Value::bytes(path),
            Body::Syscall { strings, .. } if !strings.path.is_empty() => Value::bytes(strings.path),
            _ => Value::Absent,
        },
        F::FsPathName
        | F::FsPathNameraw
        | F::FsPathSource
        | F::FsPathSourceraw
        | F::FsPathTarget
        | F::FsPathTargetraw => fs_path(facts, field),
        F::FdDirectory => map_path(facts, path::directory),
        F::FdUid => match get(facts, F::FdNum)?.as_whole() {
            Some(number) => Value::owned(format!("{}{number}", facts.view.record.header.tid)),
            None => Value::Absent,
        },
        F::FdContainername => in_container(facts, &name(facts)),
        F::FdContainerdirectory => in_container(facts, &map_path(facts, path::directory)),
        F::FdFilename => map_path(facts, path::filename),
        F::FdIp | F::FdSip | F::FdRip | F::FdNet | F::FdSnet | F::FdRnet => end(true).map(|e| e.ip).into(),
        F::FdCip | F::FdLip | F::FdCnet | F::FdLnet => end(false).map(|e| e.ip).into(),
        F::FdPort | F::FdSport | F::FdRport => end(true).map(|e| e.port).into(),
        F::FdCport | F::FdLport => end(false).map(|e| e.port).into(),
        F::FdL4proto => connection.and_then(|c| c.l4proto()).into(),
        F::FdSockfamily => connection.map(|c| if c.socket.family == AF_UNIX { "unix" } else { "ip" }).into(),
        F::FdIsServer => connection.map(|_| false).into(),
        F::FdConnected => connection.map(|_| matches!(event::result(facts), Some(0 | EINPROGRESS))).into(),
        F::FdNameChanged => connection.map(|_| true).into(),
        F::FdDev => open.map(|o| o.inode.dev).into(),
        F::FdDevMajor => open.map(|o| o.inode.dev >> 20).into(),
        F::FdDevMinor => open.map(|o| o.inode.dev & 0xf_ffff).into(),
        F::FdIsUpperLayer => open.map(|o| o.inode.path_flags & path_flags::UPPER_LAYER != 0).into(),
        F::FdIsLowerLayer => open.map(|o| o.inode.path_flags & path_flags::LOWER_LAYER != 0).into(),
        F::FdIno => match (open, &connection) {
            (Some(open), _) if open.inode.ino != 0 => open.inode.ino.into(),
            (_, Some(connection)) => connection.socket.ino.into(),
            _ => Value::Absent,
        },
        _ => return None,
    })
}
