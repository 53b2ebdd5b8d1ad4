//! `files_struct`, `file`, `dentry`, `inode`.

use vedette_abi::{InodeFacts, path_flags};

use super::{Ptr, kfields, kstruct, mount::VfsMount};

kstruct!(
    /// `files_struct`
    FilesStruct
);
kfields!(direct FilesStruct {
    fdt -> Fdtable = FILES_FDT;
});

kstruct!(
    /// `fdtable`
    Fdtable
);
kfields!(direct Fdtable {
    max_fds: u32 = FDTABLE_MAX_FDS;
    fd: Ptr = FDTABLE_FD;
});

impl FilesStruct {
    /// The open file behind a descriptor; null where there is none.
    #[inline(always)]
    pub fn file(self, fd: u32) -> File {
        let fdt = self.fdt();
        if fd >= fdt.max_fds() {
            return File(core::ptr::null());
        }
        let slot = fdt.fd().0.wrapping_add(fd as usize * 8);
        let mut file = Ptr::default();
        let read = unsafe {
            aya_ebpf::helpers::generated::bpf_probe_read_kernel((&raw mut file).cast(), 8, slot.cast())
        };
        if read == 0 { File(file.0) } else { File(core::ptr::null()) }
    }
}

kstruct!(
    /// `file`
    File
);
kfields!(probed File {
    dentry -> Dentry = FILE_PATH_DENTRY;
    mnt -> VfsMount = FILE_PATH_MNT;
    inode -> Inode = FILE_INODE;
    f_mode: u32 = FILE_MODE;
    private_data: Ptr = FILE_PRIVATE_DATA;
});

kstruct!(
    /// `dentry`
    Dentry
);
kfields!(probed Dentry {
    parent -> Dentry = DENTRY_PARENT;
    name_len: u32 = DENTRY_NAME_LEN;
    name: Ptr = DENTRY_NAME_NAME;
    hash_pprev: Ptr = DENTRY_HASH_PPREV;
});

impl Dentry {
    /// The address, to compare and to put into a walk's context.
    #[inline(always)]
    pub fn as_ptr(self) -> *const u8 {
        self.0
    }

    /// The name's address.
    #[inline(always)]
    pub fn name_ptr(self) -> *const u8 {
        self.name().0
    }

    /// [`path_flags::DELETED`] where the file has no name any more.
    #[inline(always)]
    pub fn deleted_flag(self) -> u32 {
        if self.is_unlinked() { path_flags::DELETED } else { 0 }
    }

    /// The first eight bytes of the name, what is behind its end included.
    #[inline(always)]
    pub fn first_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        let read = unsafe {
            aya_ebpf::helpers::generated::bpf_probe_read_kernel(
                (&raw mut bytes).cast(),
                8,
                self.name_ptr().cast(),
            )
        };
        if read == 0 { bytes } else { [0; 8] }
    }

    /// Whether it has been taken out of its directory (`d_unhashed`) and is not a root.
    #[inline(always)]
    pub fn is_unlinked(self) -> bool {
        self.hash_pprev().0.is_null() && self.parent().0 != self.0
    }
}

kstruct!(
    /// `super_block`
    SuperBlock
);
kfields!(probed SuperBlock {
    dev: u32 = SB_DEV;
    magic: u64 = SB_MAGIC;
    flags: u64 = SB_FLAGS;
    root -> Dentry = SB_ROOT;
    first_mount: Ptr = SB_MOUNTS;
});

impl SuperBlock {
    /// The address, to compare.
    #[inline(always)]
    pub fn as_ptr(self) -> *const u8 {
        self.0
    }
}

kstruct!(
    /// `inode`
    Inode
);
kfields!(probed Inode {
    ino: u64 = INODE_INO;
    mode: u16 = INODE_MODE;
    uid: u32 = INODE_UID;
    gid: u32 = INODE_GID;
    nlink: u32 = INODE_NLINK;
    rdev: u32 = INODE_RDEV;
    sb -> SuperBlock = INODE_SB;
    ctime_sec: i64 = INODE_CTIME_SEC;
    ctime_nsec: u32 = INODE_CTIME_NSEC;
    mtime_sec: i64 = INODE_MTIME_SEC;
    mtime_nsec: u32 = INODE_MTIME_NSEC;
    private: Ptr = INODE_PRIVATE;
});

/// Kernels since 6.13 keep a flag in the top bit of the change time's nanoseconds.
const NSEC_MASK: u32 = 0x3fff_ffff;

/// `PID_FS_MAGIC` and `ANON_INODE_FS_MAGIC` of `include/uapi/linux/magic.h`.
const PID_FS_MAGIC: u64 = 0x5049_4446;
const ANON_INODE_FS_MAGIC: u64 = 0x0904_1934;

/// `S_IFMT` and `S_IFSOCK` of `<sys/stat.h>`.
const S_IFMT: u16 = 0o170000;
const S_IFSOCK: u16 = 0o140000;

impl Inode {
    /// Whether it is a socket.
    #[inline(always)]
    pub fn is_socket(self) -> bool {
        self.mode() & S_IFMT == S_IFSOCK
    }

    /// Fills what a record carries about a file. Of the path's flags it is those of the layer; the others are added by
    /// who knows the path.
    #[inline(always)]
    pub fn facts(self, out: &mut InodeFacts) -> SuperBlock {
        let sb = self.sb();
        out.ino = self.ino();
        out.ctime_sec = self.ctime_sec();
        out.ctime_nsec = self.ctime_nsec() & NSEC_MASK;
        out.mtime_sec = self.mtime_sec();
        out.mtime_nsec = self.mtime_nsec();
        out.dev = sb.dev();
        out.magic = sb.magic();
        out.uid = self.uid();
        out.gid = self.gid();
        out.nlink = self.nlink();
        out.mode = u32::from(self.mode());
        out.rdev = self.rdev();
        out.path_flags = self.layer(out.magic);
        sb
    }
}

impl File {
    /// No file.
    #[inline(always)]
    pub fn none() -> Self {
        Self(core::ptr::null())
    }

    /// [`path_flags::DELETED`] where the file has no name any more.
    #[inline(always)]
    pub fn deleted_flag(self) -> u32 {
        self.dentry().deleted_flag()
    }

    /// [`path_flags::READ_ONLY`] where its mount or its file system is read-only (`SB_RDONLY`).
    #[inline(always)]
    pub fn read_only_flag(self) -> u32 {
        let flags = self.inode().sb().flags();
        if flags & 1 != 0 || self.mnt().is_read_only() { path_flags::READ_ONLY } else { 0 }
    }

    /// The process that a pidfd stands for, by its number in the initial pid namespace; 0 where it is no pidfd. Pidfds
    /// are files of a file system of their own since 6.9, and anonymous inodes called `[pidfd]` before.
    #[inline(always)]
    pub fn pidfd_target(self) -> u32 {
        if self.is_null() {
            return 0;
        }
        let inode = self.inode();
        let magic = inode.sb().magic();
        let pid = if magic == PID_FS_MAGIC {
            inode.private()
        } else if magic == ANON_INODE_FS_MAGIC && self.dentry().first_bytes() == *b"[pidfd]\0" {
            self.private_data()
        } else {
            return 0;
        };
        super::pid::Pid(pid.0).global_probed()
    }

    /// The socket behind `private_data`; only meaningful where the inode is a socket's.
    #[inline(always)]
    pub fn socket(self) -> super::Socket {
        super::Socket(self.private_data().0)
    }
}
