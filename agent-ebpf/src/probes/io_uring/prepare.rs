//! From what an operation prepared in its request to the arguments of the system call that does the same.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user};
use vedette_abi::{
    IORING_OP_CONNECT, IORING_OP_FSETXATTR, IORING_OP_FTRUNCATE, IORING_OP_LINKAT, IORING_OP_MKDIRAT,
    IORING_OP_OPENAT, IORING_OP_OPENAT2, IORING_OP_RENAMEAT, IORING_OP_SETXATTR, IORING_OP_SYMLINKAT,
    IORING_OP_UNLINKAT,
};

use super::{NAME, Pending, Scratch};
use crate::kernel::{Filename, Request};

/// `O_LARGEFILE` as x86-64 has it, which io_uring adds by itself.
const O_LARGEFILE: u64 = 0o100_000;
/// Bytes of the value of an attribute that are carried, as for the call.
const VALUE: u32 = 24;
/// Largest socket address that is kept.
const ADDRESS: u64 = 112;

/// Fills the arguments, the names and the memory.
#[inline(always)]
pub fn prepare(request: Request, scratch: &Scratch, pending: &mut Pending) {
    let args = &mut pending.args;
    match pending.op {
        IORING_OP_OPENAT | IORING_OP_OPENAT2 => {
            let [flags, mode, resolve] = request.open_how();
            let flags = flags & !O_LARGEFILE;
            let path = request.open_filename();
            args[0] = u64::from(request.open_dfd());
            args[1] = path.user();
            if pending.op == IORING_OP_OPENAT {
                (args[2], args[3]) = (flags, mode);
            } else {
                (pending.memory[0], pending.memory[1], pending.memory[2]) = (flags, mode, resolve);
                args[3] = 24;
            }
            pending.slot = request.open_slot();
            pending.names = name(scratch, 0, path.name_ptr());
        }
        IORING_OP_UNLINKAT => {
            let path = request.unlink_filename();
            args[0] = u64::from(request.unlink_dfd());
            args[1] = path.user();
            args[2] = u64::from(request.unlink_flags());
            pending.names = name(scratch, 0, path.name_ptr());
        }
        IORING_OP_MKDIRAT => {
            let path = request.mkdir_filename();
            args[0] = u64::from(request.mkdir_dfd());
            args[1] = path.user();
            args[2] = u64::from(request.mkdir_mode());
            pending.names = name(scratch, 0, path.name_ptr());
        }
        IORING_OP_RENAMEAT => {
            let (old, new) = (request.rename_old(), request.rename_new());
            args[0] = u64::from(request.rename_old_dfd());
            args[1] = old.user();
            args[2] = u64::from(request.rename_new_dfd());
            args[3] = new.user();
            args[4] = u64::from(request.rename_flags());
            pending.names = two(scratch, old, new);
        }
        IORING_OP_LINKAT => {
            let (old, new) = (request.link_old(), request.link_new());
            args[0] = u64::from(request.link_old_dfd());
            args[1] = old.user();
            args[2] = u64::from(request.link_new_dfd());
            args[3] = new.user();
            args[4] = u64::from(request.link_flags());
            pending.names = two(scratch, old, new);
        }
        IORING_OP_SYMLINKAT => {
            let (old, new) = (request.link_old(), request.link_new());
            args[0] = old.user();
            args[1] = u64::from(request.link_new_dfd());
            args[2] = new.user();
            pending.names = two(scratch, old, new);
        }
        IORING_OP_SETXATTR | IORING_OP_FSETXATTR => {
            if pending.op == IORING_OP_SETXATTR {
                let path = request.xattr_filename();
                args[0] = path.user();
                pending.names = name(scratch, 0, path.name_ptr());
            } else {
                args[0] = u64::from(request.fd());
            }
            pending.names |= name(scratch, 1, request.xattr_name_ptr());
            args[3] = request.xattr_size();
            args[4] = u64::from(request.xattr_flags());
            let bytes = if args[3] < u64::from(VALUE) { args[3] as u32 } else { VALUE };
            kernel(pending, request.xattr_value_ptr(), bytes);
        }
        IORING_OP_FTRUNCATE => {
            args[0] = u64::from(request.fd());
            args[1] = request.truncate_len();
        }
        IORING_OP_CONNECT => {
            let (at, len) = (request.connect_addr(), u64::from(request.connect_len()));
            args[0] = u64::from(request.fd());
            args[1] = at;
            args[2] = len;
            address(pending, at, len);
        }
        _ => args[0] = u64::from(request.fd()),
    }
}

/// Copies a name into its place; its bit, or 0 where it cannot be read.
#[inline(always)]
fn name(scratch: &Scratch, place: usize, from: *const u8) -> u8 {
    let read = unsafe { bpf_probe_read_kernel_str(scratch.name(place).cast(), NAME as u32, from.cast()) };
    if read > 0 { 1 << place } else { 0 }
}

#[inline(always)]
fn two(scratch: &Scratch, first: Filename, second: Filename) -> u8 {
    name(scratch, 0, first.name_ptr()) | name(scratch, 1, second.name_ptr())
}

/// Copies kernel memory; what cannot be read stays zero.
#[inline(always)]
fn kernel(pending: &mut Pending, from: *const u8, bytes: u32) {
    let _ = unsafe { bpf_probe_read_kernel((&raw mut pending.memory).cast(), bytes & 0x7f, from.cast()) };
}

/// Copies a socket address. Where the kernel keeps its own copy differs from version to version; this is a moment after
/// it took it. Of a connection the socket's own address is reported in any case.
#[inline(always)]
fn address(pending: &mut Pending, at: u64, len: u64) {
    let bytes = if len > ADDRESS { ADDRESS } else { len } as u32 & 0x7f;
    let _ = unsafe { bpf_probe_read_user((&raw mut pending.memory).cast(), bytes, at as *const _) };
}
