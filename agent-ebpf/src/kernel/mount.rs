//! `fs_struct`, `vfsmount`, `mount`.

use aya_ebpf::Global;

use super::{
    MOUNT_FOR_SB, MOUNT_MNT, Ptr, SB_MOUNTS,
    file::{Dentry, SuperBlock},
    kfields, kstruct, probed,
};

kstruct!(
    /// `fs_struct`
    FsStruct
);
kfields!(direct FsStruct {
    pwd_dentry -> Dentry = FS_PWD_DENTRY;
    pwd_mnt -> VfsMount = FS_PWD_MNT;
    root_dentry -> Dentry = FS_ROOT_DENTRY;
    root_mnt -> VfsMount = FS_ROOT_MNT;
});

kstruct!(
    /// `vfsmount`, the part of a mount that the rest of the kernel sees.
    VfsMount
);

impl VfsMount {
    /// Whether nothing can be written through it (`MNT_READONLY` of `include/linux/mount.h`).
    #[inline(always)]
    pub fn is_read_only(self) -> bool {
        probed::<u32>(self.0, &super::VFSMOUNT_FLAGS) & 0x40 != 0
    }

    /// The whole mount around it (`real_mount`).
    #[inline(always)]
    pub fn mount(self) -> Mount {
        Mount(self.0.wrapping_byte_sub(MOUNT_MNT.load() as usize))
    }
}

kstruct!(
    /// `mount`
    Mount
);
kfields!(probed Mount {
    parent -> Mount = MOUNT_PARENT;
    mountpoint -> Dentry = MOUNT_MOUNTPOINT;
    namespace: Ptr = MOUNT_NS;
    for_sb: Ptr = MOUNT_FOR_SB;
});

impl SuperBlock {
    /// The first in the list of the mounts that show this file system; null where there is none.
    ///
    /// Until 6.17 a circular list with the oldest first, since then a plain one with the newest first.
    #[inline(always)]
    pub fn mounts(self) -> Mount {
        self.listed(self.first_mount())
    }

    /// The one behind `mount` in that list.
    #[inline(always)]
    pub fn mount_after(self, mount: Mount) -> Mount {
        self.listed(mount.for_sb())
    }

    /// The mount that a pointer of the list leads to.
    #[inline(always)]
    fn listed(self, at: Ptr) -> Mount {
        if newest_first() {
            return Mount(at.0);
        }
        if at.0.is_null() || at.0 == self.as_ptr().wrapping_byte_add(SB_MOUNTS.load() as usize) {
            return Mount(core::ptr::null());
        }
        Mount(at.0.wrapping_byte_sub(MOUNT_FOR_SB.load() as usize))
    }
}

/// Whether this kernel's list of a file system's mounts is the plain one.
#[unsafe(no_mangle)]
static MOUNTS_NEWEST_FIRST: Global<u32> = Global::new(0);

/// Whether [`SuperBlock::mounts`] begins with the newest.
#[inline(always)]
pub fn newest_first() -> bool {
    MOUNTS_NEWEST_FIRST.load() != 0
}

impl Mount {
    /// The address, to compare and to put into a walk's context.
    #[inline(always)]
    pub fn as_ptr(self) -> *const u8 {
        self.0
    }

    /// Root of what is mounted.
    #[inline(always)]
    pub fn root(self) -> Dentry {
        let offset = MOUNT_MNT.load() as usize;
        Dentry(probed::<Ptr>(self.0.wrapping_byte_add(offset), &super::VFSMOUNT_ROOT).0)
    }

    /// The file system that it shows.
    #[inline(always)]
    pub fn super_block(self) -> SuperBlock {
        let offset = MOUNT_MNT.load() as usize;
        SuperBlock(probed::<Ptr>(self.0.wrapping_byte_add(offset), &super::VFSMOUNT_SB).0)
    }

    /// The mount namespace that it is in, to compare.
    #[inline(always)]
    pub fn namespace_ptr(self) -> *const u8 {
        self.namespace().0
    }

    /// Inode number of that namespace.
    #[inline(always)]
    pub fn namespace_inum(self) -> u32 {
        probed(self.namespace().0, &super::MNT_NS_INUM)
    }

    /// Whether it belongs to no mount namespace.
    #[inline(always)]
    pub fn is_detached(self) -> bool {
        self.namespace().0.is_null()
    }
}
