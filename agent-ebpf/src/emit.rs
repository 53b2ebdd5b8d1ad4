//! From a filled record to a ring, with the books kept.
//!
//! Every event that passed the filter is counted as produced and takes a sequence number of its CPU and ring.
//! What finds no room is counted, remembered in the pending gap, and reported by the next record that does.

use aya_ebpf::{
    helpers::{
        bpf_get_smp_processor_id,
        generated::{bpf_ktime_get_boot_ns, bpf_ringbuf_output},
    },
    maps::RingBuf,
};
use vedette_abi::{ABI_VERSION, CpuState, Gap, Header, KIND_MIXED, Kind, ProbeError, Ring};

use crate::{
    kernel::Task,
    maps::{CPU, EVENTS, STATE},
    record::{Record, masked},
};

#[inline(always)]
fn cpu_state() -> Option<*mut CpuState> {
    CPU.get_ptr_mut(0)
}

/// Counts an event that nobody wants.
#[inline(always)]
pub fn filtered(kind: Kind) {
    if let Some(cpu) = cpu_state() {
        unsafe { (*cpu).filtered[kind as usize] += 1 };
    }
}

/// Counts a record that was wanted and could not be made.
#[inline(always)]
pub fn failed(kind: Kind, error: ProbeError) {
    if let Some(cpu) = cpu_state() {
        unsafe {
            (*cpu).produced[kind as usize] += 1;
            (*cpu).errors[kind as usize][error as usize] += 1;
        }
    }
}

#[inline(always)]
fn output(ring: Ring, data: *mut u8, len: u64) -> i64 {
    let map: *const RingBuf = match ring {
        Ring::State => &raw const STATE,
        Ring::Events => &raw const EVENTS,
    };
    unsafe { bpf_ringbuf_output(map.cast_mut().cast(), data.cast(), len, 0) }
}

/// Who did it, as a header tells.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Who {
    /// The control group.
    pub cgroup: u64,
    /// When the thread group leader started.
    pub start: u64,
    /// Process id.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
}

impl Who {
    /// A task.
    #[inline(always)]
    pub fn of(task: Task) -> Self {
        Self {
            cgroup: task.cgroup_id(),
            start: task.group_leader().start_boottime(),
            tgid: task.tgid(),
            tid: task.pid(),
        }
    }
}

/// Hands the record to the ring of its kind. `task` is the task the header names.
#[inline(always)]
pub fn emit(kind: Kind, call: u8, flags: u16, task: Task, record: Record) {
    emit_for(kind, call, flags, 0, Who::of(task), record);
}

/// The same, for what is reported by another task than the one that did it. `op` is the operation of io_uring.
#[inline(always)]
pub fn emit_for(kind: Kind, call: u8, flags: u16, op: u32, who: Who, mut record: Record) {
    let Some(cpu) = cpu_state() else { return };
    let cpu = unsafe { &mut *cpu };
    let ring = kind.ring();
    let len = record.len();
    cpu.produced[kind as usize] += 1;
    cpu.seq[ring as usize] += 1;
    let header = Header {
        len: len as u32,
        kind: kind as u16,
        version: ABI_VERSION,
        call,
        seq: cpu.seq[ring as usize],
        time: unsafe { bpf_ktime_get_boot_ns() },
        cgroup: who.cgroup,
        start: who.start,
        tgid: who.tgid,
        tid: who.tid,
        cpu: unsafe { bpf_get_smp_processor_id() } as u16,
        flags,
        io_uring_op: op,
    };
    *record.header() = header;
    if report_gap(cpu, ring, &header) && output(ring, record.as_ptr(), masked::<0x7fff>(len)) == 0 {
        cpu.submitted[kind as usize] += 1;
    } else {
        lose(cpu, kind, ring, &header);
    }
}

/// Reports a pending gap; false when there is no room even for that.
#[inline(always)]
fn report_gap(cpu: &mut CpuState, ring: Ring, next: &Header) -> bool {
    let gap = &mut cpu.pending[ring as usize];
    if gap.total == 0 {
        return true;
    }
    #[repr(C)]
    struct GapRecord {
        header: Header,
        gap: Gap,
    }
    let mut out = GapRecord {
        header: Header {
            len: size_of::<GapRecord>() as u32,
            kind: Kind::Gap as u16,
            call: 0,
            seq: gap.last_seq,
            tgid: 0,
            tid: 0,
            start: 0,
            cgroup: 0,
            flags: 0,
            ..*next
        },
        gap: *gap,
    };
    cpu.produced[Kind::Gap as usize] += 1;
    if output(ring, (&raw mut out).cast(), size_of::<GapRecord>() as u64) != 0 {
        // The gap stays pending and grows; this attempt leaves no trace.
        cpu.produced[Kind::Gap as usize] -= 1;
        return false;
    }
    cpu.submitted[Kind::Gap as usize] += 1;
    unsafe { core::ptr::write_bytes(&raw mut *gap, 0, 1) };
    true
}

/// Books a record for which the ring had no room.
#[inline(always)]
fn lose(cpu: &mut CpuState, kind: Kind, ring: Ring, header: &Header) {
    cpu.ring_full[kind as usize] += 1;
    let gap = &mut cpu.pending[ring as usize];
    if gap.total == 0 {
        gap.first_seq = header.seq;
        gap.first_time = header.time;
        gap.ring = ring as u32;
    }
    gap.last_seq = header.seq;
    gap.last_time = header.time;
    gap.total += 1;
    let last = gap.losses.len() - 1;
    let mut i = 0;
    while i < last {
        let row = &mut gap.losses[i];
        if row.count == 0 {
            row.cgroup = header.cgroup;
            row.kind = kind as u32;
        }
        if row.cgroup == header.cgroup && row.kind == kind as u32 {
            row.count += 1;
            return;
        }
        i += 1;
    }
    gap.losses[last].kind = KIND_MIXED;
    gap.losses[last].count += 1;
}
