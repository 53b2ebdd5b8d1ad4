//! `io_kiocb` (a request), `io_ring_ctx` (a ring), and what each operation prepared in its request.
//!
//! The structures of the operations lie at the begin of the request (`io_kiocb.cmd`), so their offsets count from there.

use vedette_abi::IORING_SETUP_SQPOLL;

use super::{File, Ptr, kfields, kstruct, probed};

/// `IOSQE_FIXED_FILE` and `IOSQE_CQE_SKIP_SUCCESS` of `<linux/io_uring.h>`; the low byte of a request's flags is what
/// was submitted.
const IOSQE_FIXED_FILE: u8 = 1;
const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << 6;
/// What a table of files keeps in the low bits of its pointers.
const FILE_MASK: u64 = !7;

kstruct!(
    /// `io_kiocb`
    Request
);
kfields!(probed Request {
    opcode: u8 = IO_KIOCB_OPCODE;
    /// What was submitted in `sqe->flags`.
    sqe_flags: u8 = IO_KIOCB_FLAGS;
    flags: u32 = IO_KIOCB_FLAGS;
    ring -> Ring = IO_KIOCB_CTX;
    file -> File = IO_KIOCB_FILE;
    user_data: u64 = IO_KIOCB_USER_DATA;
    result: i32 = IO_KIOCB_RES;
    fd: u32 = IO_KIOCB_FD;
    link -> Request = IO_KIOCB_LINK;

    open_dfd: u32 = IO_OPEN_DFD;
    open_slot: u32 = IO_OPEN_SLOT;
    open_filename -> Filename = IO_OPEN_FILENAME;
    open_how: [u64; 3] = IO_OPEN_HOW;

    unlink_dfd: u32 = IO_UNLINK_DFD;
    unlink_flags: u32 = IO_UNLINK_FLAGS;
    unlink_filename -> Filename = IO_UNLINK_FILENAME;

    rename_old_dfd: u32 = IO_RENAME_OLD_DFD;
    rename_new_dfd: u32 = IO_RENAME_NEW_DFD;
    rename_old -> Filename = IO_RENAME_OLD;
    rename_new -> Filename = IO_RENAME_NEW;
    rename_flags: u32 = IO_RENAME_FLAGS;

    link_old_dfd: u32 = IO_LINK_OLD_DFD;
    link_new_dfd: u32 = IO_LINK_NEW_DFD;
    link_old -> Filename = IO_LINK_OLD;
    link_new -> Filename = IO_LINK_NEW;
    link_flags: u32 = IO_LINK_FLAGS;

    mkdir_dfd: u32 = IO_MKDIR_DFD;
    mkdir_mode: u16 = IO_MKDIR_MODE;
    mkdir_filename -> Filename = IO_MKDIR_FILENAME;

    /// The value as the kernel copied it.
    xattr_value: Ptr = IO_XATTR_KVALUE;
    /// The name, in a structure that it is the only member of.
    xattr_name: Ptr = IO_XATTR_KNAME;
    xattr_size: u64 = IO_XATTR_SIZE;
    xattr_flags: u32 = IO_XATTR_FLAGS;
    xattr_filename -> Filename = IO_XATTR_FILENAME;

    connect_addr: u64 = IO_CONNECT_ADDR;
    connect_len: u32 = IO_CONNECT_LEN;
    truncate_len: u64 = IO_FTRUNC_LEN;
});

impl Request {
    /// The address, which names the request as long as it is under way.
    #[inline(always)]
    pub fn key(self) -> u64 {
        self.0 as u64
    }

    /// Whether its descriptor is a place in the ring's table of files.
    #[inline(always)]
    pub fn is_fixed_file(self) -> bool {
        self.sqe_flags() & IOSQE_FIXED_FILE != 0
    }

    /// Whether its end is told to nobody if it succeeds.
    #[inline(always)]
    pub fn ends_silently(self) -> bool {
        self.sqe_flags() & IOSQE_CQE_SKIP_SUCCESS != 0
    }
}

kstruct!(
    /// `io_ring_ctx`
    Ring
);
kfields!(probed Ring {
    flags: u32 = IO_RING_CTX_FLAGS;
    /// The table of files: pointers to nodes (since 6.13).
    nodes: Ptr = IO_RING_CTX_NODES;
    /// The table of files: pointers to files (before).
    files: Ptr = IO_RING_CTX_FILES;
});

impl Ring {
    /// The address, which names the ring.
    #[inline(always)]
    pub fn key(self) -> u64 {
        self.0 as u64
    }

    /// Whether a kernel thread takes the operations from the queue.
    #[inline(always)]
    pub fn has_poll_thread(self) -> bool {
        self.flags() & IORING_SETUP_SQPOLL != 0
    }

    /// The file at a place of the ring's own table; null where it has none. The place must be one that the kernel used.
    #[inline(always)]
    pub fn fixed_file(self, place: u32) -> File {
        let at = place as usize * 8;
        let nodes = self.nodes().0;
        let file: u64 = if nodes.is_null() {
            let files = self.files().0;
            if files.is_null() { 0 } else { read(files.wrapping_byte_add(at)) }
        } else {
            let node: u64 = read(nodes.wrapping_byte_add(at));
            probed(node as *const u8, &super::IO_RSRC_NODE_FILE)
        };
        File((file & FILE_MASK) as *const u8)
    }
}

#[inline(always)]
fn read(at: *const u8) -> u64 {
    let mut word = 0u64;
    let read =
        unsafe { aya_ebpf::helpers::generated::bpf_probe_read_kernel((&raw mut word).cast(), 8, at.cast()) };
    if read == 0 { word } else { 0 }
}

kstruct!(
    /// `filename`: a path that the kernel copied from its caller.
    Filename
);
kfields!(probed Filename {
    name: Ptr = FILENAME_NAME;
    /// Where the caller had it.
    user: u64 = FILENAME_UPTR;
});

impl Filename {
    /// The path.
    #[inline(always)]
    pub fn name_ptr(self) -> *const u8 {
        self.name().0
    }
}

impl Request {
    /// The extended attribute's name.
    #[inline(always)]
    pub fn xattr_name_ptr(self) -> *const u8 {
        self.xattr_name().0
    }

    /// The extended attribute's value.
    #[inline(always)]
    pub fn xattr_value_ptr(self) -> *const u8 {
        self.xattr_value().0
    }
}
