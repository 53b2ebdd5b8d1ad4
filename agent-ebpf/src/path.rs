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
    kernel::{Dentry, Mount},
    maps::{PATHS, PathBuf},
    record::{Record, masked},
};

/// Steps that a walk may take: components and mounts together.
const STEPS: u32 = 256;

/// What a walk carries from step to step. It lives in the map, not on the stack: the verifier tracks every value
/// of a stack slot and would follow each length of each name on its own.
#[repr(C)]
pub struct Walk {
    /// Addresses, as numbers: a map is shared between CPUs, and these mean something only to the walk.
    dentry: u64,
    mount: u64,
    root: u64,
    /// Where the path begins in the buffer; it ends at [`PATH_CAP`].
    pos: u64,
    flags: u64,
    done: u64,
    /// See [`set_record_len`].
    record_len: u64,
}

#[inline(always)]
fn this_cpu() -> Option<*mut PathBuf> {
    PATHS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// One step up: a name, or from a mount's root to its mount point. Returns 1 to stop.
unsafe extern "C" fn step(_index: u64, _context: *mut c_void) -> i64 {
    let Some(buf) = this_cpu() else { return 1 };
    let walk = unsafe { &mut (*buf).walk };
    let at = walk.dentry as *const u8;
    if walk.dentry == walk.root {
        let here = walk.mount as *const u8;
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

/// Appends the path of `dentry` in `mount` to the record. Returns its length and [`path_flags`].
#[inline(always)]
pub fn append(record: &mut Record, dentry: Dentry, mount: Mount) -> (u16, u32) {
    append_end(record, dentry, mount, PATH_CAP as u64)
}

/// Appends at most `most` bytes of the path, the last ones.
#[inline(always)]
fn append_end(record: &mut Record, dentry: Dentry, mount: Mount, most: u64) -> (u16, u32) {
    let Some(buf) = this_cpu() else { return (0, 0) };
    let walk = unsafe { &mut (*buf).walk };
    walk.dentry = dentry.as_ptr() as u64;
    walk.mount = mount.as_ptr() as u64;
    walk.root = mount.root().as_ptr() as u64;
    walk.pos = PATH_CAP as u64;
    walk.flags = 0;
    walk.done = 0;
    unsafe { bpf_loop(STEPS, step as *mut c_void, core::ptr::null_mut(), 0) };
    let mut flags = unsafe { core::ptr::read_volatile(&raw const walk.flags) } as u32;
    if unsafe { core::ptr::read_volatile(&raw const walk.done) } == 0 {
        flags |= path_flags::CUT;
    }
    let mut pos = unsafe { core::ptr::read_volatile(&raw const walk.pos) };
    if pos < PATH_CAP as u64 - most {
        pos = PATH_CAP as u64 - most;
        flags |= path_flags::CUT;
    }
    if pos >= PATH_CAP as u64 {
        // The root itself.
        return (record.append_kernel(c"/".as_ptr().cast(), 1), flags);
    }
    let start = masked::<0xfff>(pos);
    let from = unsafe { (&raw const (*buf).bytes).cast::<u8>().add(start as usize) };
    (record.append_kernel(from, PATH_CAP as u64 - start), flags)
}

/// The same of at most [`STDIO_PATH_CAP`] bytes: of a longer path the end.
#[inline(always)]
pub fn append_short(record: &mut Record, dentry: Dentry, mount: Mount) -> (u16, u32) {
    append_end(record, dentry, mount, STDIO_PATH_CAP as u64)
}

/// Keeps the length of a record for a callback of `bpf_loop` that goes on with it.
#[inline(always)]
pub fn set_record_len(len: u64) {
    if let Some(buf) = this_cpu() {
        unsafe { (*buf).walk.record_len = len };
    }
}

/// The length that was kept last.
#[inline(always)]
pub fn record_len() -> u64 {
    this_cpu().map_or(0, |buf| unsafe { core::ptr::read_volatile(&raw const (*buf).walk.record_len) })
}
