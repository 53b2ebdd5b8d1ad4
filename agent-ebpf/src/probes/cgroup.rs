//! Control group directories come and go: how containers get their names.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{CgroupDir, Kind, ProbeError};

use crate::{
    emit,
    kernel::{Cgroup, Task},
    record::Record,
};

/// Arguments: `cgroup`, path in its hierarchy.
#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    report(Kind::CgroupMkdir, &ctx)
}

/// Arguments: `cgroup`, path in its hierarchy.
#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    report(Kind::CgroupRmdir, &ctx)
}

#[inline(always)]
fn report(kind: Kind, ctx: &BtfTracePointContext) -> i32 {
    let cgroup = Cgroup::from_ptr(ctx.arg(0));
    let Some(mut record) = Record::new::<CgroupDir>() else {
        emit::failed(kind, ProbeError::NoScratch);
        return 0;
    };
    let body = record.body::<CgroupDir>();
    body.id = cgroup.id();
    body.hierarchy = cgroup.root().hierarchy_id();
    body.path_len = record.append_kernel_str(ctx.arg(1));
    emit::emit(kind, 0, 0, Task::current(), record);
    0
}
