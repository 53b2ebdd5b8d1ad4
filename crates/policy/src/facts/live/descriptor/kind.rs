//! What kind of file is behind a descriptor.

use vedette_event::abi::{InodeFacts, path_flags};

use crate::value::Value;

/// `TMPFS_MAGIC` and `HUGETLBFS_MAGIC` of `include/uapi/linux/magic.h`: where memory files live.
const MEMORY: [u64; 2] = [0x0102_1994, 0x9584_58f6];

/// The name of a file that is in no directory, without the slash that the walk puts before it.
fn bare(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/").unwrap_or(path)
}

/// Type, and its letter.
pub fn of(inode: &InodeFacts, path: &[u8]) -> (&'static str, &'static str) {
    match inode.mode & 0o170_000 {
        0o040_000 => return ("directory", "d"),
        0o010_000 => return ("pipe", "p"),
        _ => {}
    }
    if inode.path_flags & path_flags::PSEUDO == 0 {
        return ("file", "f");
    }
    if MEMORY.contains(&inode.magic) {
        return ("memfd", "m");
    }
    match bare(path) {
        b"[eventpoll]" => ("eventpoll", "l"),
        b"[eventfd]" => ("event", "e"),
        b"[signalfd]" => ("signalfd", "s"),
        b"[timerfd]" => ("timerfd", "t"),
        b"[userfaultfd]" => ("userfaultfd", "u"),
        b"[io_uring]" => ("io_uring", "r"),
        b"[pidfd]" => ("pidfd", "P"),
        b"inotify" => ("inotify", "i"),
        name if name.starts_with(b"bpf") => ("bpf", "b"),
        _ if inode.magic == PIDFS => ("pidfd", "P"),
        _ => ("file", "f"),
    }
}

/// `PID_FS_MAGIC` of `include/uapi/linux/magic.h`.
const PIDFS: u64 = 0x5049_4446;

/// Name of a file that is in no directory, as `/proc/PID/fd` shows it.
pub fn pseudo_name<'a>(inode: &InodeFacts, path: &'a [u8]) -> Value<'a> {
    match of(inode, path).0 {
        "pipe" => Value::owned(format!("pipe:[{}]", inode.ino)),
        "memfd" => Value::bytes(path),
        "pidfd" if inode.magic == PIDFS => Value::owned("anon_inode:[pidfd]".to_owned()),
        _ => match bare(path) {
            b"" => Value::Absent,
            name => Value::Bytes([b"anon_inode:", name].concat().into()),
        },
    }
}
