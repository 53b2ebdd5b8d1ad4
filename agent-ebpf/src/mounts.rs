//! The other name of a file: without the bind mount that it was reached through.
//!
//! A file system can be seen in several places: bound there whole or in part, mounted a second time, or attached nowhere
//! at all. Of the mounts that show it whole, the oldest in the task's mount namespace gives a name, and so does the oldest
//! in the host's: a process can move everything about in a namespace of its own, and a container may have no more than a
//! directory of the host.

use aya_ebpf::{
    Global,
    helpers::{bpf_get_smp_processor_id, generated::bpf_loop},
};
use core::ffi::c_void;

use crate::{
    kernel::{Dentry, Mount, SuperBlock, Task, newest_first},
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

/// The mounts that name its files, as long as no mount comes or goes there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KnownMounts {
    event: u64,
    own: u64,
    host: u64,
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

/// Mounts that name the files of a file system; null where there is none.
#[derive(Clone, Copy)]
pub struct Naming {
    /// In the task's mount namespace.
    pub own: Mount,
    /// In the host's, where that is another.
    pub host: Mount,
}

impl Naming {
    #[inline(always)]
    fn new(own: u64, host: u64) -> Self {
        Self { own: Mount::from_ptr(own as *const u8), host: Mount::from_ptr(host as *const u8) }
    }
}

/// The mounts that name the files of `sb`, which has its root at `root`, for a task.
#[inline(always)]
pub fn naming(sb: SuperBlock, root: Dentry, task: Task) -> Naming {
    let namespace = task.nsproxy().mnt();
    let event = namespace.event();
    let key = MountKey { super_block: sb.as_ptr() as u64, namespace: namespace.as_ptr() as u64 };
    if let Some(known) = unsafe { MOUNTS.get(key) }
        && event != 0
        && known.event == event
    {
        let known = Naming::new(known.own, known.host);
        // Changes in the host's namespace are not told in this one.
        let host = known.host;
        let is_good = host.is_null()
            || host.super_block().as_ptr() == sb.as_ptr()
                && host.root().as_ptr() == root.as_ptr()
                && host.namespace_inum() == HOST_MNT_NS.load();
        if is_good {
            return known;
        }
    }
    let Some(buf) = this_cpu() else { return Naming::new(0, 0) };
    let search = unsafe { &mut (*buf).search };
    search.super_block = sb.as_ptr() as u64;
    search.root = root.as_ptr() as u64;
    search.namespace = namespace.as_ptr() as u64;
    search.at = sb.mounts().as_ptr() as u64;
    search.own = 0;
    search.host = 0;
    unsafe { bpf_loop(MOUNTS_SEEN, step as *mut c_void, core::ptr::null_mut(), 0) };
    let own = unsafe { core::ptr::read_volatile(&raw const search.own) };
    let host = unsafe { core::ptr::read_volatile(&raw const search.host) };
    // Only costs a search where it fails.
    let _ = MOUNTS.insert(key, KnownMounts { event, own, host }, 0);
    Naming::new(own, host)
}
