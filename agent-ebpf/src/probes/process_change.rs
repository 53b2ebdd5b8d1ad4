//! A process changed what it is, without an exec: ids, capabilities, session, namespaces, directories.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{Kind, ProbeError, ProcessChange};

use super::{call, process, syscall::Exit};
use crate::{emit, maps::SPECS, record::Record};

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
