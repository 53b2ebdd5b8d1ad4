//! Writing the kernel's filter tables: the new generation beside the old, then one word flips.

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use vedette_abi::{DISPATCH_ROWS, Filter, IO_URING_OPS, NameSet, ScopeKey, name_set};

use super::plan::Plan;

/// A `Filter` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct FilterPod(Filter);

/// A `ScopeKey` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct ScopeKeyPod(ScopeKey);

/// A `NameSet` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct NameSetPod(NameSet);

// SAFETY: `#[repr(C)]` of integers without padding, which `record_struct!` asserts by size.
#[allow(unsafe_code, reason = "aya asks for this promise about plain bytes")]
unsafe impl aya::Pod for FilterPod {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "aya asks for this promise about plain bytes")]
unsafe impl aya::Pod for ScopeKeyPod {}

// SAFETY: as above.
#[allow(unsafe_code, reason = "aya asks for this promise about plain bytes")]
unsafe impl aya::Pod for NameSetPod {}

/// The tables, open for writing.
pub struct FilterTables {
    calls: Array<MapData, u16>,
    io_uring: Array<MapData, u16>,
    generation: Array<MapData, u32>,
    filters: Array<MapData, FilterPod>,
    names: Array<MapData, NameSetPod>,
    scopes: HashMap<MapData, ScopeKeyPod, u64>,
    live: u32,
    /// The scopes of every control group that was told, so that a new generation has them too.
    groups: std::collections::HashMap<u64, u64>,
    /// Control groups that found no room; the kernel keeps their events.
    pub refused: u64,
}

impl FilterTables {
    /// Takes the tables out of the loaded object.
    ///
    /// # Errors
    /// A map is missing or of another type.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        let mut map = |name: &str| ebpf.take_map(name).ok_or(MapError::InvalidName { name: name.into() });
        Ok(Self {
            calls: map("CALLS")?.try_into()?,
            io_uring: map("IO_URING_CALLS")?.try_into()?,
            generation: map("GENERATION")?.try_into()?,
            filters: map("FILTERS")?.try_into()?,
            names: map("NAMES")?.try_into()?,
            scopes: map("SCOPES")?.try_into()?,
            live: 0,
            groups: std::collections::HashMap::new(),
            refused: 0,
        })
    }

    /// Makes `plan` the live filter. Events see either the old or the new one, never a mixture.
    ///
    /// # Errors
    /// The kernel refused a write; the old filter stays live.
    pub fn install(&mut self, plan: &Plan) -> Result<(), MapError> {
        let next = 1 - self.live;
        self.filters.set(next, FilterPod(plan.filter()), 0)?;
        for (may_change, names) in [false, true].into_iter().zip(plan.names()) {
            self.names.set(name_set(next, may_change), NameSetPod(*names), 0)?;
        }
        for (cgroup, scopes) in &self.groups {
            let key = ScopeKeyPod(ScopeKey { generation: u64::from(next), cgroup: *cgroup });
            if self.scopes.insert(key, scopes, 0).is_err() {
                self.refused += 1;
            }
        }
        self.generation.set(0, next, 0)?;
        let old = u64::from(self.live);
        self.live = next;
        for cgroup in self.groups.keys() {
            // Not there is as good as removed.
            let _ = self.scopes.remove(&ScopeKeyPod(ScopeKey { generation: old, cgroup: *cgroup }));
        }
        write(&mut self.calls, DISPATCH_ROWS, plan.dispatch())?;
        write(&mut self.io_uring, IO_URING_OPS, plan.io_uring_dispatch())
    }

    /// Tells the kernel which scopes a control group is in. Where that fails the kernel keeps its events.
    pub fn set_scopes(&mut self, cgroup: u64, scopes: u64) {
        if self.groups.insert(cgroup, scopes) == Some(scopes) {
            return;
        }
        let key = ScopeKeyPod(ScopeKey { generation: u64::from(self.live), cgroup });
        if self.scopes.insert(key, scopes, 0).is_err() {
            self.groups.remove(&cgroup);
            self.refused += 1;
        }
    }

    /// Forgets a control group.
    pub fn remove_scopes(&mut self, cgroup: u64) {
        if self.groups.remove(&cgroup).is_some() {
            let key = ScopeKeyPod(ScopeKey { generation: u64::from(self.live), cgroup });
            // Not there is as good as removed.
            let _ = self.scopes.remove(&key);
        }
    }
}

/// Makes a table of `len` rows hold these entries and zeros elsewhere.
fn write(table: &mut Array<MapData, u16>, len: u32, entries: Vec<(u32, u16)>) -> Result<(), MapError> {
    let mut rows = vec![0u16; len as usize];
    for (row, entry) in entries {
        if let Some(slot) = rows.get_mut(row as usize) {
            *slot = entry;
        }
    }
    for (row, entry) in (0u32..).zip(&rows) {
        if table.get(&row, 0)? != *entry {
            table.set(row, entry, 0)?;
        }
    }
    Ok(())
}
