//! The system calls that are traced, and where the kernel's numbers for them come from.

use crate::Kind;

/// Rows of the dispatch table for one instruction set: Linux numbers stay below this.
pub const SYSCALLS: u32 = 512;

/// The dispatch table's second half holds 32-bit compatibility calls.
pub const COMPAT_BASE: u32 = SYSCALLS;

/// Rows in tables that are indexed by [`Call`].
pub const CALLS: usize = 256;

/// Shorthand for the table below.
const C: u32 = COMPAT_BASE;

/// The table: `Variant = number => "event type", Kind, [rows]`.
macro_rules! calls {
    ($($(#[$m:meta])* $variant:ident = $value:literal => $name:literal, $kind:ident, [$($row:expr),*];)*) => {
        /// A traced system call. Zero in the dispatch table means "not traced".
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Call { $($(#[$m])* $variant = $value,)* }

        impl Call {
            /// All calls, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of the event type, as policies spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The event kind that reports this call.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// Rows of the dispatch table that lead to this call on this architecture (native, then compat). None for
            /// calls that a tracepoint of their own carries.
            ///
            /// Numbers: `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl` of the kernel.
            #[cfg(any(target_arch = "x86_64", target_arch = "bpf"))]
            pub const fn rows(self) -> &'static [u32] {
                match self { $(Self::$variant => &[$($row),*],)* }
            }
        }

        impl TryFrom<u8> for Call {
            type Error = u8;
            fn try_from(value: u8) -> Result<Self, u8> {
                match value { $($value => Ok(Self::$variant),)* other => Err(other) }
            }
        }
    };
}

calls! {
    /// `open(2)`
    Open = 1 => "open", FileOpen, [2, C + 5];
    /// `creat(2)`
    Creat = 2 => "creat", FileOpen, [85, C + 8];
    /// `openat(2)`
    Openat = 3 => "openat", FileOpen, [257, C + 295];
    /// `openat2(2)`
    Openat2 = 4 => "openat2", FileOpen, [437, C + 437];
    /// `connect(2)`
    Connect = 5 => "connect", NetConnect, [42, C + 362];
    /// `execve(2)`; carried by `sched_process_exec`, so it is not in the dispatch table.
    Execve = 6 => "execve", ProcessExec, [];
    /// `execveat(2)`; carried by `sched_process_exec`, so it is not in the dispatch table.
    Execveat = 7 => "execveat", ProcessExec, [];
    /// `clone(2)`, `fork(2)` and the like; carried by `sched_process_fork`.
    Clone = 8 => "clone", ProcessFork, [];
    /// `exit_group(2)` or death by signal; carried by `sched_process_exit`.
    Exit = 9 => "procexit", ProcessExit, [];
    /// `open_by_handle_at(2)`
    OpenByHandleAt = 10 => "open_by_handle_at", FileOpen, [304, C + 342];
    /// `socket(2)`
    Socket = 11 => "socket", NetSocket, [41, C + 359];
    /// `socketpair(2)`
    Socketpair = 12 => "socketpair", NetSocket, [53, C + 360];
    /// `bind(2)`
    Bind = 13 => "bind", NetSocket, [49, C + 361];
    /// `listen(2)`
    Listen = 14 => "listen", NetSocket, [50, C + 363];
    /// `accept(2)`
    Accept = 15 => "accept", NetSocket, [43];
    /// `accept4(2)`
    Accept4 = 16 => "accept4", NetSocket, [288, C + 364];
    /// `setsockopt(2)`
    Setsockopt = 17 => "setsockopt", NetSocket, [54, C + 366];
    /// `sendto(2)`
    Sendto = 18 => "sendto", NetSend, [44, C + 369];
    /// `sendmsg(2)`
    Sendmsg = 19 => "sendmsg", NetSend, [46, C + 370];
    /// `sendmmsg(2)`
    Sendmmsg = 20 => "sendmmsg", NetSend, [307, C + 345];
    /// `recvfrom(2)`
    Recvfrom = 21 => "recvfrom", NetReceive, [45, C + 371];
    /// `recvmsg(2)`
    Recvmsg = 22 => "recvmsg", NetReceive, [47, C + 372];
    /// `recvmmsg(2)`
    Recvmmsg = 23 => "recvmmsg", NetReceive, [299, C + 337, C + 417];
    /// `execve(2)` that failed; one that succeeds never returns here as itself.
    ExecveFailed = 24 => "execve", ExecFailed, [59, C + 11];
    /// `execveat(2)` that failed.
    ExecveatFailed = 25 => "execveat", ExecFailed, [322, C + 358];
    /// `dup(2)`
    Dup = 26 => "dup", FdDup, [32, C + 41];
    /// `dup2(2)`
    Dup2 = 27 => "dup2", FdDup, [33, C + 63];
    /// `dup3(2)`
    Dup3 = 28 => "dup3", FdDup, [292, C + 330];
    /// `fcntl(2)`, as far as it duplicates a descriptor.
    Fcntl = 29 => "fcntl", FdDup, [72, C + 55, C + 221];
    /// `rename(2)`
    Rename = 30 => "rename", FileChange, [82, C + 38];
    /// `renameat(2)`
    Renameat = 31 => "renameat", FileChange, [264, C + 302];
    /// `renameat2(2)`
    Renameat2 = 32 => "renameat2", FileChange, [316, C + 353];
    /// `unlink(2)`
    Unlink = 33 => "unlink", FileChange, [87, C + 10];
    /// `unlinkat(2)`
    Unlinkat = 34 => "unlinkat", FileChange, [263, C + 301];
    /// `rmdir(2)`
    Rmdir = 35 => "rmdir", FileChange, [84, C + 40];
    /// `mkdir(2)`
    Mkdir = 36 => "mkdir", FileChange, [83, C + 39];
    /// `mkdirat(2)`
    Mkdirat = 37 => "mkdirat", FileChange, [258, C + 296];
    /// `link(2)`
    Link = 38 => "link", FileChange, [86, C + 9];
    /// `linkat(2)`
    Linkat = 39 => "linkat", FileChange, [265, C + 303];
    /// `symlink(2)`
    Symlink = 40 => "symlink", FileChange, [88, C + 83];
    /// `symlinkat(2)`
    Symlinkat = 41 => "symlinkat", FileChange, [266, C + 304];
    /// `mknod(2)`
    Mknod = 42 => "mknod", FileChange, [133, C + 14];
    /// `mknodat(2)`
    Mknodat = 43 => "mknodat", FileChange, [259, C + 297];
    /// `chmod(2)`
    Chmod = 44 => "chmod", FileChange, [90, C + 15];
    /// `fchmod(2)`
    Fchmod = 45 => "fchmod", FileChange, [91, C + 94];
    /// `fchmodat(2)`
    Fchmodat = 46 => "fchmodat", FileChange, [268, C + 306];
    /// `fchmodat2(2)`
    Fchmodat2 = 47 => "fchmodat2", FileChange, [452, C + 452];
    /// `chown(2)`
    Chown = 48 => "chown", FileChange, [92, C + 182, C + 212];
    /// `lchown(2)`
    Lchown = 49 => "lchown", FileChange, [94, C + 16, C + 198];
    /// `fchown(2)`
    Fchown = 50 => "fchown", FileChange, [93, C + 95, C + 207];
    /// `fchownat(2)`
    Fchownat = 51 => "fchownat", FileChange, [260, C + 298];
    /// `truncate(2)`
    Truncate = 52 => "truncate", FileChange, [76, C + 92, C + 193];
    /// `ftruncate(2)`
    Ftruncate = 53 => "ftruncate", FileChange, [77, C + 93, C + 194];
    /// `setxattr(2)`
    Setxattr = 54 => "setxattr", FileChange, [188, C + 226];
    /// `lsetxattr(2)`
    Lsetxattr = 55 => "lsetxattr", FileChange, [189, C + 227];
    /// `fsetxattr(2)`
    Fsetxattr = 56 => "fsetxattr", FileChange, [190, C + 228];
    /// `removexattr(2)`
    Removexattr = 57 => "removexattr", FileChange, [197, C + 235];
    /// `lremovexattr(2)`
    Lremovexattr = 58 => "lremovexattr", FileChange, [198, C + 236];
    /// `fremovexattr(2)`
    Fremovexattr = 59 => "fremovexattr", FileChange, [199, C + 237];
    /// `utime(2)`
    Utime = 60 => "utime", FileChange, [132, C + 30];
    /// `utimes(2)`
    Utimes = 61 => "utimes", FileChange, [235, C + 271];
    /// `futimesat(2)`
    Futimesat = 62 => "futimesat", FileChange, [261, C + 299];
    /// `utimensat(2)`
    Utimensat = 63 => "utimensat", FileChange, [280, C + 320, C + 412];
    /// `mount(2)`
    Mount = 64 => "mount", FileMount, [165, C + 21];
    /// `umount2(2)`, and the `umount(2)` of 32-bit programs.
    Umount2 = 65 => "umount2", FileMount, [166, C + 22, C + 52];
    /// `move_mount(2)`
    MoveMount = 66 => "move_mount", FileMount, [429, C + 429];
    /// `open_tree(2)`
    OpenTree = 67 => "open_tree", FileMount, [428, C + 428];
    /// `fsopen(2)`
    Fsopen = 68 => "fsopen", FileMount, [430, C + 430];
    /// `fsconfig(2)`
    Fsconfig = 69 => "fsconfig", FileMount, [431, C + 431];
    /// `fsmount(2)`
    FsMount = 70 => "fsmount", FileMount, [432, C + 432];
    /// `fspick(2)`
    Fspick = 71 => "fspick", FileMount, [433, C + 433];
    /// `mount_setattr(2)`
    MountSetattr = 72 => "mount_setattr", FileMount, [442, C + 442];
    /// `pivot_root(2)`
    PivotRoot = 73 => "pivot_root", FileMount, [155, C + 217];
    /// `ptrace(2)`
    Ptrace = 74 => "ptrace", ProcessControl, [101, C + 26];
    /// `process_vm_readv(2)`
    ProcessVmReadv = 75 => "process_vm_readv", ProcessControl, [310, C + 347];
    /// `process_vm_writev(2)`
    ProcessVmWritev = 76 => "process_vm_writev", ProcessControl, [311, C + 348];
    /// `kill(2)`
    Kill = 77 => "kill", ProcessControl, [62, C + 37];
    /// `tkill(2)`
    Tkill = 78 => "tkill", ProcessControl, [200, C + 238];
    /// `tgkill(2)`
    Tgkill = 79 => "tgkill", ProcessControl, [234, C + 270];
    /// `pidfd_send_signal(2)`
    PidfdSendSignal = 80 => "pidfd_send_signal", ProcessControl, [424, C + 424];
    /// `pidfd_open(2)`
    PidfdOpen = 81 => "pidfd_open", ProcessControl, [434, C + 434];
    /// `pidfd_getfd(2)`
    PidfdGetfd = 82 => "pidfd_getfd", ProcessControl, [438, C + 438];
    /// `prctl(2)`
    Prctl = 83 => "prctl", ProcessControl, [157, C + 172];
    /// `seccomp(2)`
    Seccomp = 84 => "seccomp", ProcessControl, [317, C + 354];
    /// `setuid(2)`
    Setuid = 85 => "setuid", ProcessChange, [105, C + 23, C + 213];
    /// `setgid(2)`
    Setgid = 86 => "setgid", ProcessChange, [106, C + 46, C + 214];
    /// `setreuid(2)`
    Setreuid = 87 => "setreuid", ProcessChange, [113, C + 70, C + 203];
    /// `setregid(2)`
    Setregid = 88 => "setregid", ProcessChange, [114, C + 71, C + 204];
    /// `setresuid(2)`
    Setresuid = 89 => "setresuid", ProcessChange, [117, C + 164, C + 208];
    /// `setresgid(2)`
    Setresgid = 90 => "setresgid", ProcessChange, [119, C + 170, C + 210];
    /// `setfsuid(2)`
    Setfsuid = 91 => "setfsuid", ProcessChange, [122, C + 138, C + 215];
    /// `setfsgid(2)`
    Setfsgid = 92 => "setfsgid", ProcessChange, [123, C + 139, C + 216];
    /// `setgroups(2)`
    Setgroups = 93 => "setgroups", ProcessChange, [116, C + 81, C + 206];
    /// `capset(2)`
    Capset = 94 => "capset", ProcessChange, [126, C + 185];
    /// `setsid(2)`
    Setsid = 95 => "setsid", ProcessChange, [112, C + 66];
    /// `setpgid(2)`
    Setpgid = 96 => "setpgid", ProcessChange, [109, C + 57];
    /// `setns(2)`
    Setns = 97 => "setns", ProcessChange, [308, C + 346];
    /// `unshare(2)`
    Unshare = 98 => "unshare", ProcessChange, [272, C + 310];
    /// `chdir(2)`
    Chdir = 99 => "chdir", ProcessChange, [80, C + 12];
    /// `fchdir(2)`
    Fchdir = 100 => "fchdir", ProcessChange, [81, C + 133];
    /// `chroot(2)`
    Chroot = 101 => "chroot", ProcessChange, [161, C + 61];
    /// `init_module(2)`
    InitModule = 102 => "init_module", KernelControl, [175, C + 128];
    /// `finit_module(2)`
    FinitModule = 103 => "finit_module", KernelControl, [313, C + 350];
    /// `delete_module(2)`
    DeleteModule = 104 => "delete_module", KernelControl, [176, C + 129];
    /// `kexec_load(2)`
    KexecLoad = 105 => "kexec_load", KernelControl, [246, C + 283];
    /// `kexec_file_load(2)`
    KexecFileLoad = 106 => "kexec_file_load", KernelControl, [320];
    /// `bpf(2)`
    Bpf = 107 => "bpf", KernelControl, [321, C + 357];
    /// `perf_event_open(2)`
    PerfEventOpen = 108 => "perf_event_open", KernelControl, [298, C + 336];
    /// `userfaultfd(2)`
    Userfaultfd = 109 => "userfaultfd", KernelControl, [323, C + 374];
    /// `add_key(2)`
    AddKey = 110 => "add_key", KernelControl, [248, C + 286];
    /// `request_key(2)`
    RequestKey = 111 => "request_key", KernelControl, [249, C + 287];
    /// `keyctl(2)`
    Keyctl = 112 => "keyctl", KernelControl, [250, C + 288];
    /// `reboot(2)`
    Reboot = 113 => "reboot", KernelControl, [169, C + 88];
    /// `sethostname(2)`
    Sethostname = 114 => "sethostname", KernelControl, [170, C + 74];
    /// `setdomainname(2)`
    Setdomainname = 115 => "setdomainname", KernelControl, [171, C + 121];
    /// `clock_settime(2)`
    ClockSettime = 116 => "clock_settime", KernelControl, [227, C + 264, C + 404];
    /// `settimeofday(2)`
    Settimeofday = 117 => "settimeofday", KernelControl, [164, C + 79];
    /// `swapon(2)`
    Swapon = 118 => "swapon", KernelControl, [167, C + 87];
    /// `acct(2)`
    Acct = 119 => "acct", KernelControl, [163, C + 51];
    /// `syslog(2)`
    Syslog = 120 => "syslog", KernelControl, [103, C + 103];
    /// `memfd_create(2)`
    MemfdCreate = 121 => "memfd_create", Memory, [319, C + 356];
    /// `mmap(2)`, as far as the mapping is executable; `mmap2` of 32-bit programs.
    Mmap = 122 => "mmap", Memory, [9, C + 192];
    /// `mprotect(2)`, as far as the memory becomes executable.
    Mprotect = 123 => "mprotect", Memory, [10, C + 125];
    /// `pkey_mprotect(2)`, likewise.
    PkeyMprotect = 124 => "pkey_mprotect", Memory, [329, C + 380];
    /// `io_uring_setup(2)`
    IoUringSetup = 125 => "io_uring_setup", IoUring, [425, C + 425];
    /// `io_uring_enter(2)`
    IoUringEnter = 126 => "io_uring_enter", IoUring, [426, C + 426];
    /// `io_uring_register(2)`
    IoUringRegister = 127 => "io_uring_register", IoUring, [427, C + 427];
    /// An operation through io_uring that does what no call of this table does; it comes by io_uring's tracepoints.
    IoUringOther = 200 => "io_uring", IoUring, [];
}

/// Linux number of `execve`, native and compat.
pub const NR_EXECVE: (u64, u64) = (59, 11);
/// Linux number of `execveat`, native and compat, to tell it from `execve` at the exec tracepoint.
pub const NR_EXECVEAT: (u64, u64) = (322, 358);
