//! What one event needs of the state, kept for later.

use std::sync::Arc;

use super::{State, StateLimits};
use crate::{Container, ProcessId};

/// As many groups as an excerpt can name: one for each of its processes.
const GROUPS: usize = 1024;

/// A small state with what an event of one process is looked at together with: the process and its ancestors, the
/// leaders of its session and process group, their control groups. It stays as it was while the node goes on.
#[derive(Debug)]
pub struct Excerpt {
    /// The state.
    pub state: State,
    /// The process's place in it.
    pub id: ProcessId,
}

impl State {
    /// What an event of this process in this group needs. `None` where the process is not known.
    pub fn excerpt(&self, id: ProcessId, cgroup: u64) -> Option<Excerpt> {
        let process = self.processes.get(id)?;
        let mut line: Vec<ProcessId> = self.processes.ancestors(id).map(|(ancestor, _)| ancestor).collect();
        let leaders = [process.task.sid, process.task.pgid].map(|pid| self.processes.latest(pid));
        let mut state =
            Self::new(StateLimits { processes: usize::MAX, cgroups: GROUPS, hierarchy: self.hierarchy });
        state.copy_group(self, cgroup);
        // The oldest first, each linked to the one before.
        line.reverse();
        let mut parent = None;
        for ancestor in line {
            parent = state.copy_process(self, ancestor, parent);
        }
        for leader in leaders.into_iter().flatten() {
            if leader != id
                && self.processes.get(leader).is_some_and(|p| state.processes.find(p.key).is_none())
            {
                state.copy_process(self, leader, None);
            }
        }
        // Last, because of two processes with one number the later one in is the later one to have started.
        let id = state.copy_process(self, id, parent)?;
        state.before = self.before;
        state.known_before = self.known_before;
        state.times = self.times;
        Some(Excerpt { state, id })
    }

    fn copy_process(&mut self, from: &Self, id: ProcessId, parent: Option<ProcessId>) -> Option<ProcessId> {
        let mut process = from.processes.get(id)?.clone();
        process.parent = parent;
        self.copy_group(from, process.task.cgroup);
        Some(self.processes.insert(process))
    }

    fn copy_group(&mut self, from: &Self, id: u64) {
        if self.cgroups.get(id).is_none()
            && let Some(group) = from.cgroups.get(id)
        {
            self.cgroups.insert(id, &group.path);
            if let Some(container) = &group.container {
                self.cgroups.describe(&container.id, |copy| *copy = Container::clone(container));
            }
        }
    }
}

impl Excerpt {
    /// Takes over what has become known about a container since.
    pub fn learn(&mut self, container: &Arc<Container>) {
        self.state.cgroups.describe(&container.id, |copy| *copy = Container::clone(container));
    }
}
