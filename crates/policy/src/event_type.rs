//! The event types a condition can name with `evt.type`: one table of Falco's names, and Vedette's own.

use std::fmt;

use vedette_event::abi::{Call, IO_URING_CALLS};

/// What an event type is about; `evt.category` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventCategory {
    /// Opens, changes or removes files and directories.
    File,
    /// Sockets and what goes through them.
    Network,
    /// Processes: start, end, identity.
    Process,
    /// Reads and writes on descriptors.
    Io,
    /// Kernel, namespaces, modules, memory.
    System,
    /// Not a system call: made by the sensor.
    Sensor,
}

impl EventCategory {
    /// The text of `evt.category`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Network => "net",
            Self::Process => "process",
            Self::Io => "io",
            Self::System => "system",
            Self::Sensor => "sensor",
        }
    }
}

macro_rules! event_types {
    ($($variant:ident $name:literal $category:ident,)*) => {
        /// An event type: a system call by its name, or an event of the sensor's own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl EventType {
            /// All event types, in the order of their numbers.
            pub const ALL: &'static [EventType] = &[$(EventType::$variant),*];

            /// The name that `evt.type` compares with.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the event is about.
            pub fn category(self) -> EventCategory {
                match self { $(Self::$variant => EventCategory::$category,)* }
            }

            /// The event type of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

event_types! {
    Open "open" File,
    Openat "openat" File,
    Openat2 "openat2" File,
    OpenByHandleAt "open_by_handle_at" File,
    Creat "creat" File,
    Close "close" File,
    Rename "rename" File,
    Renameat "renameat" File,
    Renameat2 "renameat2" File,
    Unlink "unlink" File,
    Unlinkat "unlinkat" File,
    Rmdir "rmdir" File,
    Mkdir "mkdir" File,
    Mkdirat "mkdirat" File,
    Link "link" File,
    Linkat "linkat" File,
    Symlink "symlink" File,
    Symlinkat "symlinkat" File,
    Mknod "mknod" File,
    Mknodat "mknodat" File,
    Chmod "chmod" File,
    Fchmod "fchmod" File,
    Fchmodat "fchmodat" File,
    Fchmodat2 "fchmodat2" File,
    Chown "chown" File,
    Lchown "lchown" File,
    Fchown "fchown" File,
    Fchownat "fchownat" File,
    Truncate "truncate" File,
    Ftruncate "ftruncate" File,
    Setxattr "setxattr" File,
    Lsetxattr "lsetxattr" File,
    Fsetxattr "fsetxattr" File,
    Removexattr "removexattr" File,
    Lremovexattr "lremovexattr" File,
    Fremovexattr "fremovexattr" File,
    Utimensat "utimensat" File,
    Utime "utime" File,
    Utimes "utimes" File,
    Futimesat "futimesat" File,
    Access "access" File,
    Stat "stat" File,
    Statx "statx" File,
    Readlink "readlink" File,
    Getdents64 "getdents64" File,
    Chdir "chdir" File,
    Fchdir "fchdir" File,
    Chroot "chroot" File,
    Mount "mount" File,
    Umount2 "umount2" File,
    MoveMount "move_mount" File,
    OpenTree "open_tree" File,
    FsMount "fsmount" File,
    Fsopen "fsopen" File,
    Fsconfig "fsconfig" File,
    Fspick "fspick" File,
    MountSetattr "mount_setattr" File,
    PivotRoot "pivot_root" File,
    Inotify "inotify_add_watch" File,
    Fanotify "fanotify_mark" File,
    Read "read" Io,
    Readv "readv" Io,
    Pread "pread" Io,
    Preadv "preadv" Io,
    Write "write" Io,
    Writev "writev" Io,
    Pwrite "pwrite" Io,
    Pwritev "pwritev" Io,
    Sendfile "sendfile" Io,
    Splice "splice" Io,
    CopyFileRange "copy_file_range" Io,
    Dup "dup" Io,
    Dup2 "dup2" Io,
    Dup3 "dup3" Io,
    Fcntl "fcntl" Io,
    Ioctl "ioctl" Io,
    Pipe "pipe" Io,
    Pipe2 "pipe2" Io,
    Eventfd "eventfd" Io,
    MemfdCreate "memfd_create" Io,
    PidfdOpen "pidfd_open" Io,
    PidfdGetfd "pidfd_getfd" Io,
    Socket "socket" Network,
    Socketpair "socketpair" Network,
    Bind "bind" Network,
    Listen "listen" Network,
    Accept "accept" Network,
    Accept4 "accept4" Network,
    Connect "connect" Network,
    Shutdown "shutdown" Network,
    Send "send" Network,
    Sendto "sendto" Network,
    Sendmsg "sendmsg" Network,
    Sendmmsg "sendmmsg" Network,
    Recv "recv" Network,
    Recvfrom "recvfrom" Network,
    Recvmsg "recvmsg" Network,
    Recvmmsg "recvmmsg" Network,
    Setsockopt "setsockopt" Network,
    Getsockopt "getsockopt" Network,
    Execve "execve" Process,
    Execveat "execveat" Process,
    Clone "clone" Process,
    Clone3 "clone3" Process,
    Fork "fork" Process,
    Vfork "vfork" Process,
    Procexit "procexit" Process,
    Kill "kill" Process,
    Tkill "tkill" Process,
    Tgkill "tgkill" Process,
    PidfdSendSignal "pidfd_send_signal" Process,
    Ptrace "ptrace" Process,
    ProcessVmReadv "process_vm_readv" Process,
    ProcessVmWritev "process_vm_writev" Process,
    Prctl "prctl" Process,
    ArchPrctl "arch_prctl" Process,
    Prlimit "prlimit" Process,
    Setrlimit "setrlimit" Process,
    Setsid "setsid" Process,
    Setpgid "setpgid" Process,
    Setuid "setuid" Process,
    Setgid "setgid" Process,
    Setreuid "setreuid" Process,
    Setregid "setregid" Process,
    Setresuid "setresuid" Process,
    Setresgid "setresgid" Process,
    Setfsuid "setfsuid" Process,
    Setfsgid "setfsgid" Process,
    Setgroups "setgroups" Process,
    Capset "capset" Process,
    Seccomp "seccomp" Process,
    SchedSetaffinity "sched_setaffinity" Process,
    Nanosleep "nanosleep" Process,
    Setns "setns" System,
    Unshare "unshare" System,
    InitModule "init_module" System,
    FinitModule "finit_module" System,
    DeleteModule "delete_module" System,
    KexecLoad "kexec_load" System,
    KexecFileLoad "kexec_file_load" System,
    Bpf "bpf" System,
    PerfEventOpen "perf_event_open" System,
    Userfaultfd "userfaultfd" System,
    IoUringSetup "io_uring_setup" System,
    IoUringEnter "io_uring_enter" System,
    IoUringRegister "io_uring_register" System,
    Mmap "mmap" System,
    Mprotect "mprotect" System,
    PkeyMprotect "pkey_mprotect" System,
    Munmap "munmap" System,
    Brk "brk" System,
    Mlock "mlock" System,
    Futex "futex" System,
    Reboot "reboot" System,
    Sethostname "sethostname" System,
    Setdomainname "setdomainname" System,
    Settimeofday "settimeofday" System,
    ClockSettime "clock_settime" System,
    Quotactl "quotactl" System,
    Swapon "swapon" System,
    Acct "acct" System,
    Syslog "syslog" System,
    AddKey "add_key" System,
    RequestKey "request_key" System,
    Keyctl "keyctl" System,
    Poll "poll" Io,
    Select "select" Io,
    EpollWait "epoll_wait" Io,
    Signaldeliver "signaldeliver" Sensor,
    Container "container" Sensor,
    Dns "dns" Sensor,
    Tls "tls" Sensor,
    Flow "flow" Sensor,
    IoUring "io_uring" Sensor,
}

impl EventType {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether a program of the sensor reports events of this type. What is not reported yet loads, is checked, and
    /// never matches on a live host.
    pub fn is_reported(self) -> bool {
        let mut calls = Call::ALL.iter();
        calls.any(|call| Self::of_call(*call) == Some(self))
    }

    /// The event type of a call.
    pub const fn of_call(call: Call) -> Option<Self> {
        let wanted = call.name().as_bytes();
        let mut i = 0;
        while i < Self::COUNT {
            if same(Self::ALL[i].name().as_bytes(), wanted) {
                return Some(Self::ALL[i]);
            }
            i += 1;
        }
        None
    }

    /// Whether an operation of io_uring may be the event.
    pub fn by_io_uring(self) -> bool {
        let type_of = |call: Option<Call>| Self::of_call(call.unwrap_or(Call::IoUringOther));
        IO_URING_CALLS.iter().any(|(_, call)| type_of(*call) == Some(self))
    }

    /// The number, below [`EventType::COUNT`].
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The event type of that number.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }
}

/// Whether two texts are the same, at compile time.
const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A set of event types, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EventTypes([u64; 4]);

const _: () = assert!(EventType::COUNT <= 256, "EventTypes has one bit for each event type");

impl EventTypes {
    /// No event type.
    pub const NONE: Self = Self([0; 4]);

    /// Every event type.
    pub fn all() -> Self {
        EventType::ALL.iter().copied().collect()
    }

    /// Adds one.
    pub fn insert(&mut self, event_type: EventType) {
        self.0[event_type.index() / 64] |= 1 << (event_type.index() % 64);
    }

    /// Whether it is in the set.
    #[inline]
    pub fn contains(&self, event_type: EventType) -> bool {
        self.0[event_type.index() / 64] & (1 << (event_type.index() % 64)) != 0
    }

    /// In either.
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// In both.
    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// Not in this one.
    pub fn complement(self) -> Self {
        EventType::ALL.iter().copied().filter(|t| !self.contains(*t)).collect()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// The members, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        EventType::ALL.iter().copied().filter(|t| self.contains(*t))
    }
}

impl FromIterator<EventType> for EventTypes {
    fn from_iter<I: IntoIterator<Item = EventType>>(iter: I) -> Self {
        let mut set = Self::NONE;
        iter.into_iter().for_each(|t| set.insert(t));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (i, t) in EventType::ALL.iter().enumerate() {
            assert_eq!(t.index(), i);
            assert_eq!(EventType::from_name(t.name()), Some(*t));
        }
    }

    #[test]
    fn sets() {
        let opens: EventTypes = [EventType::Open, EventType::IoUring].into_iter().collect();
        assert_eq!(opens.len(), 2);
        assert!(opens.contains(EventType::IoUring) && !opens.contains(EventType::Connect));
        assert_eq!(opens.complement().len(), EventType::COUNT - 2);
        assert!(opens.intersection(opens.complement()).is_empty());
    }
}
