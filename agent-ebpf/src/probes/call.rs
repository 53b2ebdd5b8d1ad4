//! System calls without a probe of their own: what their arguments mean comes from a table ([`CallSpec`]), so that one
//! body reports them all. Each kind is a program, so that the verifier's refusal of one costs that kind only.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_user, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use vedette_abi::{CWD, Call, CallSpec, Kind, ProbeError, RET, ROOT, Syscall, path_flags, strings};

use super::{net_socket, syscall::Exit};
use crate::{
    emit, filter,
    kernel::{File, Task},
    maps::SPECS,
    path,
    record::{Record, masked},
};

const AT_FDCWD: i32 = -100;
/// `F_DUPFD` and `F_DUPFD_CLOEXEC` of `<fcntl.h>`.
const F_DUPFD: u64 = 0;
const F_DUPFD_CLOEXEC: u64 = 1030;

macro_rules! programs {
    ($($name:ident $kind:ident;)*) => {$(
        /// Runs at the exit of the calls of its kind, by tail call from `sys_exit`.
        #[btf_tracepoint(function = "sys_exit")]
        pub fn $name(ctx: BtfTracePointContext) -> i32 {
            report(&ctx, Kind::$kind);
            0
        }
    )*};
}
programs! {
    fd_dup FdDup;
    file_change FileChange;
    file_mount FileMount;
    process_control ProcessControl;
    kernel_control KernelControl;
    memory Memory;
    io_uring IoUring;
    exec_failed ExecFailed;
}

#[inline(always)]
fn report(ctx: &BtfTracePointContext, kind: Kind) -> Option<()> {
    let exit = Exit::of(ctx)?;
    let spec = SPECS.get(u32::from(exit.call))?;
    if !is_meant(&exit, spec) || !filter::wants(kind, exit.task) {
        return None;
    }
    note!(ctx, "{}: pid {} call {} returned {}", kind as u16, exit.task.tgid(), exit.call, exit.ret);
    let Some(mut record) = Record::new::<Syscall>() else {
        emit::failed(kind, ProbeError::NoScratch);
        return None;
    };
    let body = record.body::<Syscall>();
    fill(&exit, spec, &mut record, body);
    emit::emit(kind, exit.call, exit.flags(), exit.task, record);
    Some(())
}

/// Whether this is the part of the call's work that is reported.
#[inline(always)]
fn is_meant(exit: &Exit, spec: &CallSpec) -> bool {
    let args = exit.args;
    if exit.call == Call::Fcntl as u8 {
        return args[1] == F_DUPFD || args[1] == F_DUPFD_CLOEXEC;
    }
    if exit.call == Call::ExecveFailed as u8 || exit.call == Call::ExecveatFailed as u8 {
        return exit.ret < 0;
    }
    // Only protections are asked for so far, and they are the third argument.
    spec.must == 0 || args[2] & u64::from(spec.mask) != 0
}

/// An argument by its number in the spec.
#[inline(always)]
fn arg(body: &Syscall, number: u8) -> u64 {
    let index = masked::<7>(u64::from(number).wrapping_sub(1));
    unsafe { core::ptr::read_volatile((&raw const body.args).cast::<u64>().add(index as usize)) }
}

/// Fills the body, and appends the strings in the order of [`strings`].
#[inline(always)]
pub fn fill(exit: &Exit, spec: &CallSpec, record: &mut Record, body: &mut Syscall) {
    body.ret = exit.ret;
    body.args = exit.args;
    // Memory first: it needs no room behind the body.
    copy_memory(&raw mut body.values as *mut u8, arg(body, spec.mem), spec.mem_len);
    copy_memory((&raw mut body.values as *mut u8).wrapping_add(32), arg(body, spec.mem2), spec.mem2_len & 32);
    match spec.file {
        0 => {}
        CWD => {
            let fs = exit.task.fs();
            let (len, flags) = path::append(record, fs.pwd_dentry(), fs.pwd_mnt().mount());
            body.lens[strings::PATH] = len;
            body.inode.path_flags = flags;
        }
        ROOT => {
            let fs = exit.task.fs();
            let (len, flags) = path::append(record, fs.root_dentry(), fs.root_mnt().mount());
            body.lens[strings::PATH] = len;
            body.inode.path_flags = flags;
        }
        number => {
            let fd = if number == RET { exit.ret } else { i64::from(arg(body, number) as i32) };
            if fd >= 0 {
                file(exit.task.files().file(fd as u32), record, body);
            }
        }
    }
    let raw = string(record, body, spec.raw);
    body.lens[strings::RAW] = raw.len;
    let raw2 = string(record, body, spec.raw2);
    body.lens[strings::RAW2] = raw2.len;
    body.lens[strings::BASE] = base(exit.task, record, body, spec.base, &raw);
    body.lens[strings::BASE2] = base(exit.task, record, body, spec.base2, &raw2);
    if spec.data != 0 {
        let at = arg(body, spec.data);
        body.lens[strings::DATA] = if spec.data_len == 0 {
            record.append_user_str(at as *const u8).unwrap_or(0)
        } else {
            let len = arg(body, spec.data_len);
            record.append_user(at, if len > 255 { 255 } else { len })
        };
    }
}

#[inline(always)]
fn copy_memory(to: *mut u8, from: u64, len: u8) {
    if len != 0 {
        // What cannot be read stays zero.
        let _ = unsafe {
            bpf_probe_read_user(to.cast(), masked::<0x7f>(u64::from(len)) as u32, from as *const _)
        };
    }
}

/// What is behind a descriptor.
#[inline(always)]
fn file(file: File, record: &mut Record, body: &mut Syscall) {
    if file.is_null() {
        return;
    }
    let inode = file.inode();
    inode.facts(&mut body.inode);
    if inode.is_socket() {
        body.lens[strings::PATH] = net_socket::facts(file, record, &mut body.socket);
        body.inode.path_flags = path_flags::PSEUDO;
        return;
    }
    let (len, flags) = path::append(record, file.dentry(), file.mnt().mount());
    body.lens[strings::PATH] = len;
    body.inode.path_flags |= flags | file.deleted_flag();
}

/// A string that was appended.
struct Text {
    len: u16,
    /// Whether it is a path from the root.
    absolute: bool,
}

/// Appends a string argument.
#[inline(always)]
fn string(record: &mut Record, body: &mut Syscall, number: u8) -> Text {
    if number == 0 {
        return Text { len: 0, absolute: true };
    }
    let at = record.len();
    match record.append_user_str(arg(body, number) as *const u8) {
        Some(len) => Text { len, absolute: len > 0 && record.byte_at(at) == b'/' },
        None => {
            body.inode.path_flags |= path_flags::UNREADABLE;
            Text { len: 0, absolute: false }
        }
    }
}

/// Appends the directory that a path is relative to. Of a call on the descriptor itself (an empty path), that is the
/// file.
#[inline(always)]
fn base(task: Task, record: &mut Record, body: &Syscall, number: u8, path: &Text) -> u16 {
    if number == 0 || path.absolute {
        return 0;
    }
    let fd = if number == CWD { AT_FDCWD } else { arg(body, number) as i32 };
    if fd == AT_FDCWD {
        let fs = task.fs();
        return path::append(record, fs.pwd_dentry(), fs.pwd_mnt().mount()).0;
    }
    if fd < 0 {
        return 0;
    }
    let file = task.files().file(fd as u32);
    if file.is_null() { 0 } else { path::append(record, file.dentry(), file.mnt().mount()).0 }
}
