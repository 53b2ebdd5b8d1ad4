//! Making the state true again after records of the state ring were lost.

use vedette_event::{ProcessKey, State};

use super::{Proc, ProcError};
use crate::identity::{Group, Walk};

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes whose end no record had told.
    pub ended: u64,
    /// Processes that had changed without a record: another program, other ids, another control group.
    pub changed: u64,
    /// Processes whose fork and exec no record had told.
    pub added: u64,
    /// Control groups that no record had told of.
    pub groups_added: u64,
    /// Control groups whose removal no record had told.
    pub groups_removed: u64,
}

impl Swept {
    /// Whether the state was wrong anywhere.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// A control group that the comparison has found to be there, or not to be there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweptGroup {
    /// It is there: its id and path.
    There(u64, String),
    /// It is gone.
    Gone(u64),
}

/// Compares a state with `/proc` and the control group hierarchy. To be made after a gap in the state ring; in steps, so
/// that events do not have to wait.
///
/// Records that are still on their way are no harm: what a fork, an exec or an exit tells again is the same.
#[derive(Debug)]
pub struct Sweep {
    /// Processes that were known, and lived.
    known: Vec<ProcessKey>,
    /// Numbers of processes that are there, once those that were known are done.
    there: Option<Vec<u32>>,
    groups: Option<Walk>,
    known_groups: Vec<u64>,
    found: Swept,
    /// Records lost since it began: it has to begin again when it is through.
    again: bool,
}

impl Sweep {
    /// Of what is known now.
    pub fn new(state: &State, proc: &Proc) -> Self {
        let known = state.processes.iter().filter(|p| p.exited.is_none()).map(|p| p.key).collect();
        Self {
            known,
            there: None,
            groups: proc.hierarchy().map(|hierarchy| hierarchy.walk()),
            known_groups: state.cgroups.iter().map(|(id, _)| id).collect(),
            found: Swept::default(),
            again: false,
        }
    }

    /// Takes note of another loss. A comparison that began before would have missed what it lost; one that began anew
    /// with each loss would never come to its end.
    pub fn again(&mut self) {
        self.again = true;
    }

    /// Looks at about `most` processes or groups; `time` is what counts as the end of those that are gone. Groups that
    /// are not as they were known are told to `on_group`. Returns whether more is left.
    pub fn step(
        &mut self,
        state: &mut State,
        proc: &Proc,
        time: u64,
        most: usize,
        on_group: impl FnMut(SweptGroup),
    ) -> bool {
        if !self.known.is_empty() {
            for key in self.known.drain(self.known.len().saturating_sub(most)..) {
                look_at(key, state, proc, time, &mut self.found);
            }
            return true;
        }
        let there = self.there.get_or_insert_with(|| proc.pids().unwrap_or_default());
        if !there.is_empty() {
            for pid in there.drain(there.len().saturating_sub(most)..) {
                add(pid, state, proc, &mut self.found);
            }
            return true;
        }
        if self.groups(state, proc, time, most, on_group) {
            return true;
        }
        state.link_parents();
        if std::mem::take(&mut self.again) {
            *self = Self { found: self.found, ..Self::new(state, proc) };
            return true;
        }
        false
    }

    /// The groups that are there, then those that were known. Returns whether there were any left.
    fn groups(
        &mut self,
        state: &mut State,
        proc: &Proc,
        time: u64,
        most: usize,
        mut on_group: impl FnMut(SweptGroup),
    ) -> bool {
        if let Some(walk) = &mut self.groups {
            let mut seen = 0;
            for Group { id, path } in walk.by_ref().take(most) {
                seen += 1;
                if state.cgroups.get(id).is_none_or(|known| *known.path != *path)
                    && state.cgroups.insert(id, &path)
                {
                    self.found.groups_added += 1;
                    on_group(SweptGroup::There(id, path));
                }
            }
            if seen == most {
                return true;
            }
            self.groups = None;
        }
        // Where only part of the hierarchy is seen, what is not seen may be there all the same.
        let Some(hierarchy) = proc.hierarchy().filter(|hierarchy| !hierarchy.is_partial()) else {
            return false;
        };
        if self.known_groups.is_empty() {
            return false;
        }
        for id in self.known_groups.drain(self.known_groups.len().saturating_sub(most)..) {
            let Some(known) = state.cgroups.get(id) else { continue };
            if hierarchy.id_of(&known.path) != Some(id) {
                state.cgroups.retire(id, time);
                self.found.groups_removed += 1;
                on_group(SweptGroup::Gone(id));
            }
        }
        true
    }

    /// What was found.
    pub fn found(&self) -> Swept {
        self.found
    }
}

/// Whether a process that was known is still there, and what it is now.
fn look_at(key: ProcessKey, state: &mut State, proc: &Proc, time: u64, found: &mut Swept) {
    let known = state.processes.find(key).and_then(|id| state.processes.get(id));
    if known.is_none_or(|known| known.exited.is_some()) {
        return;
    }
    match proc.complete(key) {
        // A zombie has told its end in a record; this one did not come.
        Ok(read) if read.exited.is_some() => {}
        Ok(read) => {
            found.changed += u64::from(state.refresh(read));
            return;
        }
        Err(ProcError::Gone(_) | ProcError::Reused(_)) => {}
        // Nothing can be said.
        Err(_) => return,
    }
    state.processes.exit(key, time);
    found.ended += 1;
}

/// Takes in a process that is there and was not known.
fn add(pid: u32, state: &mut State, proc: &Proc, found: &mut Swept) {
    let latest = state.processes.latest(pid).and_then(|id| state.processes.get(id));
    if latest.is_some_and(|known| known.exited.is_none()) {
        return;
    }
    if let Ok(read) = proc.process(pid)
        && read.exited.is_none()
        && state.processes.find_near(read.key).is_none()
    {
        state.complete(read);
        found.added += 1;
    }
}
