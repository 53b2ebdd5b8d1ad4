//! System calls without a probe of their own: what their arguments mean comes from a table ([`CallSpec`]), so that one
//! body reports them all. Each kind is a program, so that the verifier's refusal of one costs that kind only.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{
    CWD, Call, CallSpec, Kind, ProbeError, RET, ROOT, Syscall, filter_flags, path_flags, strings,
};

use super::{net_socket, syscall::Exit};
use crate::{
    emit, filter,
    kernel::File,
    maps::SPECS,
    path,
    record::{Record, masked},
};

const AT_FDCWD: i32 = -100;
/// `F_DUPFD` and `F_DUPFD_CLOEXEC` of `<fcntl.h>`.
const F_DUPFD: u64 = 0;
const F_DUPFD_CLOEXEC: u64 = 1030;
/// `<linux/prctl.h>`.
const PR_SET_NAME: u32 = 15;
/// `<linux/reboot.h>`.
const LINUX_REBOOT_CMD_RESTART2: u32 = 0xa1b2_c3d4;

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
    if !is_meant(&exit, spec) {
        return None;
    }
    if kind as u16 == Kind::FdDup as u16 && !is_of_socket(&exit) && !filter::flag(filter_flags::DUP_NO_SOCKET)
    {
        emit::filtered(kind);
        return None;
    }
    if !filter::wants(kind, exit.task) {
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

/// Whether what the call returned is the descriptor of a socket.
#[inline(always)]
fn is_of_socket(exit: &Exit) -> bool {
    let file = if exit.ret < 0 { File::none() } else { exit.returned_file() };
    !file.is_null() && file.inode().is_socket()
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
    copy_memory(exit, &raw mut body.values as *mut u8, arg(body, spec.mem), spec.mem_len);
    copy_memory(
        exit,
        (&raw mut body.values as *mut u8).wrapping_add(32),
        arg(body, spec.mem2),
        spec.mem2_len & 0x3f,
    );
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
                let of = if number == RET { exit.returned_file() } else { exit.file(fd as u32) };
                describe(of, record, body);
                if is_about_pidfd(exit.call) {
                    body.values[0] = u64::from(of.pidfd_target());
                }
            }
        }
    }
    let raw = string(exit, record, body, spec.raw, 0);
    body.lens[strings::RAW] = raw.len;
    let raw2 = string(exit, record, body, spec.raw2, 1);
    body.lens[strings::RAW2] = raw2.len;
    // After a `chroot` the root is what the path led to, not where it began.
    let from = if spec.file == ROOT && raw.absolute { 0 } else { spec.base };
    body.lens[strings::BASE] = base(exit, record, body, from, &raw);
    body.lens[strings::BASE2] = base(exit, record, body, spec.base2, &raw2);
    if spec.data != 0 && is_string(exit) {
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
fn copy_memory(exit: &Exit, to: *mut u8, from: u64, len: u8) {
    if len != 0 {
        exit.read(to, masked::<0x7f>(u64::from(len)) as u32, from);
    }
}

/// Whether the call is about a process that a descriptor stands for.
#[inline(always)]
fn is_about_pidfd(call: u8) -> bool {
    call == Call::PidfdSendSignal as u8 || call == Call::PidfdOpen as u8 || call == Call::PidfdGetfd as u8
}

/// Whether the argument that is a string by the table is one: of some calls it is what another argument says.
#[inline(always)]
fn is_string(exit: &Exit) -> bool {
    if exit.call == Call::Prctl as u8 {
        return exit.args[0] as u32 == PR_SET_NAME;
    }
    exit.call != Call::Reboot as u8 || exit.args[2] as u32 == LINUX_REBOOT_CMD_RESTART2
}

/// What is behind a descriptor.
#[inline(always)]
fn describe(file: File, record: &mut Record, body: &mut Syscall) {
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

/// Appends a string argument, the first or second of the call.
#[inline(always)]
fn string(exit: &Exit, record: &mut Record, body: &mut Syscall, number: u8, place: usize) -> Text {
    if number == 0 {
        return Text { len: 0, absolute: true };
    }
    let at = record.len();
    match exit.append_str(record, place, arg(body, number)) {
        Some(len) => Text { len, absolute: len > 0 && record.byte_at(at) == b'/' },
        None => {
            body.inode.path_flags |= path_flags::UNREADABLE;
            Text { len: 0, absolute: false }
        }
    }
}

/// Appends the directory that a path is relative to. Of a call on the descriptor itself (an empty path), that is the
/// file; of an absolute path, the root of a process that has one of its own.
#[inline(always)]
fn base(exit: &Exit, record: &mut Record, body: &mut Syscall, number: u8, path: &Text) -> u16 {
    if number == 0 || exit.is_elsewhere() {
        return 0;
    }
    let fd = if number == CWD { AT_FDCWD } else { arg(body, number) as i32 };
    let fs = exit.task.fs();
    let (dentry, mount) = if path.absolute {
        (fs.root_dentry(), fs.root_mnt().mount())
    } else if fd == AT_FDCWD {
        (fs.pwd_dentry(), fs.pwd_mnt().mount())
    } else {
        let file = if fd < 0 { File::none() } else { exit.own_file(fd as u32) };
        if file.is_null() {
            return 0;
        }
        (file.dentry(), file.mnt().mount())
    };
    let len = path::append(record, dentry, mount).0;
    if !path.absolute {
        return len;
    }
    if len <= 1 {
        // The plain root: nothing to tell.
        record.take_back(u64::from(len));
        return 0;
    }
    body.inode.path_flags |= path_flags::CHROOTED;
    len
}
