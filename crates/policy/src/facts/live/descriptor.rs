//! `fd.*` and `fs.*`: what the event opened or duplicated, or the two ends of a socket.

mod connection;
mod kind;
mod services;

use vedette_event::{
    Body,
    abi::{InodeFacts, RET, path_flags},
};

use super::{LiveFacts, text::Assembled};
use crate::field::FieldId;
use crate::value::Value;
use connection::Connection;

/// The path that an open is about: as the kernel resolved it, or where it failed, as passed, made absolute. Of another
/// call on a descriptor, the path of the file behind it.
fn path<'a>(facts: &'a LiveFacts<'_>) -> Value<'a> {
    if let Some(d) = descriptor(facts)
        && !d.path.is_empty()
        && d.inode.path_flags & path_flags::PSEUDO == 0
    {
        return Value::bytes(d.path);
    }
    let Body::FileOpen { facts: open, path, raw, cwd, .. } = &facts.view.record.body else {
        return Value::Absent;
    };
    if !path.is_empty() {
        return Value::bytes(path);
    }
    match raw.first() {
        None => Value::Absent,
        Some(b'/') if is_normal(raw) => Value::bytes(raw),
        Some(b'/') => Value::bytes(facts.path.get_or_init(|| normalise(&[raw])).as_bytes()),
        // Relative to a directory descriptor that is not told: as it is.
        Some(_) if open.dirfd != -100 || cwd.is_empty() => Value::bytes(raw),
        Some(_) => Value::bytes(facts.path.get_or_init(|| normalise(&[cwd, raw])).as_bytes()),
    }
}

/// Whether [`normalise`] would change nothing.
fn is_normal(path: &[u8]) -> bool {
    path == b"/" || path.split(|b| *b == b'/').skip(1).all(|part| !matches!(part, b"" | b"." | b".."))
}

/// Takes `.`, `..` and doubled slashes out of an absolute path, as text. The path may come in pieces.
fn normalise(pieces: &[&[u8]]) -> Assembled<192> {
    let mut out = Assembled::new();
    for part in pieces.iter().flat_map(|piece| piece.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                let parent = out.as_bytes().iter().rposition(|b| *b == b'/').unwrap_or(0);
                out.truncate(parent);
            }
            part => {
                out.push(b"/");
                out.push(part);
            }
        }
    }
    if out.as_bytes().is_empty() {
        out.push(b"/");
    }
    out
}

fn map_path<'a>(facts: &'a LiveFacts<'_>, part: impl Fn(&[u8]) -> &[u8]) -> Value<'a> {
    match path(facts) {
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

/// The directory of a path.
fn directory(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) => &path[..1],
        Some(at) => &path[..at],
        // Not `&[]`: that would be no part of the path.
        None => &path[..0],
    }
}

/// The last component of a path.
fn filename(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
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
        _ => path(facts),
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

/// The value of a field of this family, or `None` where it belongs to another.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId) -> Option<Value<'a>> {
    use FieldId as F;
    let open = super::event::open(facts);
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
        F::FdUid => match number(facts) {
            Some(number) if number >= 0 => Value::owned(format!("{}{number}", facts.view.record.header.tid)),
            _ => Value::Absent,
        },
        F::FdType => fd_type(facts).map(|t| t.0).into(),
        F::FdTypechar => fd_type(facts).map(|t| t.1).into(),
        F::FdName => name(facts),
        F::FdNameraw | F::FsPathNameraw => match &facts.view.record.body {
            Body::FileOpen { raw, .. } if !raw.is_empty() => Value::bytes(raw),
            _ => Value::Absent,
        },
        F::FdRealpath => match &facts.view.record.body {
            Body::FileOpen { path, .. } if !path.is_empty() => Value::bytes(path),
            _ => Value::Absent,
        },
        F::FsPathName => path(facts),
        F::FdDirectory => map_path(facts, directory),
        F::FdFilename => map_path(facts, filename),
        F::FdDev => inode().map(|i| i.dev).into(),
        F::FdDevMajor => inode().map(|i| i.dev >> 20).into(),
        F::FdDevMinor => inode().map(|i| i.dev & 0xf_ffff).into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_canonical_as_text() {
        for (from, to) in [
            ("/etc//passwd", "/etc/passwd"),
            ("/a/./b/../c", "/a/c"),
            ("/../..", "/"),
            ("/a/..", "/"),
            ("/", "/"),
        ] {
            assert_eq!(normalise(&[from.as_bytes()]).as_bytes(), to.as_bytes(), "{from}");
            assert_eq!(is_normal(from.as_bytes()), from == to, "{from}");
        }
    }

    #[test]
    fn long_paths_and_pieces() {
        let long = "/x".repeat(2000);
        let whole = format!("{long}/./../y");
        let out = normalise(&[whole.as_bytes(), b"../z"]);
        assert_eq!(out.as_bytes(), format!("{}/z", "/x".repeat(1999)).as_bytes());
        let up = "../".repeat(3000);
        assert_eq!(normalise(&[long.as_bytes(), up.as_bytes(), b"etc"]).as_bytes(), b"/etc");
    }

    #[test]
    fn a_path_in_its_parts() {
        for (path, dir, file) in
            [("/etc/shadow", "/etc", "shadow"), ("/x", "/", "x"), ("x", "", "x"), ("/a/", "/a", "")]
        {
            assert_eq!(directory(path.as_bytes()), dir.as_bytes(), "{path}");
            assert_eq!(filename(path.as_bytes()), file.as_bytes(), "{path}");
            for part in [directory(path.as_bytes()), filename(path.as_bytes())] {
                assert_eq!(slice_of(path.as_bytes(), part), part, "{path}");
            }
        }
    }
}
