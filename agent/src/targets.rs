//! Where the paths of a call lead.
//!
//! The kernel tells what a call that changes files was passed, and where its relative paths begin. What the directories
//! in between are is looked up here, right after the call: in the mount namespace and below the root directory of who
//! called, symbolic links followed as the call does. The answer becomes part of the record, so that a replay has it too.
//!
//! Nothing here waits for a file system: only what the kernel has in memory counts (`RESOLVE_CACHED`), and the call that
//! is looked at has just put it there. Where nothing can be said, the path stands as it was passed. Between the call and
//! the look-up the tree may have changed; the policies are held against the path as passed as well.

mod walk;

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::MetadataExt,
        },
    },
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2, readlink},
    sys::stat::Mode,
};
use vedette_abi::{Call, Kind, Syscall, TaskFacts, path_flags};
use vedette_event::{Body, ProcessKey, Record, State, Strings, decode, put_targets};

/// Most processes of a mount namespace that are tried when the caller has gone.
const NEIGHBOURS: usize = 4;

/// `MS_BIND`, `MS_MOVE` (`include/uapi/linux/mount.h`).
const MS_BIND: u64 = 0x1000;
const MS_MOVE: u64 = 0x2000;
/// `AT_SYMLINK_NOFOLLOW`, `AT_SYMLINK_FOLLOW` (`include/uapi/linux/fcntl.h`), `UMOUNT_NOFOLLOW`
/// (`include/linux/fs.h`), `MOVE_MOUNT_T_SYMLINKS` (`include/uapi/linux/mount.h`).
const NOFOLLOW: u64 = 0x100;
const FOLLOW: u64 = 0x400;
const UMOUNT_NOFOLLOW: u64 = 8;
const MOVE_MOUNT_T_SYMLINKS: u64 = 0x10;

/// Looks up where paths lead.
#[derive(Debug)]
pub struct Targets {
    /// The agent's own root directory, its mount namespace and pid namespace.
    own_root: Option<OwnedFd>,
    own_mnt: u64,
    own_pid: u64,
    /// Root directory of another mount namespace; not kept longer than a batch, for it holds the mount.
    other: Option<Other>,
    /// The mount namespace of which no other process could be found last; not kept longer than a batch either. Looking
    /// for one goes through all processes.
    deserted: Option<u32>,
}

/// A root directory in another mount namespace.
#[derive(Debug)]
struct Other {
    mnt: u32,
    tgid: u32,
    root: OwnedFd,
    /// Its path in that namespace: `/`, except for a process with a root of its own.
    path: Vec<u8>,
}

/// Which of a call's paths are looked up, and whether the call follows a link that a path ends in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    first: Option<bool>,
    second: Option<bool>,
}

impl Wanted {
    fn of(call: Call, args: &[u64; 6]) -> Self {
        let (first, second) = match call {
            Call::Rename | Call::Renameat | Call::Renameat2 | Call::Link => (Some(false), Some(false)),
            Call::Linkat => (Some(args[4] & FOLLOW != 0), Some(false)),
            // What a symbolic link holds stays as it was passed.
            Call::Symlink | Call::Symlinkat => (None, Some(false)),
            Call::Unlink
            | Call::Unlinkat
            | Call::Rmdir
            | Call::Mkdir
            | Call::Mkdirat
            | Call::Mknod
            | Call::Mknodat
            | Call::Lchown
            | Call::Lsetxattr
            | Call::Lremovexattr => (Some(false), None),
            Call::Chmod
            | Call::Fchmodat
            | Call::Chown
            | Call::Truncate
            | Call::Setxattr
            | Call::Removexattr
            | Call::Utime
            | Call::Utimes
            | Call::Futimesat => (Some(true), None),
            Call::Fchmodat2 | Call::Utimensat => (Some(args[3] & NOFOLLOW == 0), None),
            Call::Fchownat => (Some(args[4] & NOFOLLOW == 0), None),
            // Otherwise it is a device, or anything.
            Call::Mount => (Some(true), (args[3] & (MS_BIND | MS_MOVE) != 0).then_some(true)),
            Call::Umount2 => (Some(args[1] & UMOUNT_NOFOLLOW == 0), None),
            Call::MoveMount => (Some(args[4] & MOVE_MOUNT_T_SYMLINKS != 0), None),
            Call::OpenTree | Call::MountSetattr => (Some(args[2] & NOFOLLOW == 0), None),
            _ => (None, None),
        };
        Self { first, second }
    }
}

/// Who called.
struct Caller<'a> {
    task: &'a TaskFacts,
    tgid: u32,
    tid: u32,
}

impl Default for Targets {
    fn default() -> Self {
        Self::new()
    }
}

impl Targets {
    /// Looks the agent's own namespaces up.
    pub fn new() -> Self {
        let namespace =
            |name| std::fs::metadata(format!("/proc/self/ns/{name}")).map_or(0, |meta| meta.ino());
        Self {
            own_root: directory(b"/").ok(),
            own_mnt: namespace("mnt"),
            own_pid: namespace("pid"),
            other: None,
            deserted: None,
        }
    }

    /// The record with what its paths lead to, put together in `out`; most records are returned as they are.
    pub fn put<'b>(&mut self, bytes: &'b [u8], state: &State, out: &'b mut Vec<u8>) -> &'b [u8] {
        const KINDS: [u16; 2] = [Kind::FileChange as u16, Kind::FileMount as u16];
        // The kind is the second field of the header.
        let is_wanted =
            bytes.get(4..6).is_some_and(|kind| KINDS.contains(&u16::from_le_bytes([kind[0], kind[1]])));
        if !is_wanted {
            return bytes;
        }
        // What cannot be decoded is reported by who decodes it next.
        let Some((first, second)) = decode(bytes).ok().and_then(|record| self.look_up(&record, state)) else {
            return bytes;
        };
        if put_targets(bytes, &first, &second, out) { out } else { bytes }
    }

    /// Lets go of other mount namespaces.
    pub fn rest(&mut self) {
        self.other = None;
        self.deserted = None;
    }

    fn look_up(&mut self, record: &Record<'_>, state: &State) -> Option<(Vec<u8>, Vec<u8>)> {
        let Body::Syscall { facts, strings } = &record.body else { return None };
        let wanted = Wanted::of(record.call?, &facts.args);
        if wanted == Wanted::default() || !needs_look_up(wanted, strings) {
            return None;
        }
        let header = &record.header;
        let key = ProcessKey { tgid: header.tgid, start: header.start };
        let process = state.processes.get(state.processes.find(key)?)?;
        let caller = Caller { task: &process.task, tgid: header.tgid, tid: header.tid };
        let mut resolve = |follow: Option<bool>, base: &[u8], raw: &[u8]| {
            let found = follow.and_then(|follow| self.resolve(&caller, facts, base, raw, follow, state));
            found.unwrap_or_default()
        };
        let first = resolve(wanted.first, strings.base, strings.raw);
        let second = resolve(wanted.second, strings.base2, strings.raw2);
        (!first.is_empty() || !second.is_empty()).then_some((first, second))
    }

    fn resolve(
        &mut self,
        caller: &Caller<'_>,
        call: &Syscall,
        base: &[u8],
        raw: &[u8],
        follow: bool,
        state: &State,
    ) -> Option<Vec<u8>> {
        if is_plain(raw, follow) || raw.first() != Some(&b'/') && base.is_empty() {
            return None;
        }
        let pid = self.pid_in_proc(caller);
        let own = self.own_mnt == u64::from(caller.task.ns_mnt);
        if own {
            let root = self.own_root.as_ref()?;
            if raw.starts_with(b"/") && call.inode.path_flags & path_flags::CHROOTED != 0 {
                // The base is the caller's own root.
                let root = open_in(root, base, OFlag::O_DIRECTORY).ok()?;
                return walk::resolve(&root, raw, follow, &pid);
            }
            return walk::resolve(root, &joined(base, raw), follow, &pid);
        }
        let other = self.other_root(caller, state)?;
        let path = match (other.path.as_slice(), raw) {
            (b"/", raw) => joined(base, raw),
            // It has changed its root since.
            (_, [b'/', ..]) if call.inode.path_flags & path_flags::CHROOTED == 0 => return None,
            (_, [b'/', ..]) => raw.to_vec(),
            // The kernel tells the directory from the root of the namespace.
            (root, raw) => joined(base.strip_prefix(root)?, raw),
        };
        walk::resolve(&other.root, &path, follow, &pid)
    }

    /// What `/proc/self` is to the caller.
    fn pid_in_proc(&self, caller: &Caller<'_>) -> walk::Pid {
        if u64::from(caller.task.ns_pid) == self.own_pid {
            walk::Pid { tgid: caller.tgid, tid: caller.tid, own: std::process::id() }
        } else {
            walk::Pid { tgid: caller.task.vpid, tid: caller.task.vpid, own: 0 }
        }
    }

    /// The root directory of the caller, or when it has gone, of another process of its mount namespace.
    fn other_root(&mut self, caller: &Caller<'_>, state: &State) -> Option<&Other> {
        let mnt = caller.task.ns_mnt;
        if mnt == 0 {
            return None;
        }
        if self.other.as_ref().is_none_or(|other| other.mnt != mnt || other.tgid != caller.tgid) {
            let neighbours = state
                .processes
                .iter()
                .filter(|p| p.task.ns_mnt == mnt && p.exited.is_none() && p.key.tgid != caller.tgid)
                .map(|p| p.key.tgid)
                .take(NEIGHBOURS);
            let found = match root_of(caller.tgid, mnt) {
                Some(root) => Some((caller.tgid, root)),
                None if self.deserted == Some(mnt) => None,
                None => neighbours.into_iter().find_map(|tgid| Some((tgid, root_of(tgid, mnt)?))),
            };
            let Some((tgid, root)) = found else {
                self.deserted = Some(mnt);
                return None;
            };
            let path = walk::name_of(&root)?;
            // Of a neighbour only the root of the namespace is good: it may be the only one with a root of its own.
            if tgid != caller.tgid && path != b"/" {
                return None;
            }
            self.other = Some(Other { mnt, tgid: caller.tgid, root, path });
        }
        self.other.as_ref()
    }
}

/// Whether there is a path that more can be said of.
fn needs_look_up(wanted: Wanted, strings: &Strings<'_>) -> bool {
    let needs = |follow: Option<bool>, raw: &[u8]| follow.is_some_and(|follow| !is_plain(raw, follow));
    needs(wanted.first, strings.raw) || needs(wanted.second, strings.raw2)
}

/// Whether a path says all there is: a name in a directory that the kernel has resolved.
fn is_plain(raw: &[u8], follow: bool) -> bool {
    raw.is_empty() || !follow && !raw.contains(&b'/') && !matches!(raw, b"." | b"..")
}

fn joined(base: &[u8], raw: &[u8]) -> Vec<u8> {
    if raw.starts_with(b"/") { raw.to_vec() } else { [base, raw].join(&b'/') }
}

fn root_of(tgid: u32, mnt: u32) -> Option<OwnedFd> {
    let root = directory(format!("/proc/{tgid}/root").as_bytes()).ok()?;
    // The number may be another process's by now.
    let namespace = std::fs::metadata(format!("/proc/{tgid}/ns/mnt")).ok()?.ino();
    (namespace == u64::from(mnt)).then_some(root)
}

fn directory(path: &[u8]) -> Result<OwnedFd, Errno> {
    open(OsStr::from_bytes(path), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens a path below a root directory as a handle, if that takes no waiting. Links that lead out of it and those of
/// `/proc` are not followed.
fn open_in(root: impl AsFd, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | flags)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::from_bits_retain(RESOLVE_CACHED));
    let path = if path.is_empty() { b"/" } else { path };
    openat2(root, OsStr::from_bytes(path), how)
}

/// `RESOLVE_CACHED` of `include/uapi/linux/openat2.h`, since 5.12.
const RESOLVE_CACHED: u64 = 0x20;

/// Text of a symbolic link.
fn link_text(path: &str) -> Option<Vec<u8>> {
    readlink(path).ok().map(OsStringExt::into_vec)
}

#[cfg(test)]
mod tests;
