//! `css_set`, `cgroup`, `kernfs_node`.

use aya_ebpf::Global;
use vedette_abi::ABSENT;

use super::{CSS_SET_SUBSYS, Ptr, direct, kfields, kstruct};

/// On a machine whose containers live in cgroup v1: the controller (row of `css_set.subsys`) whose hierarchy
/// names them. [`ABSENT`]: cgroup v2 names them.
#[unsafe(no_mangle)]
pub static CGROUP_SUBSYS: Global<u32> = Global::new(ABSENT);

kstruct!(
    /// `css_set`
    CssSet
);
kfields!(guarded CssSet {
    default_cgroup -> Cgroup = CSS_SET_DFL_CGRP;
});

impl CssSet {
    /// The control group in the chosen hierarchy.
    #[inline(always)]
    pub fn cgroup(self) -> Cgroup {
        match CGROUP_SUBSYS.load() {
            ABSENT => self.default_cgroup(),
            _ if self.is_null() || CSS_SET_SUBSYS.load() == ABSENT => self.default_cgroup(),
            row => {
                let offset = CSS_SET_SUBSYS.load() as usize + row as usize * 8;
                let css = unsafe { core::ptr::read_volatile(self.0.byte_add(offset).cast::<*const u8>()) };
                if css.is_null() {
                    return self.default_cgroup();
                }
                Cgroup(direct::<Ptr>(css, &super::CSS_CGROUP).0)
            }
        }
    }
}

kstruct!(
    /// `cgroup`
    Cgroup
);
kfields!(guarded Cgroup {
    kn -> KernfsNode = CGROUP_KN;
    root -> CgroupRoot = CGROUP_ROOT;
});

impl Cgroup {
    /// Its id: the inode number of its directory.
    #[inline(always)]
    pub fn id(self) -> u64 {
        self.kn().id()
    }
}

kstruct!(
    /// `kernfs_node`
    KernfsNode
);
kfields!(guarded KernfsNode {
    id: u64 = KERNFS_ID;
});

kstruct!(
    /// `cgroup_root`
    CgroupRoot
);
kfields!(guarded CgroupRoot {
    hierarchy_id: u32 = CGROUP_ROOT_ID;
});
