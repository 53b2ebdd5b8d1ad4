//! The process table: bounded, with ancestry by reference.
//!
//! A process stays after its exit for as long as a descendant refers to it, and for a grace period in which events
//! of other CPUs may still name it. Then it goes. When the table is full, the longest dead goes first, and a
//! living process only when there is no dead one; each eviction is counted.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{Process, ProcessId, ProcessKey};

/// Nanoseconds of one tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture that Linux runs on today).
const TICK: u64 = 10_000_000;

/// How long an ended process stays at least, nanoseconds.
const GRACE: u64 = 2_000_000_000;

#[derive(Debug)]
struct Slot {
    generation: u32,
    process: Option<Process>,
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
    by_tgid: HashMap<u32, ProcessId, foldhash::fast::RandomState>,
    /// Ended processes in the order of their end.
    ended: VecDeque<(u64, ProcessId)>,
    /// Live ones in the order of their arrival, for eviction; may hold ids that are gone.
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
            by_tgid: HashMap::default(),
            ended: VecDeque::new(),
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

    /// The same, to change it. Its place among parents is changed by [`Self::set_parent`] only.
    pub fn get_mut(&mut self, id: ProcessId) -> Option<&mut Process> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.process.as_mut() } else { None }
    }

    /// The process with this key, ended or not.
    pub fn find(&self, key: ProcessKey) -> Option<ProcessId> {
        let id = *self.by_tgid.get(&key.tgid)?;
        let process = self.get(id)?;
        let same = process.key.start == key.start
            || (process.approximate_start && process.key.start / TICK == key.start / TICK);
        same.then_some(id)
    }

    /// The process that had this id last.
    pub fn latest(&self, tgid: u32) -> Option<ProcessId> {
        self.by_tgid.get(&tgid).copied().filter(|id| self.get(*id).is_some())
    }

    /// Puts a process in, in place of one with the same key. Makes room by eviction if need be.
    pub fn insert(&mut self, mut process: Process) -> ProcessId {
        if let Some(id) = self.find(process.key) {
            let parent = process.parent;
            if let Some(old) = self.get_mut(id) {
                process.children = old.children;
                process.parent = old.parent;
                process.exited = process.exited.or(old.exited);
                *old = process;
            }
            if parent.is_some() {
                self.set_parent(id, parent);
            }
            return id;
        }
        while self.len() >= self.cap {
            self.evict();
        }
        let parent = process.parent.take();
        let tgid = process.key.tgid;
        process.children = 0;
        let live = process.exited.is_none();
        let id = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.process = Some(process);
                ProcessId { index, generation: slot.generation }
            }
            None => {
                self.slots.push(Slot { generation: 0, process: Some(process) });
                ProcessId { index: (self.slots.len() - 1) as u32, generation: 0 }
            }
        };
        if live {
            self.live += 1;
            self.arrivals.push_back(id);
            self.trim_arrivals();
        }
        // A process of the same number that is still here has ended unseen, or its end is still to be pruned.
        if let Some(old) = self.by_tgid.insert(tgid, id) {
            self.end(old, None);
        }
        self.set_parent(id, parent);
        id
    }

    /// Makes `parent` the parent of `id`, unless that would make a process its own ancestor.
    pub fn set_parent(&mut self, id: ProcessId, parent: Option<ProcessId>) {
        let parent = parent.filter(|p| *p != id && !self.ancestors(*p).any(|(a, _)| a == id));
        let Some(process) = self.get_mut(id) else { return };
        let old = std::mem::replace(&mut process.parent, parent);
        if old == parent {
            return;
        }
        if let Some(new) = parent.and_then(|p| self.get_mut(p)) {
            new.children += 1;
        }
        if let Some(old) = old.and_then(|p| self.get_mut(p)) {
            old.children = old.children.saturating_sub(1);
        }
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
        let latest = self.ended.back().map_or(0, |(t, _)| *t);
        let Some(process) = self.get_mut(id) else { return };
        if process.exited.is_some() {
            return;
        }
        // The queue is in the order of time: an end that comes late is filed under the latest.
        let time = time.unwrap_or(latest).max(latest);
        process.exited = Some(time);
        self.live -= 1;
        self.ended.push_back((time, id));
    }

    /// Removes ended processes that nothing refers to and whose grace period is over at `now`.
    pub fn prune(&mut self, now: u64) {
        let mut kept = 0;
        while kept < self.ended.len() {
            let (time, id) = self.ended[0];
            if time.saturating_add(GRACE) > now {
                break;
            }
            self.ended.pop_front();
            match self.get(id) {
                // Descendants refer to it: look again after they are gone.
                Some(process) if process.children > 0 => {
                    self.ended.push_back((now.max(self.latest_end()), id));
                    kept += 1;
                }
                Some(_) => self.remove(id),
                None => {}
            }
        }
    }

    fn latest_end(&self) -> u64 {
        self.ended.back().map_or(0, |(t, _)| *t)
    }

    fn remove(&mut self, id: ProcessId) {
        let Some(slot) = self.slots.get_mut(id.index as usize).filter(|s| s.generation == id.generation) else {
            return;
        };
        let Some(process) = slot.process.take() else { return };
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        if process.exited.is_none() {
            self.live -= 1;
        }
        if self.by_tgid.get(&process.key.tgid) == Some(&id) {
            self.by_tgid.remove(&process.key.tgid);
        }
        if let Some(parent) = process.parent.and_then(|p| self.get_mut(p)) {
            parent.children = parent.children.saturating_sub(1);
        }
    }

    /// Makes room for one: the longest dead, else the oldest arrival.
    fn evict(&mut self) {
        while let Some((_, id)) = self.ended.pop_front() {
            if self.get(id).is_some() {
                self.remove(id);
                self.stats.evicted_ended += 1;
                return;
            }
        }
        while let Some(id) = self.arrivals.pop_front() {
            if self.get(id).is_some() {
                self.remove(id);
                self.stats.evicted_live += 1;
                return;
            }
        }
    }

    /// Keeps the arrival queue from growing with the processes that came and went.
    fn trim_arrivals(&mut self) {
        if self.arrivals.len() > 64 + 2 * self.slots.len() {
            let arrivals = std::mem::take(&mut self.arrivals);
            self.arrivals =
                arrivals.into_iter().filter(|id| self.get(*id).is_some_and(|p| p.exited.is_none())).collect();
        }
    }

    /// A process's ancestors, parent first.
    pub fn ancestors(&self, id: ProcessId) -> impl Iterator<Item = (ProcessId, &Process)> {
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
}
