//! Does anybody want this event? The one place where the kernel answers that.
//!
//! Sound by construction: what is not known (a control group without an entry, a table that cannot be read)
//! keeps the event.

use aya_ebpf::Global;
use vedette_abi::{EVERY_SCOPE, Filter, Kind, ScopeKey, name_set};

use crate::{
    emit,
    kernel::Task,
    maps::{FILTERS, GENERATION, SCOPES},
};

/// The live filter, if the tables can be read.
#[inline(always)]
fn live() -> Option<(u64, *const Filter)> {
    let generation = unsafe { *GENERATION.get_ptr(0)? } & 1;
    Some((u64::from(generation), FILTERS.get_ptr(generation)?))
}

/// Process whose own doings are not reported: the agent.
#[unsafe(no_mangle)]
static SKIP_TGID: Global<u32> = Global::new(0);

/// Whether some loaded policy wants events of `kind` in the control group of `task`. Counts what it drops.
#[inline(always)]
pub fn wants(kind: Kind, task: Task) -> bool {
    let Some((generation, filter)) = live() else { return true };
    let wanted = unsafe { (*filter).wanted[kind as usize] };
    let kept = match wanted {
        0 => false,
        _ if task.tgid() == SKIP_TGID.load() => false,
        some => is_in(some, generation, task),
    };
    if !kept {
        emit::filtered(kind);
    }
    kept
}

/// Whether the task is in one of the scopes. Unknown control groups are.
#[inline(always)]
fn is_in(scopes: u64, generation: u64, task: Task) -> bool {
    if scopes == EVERY_SCOPE || scopes == 0 {
        return scopes != 0;
    }
    let key = ScopeKey { generation, cgroup: task.cgroup_id() };
    unsafe { SCOPES.get(key) }.is_none_or(|its| its & scopes != 0)
}

/// Whether the live filter has one of `flags` (see [`vedette_abi::filter_flags`]).
#[inline(always)]
pub fn flag(flags: u64) -> bool {
    live().is_none_or(|(_, filter)| unsafe { (*filter).flags } & flags != 0)
}

/// Which set of names an open is held against, counted from 1; 0 where its names do not matter.
#[inline(always)]
pub fn names_of_opens(may_change: bool, task: Task) -> u64 {
    let Some((generation, filter)) = live() else { return 0 };
    if is_in(unsafe { (*filter).every_open[may_change as usize] }, generation, task) {
        return 0;
    }
    u64::from(name_set(generation as u32, may_change)) + 1
}
