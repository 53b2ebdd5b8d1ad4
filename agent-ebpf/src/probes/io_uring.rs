//! Operations submitted through io_uring, reported as the system calls that do the same.
//!
//! What was asked for is there when a request is submitted, what came of it when it ends, often in another task: a
//! worker, the polling thread, the ring's last user. So a request is kept, with the names and the memory as the kernel
//! copied them, until its end is told. Some ends are told to nobody (`IOSQE_CQE_SKIP_SUCCESS`), and what is kept is
//! bounded: such a request is reported at once, as if it had succeeded, and marked. It may be one too many, it is never
//! one too few.

use aya_ebpf::{
    Global,
    helpers::{bpf_get_smp_processor_id, generated::bpf_for_each_map_elem},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use core::ffi::c_void;
use vedette_abi::{FileOpen, Kind, NetCall, ProbeError, RECORD_CAP, Syscall, filter_flags, header_flags};

use super::{call, file_open, net_connect, syscall::Exit};
use crate::{
    emit::{self, Who},
    filter,
    kernel::{Request, Ring, Task},
    maps::{IO_URING_CALLS, IO_URING_NAMES, IO_URING_PENDING, RECORDS, RecordBuf, SPECS},
    record::Record,
};

mod prepare;

/// Bytes of a name, its end mark included.
const NAME: usize = vedette_abi::PATH_CAP;
/// `IORING_FILE_INDEX_ALLOC`: the kernel chooses the place.
const ANY_PLACE: u32 = u32::MAX;
/// Most requests of a chain that are followed when it breaks.
const CHAIN: u32 = 64;

/// A request under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Pending {
    /// Who submitted it.
    who: Who,
    /// The ring.
    ring: u64,
    /// What names it to its submitter.
    user_data: u64,
    /// The arguments that the system call would have had.
    args: [u64; 6],
    /// The memory that one of them would have led to.
    memory: [u64; 16],
    /// The place that the new file is to have in the ring's table plus 1, or [`ANY_PLACE`]; 0 for a descriptor.
    slot: u32,
    /// [`header_flags`].
    flags: u16,
    /// The operation.
    op: u8,
    /// The call.
    call: u8,
    /// The kind of its record.
    kind: u8,
    /// A bit for each name that is kept.
    names: u8,
    /// Zero.
    pad: [u8; 6],
}

const _: () = assert!(size_of::<Pending>() == vedette_abi::IO_URING_PENDING_SIZE);

/// A pending request whose end is being reported.
#[derive(Clone, Copy)]
pub struct Kept {
    pending: *const Pending,
    /// The names that were passed, null where there is none.
    pub names: [*const u8; 2],
    /// The request itself, which is still there.
    pub request: Request,
}

impl Kept {
    /// The memory that was passed.
    #[inline(always)]
    pub fn memory(&self) -> *const u8 {
        unsafe { (&raw const (*self.pending).memory).cast() }
    }

    /// Whether it makes a file in the ring's own table.
    #[inline(always)]
    pub fn is_direct(&self) -> bool {
        unsafe { (*self.pending).slot != 0 }
    }

    /// The process that submitted it.
    #[inline(always)]
    pub fn tgid(&self) -> u32 {
        unsafe { (*self.pending).who.tgid }
    }
}

/// Where a request is put together before it is kept: behind the longest record in this CPU's buffer.
struct Scratch(*mut u8);

impl Scratch {
    #[inline(always)]
    fn get() -> Option<Self> {
        let buffer = RECORDS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })?;
        Some(Self(unsafe { buffer.cast::<RecordBuf>().cast::<u8>().add(RECORD_CAP) }))
    }

    #[inline(always)]
    fn name(&self, place: usize) -> *mut u8 {
        unsafe { self.0.add(place * NAME) }
    }

    #[inline(always)]
    fn pending<'a>(&self) -> &'a mut Pending {
        unsafe { &mut *self.0.add(2 * NAME).cast::<Pending>() }
    }

    /// The same request by a pointer that the verifier takes for a number, so that it may be a key.
    #[inline(always)]
    fn as_number(&self, request: Request) -> Request {
        let wanted = self.wanted();
        unsafe {
            core::ptr::write_volatile(&raw mut wanted.found, request.key());
            Request::from_ptr(core::ptr::read_volatile(&raw const wanted.found) as *const u8)
        }
    }

    #[inline(always)]
    fn wanted<'a>(&self) -> &'a mut Wanted {
        unsafe { &mut *self.0.add(3 * NAME).cast::<Wanted>() }
    }
}

/// The kinds that operations are reported as.
#[inline(always)]
fn kind_of(number: u8) -> Option<Kind> {
    const FILE_OPEN: u8 = Kind::FileOpen as u8;
    const NET_CONNECT: u8 = Kind::NetConnect as u8;
    const FILE_CHANGE: u8 = Kind::FileChange as u8;
    const IO_URING: u8 = Kind::IoUring as u8;
    match number {
        FILE_OPEN => Some(Kind::FileOpen),
        NET_CONNECT => Some(Kind::NetConnect),
        FILE_CHANGE => Some(Kind::FileChange),
        IO_URING => Some(Kind::IoUring),
        _ => None,
    }
}

/// A request was prepared and is about to be started. Argument: the request.
#[btf_tracepoint(function = "io_uring_submit_req")]
pub fn io_uring_submit(ctx: BtfTracePointContext) -> i32 {
    let _ = submit(Request::from_ptr(ctx.arg(0)));
    0
}

#[inline(always)]
fn submit(request: Request) -> Option<()> {
    let op = request.opcode();
    let entry = *IO_URING_CALLS.get(u32::from(op))?;
    if entry == 0 {
        return None;
    }
    let kind = kind_of((entry >> 8) as u8)?;
    let task = Task::current();
    if !filter::wants(kind, task) {
        return None;
    }
    let Some(scratch) = Scratch::get() else {
        emit::failed(kind, ProbeError::NoScratch);
        return None;
    };
    let request = scratch.as_number(request);
    let pending = scratch.pending();
    unsafe {
        core::ptr::write_bytes((pending as *mut Pending).cast::<u64>(), 0, size_of::<Pending>() / 8);
    }
    pending.who = Who::of(task);
    pending.ring = request.ring().key();
    pending.user_data = request.user_data();
    pending.op = op;
    pending.call = entry as u8;
    pending.kind = (entry >> 8) as u8;
    pending.flags = header_flags::IO_URING;
    if request.ring().has_poll_thread() {
        pending.flags |= header_flags::SQPOLL;
    }
    prepare::prepare(request, &scratch, pending);
    if pending.slot != 0 || request.is_fixed_file() {
        pending.flags |= header_flags::DIRECT;
    }
    if !request.ends_silently() && keep(request, &scratch, pending) {
        return None;
    }
    pending.flags |= header_flags::UNCONFIRMED;
    let name = |place: usize| {
        if pending.names & 1 << place == 0 { core::ptr::null() } else { scratch.name(place).cast_const() }
    };
    report(Kept { pending, names: [name(0), name(1)], request }, 0, task);
    Some(())
}

/// Keeps a request until its end; false where there is no room.
#[inline(always)]
fn keep(request: Request, scratch: &Scratch, pending: &Pending) -> bool {
    let key = request.key();
    if IO_URING_PENDING.insert(key, pending, 0).is_err() {
        return false;
    }
    let mut place = 0;
    while place < 2 {
        if pending.names & 1 << place != 0 {
            let name = unsafe { &*scratch.name(place).cast::<[u8; NAME]>() };
            if IO_URING_NAMES.insert(key | place as u64, name, 0).is_err() {
                forget(key);
                return false;
            }
        }
        place += 1;
    }
    true
}

#[inline(always)]
fn forget(key: u64) {
    // What is not there needs no removal.
    let _ = IO_URING_PENDING.remove(key);
    let _ = IO_URING_NAMES.remove(key);
    let _ = IO_URING_NAMES.remove(key | 1);
}

/// `REQ_F_SKIP_LINK_CQES` of the running kernel: the request failed, and nobody is told of the rest of its chain.
#[unsafe(no_mangle)]
static IO_URING_SKIP_LINKS: Global<u32> = Global::new(0);

/// A request ended. Arguments: the ring, the request (null for one result of many), and what depends on the kernel.
#[btf_tracepoint(function = "io_uring_complete")]
pub fn io_uring_complete(ctx: BtfTracePointContext) -> i32 {
    let request = Request::from_ptr(ctx.arg(1));
    if request.is_null() {
        return 0;
    }
    end(request);
    let mask = IO_URING_SKIP_LINKS.load();
    if mask != 0 && request.flags() & mask != 0 {
        // The rest of the chain is dropped: nothing of it was done.
        let mut next = request.link();
        let mut i = 0;
        while i < CHAIN && !next.is_null() {
            forget(next.key());
            next = next.link();
            i += 1;
        }
    }
    0
}

/// A request ended and its result found no room in the ring. Arguments: the ring, what names the request to its
/// submitter, the result.
#[btf_tracepoint(function = "io_uring_cqe_overflow")]
pub fn io_uring_overflow(ctx: BtfTracePointContext) -> i32 {
    let ring = Ring::from_ptr(ctx.arg(0));
    let request = find(ring, ctx.arg(1), ctx.arg::<u64>(2) as i32);
    if !request.is_null() {
        end(request);
    }
    0
}

/// Looks for the request that a result belongs to, where the kernel does not say; null where none is pending.
#[inline(always)]
fn find(ring: Ring, user_data: u64, result: i32) -> Request {
    let Some(scratch) = Scratch::get() else { return Request::from_ptr(core::ptr::null()) };
    let wanted = scratch.wanted();
    (wanted.ring, wanted.user_data, wanted.result, wanted.found) = (ring.key(), user_data, result, 0);
    unsafe {
        bpf_for_each_map_elem(
            (&raw const IO_URING_PENDING).cast_mut().cast(),
            is_wanted as *mut c_void,
            core::ptr::null_mut(),
            0,
        )
    };
    Request::from_ptr(unsafe { core::ptr::read_volatile(&raw const wanted.found) } as *const u8)
}

/// The request that a result belongs to. It is kept in a map, as all state of loops is.
#[repr(C)]
struct Wanted {
    ring: u64,
    user_data: u64,
    result: i32,
    found: u64,
}

/// Looks at one pending request; 1 ends the search.
unsafe extern "C" fn is_wanted(
    _map: *mut c_void,
    key: *const u64,
    pending: *const Pending,
    _context: *mut c_void,
) -> i64 {
    let Some(scratch) = Scratch::get() else { return 1 };
    let (pending, wanted) = (unsafe { &*pending }, scratch.wanted());
    if pending.ring != wanted.ring || pending.user_data != wanted.user_data {
        return 0;
    }
    let key = unsafe { *key };
    if Request::from_ptr(key as *const u8).result() != wanted.result {
        return 0;
    }
    wanted.found = key;
    1
}

/// Reports the end of a request, if it was kept.
#[inline(always)]
fn end(request: Request) {
    let key = request.key();
    let Some(pending) = IO_URING_PENDING.get_ptr(key) else { return };
    let name = |key: u64| IO_URING_NAMES.get_ptr(key).map_or(core::ptr::null(), |name| name.cast::<u8>());
    let kept = Kept { pending, names: [name(key), name(key | 1)], request };
    report(kept, i64::from(request.result()), Task::current());
    forget(key);
}

/// Reports a request with its result.
#[inline(always)]
fn report(kept: Kept, ret: i64, task: Task) {
    let pending = unsafe { &*kept.pending };
    let ret = match pending.slot {
        0 | ANY_PLACE => ret,
        place if ret == 0 => i64::from(place - 1),
        _ => ret,
    };
    let exit = Exit { call: pending.call, compat: false, args: pending.args, ret, task, kept: Some(kept) };
    let (op, flags) = (u32::from(pending.op), pending.flags);
    let Some(kind) = kind_of(pending.kind) else { return };
    match kind {
        Kind::FileOpen => {
            if ret < 0 && !filter::flag(filter_flags::FAILED_OPENS) {
                emit::filtered(Kind::FileOpen);
                return;
            }
            let Some(mut record) = Record::new::<FileOpen>() else {
                emit::failed(Kind::FileOpen, ProbeError::NoScratch);
                return;
            };
            file_open::fill(&exit, &mut record);
            emit::emit_for(Kind::FileOpen, exit.call, flags, op, pending.who, record);
        }
        Kind::NetConnect => {
            let file = kept.request.file();
            if file.is_null() || !file.inode().is_socket() {
                // Not a socket: nothing was contacted.
                emit::filtered(Kind::NetConnect);
                return;
            }
            let Some(mut record) = Record::new::<NetCall>() else {
                emit::failed(Kind::NetConnect, ProbeError::NoScratch);
                return;
            };
            net_connect::fill(&exit, file, &mut record);
            emit::emit_for(Kind::NetConnect, exit.call, flags, op, pending.who, record);
        }
        Kind::FileChange | Kind::IoUring => {
            let Some(spec) = SPECS.get(u32::from(exit.call)) else { return };
            let Some(mut record) = Record::new::<Syscall>() else {
                emit::failed(kind, ProbeError::NoScratch);
                return;
            };
            let body = record.body::<Syscall>();
            call::fill(&exit, spec, &mut record, body);
            emit::emit_for(kind, exit.call, flags, op, pending.who, record);
        }
        _ => {}
    }
}
