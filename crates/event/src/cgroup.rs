//! Control groups and the containers they stand for.

mod container;
mod path;

use std::{collections::VecDeque, sync::Arc};

use hashbrown::{HashMap, HashSet};
use vedette_abi::{ABI_VERSION, CgroupDir, Header, Kind, PATH_CAP};
use zerocopy::IntoBytes;

use crate::process::GRACE;

pub use container::{
    Container, ContainerRef, Knowledge, Metadata, Mount, Pod, PodRef, Probes, Workload, is_internal_label,
    short_id,
};
pub use path::container_of_path;

/// A control group.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Path in its hierarchy.
    pub path: Box<str>,
    /// The container whose group this or an ancestor is.
    pub container: Option<ContainerRef>,
    /// When it was removed.
    pub(crate) retired: Option<u64>,
}

impl Cgroup {
    /// The record of the making of a group, for one whose own was lost: that of the event `cause`, at its time, with its path
    /// in the hierarchy of that number. `None` where the path is longer than a record carries.
    pub fn made_record(cause: &Header, hierarchy: u32, path: &str) -> Option<Vec<u8>> {
        let path_len = u16::try_from(path.len()).ok().filter(|len| usize::from(*len) <= PATH_CAP)?;
        let body = CgroupDir { id: cause.cgroup, hierarchy, path_len, pad: 0 };
        let len = size_of::<Header>() + size_of::<CgroupDir>() + path.len();
        let header = Header {
            len: u32::try_from(len).ok()?,
            kind: Kind::CgroupMkdir as u16,
            version: ABI_VERSION,
            call: 0,
            seq: 0,
            flags: 0,
            io_uring_op: 0,
            ..*cause
        };
        Some([header.as_bytes(), body.as_bytes(), path.as_bytes()].concat())
    }
}

/// A container and its groups.
#[derive(Debug)]
struct Member {
    container: ContainerRef,
    groups: HashSet<u64, foldhash::fast::RandomState>,
}

/// The control groups of the node, by id, and no more than a given number of them.
///
/// A group that is removed stays for a grace period, because events of the other ring may still name it.
#[derive(Debug)]
pub struct Cgroups {
    by_id: HashMap<u64, Cgroup, foldhash::fast::RandomState>,
    containers: HashMap<String, Member, foldhash::fast::RandomState>,
    /// Pods of the API server, by uid.
    pods: HashMap<String, PodRef, foldhash::fast::RandomState>,
    /// Removed groups in the order of their removal.
    retired: VecDeque<(u64, u64)>,
    cap: usize,
    /// Containers whose metadata is awaited.
    pending: usize,
    /// Groups that found no room.
    pub refused: u64,
}

impl Cgroups {
    /// An empty table for at most `cap` groups.
    pub fn new(cap: usize) -> Self {
        Self {
            by_id: HashMap::default(),
            containers: HashMap::default(),
            pods: HashMap::default(),
            retired: VecDeque::new(),
            cap,
            pending: 0,
            refused: 0,
        }
    }

    /// Takes note of a group that is there. Returns false when there was no room.
    pub fn insert(&mut self, id: u64, path: &str) -> bool {
        self.add(id, path, None)
    }

    /// Takes note of a group that was made at `time`, the container's first if it is one of a container that is not
    /// known yet. Returns false when there was no room.
    pub fn insert_made(&mut self, id: u64, path: &str, time: u64) -> bool {
        self.add(id, path, Some(time))
    }

    fn add(&mut self, id: u64, path: &str, made: Option<u64>) -> bool {
        // Those that are only waiting for their end give way first.
        while self.by_id.len() >= self.cap && !self.by_id.contains_key(&id) {
            let Some((time, old)) = self.retired.pop_front() else {
                self.refused += 1;
                return false;
            };
            self.remove_retired(old, time);
        }
        if let Some(old) = self.by_id.remove(&id) {
            self.release(id, old);
        }
        let container = container_of_path(path).map(|found| {
            let member = self.containers.entry(found.id.clone()).or_insert_with(|| {
                let pod = found.pod_uid.as_deref().and_then(|uid| self.pods.get(uid)).cloned();
                Member { container: Arc::new(Container { pod, made, ..found }), groups: HashSet::default() }
            });
            member.groups.insert(id);
            Arc::clone(&member.container)
        });
        self.by_id.insert(id, Cgroup { path: path.into(), container, retired: None });
        true
    }

    /// Takes note that a group was removed at `time`.
    pub fn retire(&mut self, id: u64, time: u64) {
        if let Some(group) = self.by_id.get_mut(&id)
            && group.retired.is_none()
        {
            group.retired = Some(time);
            self.retired.push_back((time, id));
        }
    }

    /// Forgets the groups whose grace period is over at `now`.
    pub fn prune(&mut self, now: u64) {
        while let Some((time, id)) = self.retired.pop_front_if(|(time, _)| time.saturating_add(GRACE) <= now)
        {
            self.remove_retired(id, time);
        }
    }

    /// The queue may hold what has gone or come back.
    fn remove_retired(&mut self, id: u64, time: u64) {
        if self.by_id.get(&id).is_some_and(|group| group.retired == Some(time)) {
            self.remove(id);
        }
    }

    /// Forgets a group at once.
    pub fn remove(&mut self, id: u64) {
        if let Some(old) = self.by_id.remove(&id) {
            self.release(id, old);
        }
    }

    fn release(&mut self, id: u64, group: Cgroup) {
        let Some(container) = group.container else { return };
        if let Some(member) = self.containers.get_mut(&container.id) {
            member.groups.remove(&id);
            if member.groups.is_empty() {
                self.pending -= usize::from(member.container.knowledge == Knowledge::Pending);
                self.containers.remove(&container.id);
            }
        }
    }

    /// Changes what is known about a container. Returns false where no group of that container is known.
    pub fn describe(&mut self, id: &str, change: impl FnOnce(&mut Container)) -> bool {
        let Some(member) = self.containers.get_mut(id) else { return false };
        let mut changed = Container::clone(&member.container);
        change(&mut changed);
        id.clone_into(&mut changed.id);
        self.pending += usize::from(changed.knowledge == Knowledge::Pending);
        self.pending -= usize::from(member.container.knowledge == Knowledge::Pending);
        member.container = Arc::new(changed);
        for group in &member.groups {
            if let Some(group) = self.by_id.get_mut(group) {
                group.container = Some(Arc::clone(&member.container));
            }
        }
        true
    }

    /// Takes note of what the API server says about a pod, or that it is gone. There are no more pods than groups.
    pub fn set_pod(&mut self, uid: &str, pod: Option<Pod>) {
        let pod = pod.map(Arc::new);
        match &pod {
            Some(pod) if self.pods.len() < self.cap || self.pods.contains_key(uid) => {
                self.pods.insert(uid.to_owned(), Arc::clone(pod));
            }
            // What a container was known by stays with it to its end.
            _ => {
                self.pods.remove(uid);
                return;
            }
        }
        for id in self.containers_of_pod(uid) {
            self.describe(&id, |container| container.pod.clone_from(&pod));
        }
    }

    /// Ids of the containers of a pod.
    pub fn containers_of_pod(&self, uid: &str) -> Vec<String> {
        let of_pod = self.containers().filter(|container| container.pod_uid() == Some(uid));
        of_pod.map(|container| container.id.clone()).collect()
    }

    /// Number of containers whose metadata is awaited ([`Knowledge::Pending`]).
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// The pods that the API server told of.
    pub fn pods(&self) -> impl Iterator<Item = &PodRef> {
        self.pods.values()
    }

    /// A container by its id.
    pub fn container(&self, id: &str) -> Option<&ContainerRef> {
        self.containers.get(id).map(|member| &member.container)
    }

    /// All containers.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerRef> {
        self.containers.values().map(|member| &member.container)
    }

    /// What is known about a group.
    pub fn get(&self, id: u64) -> Option<&Cgroup> {
        self.by_id.get(&id)
    }

    /// All groups.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Cgroup)> {
        self.by_id.iter().map(|(id, group)| (*id, group))
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests;
