//! The layers of an overlay.

use vedette_abi::{ABSENT, path_flags};

use super::{OVL_INODE_UPPER, OVL_INODE_VFS, Ptr, file::Inode, probed};

/// `OVERLAYFS_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
const OVERLAYFS_MAGIC: u64 = 0x794c_7630;

impl Inode {
    /// Which layer of an overlay a file is in, as [`path_flags`]; 0 where it is in none. `magic` is that of the file's
    /// file system.
    ///
    /// An overlay's inode is embedded in a structure that also holds the upper layer's dentry, once there is one:
    /// a file that was made, or changed since the layers were put together.
    #[inline(always)]
    pub fn layer(self, magic: u64) -> u32 {
        let vfs = OVL_INODE_VFS.load();
        if magic != OVERLAYFS_MAGIC || vfs == ABSENT || self.0.is_null() {
            return 0;
        }
        let outer = self.0.wrapping_byte_sub(vfs as usize);
        let upper: Ptr = probed(outer, &OVL_INODE_UPPER);
        if upper.0.is_null() { path_flags::LOWER_LAYER } else { path_flags::UPPER_LAYER }
    }
}
