//! io_uring: its operations, and the system call that each is reported as.

use crate::{Call, Kind};

/// Rows of the table of operations in the kernel: their numbers stay below this.
pub const IO_URING_OPS: u32 = 128;

/// Bytes of what the programs keep of an operation under way.
pub const IO_URING_PENDING_SIZE: usize = 232;

/// `IORING_SETUP_SQPOLL`: a kernel thread takes the operations from the queue.
pub const IORING_SETUP_SQPOLL: u32 = 2;

/// Whether operations are reported as records of this kind. Those of sockets but `connect` are not yet: they are of the
/// event type `io_uring`.
pub const fn io_uring_reports(kind: Kind) -> bool {
    matches!(kind, Kind::FileOpen | Kind::NetConnect | Kind::FileChange | Kind::IoUring)
}

/// The table: `CONSTANT = number => Some(call) | None;`
macro_rules! operations {
    ($($name:ident = $number:literal $(=> $call:ident)?;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`")]
            pub const $name: u8 = $number;
        )*

        /// All operations: number, and the call that does the same. None for those that no call of the sensor's table
        /// does; they are of the event type `io_uring`.
        pub const IO_URING_CALLS: &[(u8, Option<Call>)] = &[$(($number, operations!(@ $($call)?)),)*];

        /// Name of an operation.
        pub const fn io_uring_op_name(number: u32) -> Option<&'static str> {
            match number { $($number => Some(stringify!($name)),)* _ => None }
        }
    };
    (@) => { None };
    (@ $call:ident) => { Some(Call::$call) };
}

// Numbers: `enum io_uring_op` of the kernel's `include/uapi/linux/io_uring.h`.
operations! {
    IORING_OP_NOP = 0;
    IORING_OP_READV = 1;
    IORING_OP_WRITEV = 2;
    IORING_OP_FSYNC = 3;
    IORING_OP_READ_FIXED = 4;
    IORING_OP_WRITE_FIXED = 5;
    IORING_OP_POLL_ADD = 6;
    IORING_OP_POLL_REMOVE = 7;
    IORING_OP_SYNC_FILE_RANGE = 8;
    IORING_OP_SENDMSG = 9 => Sendmsg;
    IORING_OP_RECVMSG = 10 => Recvmsg;
    IORING_OP_TIMEOUT = 11;
    IORING_OP_TIMEOUT_REMOVE = 12;
    IORING_OP_ACCEPT = 13 => Accept4;
    IORING_OP_ASYNC_CANCEL = 14;
    IORING_OP_LINK_TIMEOUT = 15;
    IORING_OP_CONNECT = 16 => Connect;
    IORING_OP_FALLOCATE = 17;
    IORING_OP_OPENAT = 18 => Openat;
    IORING_OP_CLOSE = 19;
    IORING_OP_FILES_UPDATE = 20;
    IORING_OP_STATX = 21;
    IORING_OP_READ = 22;
    IORING_OP_WRITE = 23;
    IORING_OP_FADVISE = 24;
    IORING_OP_MADVISE = 25;
    IORING_OP_SEND = 26 => Sendto;
    IORING_OP_RECV = 27 => Recvfrom;
    IORING_OP_OPENAT2 = 28 => Openat2;
    IORING_OP_EPOLL_CTL = 29;
    IORING_OP_SPLICE = 30;
    IORING_OP_PROVIDE_BUFFERS = 31;
    IORING_OP_REMOVE_BUFFERS = 32;
    IORING_OP_TEE = 33;
    IORING_OP_SHUTDOWN = 34;
    IORING_OP_RENAMEAT = 35 => Renameat2;
    IORING_OP_UNLINKAT = 36 => Unlinkat;
    IORING_OP_MKDIRAT = 37 => Mkdirat;
    IORING_OP_SYMLINKAT = 38 => Symlinkat;
    IORING_OP_LINKAT = 39 => Linkat;
    IORING_OP_MSG_RING = 40;
    IORING_OP_FSETXATTR = 41 => Fsetxattr;
    IORING_OP_SETXATTR = 42 => Setxattr;
    IORING_OP_FGETXATTR = 43;
    IORING_OP_GETXATTR = 44;
    IORING_OP_SOCKET = 45 => Socket;
    IORING_OP_URING_CMD = 46;
    IORING_OP_SEND_ZC = 47 => Sendto;
    IORING_OP_SENDMSG_ZC = 48 => Sendmsg;
    IORING_OP_READ_MULTISHOT = 49;
    IORING_OP_WAITID = 50;
    IORING_OP_FUTEX_WAIT = 51;
    IORING_OP_FUTEX_WAKE = 52;
    IORING_OP_FUTEX_WAITV = 53;
    IORING_OP_FIXED_FD_INSTALL = 54;
    IORING_OP_FTRUNCATE = 55 => Ftruncate;
    IORING_OP_BIND = 56 => Bind;
    IORING_OP_LISTEN = 57 => Listen;
    IORING_OP_RECV_ZC = 58 => Recvfrom;
    IORING_OP_EPOLL_WAIT = 59;
    IORING_OP_READV_FIXED = 60;
    IORING_OP_WRITEV_FIXED = 61;
    IORING_OP_PIPE = 62;
    IORING_OP_NOP128 = 63;
    IORING_OP_URING_CMD128 = 64;
}
