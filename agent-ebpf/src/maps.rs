//! Every map of the object, in one place.

use crate::{
    mounts::{KnownMounts, MountKey, Search},
    names::Look,
    path::Walk,
    probes::Pending,
};
use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
};
use vedette_abi::{
    CALLS as CALLS_MAX, CallSpec, CpuState, DISPATCH_ROWS, Filter, IO_URING_OPS, NAME_SETS, NameSet, Peer,
    PeerKey, RECORD_CAP, ScopeKey,
};

/// Bytes behind [`RECORD_CAP`] so that the longest string may begin at the last offset.
pub const RECORD_SLACK: usize = 0x4000;
/// Bytes of the path buffer: the longest path, and room for one name behind it.
pub const PATH_BUF: usize = vedette_abi::PATH_CAP + 256;

/// A record under construction.
#[repr(C, align(8))]
pub struct RecordBuf(pub [u8; RECORD_CAP + RECORD_SLACK]);

/// A path under construction, filled from its end, and the state of the walk that fills it.
#[repr(C, align(8))]
pub struct PathBuf {
    /// The path ends at [`vedette_abi::PATH_CAP`].
    pub bytes: [u8; PATH_BUF],
    /// The walk.
    pub walk: Walk,
    /// The search for another mount of the same file system.
    pub search: Search,
    /// The look for names that rules ask for.
    pub look: Look,
}

/// Process state: fork, exec, exit, control groups. The loader sets the size.
#[map]
pub static STATE: RingBuf = RingBuf::with_byte_size(4096, 0);

/// What policies ask for. The loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// By CPU: the record buffer. Larger than a per-CPU value may be, hence an array indexed by CPU. The loader sets
/// the number of CPUs.
#[map]
pub static RECORDS: Array<RecordBuf> = Array::with_max_entries(1, 0);

/// By CPU: the path buffer.
#[map]
pub static PATHS: Array<PathBuf> = Array::with_max_entries(1, 0);

/// By file system and mount namespace: the mounts that name the files of the one in the other.
#[map]
pub static MOUNTS: LruHashMap<MountKey, KnownMounts> = LruHashMap::with_max_entries(4096, 0);

/// Counters and pending gaps.
#[map]
pub static CPU: PerCpuArray<CpuState> = PerCpuArray::with_max_entries(1, 0);

/// By system call number: the traced call, native in the low byte, 32-bit compat in the high byte; 0 = not traced.
/// Behind them, the calls of `socketcall(2)`.
#[map]
pub static CALLS: Array<u16> = Array::with_max_entries(DISPATCH_ROWS, 0);

/// By call: the program that handles its exit.
#[map]
pub static HANDLERS: ProgramArray = ProgramArray::with_max_entries(CALLS_MAX as u32, 0);

/// By call: what its arguments mean.
#[map]
pub static SPECS: Array<CallSpec> = Array::with_max_entries(CALLS_MAX as u32, 0);

/// Processes in an `execveat`: by the time the exec is done the kernel has put the number of `execve` in its place.
#[map]
pub static EXECVEAT: LruHashMap<u32, u8> = LruHashMap::with_max_entries(256, 0);

/// Which of the two filters is live.
#[map]
pub static GENERATION: Array<u32> = Array::with_max_entries(1, 0);

/// Two generations of the filter.
#[map]
pub static FILTERS: Array<Filter> = Array::with_max_entries(2, 0);

/// By generation and kind of open: the names that rules ask for ([`vedette_abi::name_set`]).
#[map]
pub static NAMES: Array<NameSet> = Array::with_max_entries(NAME_SETS, 0);

/// By generation and control group: the scopes it is in. The loader sets the size.
#[map]
pub static SCOPES: HashMap<ScopeKey, u64> = HashMap::with_max_entries(1024, 0);

/// By socket: the remote end that it last exchanged something with, and who began. The oldest give way: what is not known
/// counts as changed.
#[map]
pub static PEERS: LruHashMap<PeerKey, Peer> = LruHashMap::with_max_entries(16_384, 0);

/// By operation of io_uring: what it is reported as, the call in the low byte and its kind in the high byte; 0 = not
/// traced.
#[map]
pub static IO_URING_CALLS: Array<u16> = Array::with_max_entries(IO_URING_OPS, 0);

/// By address: the requests of io_uring that are under way. Memory is taken as it is needed.
#[map]
pub static IO_URING_PENDING: HashMap<u64, Pending> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// By address, plus 1 for the second: the names that requests under way were passed.
#[map]
pub static IO_URING_NAMES: HashMap<u64, [u8; 4096]> = HashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);
