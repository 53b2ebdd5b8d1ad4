//! fork and exit, the snapshot of what was there before, and the facts that all process records share.

use aya_ebpf::{helpers::generated::bpf_seq_write, macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{
    ABI_VERSION, Call, Header, Kind, ProbeError, ProcessExit, ProcessFork, TaskFacts, task_flags,
};

use crate::{
    emit,
    kernel::{PidType, Task},
    record::Record,
};

/// Fills what the kernel holds about a task's process.
#[inline(always)]
pub fn facts(task: Task, out: &mut TaskFacts) {
    let leader = task.group_leader();
    let parent = task.real_parent();
    let cred = task.cred();
    let signal = task.signal();
    let ns = task.nsproxy();
    let pid = task.thread_pid();
    let sid = signal.pid(PidType::Sid);
    let pgid = signal.pid(PidType::Pgid);

    out.start = leader.start_boottime();
    out.parent_start = parent.group_leader().start_boottime();
    out.cgroup = task.cgroup_id();
    out.cap_inheritable = cred.cap_inheritable();
    out.cap_permitted = cred.cap_permitted();
    out.cap_effective = cred.cap_effective();
    out.cap_bounding = cred.cap_bset();
    out.cap_ambient = cred.cap_ambient();
    out.tgid = task.tgid();
    out.parent_tgid = parent.tgid();
    out.uid = cred.uid();
    out.gid = cred.gid();
    out.euid = cred.euid();
    out.egid = cred.egid();
    out.suid = cred.suid();
    out.sgid = cred.sgid();
    out.fsuid = cred.fsuid();
    out.fsgid = cred.fsgid();
    out.loginuid = task.loginuid();
    out.audit_session = task.audit_session();
    out.sid = sid.global();
    out.pgid = pgid.global();
    out.vpid = pid.own();
    out.vsid = sid.own();
    out.vpgid = pgid.own();
    out.tty = signal.tty().device();
    out.ns_mnt = ns.mnt().inum();
    let own = pid.upid(pid.level());
    out.ns_pid = own.ns_inum();
    out.ns_pid_start = own.ns_start();
    out.ns_net = ns.net().inum();
    out.ns_user = cred.user_ns().inum();
    out.ns_uts = ns.uts().inum();
    out.ns_ipc = ns.ipc().inum();
    out.ns_cgroup = ns.cgroup().inum();
    out.ns_time = ns.time().inum();
    out.pid_level = pid.level();
    out.threads = signal.nr_threads();
    let mut flags = 0;
    if task.is_kthread() {
        flags |= task_flags::KTHREAD;
    }
    if out.vpid == 1 {
        flags |= task_flags::NS_INIT;
    }
    out.flags = flags;
    out.comm = comm_bytes(task.comm());
    out.parent_comm = comm_bytes(parent.group_leader().comm());
}

#[inline(always)]
fn comm_bytes(words: [u64; 2]) -> [u8; 16] {
    unsafe { core::mem::transmute(words) }
}

/// A process came into being. Arguments: parent, child.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let child = Task::from_ptr(ctx.arg(1));
    if child.pid() != child.tgid() {
        return 0; // a thread
    }
    note!(&ctx, "process_fork: child {}", child.tgid());
    let Some(record) = Record::new::<ProcessFork>() else {
        emit::failed(Kind::ProcessFork, ProbeError::NoScratch);
        return 0;
    };
    facts(child, &mut record.body::<ProcessFork>().task);
    emit::emit(Kind::ProcessFork, Call::Clone as u8, 0, Task::current(), record);
    0
}

/// Whether `sched_process_exit` says itself that the whole process is gone (its second argument, since 6.16).
#[unsafe(no_mangle)]
static EXIT_HAS_GROUP_DEAD: aya_ebpf::Global<u32> = aya_ebpf::Global::new(0);

/// A thread ended; the last one ends the process. Arguments: task, and on newer kernels whether it was the last.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(ctx: BtfTracePointContext) -> i32 {
    let task = Task::from_ptr(ctx.arg(0));
    let signal = task.signal();
    let dead = if EXIT_HAS_GROUP_DEAD.load() != 0 {
        let flag: u64 = ctx.arg(1);
        flag & 0xff != 0
    } else {
        // The kernel has counted the thread out before it comes here. Two last threads may both see zero; user
        // space takes the first.
        signal.live() == 0
    };
    if !dead {
        return 0;
    }
    note!(&ctx, "process_exit: pid {}", task.tgid());
    let Some(record) = Record::new::<ProcessExit>() else {
        emit::failed(Kind::ProcessExit, ProbeError::NoScratch);
        return 0;
    };
    let group = signal.group_exit_code();
    record.body::<ProcessExit>().status = if group != 0 { group } else { task.exit_code() };
    emit::emit(Kind::ProcessExit, Call::Exit as u8, 0, task, record);
    0
}

/// Context of a task iterator (`struct bpf_iter__task`).
#[repr(C)]
pub struct IterTask {
    meta: *const IterMeta,
    task: *const u8,
}

#[repr(C)]
struct IterMeta {
    seq: *mut aya_ebpf::bindings::seq_file,
}

/// One record as the snapshot file holds it.
#[repr(C)]
struct SnapshotRecord {
    header: Header,
    body: ProcessFork,
}

/// Writes one record for every process there is; user space reads them as a file.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn process_snapshot(ctx: *mut IterTask) -> i32 {
    let ptr = unsafe { (*ctx).task };
    if ptr.is_null() {
        return 0;
    }
    let task = Task::from_ptr(ptr);
    if task.pid() != task.tgid() {
        return 0;
    }
    let mut out: SnapshotRecord = unsafe { core::mem::zeroed() };
    facts(task, &mut out.body.task);
    out.header = Header {
        len: size_of::<SnapshotRecord>() as u32,
        kind: Kind::ProcessSnapshot as u16,
        version: ABI_VERSION,
        call: 0,
        seq: 0,
        time: unsafe { aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns() },
        cgroup: out.body.task.cgroup,
        start: out.body.task.start,
        tgid: out.body.task.tgid,
        tid: out.body.task.tgid,
        cpu: 0,
        flags: 0,
        io_uring_op: 0,
    };
    let seq = unsafe { (*(*ctx).meta).seq };
    unsafe { bpf_seq_write(seq, (&raw const out).cast(), size_of::<SnapshotRecord>() as u32) };
    0
}
