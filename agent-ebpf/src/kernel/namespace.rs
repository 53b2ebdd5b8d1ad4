//! Namespaces: only their inode numbers matter, which are what `/proc/PID/ns/*` shows.

use super::{kfields, kstruct};

kstruct!(
    /// `nsproxy`
    Nsproxy
);
kfields!(direct Nsproxy {
    mnt -> MntNs = NSPROXY_MNT;
    net -> NetNs = NSPROXY_NET;
    uts -> UtsNs = NSPROXY_UTS;
    ipc -> IpcNs = NSPROXY_IPC;
    cgroup -> CgroupNs = NSPROXY_CGROUP;
    time -> TimeNs = NSPROXY_TIME;
});

macro_rules! namespaces {
    ($($(#[$m:meta])* $name:ident = $symbol:ident;)*) => {$(
        kstruct!($(#[$m])* $name);
        kfields!(guarded $name { inum: u32 = $symbol; });
    )*};
}
namespaces! {
    /// `mnt_namespace`
    MntNs = MNT_NS_INUM;
    /// `net`
    NetNs = NET_NS_INUM;
    /// `uts_namespace`
    UtsNs = UTS_NS_INUM;
    /// `ipc_namespace`
    IpcNs = IPC_NS_INUM;
    /// `cgroup_namespace`
    CgroupNs = CGROUP_NS_INUM;
    /// `time_namespace`
    TimeNs = TIME_NS_INUM;
    /// `user_namespace`
    UserNs = USER_NS_INUM;
}

impl MntNs {
    /// The address, to compare.
    #[inline(always)]
    pub fn as_ptr(self) -> *const u8 {
        self.0
    }
}
kfields!(guarded MntNs {
    /// Changes whenever a mount comes or goes; 0 where the kernel does not say.
    event: u64 = MNT_NS_EVENT;
});
