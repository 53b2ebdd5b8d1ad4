//! `proc.stdin.*`, `proc.stdout.*`, `proc.stderr.*`: what the descriptors 0, 1 and 2 were when the program began.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vedette_event::{
    Process,
    abi::{SocketFacts, StdFile, path_flags},
};

use crate::value::Value;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// `TMPFS_MAGIC` of `include/uapi/linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// An open descriptor and its path.
fn file(process: &Process, number: usize) -> Option<(&StdFile, &[u8])> {
    let stdio = process.exec.stdio.as_deref()?;
    let file = stdio.files.get(number).filter(|file| file.mode != 0)?;
    Some((file, stdio.paths.get(number)?))
}

/// What it is, in the words of `fd.type`.
pub fn file_type<'a>(process: &'a Process, number: usize) -> Value<'a> {
    let Some((file, path)) = file(process, number) else { return Value::Absent };
    let pseudo = file.path_flags & path_flags::PSEUDO != 0;
    let text = match file.mode & 0o170_000 {
        0o140_000 => match file.socket.family {
            AF_UNIX => "unix",
            AF_INET => "ipv4",
            AF_INET6 => "ipv6",
            _ => return Value::Absent,
        },
        0o010_000 => "pipe",
        0o040_000 => "directory",
        _ if pseudo && file.magic == TMPFS_MAGIC => "memfd",
        _ if pseudo => match path {
            b"/[eventfd]" => "event",
            b"/[signalfd]" => "signalfd",
            b"/[eventpoll]" => "eventpoll",
            b"/inotify" => "inotify",
            b"/[timerfd]" => "timerfd",
            b"/[pidfd]" => "pidfd",
            _ => "file",
        },
        _ => "file",
    };
    Value::str(text)
}

/// Its inode number.
pub fn inode<'a>(process: &'a Process, number: usize) -> Value<'a> {
    file(process, number).map_or(Value::Absent, |(file, _)| file.ino.into())
}

/// Its path, `pipe:[INODE]`, or the two ends of a connection, this one first.
pub fn name<'a>(process: &'a Process, number: usize) -> Value<'a> {
    let Some((file, path)) = file(process, number) else { return Value::Absent };
    match file.mode & 0o170_000 {
        0o140_000 => ends(&file.socket).map_or(Value::Absent, Value::owned),
        // One without a name; a named one has a path.
        0o010_000 if file.path_flags & path_flags::PSEUDO != 0 => {
            Value::owned(format!("pipe:[{}]", file.ino))
        }
        _ if path.is_empty() => Value::Absent,
        _ => Value::bytes(path),
    }
}

fn ends(socket: &SocketFacts) -> Option<String> {
    let address = |bytes: &[u8; 16]| match socket.family {
        AF_INET => Some(IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))),
        AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(*bytes))),
        _ => None,
    };
    let (local, remote) = (address(&socket.local)?, address(&socket.remote)?);
    Some(format!("{local}:{}->{remote}:{}", socket.local_port, socket.remote_port))
}
