//! From a path to what it leads to, below a root directory.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat, readlinkat},
    sys::{
        stat::{Mode, SFlag, fstat},
        statfs::{FsType, PROC_SUPER_MAGIC, fstatfs},
    },
};

use super::{link_text, open_in};

/// Components that one path may come to, those of links included.
const STEPS: usize = 64;

/// File systems whose links the kernel may have to ask somebody for (`include/uapi/linux/magic.h`): FUSE, NFS, SMB,
/// CIFS, 9P, Ceph, AFS, Coda.
const REMOTE: [i64; 8] =
    [0x6573_5546, 0x6969, 0xfe53_4d42, 0xff53_4d42, 0x0102_1997, 0x00c3_6400, 0x5346_414f, 0x7375_7245];

/// What `/proc/self` and `/proc/thread-self` are.
pub(super) struct Pid {
    pub tgid: u32,
    pub tid: u32,
    /// What they are to the agent in the same `/proc`.
    pub own: u32,
}

/// Where a path leads, from the root of the mount namespace. Where `follow` is false, a link that it ends in is meant
/// itself.
pub(super) fn resolve(root: &OwnedFd, path: &[u8], follow: bool, pid: &Pid) -> Option<Vec<u8>> {
    let path = trimmed(path);
    if follow && let Some(whole) = locate(root, path, pid) {
        return Some(whole);
    }
    let at = path.iter().rposition(|b| *b == b'/')?;
    let (directory, last) = (&path[..at], &path[at + 1..]);
    if matches!(last, b"" | b"." | b"..") {
        return if follow { None } else { locate(root, path, pid) };
    }
    let mut out = locate(root, directory, pid)?;
    if out != b"/" {
        out.push(b'/');
    }
    out.extend_from_slice(last);
    Some(out)
}

fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    &path[..end]
}

/// Where a path leads, all links followed.
fn locate(root: &OwnedFd, path: &[u8], pid: &Pid) -> Option<Vec<u8>> {
    match open_in(root, path, OFlag::empty()) {
        Ok(file) => {
            let name = name_of(&file)?;
            // What the agent is to itself, the caller is to itself.
            if is_of(&name, pid.own) { step_by_step(root, path, pid) } else { Some(name) }
        }
        // Links of `/proc` that lead to a file rather than a path are not followed below a root; and in the `/proc` of
        // another pid namespace the agent itself is not there.
        Err(Errno::EXDEV | Errno::ELOOP | Errno::ENOENT | Errno::EAGAIN) => step_by_step(root, path, pid),
        Err(_) => None,
    }
}

fn is_of(name: &[u8], pid: u32) -> bool {
    let own = format!("/proc/{pid}");
    pid != 0 && name.strip_prefix(own.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

/// The path of an open file from the root of its mount namespace.
pub(super) fn name_of(file: &OwnedFd) -> Option<Vec<u8>> {
    let name = link_text(&format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    (name.starts_with(b"/") && !name.ends_with(b" (deleted)")).then_some(name)
}

/// The same as [`locate`], one component after another, with the links of `/proc` as the caller sees them.
fn step_by_step(root: &OwnedFd, path: &[u8], pid: &Pid) -> Option<Vec<u8>> {
    let top = || open_in(root, b"/", OFlag::empty()).ok();
    // Directories from the root to where the walk is; never a link.
    let mut done = vec![top()?];
    let mut rest: VecDeque<Vec<u8>> = components(path).collect();
    for _ in 0..STEPS {
        let Some(part) = rest.pop_front() else {
            return name_of(done.last()?);
        };
        if part == b".." {
            if done.len() > 1 {
                done.pop();
            }
            continue;
        }
        let file = open_step(done.last()?, &part)?;
        if SFlag::from_bits_truncate(fstat(&file).ok()?.st_mode) & SFlag::S_IFMT != SFlag::S_IFLNK {
            done.push(file);
            continue;
        }
        let text = text_of(&file, &part, pid)?;
        if text.starts_with(b"/") {
            done = vec![top()?];
        }
        for part in components(&text).collect::<Vec<_>>().into_iter().rev() {
            rest.push_front(part);
        }
    }
    None
}

/// Opens what a name in a directory stands for, a link as such. `/proc` makes its files when they are asked for, which
/// takes no waiting either.
fn open_step(directory: &OwnedFd, name: &[u8]) -> Option<OwnedFd> {
    match open_in(directory, name, OFlag::O_NOFOLLOW) {
        Err(Errno::EAGAIN) => {
            if fstatfs(directory).ok()?.filesystem_type() != PROC_SUPER_MAGIC {
                return None;
            }
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(directory, OsStr::from_bytes(name), flags, Mode::empty()).ok()
        }
        opened => opened.ok(),
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec)
}

/// What a link holds.
fn text_of(link: &OwnedFd, name: &[u8], pid: &Pid) -> Option<Vec<u8>> {
    let FsType(magic) = fstatfs(link.as_fd()).ok()?.filesystem_type();
    if FsType(magic) == PROC_SUPER_MAGIC {
        match name {
            b"self" => return Some(pid.tgid.to_string().into_bytes()),
            b"thread-self" => return Some(format!("{}/task/{}", pid.tgid, pid.tid).into_bytes()),
            _ => {}
        }
    }
    if REMOTE.contains(&magic) {
        return None;
    }
    readlinkat(link, OsStr::from_bytes(b"")).ok().map(OsStringExt::into_vec)
}
