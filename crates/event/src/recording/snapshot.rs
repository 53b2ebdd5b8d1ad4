//! A whole state as frames, and back.

use super::{
    Frame, Snapshot,
    frame::{container_frame, pod_frame, process_frame},
};
use crate::{Knowledge, Metadata, Pod, Process, ProcessKey, State, StateLimits, alert::GapInfo};

/// Appends the frames of a snapshot. Once there are `cap` bytes of them, processes are left out; their number is in
/// the last frame and is returned.
pub fn write(state: &State, snapshot: Snapshot, cap: usize, out: &mut Vec<u8>) -> u64 {
    let before = out.len();
    Frame::SnapshotBegin(snapshot).encode(out);
    for (id, group) in state.cgroups.iter() {
        Frame::Cgroup { id, path: &group.path, retired: group.retired }.encode(out);
    }
    for pod in state.cgroups.pods() {
        pod_frame(out, &pod.uid, Some(pod));
    }
    for container in state.cgroups.containers() {
        if container.knowledge != Knowledge::Unasked || container.made.is_some() {
            container_frame(out, &container.id, container.made, container.knowledge, &container.metadata);
        }
    }
    let mut left_out = 0;
    for process in state.processes.iter() {
        if out.len() - before > cap {
            left_out += 1;
            continue;
        }
        let parent = process.parent.and_then(|id| state.processes.get(id)).map(|p| p.key);
        process_frame(out, process, parent);
    }
    Frame::SnapshotEnd { left_out }.encode(out);
    left_out
}

/// Gathers the frames of a snapshot.
#[derive(Debug)]
pub struct Restore {
    limits: StateLimits,
    open: Option<Restored>,
}

/// A whole snapshot.
#[derive(Debug)]
pub struct Restored {
    limits: StateLimits,
    snapshot: Snapshot,
    processes: Vec<(Process, Option<ProcessKey>)>,
    cgroups: Vec<(u64, String, Option<u64>)>,
    containers: Vec<(String, Option<u64>, Knowledge, Metadata)>,
    pods: Vec<(String, Option<Pod>)>,
    /// Processes that found no room in the snapshot.
    pub left_out: u64,
}

impl Restore {
    /// Nothing gathered yet, and never more than the limits.
    pub fn new(limits: StateLimits) -> Self {
        Self { limits, open: None }
    }

    /// Whether a snapshot has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a frame in. Returns the snapshot with its last frame; frames that belong to none are passed over.
    pub fn frame(&mut self, frame: &Frame<'_>) -> Option<Restored> {
        if let Frame::SnapshotBegin(snapshot) = frame {
            self.open = Some(Restored {
                limits: self.limits,
                snapshot: snapshot.clone(),
                processes: Vec::new(),
                cgroups: Vec::new(),
                containers: Vec::new(),
                pods: Vec::new(),
                left_out: 0,
            });
            return None;
        }
        let open = self.open.as_mut()?;
        match frame {
            Frame::Process { process, parent } => {
                if open.processes.len() < self.limits.processes {
                    open.processes.push((Process::clone(process), *parent));
                } else {
                    open.left_out += 1;
                }
            }
            Frame::Cgroup { id, path, retired } if open.cgroups.len() < self.limits.cgroups => {
                open.cgroups.push((*id, (*path).to_owned(), *retired));
            }
            Frame::Container { id, made, knowledge, metadata }
                if open.containers.len() < self.limits.cgroups =>
            {
                open.containers.push(((*id).to_owned(), *made, *knowledge, Metadata::clone(metadata)));
            }
            Frame::Pod { uid, pod } if open.pods.len() < self.limits.cgroups => {
                open.pods.push(((*uid).to_owned(), pod.as_deref().cloned()));
            }
            Frame::SnapshotEnd { left_out } => {
                open.left_out += left_out;
                return self.open.take();
            }
            _ => {}
        }
        None
    }
}

impl Restored {
    /// Number of the last event before the snapshot.
    pub fn number(&self) -> u64 {
        self.snapshot.number
    }

    /// Losses that no alert had told yet.
    pub fn take_gaps(&mut self) -> Vec<GapInfo> {
        std::mem::take(&mut self.snapshot.gaps)
    }

    /// The state.
    pub fn into_state(self) -> State {
        let mut state = State::new(self.limits);
        for (id, path, _) in &self.cgroups {
            state.cgroups.insert(*id, path);
        }
        let mut retired: Vec<(u64, u64)> =
            self.cgroups.iter().filter_map(|(id, _, retired)| Some(((*retired)?, *id))).collect();
        retired.sort_unstable();
        for (time, id) in retired {
            state.cgroups.retire(id, time);
        }
        for (uid, pod) in self.pods {
            state.cgroups.set_pod(&uid, pod);
        }
        for (id, made, knowledge, metadata) in self.containers {
            state.cgroups.describe(&id, |container| {
                container.made = made;
                container.knowledge = knowledge;
                container.metadata = metadata;
            });
        }
        state.restore(self.processes, self.snapshot.last_prune, self.snapshot.times);
        state
    }
}
