//! `fd.*` and `fs.*`: what the event opened or duplicated, or the two ends of a socket.

mod connection;
mod kind;
mod services;

use vedette_event::{
    Body,
    abi::{InodeFacts, RET, path_flags},
};

use super::{
    LiveFacts, container, event,
    path::{self, Which},
};
use crate::field::FieldId;
use crate::value::Value;
use connection::Connection;

/// The type in a mode, and that of a block device (`<sys/stat.h>`).
const S_IFMT: u32 = 0o170_000;
const S_IFBLK: u32 = 0o060_000;

/// Whether the event is about something that has no place in a directory tree: a socket, a pipe, memory.
fn is_placeless(facts: &LiveFacts<'_>) -> bool {
    Connection::of(facts).is_some()
        || descriptor(facts).is_some_and(|d| d.inode.path_flags & path_flags::PSEUDO != 0)
}

fn map_path<'a>(facts: &'a LiveFacts<'_>, part: impl Fn(&[u8]) -> &[u8]) -> Value<'a> {
    if is_placeless(facts) {
        return Value::Absent;
    }
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

/// The file behind the descriptor that a call without a body of its own is about.
struct Descriptor<'a> {
    number: i64,
    inode: &'a InodeFacts,
    path: &'a [u8],
}

fn descriptor<'a>(facts: &'a LiveFacts<'_>) -> Option<Descriptor<'a>> {
    let Body::Syscall { facts: call, strings } = &facts.view.record.body else { return None };
    let number = match facts.view.record.call?.spec().file {
        RET => call.ret.max(-1),
        number @ 1..=6 => i64::from(call.args[usize::from(number) - 1] as i32),
        _ => return None,
    };
    Some(Descriptor { number, inode: &call.inode, path: strings.path })
}

/// Both ends as `client:port->server:port`, the path of a Unix socket or of a file, or what `/proc/PID/fd` says of a file
/// without one.
pub fn name<'a>(facts: &'a LiveFacts<'_>) -> Value<'a> {
    if let Some(connection) = Connection::of(facts) {
        return connection.name(facts);
    }
    match descriptor(facts) {
        Some(d) if d.inode.path_flags & path_flags::PSEUDO != 0 => kind::pseudo_name(d.inode, d.path),
        _ => path::name(facts),
    }
}

/// The address that a call names: the remote one, or, where there is none, the local one.
pub fn address<'a>(facts: &'a LiveFacts<'_>) -> Value<'a> {
    Connection::of(facts).map_or(Value::Absent, |c| c.address())
}

/// Sockets of the system's log, by what programs call them and by where systemd keeps them.
const SYSLOG: [&[u8]; 2] = [b"/dev/log", b"/run/systemd/journal/dev-log"];

/// Whether the descriptor leads to the system's log.
pub fn is_syslog(facts: &LiveFacts<'_>) -> bool {
    name(facts).as_bytes().is_some_and(|name| SYSLOG.contains(&name))
}

fn fd_type(facts: &LiveFacts<'_>) -> Option<(&'static str, &'static str)> {
    if let Body::FileOpen { facts: open, path, .. } = &facts.view.record.body {
        return Some(kind::of(&open.inode, path));
    }
    if let Some(connection) = Connection::of(facts) {
        return connection.fd_type();
    }
    descriptor(facts).filter(|d| d.inode.ino != 0).map(|d| kind::of(d.inode, d.path))
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
    if !matches!(field, F::FdIp | F::FdNet | F::FdPort | F::FdProto) {
        return false;
    }
    if let Some(connection) = Connection::of(facts) {
        let (local, remote) = (connection.local(), connection.remote());
        // An address that the kernel has not chosen is not one of the ends: `fd.ip != 0.0.0.0` is about the other.
        let by_address = matches!(field, F::FdIp | F::FdNet);
        let local = local.filter(|end| remote.is_none() || !by_address || !end.ip.is_unspecified());
        for end in [local, remote].into_iter().flatten() {
            push(match field {
                F::FdPort => end.port.into(),
                F::FdProto => connection.service(end),
                _ => end.ip.into(),
            });
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
            F::FsPathName | F::FsPathPlace => path::name(facts),
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
        F::FsPathPlace => (roles.place, false),
        F::FsPathSource => (roles.source, false),
        F::FsPathSourceraw => (roles.source, true),
        F::FsPathTarget => (roles.target, false),
        _ => (roles.target, true),
    };
    match which {
        Some(which) if is_raw => path::raw(facts, which),
        Some(which) => path::of_call(facts, which),
        // Of a call on a descriptor.
        None if matches!(field, F::FsPathName | F::FsPathPlace) => path::name(facts),
        None => Value::Absent,
    }
}

/// The value of a field of this family, or `None` where it belongs to another.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId) -> Option<Value<'a>> {
    use FieldId as F;
    let open = event::open(facts);
    let inode = || {
        match (open, descriptor(facts)) {
            (Some(open), _) => Some(&open.inode),
            (_, Some(descriptor)) => Some(descriptor.inode),
            _ => None,
        }
        .filter(|inode| inode.ino != 0)
    };
    Some(match field {
        F::FdNum => match number(facts) {
            Some(number) => number.into(),
            None => Value::Absent,
        },
        F::FdType => fd_type(facts).map(|t| t.0).into(),
        F::FdTypechar => fd_type(facts).map(|t| t.1).into(),
        F::FdName => name(facts),
        F::FdNameraw => match &facts.view.record.body {
            Body::FileOpen { .. } => path::raw(facts, Which::First),
            _ => Value::Absent,
        },
        F::FdRealpath => match &facts.view.record.body {
            Body::FileOpen { path, .. } if !path.is_empty() => Value::bytes(path),
            Body::Syscall { strings, .. } if !strings.path.is_empty() && !is_placeless(facts) => {
                Value::bytes(strings.path)
            }
            _ => Value::Absent,
        },
        F::FsPathName
        | F::FsPathNameraw
        | F::FsPathPlace
        | F::FsPathSource
        | F::FsPathSourceraw
        | F::FsPathTarget
        | F::FsPathTargetraw => fs_path(facts, field),
        F::FdDirectory => map_path(facts, path::directory),
        F::FdUid => match get(facts, F::FdNum)?.as_whole() {
            Some(number) if number >= 0 => Value::owned(format!("{}{number}", facts.view.record.header.tid)),
            _ => Value::Absent,
        },
        F::FdContainername => in_container(facts, &name(facts)),
        F::FdContainerdirectory => in_container(facts, &map_path(facts, path::directory)),
        F::FdFilename => map_path(facts, path::filename),
        F::FdDev => inode().map(|i| i.dev).into(),
        F::FdDevMajor => inode().map(|i| i.dev >> 20).into(),
        F::FdDevMinor => inode().map(|i| i.dev & 0xf_ffff).into(),
        F::FdIsUpperLayer => inode().map(|i| i.path_flags & path_flags::UPPER_LAYER != 0).into(),
        F::FdIsLowerLayer => inode().map(|i| i.path_flags & path_flags::LOWER_LAYER != 0).into(),
        F::FdIsBlockDevice => inode().map(|i| i.mode & S_IFMT == S_IFBLK).into(),
        F::FdIno => match (inode(), Connection::of(facts)) {
            (Some(inode), _) => inode.ino.into(),
            (_, Some(connection)) if connection.socket.ino != 0 => connection.socket.ino.into(),
            _ => Value::Absent,
        },
        _ => return Connection::of(facts).map_or_else(|| connection::absent(field), |c| c.get(facts, field)),
    })
}

/// The number of the descriptor; -1 where the call failed to make one.
fn number(facts: &LiveFacts<'_>) -> Option<i64> {
    match &facts.view.record.body {
        Body::FileOpen { facts: open, .. } => Some(open.ret.max(-1)),
        Body::NetCall { facts: call, .. } => Some(i64::from(call.fd)),
        _ => descriptor(facts).map(|d| d.number),
    }
}
