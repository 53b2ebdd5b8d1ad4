//! Paths, as the kernel resolved them: from a dentry and its mount up to the root of the mount namespace.
//!
//! The walk deliberately does not stop at the task's own root: a `chroot` must not rename a watched file.

use aya_ebpf::helpers::{
    bpf_get_smp_processor_id,
    generated::{bpf_loop, bpf_probe_read_kernel},
};
use core::ffi::c_void;
use vedette_abi::{PATH_CAP, STDIO_PATH_CAP, path_flags};

use crate::{
    kernel::{Dentry, Mount, SuperBlock, Task},
    maps::{PATHS, PathBuf},
    mounts, names,
    record::{Record, masked},
};

/// Steps that a walk may take: components and mounts together.
const STEPS: u32 = 256;

/// File systems of which there can be any number that are all the same (`include/uapi/linux/magic.h`), and where they
/// are at home.
const PROC_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// Not passed on the way.
const NOWHERE: u64 = u64::MAX;

/// What a walk carries from step to step. It lives in the map, not on the stack: the verifier tracks every value
/// of a stack slot and would follow each length of each name on its own.
#[repr(C)]
pub struct Walk {
    /// Addresses, as numbers: a map is shared between CPUs, and these mean something only to the walk.
    dentry: u64,
    mount: u64,
    root: u64,
    /// Places to take note of on the way.
    root_dentry: u64,
    root_mount: u64,
    base_dentry: u64,
    base_mount: u64,
    /// Where the path begins in the buffer; it ends at [`PATH_CAP`].
    pos: u64,
    /// `pos` at these places, and where the first mount was left; [`NOWHERE`] before.
    root_pos: u64,
    base_pos: u64,
    mount_pos: u64,
    flags: u64,
    done: u64,
}

/// A place in the tree: a directory and the mount that it is seen through.
#[derive(Clone, Copy)]
pub struct Place {
    /// The directory.
    pub dentry: Dentry,
    /// The mount.
    pub mount: Mount,
}

impl Place {
    /// No place.
    pub const NONE: Self =
        Self { dentry: Dentry::from_ptr(core::ptr::null()), mount: Mount::from_ptr(core::ptr::null()) };
}

/// A path that was walked.
#[derive(Clone, Copy, Default)]
pub struct Walked {
    /// Its bytes.
    pub len: u16,
    /// [`path_flags`].
    pub flags: u32,
    /// One more than the bytes of the path up to the first marked place; 0 where it was not passed.
    pub root_end: u16,
    /// The same for the second.
    pub base_end: u16,
    /// The same for where the file's own mount is mounted.
    mount_end: u16,
}

/// This CPU's buffer.
#[inline(always)]
pub fn this_cpu() -> Option<*mut PathBuf> {
    PATHS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// One step up: a name, or from a mount's root to its mount point. Returns 1 to stop.
unsafe extern "C" fn step(_index: u64, _context: *mut c_void) -> i64 {
    let Some(buf) = this_cpu() else { return 1 };
    let walk = unsafe { &mut (*buf).walk };
    let at = walk.dentry as *const u8;
    if walk.dentry == walk.root_dentry && walk.mount == walk.root_mount {
        walk.root_pos = walk.pos;
    }
    if walk.dentry == walk.base_dentry && walk.mount == walk.base_mount {
        walk.base_pos = walk.pos;
    }
    if walk.dentry == walk.root {
        if walk.mount_pos == NOWHERE {
            walk.mount_pos = walk.pos;
        }
        let here = walk.mount as *const u8;
        if here.is_null() {
            // Only up to here.
            walk.done = 1;
            return 1;
        }
        let mount = Mount::from_ptr(here);
        let parent = mount.parent();
        if parent.is_null() || parent.as_ptr() == here {
            if mount.is_detached() {
                walk.flags |= u64::from(path_flags::UNREACHABLE);
            }
            walk.done = 1;
            return 1;
        }
        walk.dentry = mount.mountpoint().as_ptr() as u64;
        walk.root = parent.root().as_ptr() as u64;
        walk.mount = parent.as_ptr() as u64;
        return 0;
    }
    let dentry = Dentry::from_ptr(at);
    let parent = dentry.parent().as_ptr();
    let len = u64::from(dentry.name_len()) & 0xff;
    if walk.pos <= len {
        walk.flags |= u64::from(path_flags::CUT);
        walk.done = 1;
        return 1;
    }
    let pos = walk.pos - (len + 1);
    walk.pos = pos;
    unsafe {
        let to = (&raw mut (*buf).bytes).cast::<u8>().add(masked::<0xfff>(pos) as usize);
        *to = b'/';
        bpf_probe_read_kernel(to.add(1).cast(), masked::<0xff>(len) as u32, dentry.name_ptr().cast());
        names::look(&mut (*buf).look, to.add(1), len);
    }
    if parent.is_null() || parent == at {
        // Not in a tree: a pipe, a socket, a memory file.
        walk.flags |= u64::from(path_flags::PSEUDO);
        walk.done = 1;
        return 1;
    }
    walk.dentry = parent as u64;
    0
}

/// Walks from `dentry`, which lies in `mount` or, where that is null, up to `top`. What it finds is in the buffer.
#[inline(always)]
fn walk(buf: *mut PathBuf, from: Place, top: Dentry, root: Place, base: Place) -> Walked {
    let walk = unsafe { &mut (*buf).walk };
    walk.dentry = from.dentry.as_ptr() as u64;
    walk.mount = from.mount.as_ptr() as u64;
    walk.root = top.as_ptr() as u64;
    walk.root_dentry = root.dentry.as_ptr() as u64;
    walk.root_mount = root.mount.as_ptr() as u64;
    walk.base_dentry = base.dentry.as_ptr() as u64;
    walk.base_mount = base.mount.as_ptr() as u64;
    walk.pos = PATH_CAP as u64;
    walk.root_pos = NOWHERE;
    walk.base_pos = NOWHERE;
    walk.mount_pos = NOWHERE;
    walk.flags = 0;
    walk.done = 0;
    unsafe { bpf_loop(STEPS, step as *mut c_void, core::ptr::null_mut(), 0) };
    let read = |field: *const u64| unsafe { core::ptr::read_volatile(field) };
    let mut flags = read(&raw const walk.flags) as u32;
    if read(&raw const walk.done) == 0 {
        flags |= path_flags::CUT;
    }
    // NOWHERE comes to 0 of itself, and the begin of the path to 1.
    let pos = read(&raw const walk.pos);
    let end = |at: u64| at.wrapping_add(1).saturating_sub(pos) as u16;
    Walked {
        len: (PATH_CAP as u64 - pos) as u16,
        flags,
        root_end: end(read(&raw const walk.root_pos)),
        base_end: end(read(&raw const walk.base_pos)),
        mount_end: end(read(&raw const walk.mount_pos)),
    }
}

/// Appends what a walk found.
#[inline(always)]
fn append_walked(record: &mut Record, buf: *mut PathBuf, len: u16) -> u16 {
    if len == 0 {
        // The root itself.
        return record.append_kernel(c"/".as_ptr().cast(), 1);
    }
    let start = masked::<0xfff>(PATH_CAP as u64 - u64::from(len));
    let from = unsafe { (&raw const (*buf).bytes).cast::<u8>().add(start as usize) };
    record.append_kernel(from, PATH_CAP as u64 - start)
}

/// Appends the path of `dentry` in `mount` to the record. Returns its length and [`path_flags`].
#[inline(always)]
pub fn append(record: &mut Record, dentry: Dentry, mount: Mount) -> (u16, u32) {
    let walked = append_marked(record, Place { dentry, mount }, mount.root(), Place::NONE, Place::NONE);
    (walked.len, walked.flags)
}

/// Appends the path of a place, whose mount has its root at `top`, and takes note of two other places on the way.
#[inline(always)]
pub fn append_marked(record: &mut Record, of: Place, top: Dentry, root: Place, base: Place) -> Walked {
    let Some(buf) = this_cpu() else { return Walked::default() };
    let mut walked = walk(buf, of, top, root, base);
    walked.len = append_walked(record, buf, walked.len);
    walked
}

/// A file, as far as its other name depends on it.
pub struct Seen {
    /// Where it was reached.
    pub place: Place,
    /// Root of the mount it was reached through.
    pub top: Dentry,
    /// Its file system.
    pub sb: SuperBlock,
    /// Magic number of that.
    pub magic: u64,
    /// Its path, as it was reached.
    pub walked: Walked,
    /// Where that is in the record.
    pub at: u64,
}

/// Appends the names that a file has without the mount it was reached through, where they are others, with a zero byte
/// between them; returns their length.
#[inline(always)]
pub fn append_aliases(record: &mut Record, seen: &Seen, task: Task) -> u16 {
    let walked = &seen.walked;
    if walked.flags & path_flags::PSEUDO != 0 || seen.sb.is_null() {
        return 0;
    }
    let root = seen.sb.root();
    let is_whole = seen.top.as_ptr() == root.as_ptr();
    if is_whole && walked.mount_end == 1 && walked.flags & path_flags::UNREACHABLE == 0 {
        // The root of the namespace shows all of it: there is no plainer name.
        return 0;
    }
    let home: &[u8] = match seen.magic {
        PROC_MAGIC => b"/proc",
        SYSFS_MAGIC => b"/sys",
        _ => b"",
    };
    if !home.is_empty() {
        if is_whole && usize::from(walked.mount_end) == home.len() + 1 && record.has_at(seen.at, home) {
            return 0;
        }
        // This name is not walked to its root.
        names::take_for_found();
        let len = record.append_kernel(home.as_ptr(), home.len() as u64);
        return len + append_through(record, seen, Mount::from_ptr(core::ptr::null()), root);
    }
    let naming = mounts::naming(seen.sb, root, task);
    let mut len = 0;
    if !naming.own.is_null() && naming.own.as_ptr() != seen.place.mount.as_ptr() {
        len = append_through(record, seen, naming.own, root);
    }
    if !naming.host.is_null() && naming.host.as_ptr() != seen.place.mount.as_ptr() {
        if len != 0 {
            len += record.append_kernel(c"".as_ptr().cast(), 1);
        }
        len += append_through(record, seen, naming.host, root);
    }
    len
}

/// Appends the path of a file as seen through a mount, or where that is null, from the root of its file system.
#[inline(always)]
fn append_through(record: &mut Record, seen: &Seen, mount: Mount, root: Dentry) -> u16 {
    let Some(buf) = this_cpu() else { return 0 };
    let from = Place { dentry: seen.place.dentry, mount };
    let found = walk(buf, from, root, Place::NONE, Place::NONE);
    if found.flags & path_flags::PSEUDO != 0 || mount.is_null() && found.len == 0 {
        return 0;
    }
    append_walked(record, buf, found.len)
}

/// The same of at most [`STDIO_PATH_CAP`] bytes: of a longer path the end.
#[inline(always)]
pub fn append_short(record: &mut Record, dentry: Dentry, mount: Mount) -> (u16, u32) {
    let before = record.len();
    let (len, flags) = append(record, dentry, mount);
    if u64::from(len) <= STDIO_PATH_CAP as u64 {
        return (len, flags);
    }
    // What is too long is appended once more, from where the end of it begins.
    record.truncate(before);
    let Some(buf) = this_cpu() else { return (0, flags) };
    let from = unsafe { (&raw const (*buf).bytes).cast::<u8>().add(PATH_CAP - STDIO_PATH_CAP) };
    (record.append_kernel(from, STDIO_PATH_CAP as u64), flags | path_flags::CUT)
}
