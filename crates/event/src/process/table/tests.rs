//! The table against a naive model, and its inner bookkeeping after every step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn key(tgid: u32, start: u64) -> ProcessKey {
    ProcessKey { tgid, start }
}

fn process(tgid: u32, start: u64) -> Process {
    Process::unknown(key(tgid, start))
}

fn child_of(parent: ProcessId, tgid: u32, start: u64) -> Process {
    Process { parent: Some(parent), ..process(tgid, start) }
}

impl ProcessTable {
    /// Everything that has to hold between any two calls.
    fn check(&self) {
        assert!(self.len() <= self.cap);
        let entries: Vec<(ProcessId, &Process)> = self.entries().collect();
        assert_eq!(entries.len(), self.len());
        assert_eq!(self.by_key.len(), self.len());
        assert_eq!(entries.iter().filter(|(_, p)| p.exited.is_none()).count(), self.live);
        let mut children: BTreeMap<u32, u32> = BTreeMap::new();
        for (id, process) in &entries {
            assert_eq!(self.by_key.get(&process.key), Some(id));
            let kept = self.slots[id.index as usize].kept;
            let queued = self.ended.iter().filter(|(_, e)| e == id).count();
            assert_eq!(queued, usize::from(process.exited.is_some() && !kept), "queued once: {process:?}");
            assert_eq!(self.kept.iter().filter(|e| *e == id).count(), usize::from(kept));
            assert!(
                !kept || (process.exited.is_some() && process.children > 0),
                "kept for nothing: {process:?}"
            );
            assert!(process.exited.is_some() || self.arrivals.contains(id), "living and not to be evicted");
            if let Some(parent) = process.parent.filter(|p| self.get(*p).is_some()) {
                *children.entry(parent.index).or_default() += 1;
            }
            assert!(self.chain(*id).take(self.len() + 1).count() <= self.len(), "a cycle");
            // Of all with one number at most one is alive.
            let alive = entries.iter().filter(|(_, p)| p.key.tgid == process.key.tgid && p.exited.is_none());
            assert!(alive.count() <= 1, "two living processes {}", process.key.tgid);
        }
        for (id, process) in &entries {
            assert_eq!(process.children, children.get(&id.index).copied().unwrap_or(0), "{process:?}");
        }
        assert_eq!(self.in_order.len(), self.len());
        assert!(self.in_order.iter().all(|(key, id)| self.by_key.get(key) == Some(id)));
        assert_eq!(self.slots.iter().filter(|s| s.kept).count(), self.kept_count);
        assert!(self.kept.len() <= 64 + 2 * self.cap);
        assert!(self.ended.iter().is_sorted_by_key(|(time, _)| *time));
        assert!(self.ended.len() <= self.len());
        assert!(self.arrivals.len() <= 65 + 2 * self.slots.len());
        assert!(self.slots.len() <= self.cap);
    }
}

/// What a caller does. Processes are named by small numbers, so that they meet often.
#[derive(Clone, Debug)]
enum Op {
    Insert { tgid: u32, start: u64, parent: Option<(u32, u64)>, ended: bool },
    Exit { tgid: u32, start: u64 },
    Reparent { tgid: u32, start: u64, parent: (u32, u64) },
    Prune { after: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let name = || (1..6u32, 1..5u64);
    prop_oneof![
        5 => (name(), proptest::option::of(name()), proptest::bool::weighted(0.1))
            .prop_map(|((tgid, start), parent, ended)| Op::Insert { tgid, start, parent, ended }),
        3 => name().prop_map(|(tgid, start)| Op::Exit { tgid, start }),
        2 => (name(), name()).prop_map(|((tgid, start), parent)| Op::Reparent { tgid, start, parent }),
        1 => (0..2 * GRACE).prop_map(|after| Op::Prune { after }),
    ]
}

/// One process of the model.
#[derive(Clone, Debug)]
struct Known {
    id: ProcessId,
    parent: Option<ProcessKey>,
    ended: bool,
}

/// The naive table: everything by key, everything looked for.
#[derive(Default)]
struct Model {
    all: BTreeMap<ProcessKey, Known>,
    now: u64,
}

impl Model {
    fn is_ancestor(&self, of: ProcessKey, candidate: ProcessKey) -> bool {
        let mut next = Some(of);
        while let Some(key) = next {
            if key == candidate {
                return true;
            }
            next = self.all.get(&key).and_then(|k| k.parent);
        }
        false
    }

    fn reparent(&mut self, child: ProcessKey, parent: Option<ProcessKey>) {
        let parent = parent.filter(|p| self.all.contains_key(p) && !self.is_ancestor(*p, child));
        if let Some(known) = self.all.get_mut(&child) {
            known.parent = parent;
        }
    }

    /// Checks that what the table has removed since `before` had to go or was counted, and removes it here, too.
    fn settle(&mut self, table: &ProcessTable, before: TableStats) {
        let after = table.stats();
        let live_evicted = after.evicted_live - before.evicted_live;
        let evicted = live_evicted + after.evicted_ended - before.evicted_ended;
        let gone: BTreeSet<ProcessKey> =
            self.all.keys().filter(|k| table.find(**k).is_none()).copied().collect();
        let live = gone.iter().filter(|key| !self.all[*key].ended).count();
        assert_eq!(live as u64, live_evicted, "living processes that went, and were counted");
        assert!(live == 0 || before.ended == 0, "a living process went before an ended one");
        let orphans = self
            .all
            .iter()
            .filter(|(key, known)| !gone.contains(key) && known.parent.is_some_and(|p| gone.contains(&p)));
        assert!(orphans.count() == 0 || evicted > 0, "an ancestor went without need");
        for key in gone {
            self.forget(key);
        }
    }

    /// Removes what the table has removed.
    fn forget(&mut self, key: ProcessKey) {
        self.all.remove(&key);
        for known in self.all.values_mut().filter(|k| k.parent == Some(key)) {
            known.parent = None;
        }
    }

    fn apply(&mut self, table: &mut ProcessTable, op: &Op) {
        let before = table.stats();
        self.now += 1;
        match *op {
            Op::Insert { tgid, start, parent, ended } => {
                let name = key(tgid, start);
                let parent = parent.map(|(tgid, start)| key(tgid, start));
                let parent_id = parent.and_then(|p| table.find(p));
                let exited = ended.then_some(self.now);
                let id = table.insert(Process { parent: parent_id, exited, ..process(tgid, start) });
                let known = self.all.contains_key(&name);
                if known && parent_id.is_some() {
                    self.reparent(name, parent);
                }
                self.settle(table, before);
                let newer = self.all.keys().any(|k| k.tgid == tgid && k.start > start);
                let entry = self.all.entry(name).or_insert(Known { id, parent: None, ended: false });
                assert_eq!(entry.id, id, "the place of a known process");
                entry.ended |= ended;
                if !known {
                    self.reparent(name, parent);
                    // Of two with one number the later one lives.
                    for (other, entry) in &mut self.all {
                        entry.ended |= other.tgid == tgid && other.start < start;
                        entry.ended |= *other == name && newer;
                    }
                }
            }
            Op::Exit { tgid, start } => {
                let known = self.all.get_mut(&key(tgid, start));
                assert_eq!(table.exit(key(tgid, start), self.now), known.as_ref().map(|k| k.id));
                if let Some(known) = known {
                    known.ended = true;
                }
            }
            Op::Reparent { tgid, start, parent: (parent_tgid, parent_start) } => {
                let (child, parent) = (key(tgid, start), key(parent_tgid, parent_start));
                if let (Some(c), Some(p)) = (table.find(child), table.find(parent)) {
                    table.set_parent(c, Some(p));
                    self.reparent(child, Some(parent));
                    self.settle(table, before);
                }
            }
            Op::Prune { after } => {
                self.now += after;
                table.prune(self.now);
                self.settle(table, before);
            }
        }
    }

    fn compare(&self, table: &ProcessTable) {
        assert_eq!(table.len(), self.all.len());
        for (key, known) in &self.all {
            assert_eq!(table.find(*key), Some(known.id));
            let process = table.get(known.id).unwrap();
            assert_eq!(process.key, *key);
            assert_eq!(process.exited.is_some(), known.ended, "{key:?}");
            let parent = process.parent.and_then(|p| table.get(p)).map(|p| p.key);
            assert_eq!(parent, known.parent, "parent of {key:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_table_does_what_the_model_does(cap in 1..24usize, ops in proptest::collection::vec(op(), 1..120)) {
        let mut table = ProcessTable::new(cap);
        let mut model = Model::default();
        let mut places: BTreeMap<(u32, u32), ProcessKey> = BTreeMap::new();
        for op in &ops {
            model.apply(&mut table, op);
            table.check();
            model.compare(&table);
            // A place names one process for ever.
            for (id, process) in table.entries() {
                let first = places.entry((id.index, id.generation)).or_insert(process.key);
                prop_assert_eq!(*first, process.key);
            }
        }
        // When everybody has ended, everybody goes.
        let keys: Vec<ProcessKey> = table.iter().map(|p| p.key).collect();
        for key in keys {
            table.exit(key, model.now);
        }
        table.prune(model.now + GRACE + 1);
        table.check();
        prop_assert!(table.is_empty());
    }
}

#[test]
fn a_fork_bomb_of_50_000_stays_within_bounds_and_keeps_its_ancestry() {
    let mut table = ProcessTable::new(10_000);
    let init = table.insert(process(1, 1));
    let shell = table.insert(child_of(init, 2, 2));
    let mut last = shell;
    // Every hundredth goes on forking.
    for n in 0..50_000u32 {
        let child = table.insert(child_of(last, 10 + n, u64::from(n) + 10));
        if n % 100 == 99 {
            last = child;
        }
        assert!(table.len() <= 10_000);
    }
    let ancestors: Vec<u32> = table.chain(last).map(|(_, p)| p.key.tgid).collect();
    assert_eq!(ancestors.len(), 501, "the whole line is there, because processes with children go last");
    assert!(ancestors.is_sorted_by(|a, b| a > b), "parent first");
    assert_eq!(table.ancestors(last).count(), MAX_ANCESTORS);
    assert_eq!(table.stats().evicted_live, 50_002 - 10_000);
    table.check_sums();
}

#[test]
fn a_program_that_reforks_itself_does_not_keep_all_its_ancestors() {
    let mut table = ProcessTable::new(1_000);
    let mut last = table.insert(process(1, 1));
    for n in 0..50_000u64 {
        let now = n * GRACE / 100;
        let next = table.insert(child_of(last, 100 + n as u32, now + 1));
        let key = table.get(last).unwrap().key;
        table.exit(key, now);
        last = next;
        table.prune(now);
        assert!(table.len() <= 1_000);
    }
    assert!(table.len() <= 500 + 200, "{} entries: half of the table and the grace period's", table.len());
    assert_eq!(table.stats().evicted_live, 0);
    assert_eq!(table.ancestors(last).count(), MAX_ANCESTORS);
    table.check_sums();
}

impl ProcessTable {
    /// The cheap part of [`Self::check`].
    fn check_sums(&self) {
        assert_eq!(self.by_key.len(), self.len());
        assert_eq!(self.iter().filter(|p| p.exited.is_none()).count(), self.live);
        assert_eq!(self.ended.len() + self.kept_count, self.len() - self.live);
        assert!(self.arrivals.len() <= 65 + 2 * self.slots.len());
        assert!(self.slots.len() <= self.cap);
    }
}

#[test]
fn a_reused_number_is_another_process_and_a_late_event_does_not_end_it() {
    let mut table = ProcessTable::new(10);
    let first = table.insert(process(7, 100));
    let second = table.insert(process(7, 200));
    assert_ne!(first, second);
    assert!(table.get(first).unwrap().exited.is_some(), "its end was not seen");
    assert_eq!((table.find(key(7, 100)), table.find(key(7, 200))), (Some(first), Some(second)));
    // An even earlier one, of which an event came late.
    let late = table.insert(process(7, 50));
    assert!(table.get(late).unwrap().exited.is_some());
    assert!(table.get(second).unwrap().exited.is_none());
    assert_eq!(table.latest(7), Some(second));
    assert_eq!(table.find(key(7, 50)), Some(late));
    table.check();
}

#[test]
fn a_parent_stays_until_its_children_are_gone() {
    let mut table = ProcessTable::new(10);
    let parent = table.insert(process(1, 1));
    let child = table.insert(child_of(parent, 2, 2));
    table.exit(key(1, 1), 10);
    table.prune(10 + 10 * GRACE);
    assert!(table.get(parent).is_some());
    assert_eq!(table.ancestors(child).count(), 1);
    table.exit(key(2, 2), 20);
    table.prune(30 * GRACE);
    table.prune(60 * GRACE);
    assert!(table.is_empty() && table.get(parent).is_none() && table.get(child).is_none());
}

#[test]
fn an_end_keeps_its_time_and_the_grace_period() {
    let mut table = ProcessTable::new(10);
    let late = table.insert(process(1, 1));
    table.insert(process(2, 1));
    table.exit(key(2, 1), 1000);
    table.exit(key(1, 1), 900);
    assert_eq!(table.get(late).unwrap().exited, Some(900), "though it came after that of 1000");
    table.exit(key(1, 1), 2000);
    assert_eq!(table.get(late).unwrap().exited, Some(900), "a second end changes nothing");
    table.prune(GRACE + 999);
    assert_eq!(table.len(), 2);
    table.prune(GRACE + 1000);
    assert_eq!(table.len(), 0);
    assert_eq!(table.exit(key(1, 1), 3000), None);
    assert_eq!(table.stats().unknown_exits, 1);
}

#[test]
fn a_start_from_proc_is_good_to_a_tick() {
    let mut table = ProcessTable::new(10);
    let id = table.insert(Process { approximate_start: true, ..process(7, 3 * TICK) });
    assert_eq!(table.find(key(7, 3 * TICK + 5)), Some(id));
    assert_eq!(table.find(key(7, 4 * TICK)), None);
    // A record tells the exact start.
    assert_eq!(table.insert(process(7, 3 * TICK + 5)), id);
    assert!(!table.get(id).unwrap().approximate_start);
    assert_eq!((table.find(key(7, 3 * TICK)), table.find_near(key(7, 3 * TICK))), (None, Some(id)));
    // And a later look into /proc does not take it away.
    assert_eq!(table.insert(Process { approximate_start: true, ..process(7, 3 * TICK) }), id);
    assert_eq!(table.get(id).unwrap().key, key(7, 3 * TICK + 5));
    assert_eq!(table.len(), 1);
    table.check();
}

#[test]
fn nobody_is_their_own_ancestor() {
    let mut table = ProcessTable::new(10);
    let a = table.insert(process(1, 1));
    let b = table.insert(child_of(a, 2, 2));
    let c = table.insert(child_of(b, 3, 3));
    for ancestor in [a, b, c] {
        table.set_parent(a, Some(ancestor));
        assert_eq!(table.get(a).unwrap().parent, None);
    }
    table.set_parent(c, Some(a));
    assert_eq!((table.get(a).unwrap().children, table.get(b).unwrap().children), (2, 0));
    table.check();
}

#[test]
fn a_table_of_one() {
    let mut table = ProcessTable::new(0);
    let a = table.insert(process(1, 1));
    let b = table.insert(child_of(a, 2, 2));
    assert_eq!(table.len(), 1);
    assert!(table.get(a).is_none() && table.get(b).unwrap().parent.is_none());
    assert_eq!(table.stats().evicted_live, 1);
}
