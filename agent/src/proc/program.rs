//! The program a process runs: executable, arguments, environment, working directory.

use std::{fs::File, os::unix::fs::MetadataExt};

use nix::{
    fcntl::OFlag,
    sys::{
        stat::{major, minor},
        statfs::fstatfs,
    },
};
use vedette_abi::{ARGV_CAP, ENV_CAP, InodeFacts, path_flags};
use vedette_event::Exec;

use super::{Dir, ProcError, stat::Stat};

/// What the kernel appends to the path of a file that has no name any more.
const DELETED: &[u8] = b" (deleted)";

/// Reads what an exec has set. Parts that may not be read, for want of privileges, stay empty.
pub fn exec(dir: &Dir, stat: &Stat, environment: bool) -> Result<Exec, ProcError> {
    let mut exec = Exec::default();
    if let Some(path) = dir.link("exe") {
        let (path, facts) = executable(dir, path);
        exec.exe_path = path.into();
        exec.exe.0 = facts;
    }
    (exec.argv, exec.argv_total) = strings(dir, "cmdline", stat.args, ARGV_CAP)?;
    if environment {
        (exec.env, exec.env_total) = strings(dir, "environ", stat.env, ENV_CAP)?;
    } else {
        exec.env_total = length(stat.env);
    }
    Ok(exec)
}

/// The working directory, empty where it may not be read.
pub fn cwd(dir: &Dir) -> Vec<u8> {
    let Some(path) = dir.link("cwd") else { return Vec::new() };
    match path.strip_suffix(DELETED) {
        Some(stripped) if !names(dir, "cwd", &path) => stripped.to_vec(),
        _ => path,
    }
}

/// Bytes between two addresses, as the kernel's own records count them.
fn length((start, end): (u64, u64)) -> u32 {
    u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX)
}

/// At most `cap` bytes of strings, and how many there are in all.
fn strings(
    dir: &Dir,
    file: &'static str,
    range: (u64, u64),
    cap: usize,
) -> Result<(Box<[u8]>, u32), ProcError> {
    // One more tells whether there is more, where the kernel does not show the addresses.
    let mut bytes = match dir.bytes(file, cap as u64 + 1) {
        Err(ProcError::Read { .. }) => return Ok((Box::default(), length(range))),
        read => read?,
    };
    let total = length(range).max(bytes.len() as u32);
    bytes.truncate(cap);
    Ok((bytes.into(), total))
}

/// Facts about the executable, and its path without the kernel's mark.
fn executable(dir: &Dir, mut path: Vec<u8>) -> (Vec<u8>, InodeFacts) {
    let mut facts = Exec::default().exe.0;
    let Ok(fd) = dir.openat("exe", OFlag::O_PATH) else { return (path, facts) };
    if let Ok(fs) = fstatfs(&fd) {
        facts.magic = fs.filesystem_type().0 as u64;
    }
    if let Ok(meta) = File::from(fd).metadata() {
        facts.ino = meta.ino();
        facts.ctime_sec = meta.ctime();
        facts.ctime_nsec = meta.ctime_nsec() as u32;
        facts.mtime_sec = meta.mtime();
        facts.mtime_nsec = meta.mtime_nsec() as u32;
        facts.dev = device(meta.dev());
        facts.uid = meta.uid();
        facts.gid = meta.gid();
        facts.nlink = meta.nlink() as u32;
        facts.mode = meta.mode();
        facts.rdev = device(meta.rdev());
    }
    if let Some(stripped) = path.strip_suffix(DELETED)
        && !names(dir, "exe", &path)
    {
        // A memory file never had a name; the kernel marks it all the same.
        facts.path_flags |=
            if stripped.starts_with(b"/memfd:") { path_flags::PSEUDO } else { path_flags::DELETED };
        path.truncate(path.len() - DELETED.len());
    }
    (path, facts)
}

/// Whether `path`, its suffix included, is the name of the file behind `link`: a file may be called `x (deleted)`.
fn names(dir: &Dir, link: &str, path: &[u8]) -> bool {
    let identity = |path: &[u8]| {
        let meta = File::from(dir.openat(path, OFlag::O_PATH).ok()?).metadata().ok()?;
        Some((meta.dev(), meta.ino()))
    };
    let literal = identity(&[b"root", path].concat());
    literal.is_some() && literal == identity(link.as_bytes())
}

/// From the C library's `dev_t` to the kernel's own, `major << 20 | minor`.
fn device(dev: u64) -> u32 {
    (major(dev) << 20 | minor(dev)) as u32
}
