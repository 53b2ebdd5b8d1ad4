//! What each call's arguments mean to the program that reports calls without a probe of their own.

use crate::{Call, record_struct};

record_struct! {
    /// Where a call's arguments are. An argument is named by its number counted from 1; 0 means "none".
    pub struct CallSpec: 16 {
        /// The first path: a string of the caller.
        pub raw: u8,
        /// The directory descriptor that it is relative to, or [`CWD`].
        pub base: u8,
        /// The second path, or another string.
        pub raw2: u8,
        /// The directory descriptor that it is relative to, or [`CWD`]; 0 for a string that is no path.
        pub base2: u8,
        /// Another string.
        pub data: u8,
        /// The number of its bytes; 0 where it ends with a zero byte.
        pub data_len: u8,
        /// The descriptor that the call is about, or [`RET`], [`CWD`], [`ROOT`].
        pub file: u8,
        /// Address of memory whose first bytes are carried.
        pub mem: u8,
        /// Bytes of it, at most 64; 32 where there is a second.
        pub mem_len: u8,
        /// Address of more memory.
        pub mem2: u8,
        /// Bytes of it, at most 32.
        pub mem2_len: u8,
        /// The call is reported only if this argument ...
        pub must: u8,
        /// ... has one of these bits.
        pub mask: u8,
        /// Zero.
        pub pad: [u8; 3],
    }
}

/// The working directory.
pub const CWD: u8 = 7;
/// The descriptor that the call returned.
pub const RET: u8 = 8;
/// The root directory of the process.
pub const ROOT: u8 = 9;

/// `PROT_EXEC`.
const PROT_EXEC: u8 = 4;

impl CallSpec {
    const NONE: Self = Self {
        raw: 0,
        base: 0,
        raw2: 0,
        base2: 0,
        data: 0,
        data_len: 0,
        file: 0,
        mem: 0,
        mem_len: 0,
        mem2: 0,
        mem2_len: 0,
        must: 0,
        mask: 0,
        pad: [0; 3],
    };

    const fn path(mut self, raw: u8, base: u8) -> Self {
        (self.raw, self.base) = (raw, base);
        self
    }

    const fn path2(mut self, raw: u8, base: u8) -> Self {
        (self.raw2, self.base2) = (raw, base);
        self
    }

    const fn string(mut self, data: u8) -> Self {
        self.data = data;
        self
    }

    const fn buffer(mut self, data: u8, len: u8) -> Self {
        (self.data, self.data_len) = (data, len);
        self
    }

    const fn file(mut self, file: u8) -> Self {
        self.file = file;
        self
    }

    const fn mem(mut self, mem: u8, len: u8) -> Self {
        (self.mem, self.mem_len) = (mem, len);
        self
    }

    const fn mem2(mut self, mem: u8, len: u8) -> Self {
        (self.mem2, self.mem2_len) = (mem, len);
        self
    }

    const fn only(mut self, must: u8, mask: u8) -> Self {
        (self.must, self.mask) = (must, mask);
        self
    }
}

impl Call {
    /// Where this call's arguments are. All zero for calls that a probe of their own reports, or that pass numbers only.
    pub const fn spec(self) -> CallSpec {
        const N: CallSpec = CallSpec::NONE;
        match self {
            Self::ExecveFailed => N.path(1, CWD),
            Self::ExecveatFailed => N.path(2, 1),
            Self::Dup | Self::Dup2 | Self::Dup3 | Self::Fcntl => N.file(RET),

            Self::Rename | Self::Link => N.path(1, CWD).path2(2, CWD),
            Self::Renameat | Self::Renameat2 | Self::Linkat => N.path(2, 1).path2(4, 3),
            Self::Symlink => N.path(1, 0).path2(2, CWD),
            Self::Symlinkat => N.path(1, 0).path2(3, 2),
            Self::Unlink
            | Self::Rmdir
            | Self::Mkdir
            | Self::Mknod
            | Self::Chmod
            | Self::Chown
            | Self::Lchown
            | Self::Truncate => N.path(1, CWD),
            Self::Unlinkat
            | Self::Mkdirat
            | Self::Mknodat
            | Self::Fchmodat
            | Self::Fchmodat2
            | Self::Fchownat => N.path(2, 1),
            Self::Fchmod | Self::Fchown | Self::Ftruncate => N.file(1),
            // Values of attributes are carried as far as those of `security.capability` go.
            Self::Setxattr | Self::Lsetxattr => N.path(1, CWD).path2(2, 0).mem(3, 24),
            Self::Fsetxattr => N.file(1).path2(2, 0).mem(3, 24),
            Self::Removexattr | Self::Lremovexattr => N.path(1, CWD).path2(2, 0),
            Self::Fremovexattr => N.file(1).path2(2, 0),
            Self::Utime => N.path(1, CWD).mem(2, 16),
            Self::Utimes => N.path(1, CWD).mem(2, 32),
            Self::Futimesat | Self::Utimensat => N.path(2, 1).mem(3, 32),

            // The first path is the place in the tree, the second what comes there.
            Self::Mount => N.path(2, CWD).path2(1, CWD).string(3),
            Self::Umount2 => N.path(1, CWD),
            Self::MoveMount => N.path(4, 3).path2(2, 1),
            Self::OpenTree | Self::Fspick => N.path(2, 1).file(RET),
            Self::Fsopen => N.string(1).file(RET),
            Self::Fsconfig => N.file(1).path2(3, 0).string(4),
            Self::FsMount => N.file(RET),
            Self::MountSetattr => N.path(2, 1).mem(4, 32),
            Self::PivotRoot => N.path(1, CWD).path2(2, CWD),

            Self::ProcessVmReadv | Self::ProcessVmWritev => N.mem(2, 16).mem2(4, 16),
            Self::PidfdSendSignal | Self::PidfdGetfd => N.file(1),
            Self::PidfdOpen => N.file(RET),
            // A string for `PR_SET_NAME` only, and read only for it.
            Self::Prctl => N.string(2),

            Self::Setgroups => N.mem(2, 64),
            Self::Setns => N.file(1),
            Self::Chdir => N.path(1, CWD).file(CWD),
            Self::Fchdir => N.file(CWD),
            Self::Chroot => N.path(1, CWD).file(ROOT),

            Self::InitModule => N.string(3),
            Self::FinitModule => N.file(1).string(2),
            Self::DeleteModule => N.string(1),
            Self::KexecFileLoad => N.file(1).buffer(4, 3),
            Self::Bpf => N.mem(2, 64).file(RET),
            Self::PerfEventOpen => N.mem(1, 64).file(RET),
            Self::Userfaultfd => N.file(RET),
            Self::AddKey | Self::RequestKey => N.string(1).path2(2, 0),
            // A string for `LINUX_REBOOT_CMD_RESTART2` only, and read only for it.
            Self::Reboot => N.string(4),
            Self::Sethostname | Self::Setdomainname => N.buffer(1, 2),
            Self::ClockSettime => N.mem(2, 16),
            Self::Settimeofday => N.mem(1, 16),
            Self::Swapon | Self::Acct => N.path(1, CWD),

            Self::MemfdCreate => N.string(1).file(RET),
            Self::Mmap => N.file(5).only(3, PROT_EXEC),
            Self::Mprotect | Self::PkeyMprotect => N.only(3, PROT_EXEC),

            Self::IoUringSetup => N.mem(2, 64).file(RET),
            Self::IoUringEnter | Self::IoUringRegister => N.file(1),
            _ => N,
        }
    }
}
