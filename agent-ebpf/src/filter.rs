//! Does anybody want this event? The one place where the kernel answers that.
//!
//! Sound by construction: what is not known (a control group without an entry, a table that cannot be read)
//! keeps the event.

use aya_ebpf::Global;
use vedette_abi::{EVERY_SCOPE, Filter, Kind, ScopeKey, filter_flags, name_set};

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
        EVERY_SCOPE => true,
        some => {
            let key = ScopeKey { generation, cgroup: task.cgroup_id() };
            unsafe { SCOPES.get(key) }.is_none_or(|scopes| scopes & some != 0)
        }
    };
    if !kept {
        emit::filtered(kind);
    }
    kept
}

/// Whether the live filter has one of `flags` (see [`vedette_abi::filter_flags`]).
#[inline(always)]
pub fn flag(flags: u64) -> bool {
    live().is_none_or(|(_, filter)| unsafe { (*filter).flags } & flags != 0)
}

/// Which set of names an open is held against, counted from 1; 0 where its names do not matter.
#[inline(always)]
pub fn names_of_opens(may_change: bool) -> u64 {
    let Some((generation, filter)) = live() else { return 0 };
    let every = if may_change { filter_flags::EVERY_WRITE } else { filter_flags::EVERY_READ };
    if unsafe { (*filter).flags } & every != 0 {
        return 0;
    }
    u64::from(name_set(generation as u32, may_change)) + 1
}
