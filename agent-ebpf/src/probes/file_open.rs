//! A file was opened: `open`, `creat`, `openat`, `openat2`.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{Call, FileOpen, Kind, ProbeError, filter_flags, path_flags};

use super::syscall::Exit;
use crate::{emit, filter, path, record::Record};

const AT_FDCWD: i32 = -100;
/// `O_WRONLY | O_CREAT | O_TRUNC`, which is what `creat` means.
const CREAT_FLAGS: u32 = 0o1 | 0o100 | 0o1000;

/// Runs at the exit of the call, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn file_open(ctx: BtfTracePointContext) -> i32 {
    let Some(exit) = Exit::of(&ctx) else { return 0 };
    if exit.ret < 0 && !filter::flag(filter_flags::FAILED_OPENS) {
        emit::filtered(Kind::FileOpen);
        return 0;
    }
    if !filter::wants(Kind::FileOpen, exit.task) {
        return 0;
    }
    note!(&ctx, "file_open: pid {} call {} returned {}", exit.task.tgid(), exit.call, exit.ret);
    let Some(mut record) = Record::new::<FileOpen>() else {
        emit::failed(Kind::FileOpen, ProbeError::NoScratch);
        return 0;
    };
    fill(&exit, &mut record);
    emit::emit(Kind::FileOpen, exit.call, exit.flags(), exit.task, record);
    0
}

/// Fills the body of a [`FileOpen`], and appends its strings.
#[inline(always)]
pub fn fill(exit: &Exit, record: &mut Record) {
    let body = record.body::<FileOpen>();
    body.ret = exit.ret;
    let [a, b, c, d, ..] = exit.args;
    let raw;
    if exit.call == Call::Open as u8 {
        (body.dirfd, raw, body.flags, body.mode) = (AT_FDCWD, a, b as u32, c as u32);
    } else if exit.call == Call::Creat as u8 {
        (body.dirfd, raw, body.flags, body.mode) = (AT_FDCWD, a, CREAT_FLAGS, b as u32);
    } else if exit.call == Call::Openat as u8 {
        (body.dirfd, raw, body.flags, body.mode) = (a as i32, b, c as u32, d as u32);
    } else {
        // struct open_how: flags, mode, resolve, 64 bits each.
        let mut how = [0u64; 3];
        exit.read((&raw mut how).cast(), 24, c);
        (body.dirfd, raw, body.flags, body.mode) = (a as i32, b, how[0] as u32, how[1] as u32);
        body.resolve = how[2] as u32;
    }
    if exit.ret >= 0 {
        let file = exit.returned_file();
        if file.is_null() {
            // Closed by another thread already: what was passed still tells something.
            body.inode.path_flags = path_flags::UNREADABLE;
        } else {
            file.inode().facts(&mut body.inode);
            body.f_mode = file.f_mode();
            let (len, flags) = path::append(record, file.dentry(), file.mnt().mount());
            body.path_len = len;
            body.inode.path_flags |= flags | file.deleted_flag();
        }
    }
    match exit.append_str(record, 0, raw) {
        Some(len) => body.raw_len = len,
        None => body.inode.path_flags |= path_flags::UNREADABLE,
    }
    if exit.ret < 0 && !exit.is_elsewhere() {
        let fs = exit.task.fs();
        body.cwd_len = path::append(record, fs.pwd_dentry(), fs.pwd_mnt().mount()).0;
    }
}
