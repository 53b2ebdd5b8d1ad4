//! `fs_struct`, `vfsmount`, `mount`.

use super::{MOUNT_MNT, Ptr, file::Dentry, kfields, kstruct, probed};

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
});

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

    /// Whether it belongs to no mount namespace.
    #[inline(always)]
    pub fn is_detached(self) -> bool {
        self.namespace().0.is_null()
    }
}
