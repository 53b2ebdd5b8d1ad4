//! The one table of kernel structure fields that the BPF programs read.
//!
//! The BPF half makes one `Global<u32>` of each row, the user half resolves each row from the running
//! kernel's BTF and sets that global before the programs are loaded. A field that is spelled differently in
//! different kernels lists its spellings, newest first; members of anonymous structures and unions are
//! found through them.

/// Offset of a field that this kernel does not have. Guarded reads of it are pruned by the verifier.
pub const ABSENT: u32 = u32::MAX;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct KernelField {
    /// Name of the BPF global that takes the offset.
    pub symbol: &'static str,
    /// The structure.
    pub of: &'static str,
    /// Spellings of the field, as dotted paths; the first that exists counts.
    pub paths: &'static [&'static str],
    /// Bytes that are read; 0 where only the address is used.
    pub size: u32,
    /// Without a required field no program loads; without an optional one that value is missing.
    pub required: bool,
}

/// Calls `$with!` with all rows: `SYMBOL: "struct", ["path", …], size, required|optional;`
#[macro_export]
macro_rules! kernel_fields {
    ($with:ident) => {
        $with! {
            TASK_PID: "task_struct", ["pid"], 4, required;
            TASK_TGID: "task_struct", ["tgid"], 4, required;
            TASK_FLAGS: "task_struct", ["flags"], 4, required;
            TASK_REAL_PARENT: "task_struct", ["real_parent"], 8, required;
            TASK_GROUP_LEADER: "task_struct", ["group_leader"], 8, required;
            TASK_START_BOOTTIME: "task_struct", ["start_boottime", "real_start_time"], 8, required;
            TASK_CRED: "task_struct", ["cred"], 8, required;
            TASK_COMM: "task_struct", ["comm"], 16, required;
            TASK_FS: "task_struct", ["fs"], 8, required;
            TASK_FILES: "task_struct", ["files"], 8, required;
            TASK_MM: "task_struct", ["mm"], 8, required;
            TASK_NSPROXY: "task_struct", ["nsproxy"], 8, required;
            TASK_SIGNAL: "task_struct", ["signal"], 8, required;
            TASK_THREAD_PID: "task_struct", ["thread_pid"], 8, required;
            TASK_CGROUPS: "task_struct", ["cgroups"], 8, optional;
            TASK_EXIT_CODE: "task_struct", ["exit_code"], 4, required;
            TASK_LOGINUID: "task_struct", ["loginuid.val"], 4, optional;
            TASK_SESSIONID: "task_struct", ["sessionid"], 4, optional;
            TASK_TI_STATUS: "task_struct", ["thread_info.status"], 4, optional;
            SIGNAL_LIVE: "signal_struct", ["live.counter"], 4, required;
            SIGNAL_NR_THREADS: "signal_struct", ["nr_threads"], 4, optional;
            SIGNAL_GROUP_EXIT_CODE: "signal_struct", ["group_exit_code"], 4, required;
            SIGNAL_PIDS: "signal_struct", ["pids"], 0, required;
            SIGNAL_TTY: "signal_struct", ["tty"], 8, required;
            PID_LEVEL: "pid", ["level"], 4, required;
            PID_NUMBERS: "pid", ["numbers"], 0, required;
            UPID_NR: "upid", ["nr"], 4, required;
            UPID_NS: "upid", ["ns"], 8, required;
            PID_NS_CHILD_REAPER: "pid_namespace", ["child_reaper"], 8, required;
            PID_NS_INUM: "pid_namespace", ["ns.inum"], 4, required;
            NSPROXY_MNT: "nsproxy", ["mnt_ns"], 8, required;
            NSPROXY_NET: "nsproxy", ["net_ns"], 8, required;
            NSPROXY_UTS: "nsproxy", ["uts_ns"], 8, required;
            NSPROXY_IPC: "nsproxy", ["ipc_ns"], 8, required;
            NSPROXY_CGROUP: "nsproxy", ["cgroup_ns"], 8, optional;
            NSPROXY_TIME: "nsproxy", ["time_ns"], 8, optional;
            MNT_NS_INUM: "mnt_namespace", ["ns.inum"], 4, required;
            NET_NS_INUM: "net", ["ns.inum"], 4, required;
            UTS_NS_INUM: "uts_namespace", ["ns.inum"], 4, optional;
            IPC_NS_INUM: "ipc_namespace", ["ns.inum"], 4, optional;
            CGROUP_NS_INUM: "cgroup_namespace", ["ns.inum"], 4, optional;
            TIME_NS_INUM: "time_namespace", ["ns.inum"], 4, optional;
            USER_NS_INUM: "user_namespace", ["ns.inum"], 4, required;
            CRED_UID: "cred", ["uid.val"], 4, required;
            CRED_GID: "cred", ["gid.val"], 4, required;
            CRED_SUID: "cred", ["suid.val"], 4, required;
            CRED_SGID: "cred", ["sgid.val"], 4, required;
            CRED_EUID: "cred", ["euid.val"], 4, required;
            CRED_EGID: "cred", ["egid.val"], 4, required;
            CRED_FSUID: "cred", ["fsuid.val"], 4, required;
            CRED_FSGID: "cred", ["fsgid.val"], 4, required;
            CRED_CAP_INHERITABLE: "cred", ["cap_inheritable"], 8, required;
            CRED_CAP_PERMITTED: "cred", ["cap_permitted"], 8, required;
            CRED_CAP_EFFECTIVE: "cred", ["cap_effective"], 8, required;
            CRED_CAP_BSET: "cred", ["cap_bset"], 8, required;
            CRED_CAP_AMBIENT: "cred", ["cap_ambient"], 8, required;
            CRED_USER_NS: "cred", ["user_ns"], 8, required;
            FS_PWD_DENTRY: "fs_struct", ["pwd.dentry"], 8, required;
            FS_PWD_MNT: "fs_struct", ["pwd.mnt"], 8, required;
            FS_ROOT_DENTRY: "fs_struct", ["root.dentry"], 8, required;
            FS_ROOT_MNT: "fs_struct", ["root.mnt"], 8, required;
            FILES_FDT: "files_struct", ["fdt"], 8, required;
            FDTABLE_MAX_FDS: "fdtable", ["max_fds"], 4, required;
            FDTABLE_FD: "fdtable", ["fd"], 8, required;
            FILE_PATH_DENTRY: "file", ["f_path.dentry"], 8, required;
            FILE_PATH_MNT: "file", ["f_path.mnt"], 8, required;
            FILE_INODE: "file", ["f_inode"], 8, required;
            FILE_MODE: "file", ["f_mode"], 4, required;
            FILE_PRIVATE_DATA: "file", ["private_data"], 8, required;
            DENTRY_PARENT: "dentry", ["d_parent"], 8, required;
            DENTRY_NAME_LEN: "dentry", ["d_name.len"], 4, required;
            DENTRY_NAME_NAME: "dentry", ["d_name.name"], 8, required;
            DENTRY_HASH_PPREV: "dentry", ["d_hash.pprev"], 8, required;
            VFSMOUNT_FLAGS: "vfsmount", ["mnt_flags"], 4, required;
            VFSMOUNT_ROOT: "vfsmount", ["mnt_root"], 8, required;
            MOUNT_MNT: "mount", ["mnt"], 0, required;
            MOUNT_PARENT: "mount", ["mnt_parent"], 8, required;
            MOUNT_MOUNTPOINT: "mount", ["mnt_mountpoint"], 8, required;
            MOUNT_NS: "mount", ["mnt_ns"], 8, required;
            VFSMOUNT_SB: "vfsmount", ["mnt_sb"], 8, required;
            MOUNT_FOR_SB: "mount", ["mnt_next_for_sb", "mnt_instance"], 0, required;
            MNT_NS_EVENT: "mnt_namespace", ["event"], 8, optional;
            INODE_INO: "inode", ["i_ino"], 8, required;
            INODE_MODE: "inode", ["i_mode"], 2, required;
            INODE_UID: "inode", ["i_uid.val"], 4, required;
            INODE_GID: "inode", ["i_gid.val"], 4, required;
            INODE_NLINK: "inode", ["i_nlink"], 4, required;
            INODE_RDEV: "inode", ["i_rdev"], 4, required;
            INODE_SB: "inode", ["i_sb"], 8, required;
            INODE_CTIME_SEC: "inode", ["i_ctime_sec", "__i_ctime.tv_sec", "i_ctime.tv_sec"], 8, optional;
            INODE_CTIME_NSEC: "inode", ["i_ctime_nsec", "__i_ctime.tv_nsec", "i_ctime.tv_nsec"], 4, optional;
            INODE_MTIME_SEC: "inode", ["i_mtime_sec", "__i_mtime.tv_sec", "i_mtime.tv_sec"], 8, optional;
            INODE_MTIME_NSEC: "inode", ["i_mtime_nsec", "__i_mtime.tv_nsec", "i_mtime.tv_nsec"], 4, optional;
            INODE_PRIVATE: "inode", ["i_private"], 8, required;
            OVL_INODE_VFS: "ovl_inode", ["vfs_inode"], 0, optional;
            OVL_INODE_UPPER: "ovl_inode", ["__upperdentry"], 8, optional;
            SB_DEV: "super_block", ["s_dev"], 4, required;
            SB_FLAGS: "super_block", ["s_flags"], 8, required;
            SB_ROOT: "super_block", ["s_root"], 8, required;
            SB_MOUNTS: "super_block", ["s_mounts"], 0, required;
            SB_MAGIC: "super_block", ["s_magic"], 8, required;
            MM_ARG_START: "mm_struct", ["arg_start"], 8, required;
            MM_ARG_END: "mm_struct", ["arg_end"], 8, required;
            MM_ENV_START: "mm_struct", ["env_start"], 8, required;
            MM_ENV_END: "mm_struct", ["env_end"], 8, required;
            MM_EXE_FILE: "mm_struct", ["exe_file"], 8, required;
            BINPRM_FILENAME: "linux_binprm", ["filename"], 8, required;
            BINPRM_ARGC: "linux_binprm", ["argc"], 4, required;
            BINPRM_ENVC: "linux_binprm", ["envc"], 4, required;
            CSS_SET_DFL_CGRP: "css_set", ["dfl_cgrp"], 8, optional;
            CSS_SET_SUBSYS: "css_set", ["subsys"], 0, optional;
            CSS_CGROUP: "cgroup_subsys_state", ["cgroup"], 8, optional;
            CGROUP_KN: "cgroup", ["kn"], 8, optional;
            CGROUP_ROOT: "cgroup", ["root"], 8, optional;
            CGROUP_ROOT_ID: "cgroup_root", ["hierarchy_id"], 4, optional;
            KERNFS_ID: "kernfs_node", ["id"], 8, optional;
            TTY_DRIVER: "tty_struct", ["driver"], 8, optional;
            TTY_INDEX: "tty_struct", ["index"], 4, optional;
            TTY_DRIVER_MAJOR: "tty_driver", ["major"], 4, optional;
            TTY_DRIVER_MINOR_START: "tty_driver", ["minor_start"], 4, optional;
            SOCKET_SK: "socket", ["sk"], 8, required;
            SOCKET_TYPE: "socket", ["type"], 2, required;
            SOCK_FAMILY: "sock", ["__sk_common.skc_family"], 2, required;
            SOCK_STATE: "sock", ["__sk_common.skc_state"], 1, required;
            SOCK_DADDR: "sock", ["__sk_common.skc_daddr"], 4, required;
            SOCK_RCV_SADDR: "sock", ["__sk_common.skc_rcv_saddr"], 4, required;
            SOCK_DPORT: "sock", ["__sk_common.skc_dport"], 2, required;
            SOCK_NUM: "sock", ["__sk_common.skc_num"], 2, required;
            SOCK_V6_DADDR: "sock", ["__sk_common.skc_v6_daddr"], 16, optional;
            SOCK_V6_RCV_SADDR: "sock", ["__sk_common.skc_v6_rcv_saddr"], 16, optional;
            SOCK_PROTOCOL: "sock", ["sk_protocol"], 2, required;
            IO_KIOCB_OPCODE: "io_kiocb", ["opcode"], 1, optional;
            IO_KIOCB_FLAGS: "io_kiocb", ["flags"], 0, optional;
            IO_KIOCB_CTX: "io_kiocb", ["ctx"], 8, optional;
            IO_KIOCB_FILE: "io_kiocb", ["file"], 8, optional;
            IO_KIOCB_USER_DATA: "io_kiocb", ["cqe.user_data"], 8, optional;
            IO_KIOCB_RES: "io_kiocb", ["cqe.res"], 4, optional;
            IO_KIOCB_FD: "io_kiocb", ["cqe.fd"], 4, optional;
            IO_KIOCB_LINK: "io_kiocb", ["link"], 8, optional;
            IO_RING_CTX_FLAGS: "io_ring_ctx", ["flags"], 4, optional;
            IO_RING_CTX_NODES: "io_ring_ctx", ["file_table.data.nodes"], 8, optional;
            IO_RING_CTX_FILES: "io_ring_ctx", ["file_table.files"], 8, optional;
            IO_RSRC_NODE_FILE: "io_rsrc_node", ["file_ptr"], 8, optional;
            IO_OPEN_DFD: "io_open", ["dfd"], 4, optional;
            IO_OPEN_SLOT: "io_open", ["file_slot"], 4, optional;
            IO_OPEN_FILENAME: "io_open", ["filename.__incomplete_filename", "filename"], 8, optional;
            IO_OPEN_HOW: "io_open", ["how"], 24, optional;
            IO_UNLINK_DFD: "io_unlink", ["dfd"], 4, optional;
            IO_UNLINK_FLAGS: "io_unlink", ["flags"], 4, optional;
            IO_UNLINK_FILENAME: "io_unlink", ["filename.__incomplete_filename", "filename"], 8, optional;
            IO_RENAME_OLD_DFD: "io_rename", ["old_dfd"], 4, optional;
            IO_RENAME_NEW_DFD: "io_rename", ["new_dfd"], 4, optional;
            IO_RENAME_OLD: "io_rename", ["oldpath.__incomplete_filename", "oldpath"], 8, optional;
            IO_RENAME_NEW: "io_rename", ["newpath.__incomplete_filename", "newpath"], 8, optional;
            IO_RENAME_FLAGS: "io_rename", ["flags"], 4, optional;
            IO_LINK_OLD_DFD: "io_link", ["old_dfd"], 4, optional;
            IO_LINK_NEW_DFD: "io_link", ["new_dfd"], 4, optional;
            IO_LINK_OLD: "io_link", ["oldpath.__incomplete_filename", "oldpath"], 8, optional;
            IO_LINK_NEW: "io_link", ["newpath.__incomplete_filename", "newpath"], 8, optional;
            IO_LINK_FLAGS: "io_link", ["flags"], 4, optional;
            IO_MKDIR_DFD: "io_mkdir", ["dfd"], 4, optional;
            IO_MKDIR_MODE: "io_mkdir", ["mode"], 2, optional;
            IO_MKDIR_FILENAME: "io_mkdir", ["filename.__incomplete_filename", "filename"], 8, optional;
            IO_XATTR_KVALUE: "io_xattr", ["ctx.kvalue"], 8, optional;
            IO_XATTR_KNAME: "io_xattr", ["ctx.kname"], 8, optional;
            IO_XATTR_SIZE: "io_xattr", ["ctx.size"], 8, optional;
            IO_XATTR_FLAGS: "io_xattr", ["ctx.flags"], 4, optional;
            IO_XATTR_FILENAME: "io_xattr", ["filename.__incomplete_filename", "filename"], 8, optional;
            IO_CONNECT_ADDR: "io_connect", ["addr"], 8, optional;
            IO_CONNECT_LEN: "io_connect", ["addr_len"], 4, optional;
            IO_BIND_LEN: "io_bind", ["addr_len"], 4, optional;
            IO_LISTEN_BACKLOG: "io_listen", ["backlog"], 4, optional;
            IO_SOCKET_DOMAIN: "io_socket", ["domain"], 4, optional;
            IO_SOCKET_TYPE: "io_socket", ["type"], 4, optional;
            IO_SOCKET_PROTOCOL: "io_socket", ["protocol"], 4, optional;
            IO_SOCKET_FLAGS: "io_socket", ["flags"], 4, optional;
            IO_SOCKET_SLOT: "io_socket", ["file_slot"], 4, optional;
            IO_ACCEPT_ADDR: "io_accept", ["addr"], 8, optional;
            IO_ACCEPT_ADDR_LEN: "io_accept", ["addr_len"], 8, optional;
            IO_ACCEPT_FLAGS: "io_accept", ["flags"], 4, optional;
            IO_ACCEPT_SLOT: "io_accept", ["file_slot"], 4, optional;
            IO_SR_MSG_BUF: "io_sr_msg", ["buf"], 8, optional;
            IO_SR_MSG_LEN: "io_sr_msg", ["len"], 4, optional;
            IO_SR_MSG_FLAGS: "io_sr_msg", ["msg_flags"], 4, optional;
            IO_FTRUNC_LEN: "io_ftrunc", ["len"], 8, optional;
            FILENAME_NAME: "filename", ["name"], 8, optional;
            FILENAME_UPTR: "filename", ["uptr"], 8, optional;
        }
    };
}

macro_rules! table {
    ($($symbol:ident: $of:literal, [$($path:literal),+], $size:literal, $need:ident;)*) => {
        /// All rows, in table order.
        pub const KERNEL_FIELDS: &[KernelField] = &[$(KernelField {
            symbol: stringify!($symbol),
            of: $of,
            paths: &[$($path),+],
            size: $size,
            required: table!(@$need),
        },)*];
    };
    (@required) => { true };
    (@optional) => { false };
}
kernel_fields!(table);
