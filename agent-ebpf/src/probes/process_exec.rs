//! A process replaced its program.

use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_loop, macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{
    ARGV_CAP, Call, ENV_CAP, Kind, ProbeError, ProcessExec, StdFile, filter_flags, path_flags,
};

use crate::{
    emit, filter,
    kernel::{Binprm, Task},
    maps::EXECVEAT,
    path,
    probes::process,
    record::{Record, masked},
};

/// Page size that a partial read falls back to.
const PAGE: u64 = 4096;

/// The exec is done and the new program has not run yet. Arguments: task, old thread id, `linux_binprm`.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(ctx: BtfTracePointContext) -> i32 {
    let task = Task::from_ptr(ctx.arg(0));
    let old_tid: u64 = ctx.arg(1);
    let binprm = Binprm::from_ptr(ctx.arg(2));
    note!(&ctx, "process_exec: pid {}", task.tgid());
    let Some(mut record) = Record::new::<ProcessExec>() else {
        emit::failed(Kind::ProcessExec, ProbeError::NoScratch);
        return 0;
    };
    let body = record.body::<ProcessExec>();
    process::facts(task, &mut body.task);
    body.old_tid = old_tid as u32;
    body.argc = binprm.argc();
    body.envc = binprm.envc();

    let mm = task.mm();
    let exe = mm.exe_file();
    if !exe.is_null() {
        exe.inode().facts(&mut body.exe);
        let (len, flags) = path::append(&mut record, exe.dentry(), exe.mnt().mount());
        body.exe_len = len;
        body.exe.path_flags |= flags | exe.deleted_flag() | exe.read_only_flag();
    }
    body.filename_len = record.append_kernel_str(binprm.filename_ptr());
    let fs = task.fs();
    let (len, flags) = path::append(&mut record, fs.pwd_dentry(), fs.pwd_mnt().mount());
    body.cwd_len = len;
    body.cwd_flags = flags;

    let (start, end) = (mm.arg_start(), mm.arg_end());
    body.argv_total = end.wrapping_sub(start) as u32;
    body.argv_len = append_strings::<{ ARGV_CAP as u64 - 1 }>(&mut record, start, end);
    let (start, end) = (mm.env_start(), mm.env_end());
    body.env_total = end.wrapping_sub(start) as u32;
    if filter::flag(filter_flags::ENVIRONMENT) {
        body.env_len = append_strings::<{ ENV_CAP as u64 - 1 }>(&mut record, start, end);
    }
    if filter::flag(filter_flags::STDIO) {
        unsafe { bpf_loop(3, stdio as *mut c_void, core::ptr::null_mut(), 0) };
    }

    let tgid = task.tgid();
    let is_at = unsafe { EXECVEAT.get(tgid) }.is_some();
    if is_at {
        // Nothing to do where it is gone already.
        let _ = EXECVEAT.remove(tgid);
    }
    let call = if is_at { Call::Execveat } else { Call::Execve };
    emit::emit(Kind::ProcessExec, call as u8, 0, task, record);
    0
}

/// Appends `start..end` of the new address space, at most `CAP` bytes. Falls back to the first page where a
/// later one is not in memory.
#[inline(always)]
fn append_strings<const CAP: u64>(record: &mut Record, start: u64, end: u64) -> u16 {
    if end <= start {
        return 0;
    }
    let bytes = (end - start).min(CAP);
    match record.append_user(start, bytes) {
        0 => record.append_user(start, bytes.min(PAGE - (start & (PAGE - 1)))),
        read => read,
    }
}

/// Describes a standard descriptor, and appends its path. Called for each of them; a function of its own, because the
/// verifier would multiply the ways through three in a row.
unsafe extern "C" fn stdio(number: u64, _context: *mut c_void) -> i64 {
    let Some(mut record) = Record::resume() else { return 1 };
    let number = masked::<3>(number);
    let body = record.body::<ProcessExec>();
    let out = unsafe { &mut *(&raw mut body.stdio).cast::<StdFile>().add(number as usize) };
    let file = Task::current().files().file(number as u32);
    if file.is_null() {
        return 0;
    }
    let inode = file.inode();
    out.ino = inode.ino();
    out.magic = inode.sb().magic();
    out.mode = u32::from(inode.mode());
    if inode.is_socket() {
        file.socket_facts(&mut out.socket);
        file.socket().sk().remote(&mut out.socket);
        out.path_flags = path_flags::PSEUDO;
        return 0;
    }
    let (len, flags) = path::append_short(&mut record, file.dentry(), file.mnt().mount());
    out.path_len = len;
    out.path_flags = flags | file.deleted_flag();
    0
}
