//! The other name of a file: without the bind mount that it was reached through.
//!
//! A file system can be seen in several places: bound there whole or in part, mounted a second time, or attached nowhere
//! at all. Of the mounts that show it whole, the oldest in the task's mount namespace gives the name; where that
//! namespace has none (a directory of the host in a container), the host's does.

use aya_ebpf::{
    Global,
    helpers::{bpf_get_smp_processor_id, generated::bpf_loop},
};
use core::ffi::c_void;

use crate::{
    kernel::{Mount, SuperBlock, Task, newest_first},
    maps::{MOUNTS, PATHS, PathBuf},
};

/// Mounts of one file system that are looked at. Each mount namespace has its own, and so has each bind mount.
const MOUNTS_SEEN: u32 = 4096;

/// Inode number of the host's mount namespace.
#[unsafe(no_mangle)]
static HOST_MNT_NS: Global<u32> = Global::new(0);

/// A file system in a mount namespace, by their addresses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MountKey {
    super_block: u64,
    namespace: u64,
}

/// The mount that names its files, as long as no mount comes or goes there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KnownMount {
    event: u64,
    mount: u64,
}

/// What the search carries from step to step: in the map, as a walk's state is.
#[repr(C)]
pub struct Search {
    super_block: u64,
    root: u64,
    namespace: u64,
    at: u64,
    own: u64,
    host: u64,
}

#[inline(always)]
fn this_cpu() -> Option<*mut PathBuf> {
    PATHS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// One mount. Returns 1 to stop.
unsafe extern "C" fn step(_index: u64, _context: *mut c_void) -> i64 {
    let Some(buf) = this_cpu() else { return 1 };
    let search = unsafe { &mut (*buf).search };
    if search.at == 0 {
        return 1;
    }
    let mount = Mount::from_ptr(search.at as *const u8);
    let sb = SuperBlock::from_ptr(search.super_block as *const u8);
    search.at = sb.mount_after(mount).as_ptr() as u64;
    // The list is read without its lock: what leads out of it is no mount of this file system.
    if mount.root().as_ptr() as u64 != search.root || mount.super_block().as_ptr() != sb.as_ptr() {
        return 0;
    }
    if mount.namespace_ptr() as u64 == search.namespace {
        if newest_first() || search.own == 0 {
            search.own = mount.as_ptr() as u64;
        }
    } else if mount.namespace_inum() == HOST_MNT_NS.load() && (newest_first() || search.host == 0) {
        search.host = mount.as_ptr() as u64;
    }
    0
}

/// The mount that names the files of `sb` for a task; null where there is none.
#[inline(always)]
pub fn naming(sb: SuperBlock, task: Task) -> Mount {
    let namespace = task.nsproxy().mnt();
    let event = namespace.event();
    let key = MountKey { super_block: sb.as_ptr() as u64, namespace: namespace.as_ptr() as u64 };
    if let Some(known) = unsafe { MOUNTS.get(key) }
        && event != 0
        && known.event == event
    {
        return Mount::from_ptr(known.mount as *const u8);
    }
    let Some(buf) = this_cpu() else { return Mount::from_ptr(core::ptr::null()) };
    let search = unsafe { &mut (*buf).search };
    search.super_block = sb.as_ptr() as u64;
    search.root = sb.root().as_ptr() as u64;
    search.namespace = namespace.as_ptr() as u64;
    search.at = sb.mounts().as_ptr() as u64;
    search.own = 0;
    search.host = 0;
    unsafe { bpf_loop(MOUNTS_SEEN, step as *mut c_void, core::ptr::null_mut(), 0) };
    let own = unsafe { core::ptr::read_volatile(&raw const search.own) };
    let host = unsafe { core::ptr::read_volatile(&raw const search.host) };
    let mount = if own != 0 { own } else { host };
    // Only costs a search where it fails.
    let _ = MOUNTS.insert(key, KnownMount { event, mount }, 0);
    Mount::from_ptr(mount as *const u8)
}
