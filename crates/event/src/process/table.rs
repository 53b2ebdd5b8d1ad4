//! The process table: bounded, with ancestry by reference.
//!
//! A process stays after its exit for as long as a descendant refers to it, and for a grace period in which events
//! of other CPUs may still name it. Then it goes. When the table is full, the longest dead goes first, and a
//! living process only when there is no dead one; each eviction is counted. Ended ancestors may hold half of the
//! table at most: a program that forks itself over and over, each time ending the parent, has no end of them.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;

use super::{Process, ProcessId, ProcessKey};

/// Nanoseconds of one tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture that Linux runs on today).
pub const TICK: u64 = 10_000_000;

/// How long an ended process stays at least, nanoseconds.
pub const GRACE: u64 = 2_000_000_000;

/// Most ancestors that [`ProcessTable::ancestors`] goes through.
pub const MAX_ANCESTORS: usize = 256;

/// Processes that are looked at for one without children before an ancestor is evicted.
const EVICTION_SCAN: usize = 16;

#[derive(Debug)]
struct Slot {
    generation: u32,
    process: Option<Process>,
    /// Ended, past the grace period, and only there because of descendants.
    kept: bool,
}

/// Figures about the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Processes in the table, ended ones included.
    pub entries: usize,
    /// Ended processes that stay because of descendants or the grace period.
    pub ended: usize,
    /// Ended processes that had to go early.
    pub evicted_ended: u64,
    /// Living processes that had to go.
    pub evicted_live: u64,
    /// Exits of processes that were not in the table.
    pub unknown_exits: u64,
}

/// All processes of the node.
#[derive(Debug)]
pub struct ProcessTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashMap<ProcessKey, ProcessId, foldhash::fast::RandomState>,
    /// The same in order, to find who started last under a number.
    in_order: BTreeMap<ProcessKey, ProcessId>,
    /// Ended processes in their grace period, in the order of their end.
    ended: VecDeque<(u64, ProcessId)>,
    /// Those that are kept after it, in the order in which they came; may hold ids that are gone.
    kept: VecDeque<ProcessId>,
    kept_count: usize,
    /// Live ones in the order of their arrival, for eviction; may hold ids that are gone or have ended.
    arrivals: VecDeque<ProcessId>,
    live: usize,
    cap: usize,
    stats: TableStats,
}

impl ProcessTable {
    /// An empty table for at most `cap` processes.
    pub fn new(cap: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::default(),
            in_order: BTreeMap::new(),
            ended: VecDeque::new(),
            kept: VecDeque::new(),
            kept_count: 0,
            arrivals: VecDeque::new(),
            live: 0,
            cap: cap.max(1),
            stats: TableStats::default(),
        }
    }

    /// Number of processes, ended ones included.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Figures.
    pub fn stats(&self) -> TableStats {
        TableStats { entries: self.len(), ended: self.len() - self.live, ..self.stats }
    }

    /// What is known about a process.
    pub fn get(&self, id: ProcessId) -> Option<&Process> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation == id.generation { slot.process.as_ref() } else { None }
    }

    /// The same, to change it. Key, parent and end are changed by the table's own methods only.
    pub fn get_mut(&mut self, id: ProcessId) -> Option<&mut Process> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.process.as_mut() } else { None }
    }

    /// The process with this key, ended or not.
    pub fn find(&self, key: ProcessKey) -> Option<ProcessId> {
        if let Some(id) = self.by_key.get(&key) {
            return Some(*id);
        }
        // The start of the key is exact; that of a process that was read from /proc may not be.
        let id = self.latest(key.tgid)?;
        let process = self.get(id)?;
        (process.approximate_start && process.key.start / TICK == key.start / TICK).then_some(id)
    }

    /// The process with this key, where the start in the key is only good to a clock tick.
    pub fn find_near(&self, key: ProcessKey) -> Option<ProcessId> {
        self.find(key).or_else(|| {
            let id = self.latest(key.tgid)?;
            (self.get(id)?.key.start / TICK == key.start / TICK).then_some(id)
        })
    }

    /// The process that started last under this number.
    pub fn latest(&self, tgid: u32) -> Option<ProcessId> {
        let all = ProcessKey { tgid, start: 0 }..=ProcessKey { tgid, start: u64::MAX };
        self.in_order.range(all).next_back().map(|(_, id)| *id)
    }

    /// Puts a process in, in place of one with the same key. Makes room by eviction if need be.
    ///
    /// Of the one it replaces there remain the parent, where the new one has none, the end, and the exact start.
    pub fn insert(&mut self, mut process: Process) -> ProcessId {
        let found =
            if process.approximate_start { self.find_near(process.key) } else { self.find(process.key) };
        if let Some(id) = found {
            self.replace(id, process);
            return id;
        }
        while self.len() >= self.cap && self.evict() {}
        let parent = process.parent.take();
        let (key, exited) = (process.key, process.exited.take());
        process.children = 0;
        let id = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.process = Some(process);
                ProcessId { index, generation: slot.generation }
            }
            None => {
                self.slots.push(Slot { generation: 0, process: Some(process), kept: false });
                ProcessId { index: (self.slots.len() - 1) as u32, generation: 0 }
            }
        };
        self.live += 1;
        self.arrivals.push_back(id);
        self.trim_arrivals();
        let latest = self.latest(key.tgid);
        self.by_key.insert(key, id);
        self.in_order.insert(key, id);
        self.set_parent(id, parent);
        // A number belongs to one living process: of two, the one that started earlier has ended, unseen or with
        // its end still to come. That may be the one that is put in, when one of its last events comes late.
        if let Some(other) = latest {
            let started_later = self.get(other).is_some_and(|p| p.key.start > key.start);
            self.end(if started_later { id } else { other }, None);
        }
        if exited.is_some() {
            self.end(id, exited);
        }
        id
    }

    fn replace(&mut self, id: ProcessId, mut process: Process) {
        let (parent, exited) = (process.parent, process.exited);
        let Some(old) = self.get_mut(id) else { return };
        let (old_key, exact) = (old.key, !old.approximate_start);
        if process.approximate_start && exact {
            process.key = old_key;
            process.task.start = old_key.start;
            process.approximate_start = false;
        }
        process.children = old.children;
        process.parent = old.parent;
        process.exited = old.exited;
        let key = process.key;
        *old = process;
        if key != old_key {
            self.by_key.remove(&old_key);
            self.by_key.insert(key, id);
            self.in_order.remove(&old_key);
            self.in_order.insert(key, id);
        }
        if parent.is_some() {
            self.set_parent(id, parent);
        }
        if exited.is_some() {
            self.end(id, exited);
        }
    }

    /// Makes `parent` the parent of `id`, unless that would make a process its own ancestor.
    pub fn set_parent(&mut self, id: ProcessId, parent: Option<ProcessId>) {
        let Some(children) = self.get(id).map(|p| p.children) else { return };
        // A process without children is nobody's ancestor, which spares the walk in all but a few cases.
        let parent = parent.filter(|p| {
            *p != id && self.get(*p).is_some() && (children == 0 || !self.chain(*p).any(|(a, _)| a == id))
        });
        let Some(process) = self.get_mut(id) else { return };
        let old = std::mem::replace(&mut process.parent, parent);
        if old == parent {
            return;
        }
        if let Some(new) = parent.and_then(|p| self.get_mut(p)) {
            new.children += 1;
        }
        self.lose_child(old);
    }

    /// Takes note of a process's end at `time`. Returns it, also when it had ended already.
    pub fn exit(&mut self, key: ProcessKey, time: u64) -> Option<ProcessId> {
        let Some(id) = self.find(key) else {
            self.stats.unknown_exits += 1;
            return None;
        };
        self.end(id, Some(time));
        Some(id)
    }

    fn end(&mut self, id: ProcessId, time: Option<u64>) {
        let latest = self.latest_end();
        let Some(process) = self.get_mut(id) else { return };
        if process.exited.is_some() {
            return;
        }
        process.exited = Some(time.unwrap_or(latest));
        self.live -= 1;
        // The queue is in the order of time: an end that comes late is filed under the latest.
        self.ended.push_back((time.unwrap_or(latest).max(latest), id));
    }

    /// Removes ended processes that nothing refers to and whose grace period is over at `now`.
    pub fn prune(&mut self, now: u64) {
        while let Some((_, id)) = self.ended.pop_front_if(|(time, _)| time.saturating_add(GRACE) <= now) {
            match self.get(id) {
                Some(process) if process.children > 0 => self.keep(id),
                _ => self.remove(id),
            }
        }
        while self.kept_count > self.cap / 2 && self.evict_kept() {}
        if self.kept.len() > 64 + 2 * self.kept_count {
            let kept = std::mem::take(&mut self.kept);
            self.kept = kept.into_iter().filter(|id| self.get(*id).is_some()).collect();
        }
    }

    /// Brings the queue of ended processes into the order of their ends, when they were not put in in that order.
    #[cfg(feature = "recording")]
    pub(crate) fn sort_ended(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        let mut ended: Vec<_> =
            ended.into_iter().filter_map(|(_, id)| Some((self.get(id)?.exited?, id))).collect();
        ended.sort_by_key(|(time, _)| *time);
        self.ended = ended.into();
    }

    fn latest_end(&self) -> u64 {
        self.ended.back().map_or(0, |(t, _)| *t)
    }

    /// Lets descendants decide how long a process stays.
    fn keep(&mut self, id: ProcessId) {
        if let Some(slot) = self.slots.get_mut(id.index as usize) {
            slot.kept = true;
            self.kept_count += 1;
            self.kept.push_back(id);
        }
    }

    fn evict_kept(&mut self) -> bool {
        while let Some(id) = self.kept.pop_front() {
            if self.get(id).is_some() {
                self.remove(id);
                self.stats.evicted_ended += 1;
                return true;
            }
        }
        false
    }

    /// Removes a process, and with it those ancestors that were only kept for its sake.
    fn remove(&mut self, id: ProcessId) {
        let mut next = Some(id);
        while let Some(id) = next {
            next = None;
            let Some(slot) =
                self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
            else {
                return;
            };
            let Some(process) = slot.process.take() else { return };
            slot.generation = slot.generation.wrapping_add(1);
            self.kept_count -= usize::from(std::mem::take(&mut slot.kept));
            self.free.push(id.index);
            if process.exited.is_none() {
                self.live -= 1;
            }
            self.by_key.remove(&process.key);
            self.in_order.remove(&process.key);
            if let Some(parent) = process.parent
                && self.count_child_out(parent)
            {
                next = Some(parent);
            }
        }
    }

    fn lose_child(&mut self, parent: Option<ProcessId>) {
        if let Some(parent) = parent
            && self.count_child_out(parent)
        {
            self.remove(parent);
        }
    }

    /// Returns whether nothing keeps the parent any more.
    fn count_child_out(&mut self, parent: ProcessId) -> bool {
        let Some(slot) =
            self.slots.get_mut(parent.index as usize).filter(|slot| slot.generation == parent.generation)
        else {
            return false;
        };
        let Some(process) = &mut slot.process else { return false };
        process.children = process.children.saturating_sub(1);
        slot.kept && process.children == 0
    }

    /// Makes room for at least one: the longest dead, else the oldest arrival, and of those near the front of the queue rather
    /// one without children, so that ancestries stay whole. Returns false when there is nothing left to remove.
    fn evict(&mut self) -> bool {
        let leaf = self
            .ended
            .iter()
            .take(EVICTION_SCAN)
            .position(|(_, id)| self.get(*id).is_some_and(|p| p.children == 0));
        if leaf.is_none() && self.evict_kept() {
            return true;
        }
        if let Some((_, id)) = self.ended.remove(leaf.unwrap_or(0)) {
            self.remove(id);
            self.stats.evicted_ended += 1;
            return true;
        }
        let mut parents = 0;
        while let Some(id) = self.arrivals.pop_front() {
            match self.get(id) {
                Some(process) if process.children > 0 && parents < EVICTION_SCAN => {
                    parents += 1;
                    self.arrivals.push_back(id);
                }
                Some(_) => {
                    self.remove(id);
                    self.stats.evicted_live += 1;
                    return true;
                }
                None => {}
            }
        }
        false
    }

    /// Keeps the arrival queue from growing with the processes that came and went.
    fn trim_arrivals(&mut self) {
        if self.arrivals.len() > 64 + 2 * self.slots.len() {
            let arrivals = std::mem::take(&mut self.arrivals);
            self.arrivals =
                arrivals.into_iter().filter(|id| self.get(*id).is_some_and(|p| p.exited.is_none())).collect();
        }
    }

    /// A process's ancestors, parent first, at most [`MAX_ANCESTORS`] of them.
    pub fn ancestors(&self, id: ProcessId) -> impl Iterator<Item = (ProcessId, &Process)> {
        self.chain(id).take(MAX_ANCESTORS)
    }

    fn chain(&self, id: ProcessId) -> impl Iterator<Item = (ProcessId, &Process)> {
        let mut next = self.get(id).and_then(|p| p.parent);
        std::iter::from_fn(move || {
            let id = next?;
            let process = self.get(id)?;
            next = process.parent;
            Some((id, process))
        })
    }

    /// All processes.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.slots.iter().filter_map(|s| s.process.as_ref())
    }

    /// All processes with their places.
    pub fn entries(&self) -> impl Iterator<Item = (ProcessId, &Process)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = ProcessId { index: index as u32, generation: slot.generation };
            Some((id, slot.process.as_ref()?))
        })
    }
}

#[cfg(test)]
mod tests;
