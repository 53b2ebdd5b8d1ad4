//! A process changed what it is, without an exec: ids, capabilities, session, namespaces, directories.

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel_str, bpf_task_pt_regs},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use vedette_abi::{COMM_LEN, Call, Kind, NR_EXECVE, NR_EXECVEAT, ProbeError, ProcessChange};

use super::{call, process, syscall::Exit};
use crate::{
    emit,
    kernel::{Cgroup, Regs, Task},
    maps::{EXECVEAT, SPECS},
    record::Record,
};

/// Runs at the exit of the calls that change a process, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn process_change(ctx: BtfTracePointContext) -> i32 {
    report(&ctx);
    0
}

#[inline(always)]
fn report(ctx: &BtfTracePointContext) -> Option<()> {
    let exit = Exit::of(ctx)?;
    let spec = SPECS.get(u32::from(exit.call))?;
    note!(ctx, "process_change: pid {} call {} returned {}", exit.task.tgid(), exit.call, exit.ret);
    let Some(mut record) = Record::new::<ProcessChange>() else {
        emit::failed(Kind::ProcessChange, ProbeError::NoScratch);
        return None;
    };
    let body = record.body::<ProcessChange>();
    process::facts(exit.task, &mut body.task);
    call::fill(&exit, spec, &mut record, &mut body.syscall);
    emit::emit(Kind::ProcessChange, exit.call, exit.flags(), exit.task, record);
    Some(())
}

/// A task gets another name. Arguments: task, name. The old name is still in place.
#[btf_tracepoint(function = "task_rename")]
pub fn process_rename(ctx: BtfTracePointContext) -> i32 {
    let task = Task::from_ptr(ctx.arg(0));
    if task.pid() != task.tgid() {
        return 0;
    }
    // The exec's own record tells the new name, but not any more how the program was started.
    match exec_in_progress() {
        Some(Call::Execveat) => {
            // Full or not, the oldest entry makes room.
            let _ = EXECVEAT.insert(task.tgid(), 1, 0);
            return 0;
        }
        Some(_) => return 0,
        None => {}
    }
    let Some(record) = changed(task) else { return 0 };
    let name: *const u8 = ctx.arg(1);
    let comm = &mut record.body::<ProcessChange>().task.comm;
    *comm = [0; COMM_LEN];
    unsafe { bpf_probe_read_kernel_str(comm.as_mut_ptr().cast(), COMM_LEN as u32, name.cast()) };
    emit::emit(Kind::ProcessChange, 0, 0, task, record);
    0
}

/// A process was put into another control group. Arguments: control group, its path, task, whether all threads.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn process_move(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Cgroup::from_ptr(ctx.arg(0));
    let task = Task::from_ptr(ctx.arg(2));
    // Moves in other hierarchies than the one that names containers are not told.
    if task.pid() != task.tgid() || task.cgroup_id() != cgroup.id() {
        return 0;
    }
    if let Some(record) = changed(task) {
        emit::emit(Kind::ProcessChange, 0, 0, task, record);
    }
    0
}

/// A record of a change that no call of the process's own made.
#[inline(always)]
fn changed(task: Task) -> Option<Record> {
    let Some(record) = Record::new::<ProcessChange>() else {
        emit::failed(Kind::ProcessChange, ProbeError::NoScratch);
        return None;
    };
    process::facts(task, &mut record.body::<ProcessChange>().task);
    Some(record)
}

/// The exec that the running task is in.
#[inline(always)]
fn exec_in_progress() -> Option<Call> {
    let task = Task::current();
    let number = Regs::from_ptr(unsafe { bpf_task_pt_regs(task.as_btf()) } as *const u8).number();
    let (execve, execveat) =
        if task.in_compat_call() { (NR_EXECVE.1, NR_EXECVEAT.1) } else { (NR_EXECVE.0, NR_EXECVEAT.0) };
    match number {
        n if n == execveat => Some(Call::Execveat),
        n if n == execve => Some(Call::Execve),
        _ => None,
    }
}
