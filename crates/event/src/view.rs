//! One event together with what is known about who did it.

use std::sync::Arc;

use crate::{Body, Clock, Container, Process, ProcessId, Record, State};

/// Looks up the names of users and groups, and what else no record tells. Implementations cache, and share what they hold: a lookup happens on the
/// event path, and what it returns must outlive a reload.
pub trait UserNames {
    /// Name of a user, in the eyes of the host or of the container with this mount namespace.
    fn user(&self, uid: u32, process: &Process) -> Option<Arc<str>>;
    /// Name of a group.
    fn group(&self, gid: u32, process: &Process) -> Option<Arc<str>>;
    /// Home directory of a user.
    fn home(&self, _uid: u32, _process: &Process) -> Option<Arc<str>> {
        None
    }
    /// Login shell of a user.
    fn shell(&self, _uid: u32, _process: &Process) -> Option<Arc<str>> {
        None
    }
    /// What a process and one of its threads use at this moment. Not cached: only a rule or output that wants to know
    /// asks.
    fn usage(&self, _process: &Process, _tid: u32) -> Option<Usage> {
        None
    }
}

/// What a process uses, as `proc(5)` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Open descriptors.
    pub descriptors: Option<u64>,
    /// Descriptors that it may open; -1 where there is no limit.
    pub descriptor_limit: Option<i64>,
    /// Virtual memory, KiB; like the next two, nothing for threads of the kernel.
    pub virtual_memory: Option<u64>,
    /// Resident memory, KiB.
    pub resident_memory: Option<u64>,
    /// Swapped memory, KiB.
    pub swapped_memory: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Page faults of the thread for which nothing had to be read from disk.
    pub minor_faults: Option<u64>,
    /// Page faults of the thread for which something had.
    pub major_faults: Option<u64>,
    /// Time that the thread spent on a CPU, nanoseconds.
    pub cpu_time: Option<u64>,
}

/// Knows no names.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl UserNames for NoNames {
    fn user(&self, _uid: u32, _process: &Process) -> Option<Arc<str>> {
        None
    }
    fn group(&self, _gid: u32, _process: &Process) -> Option<Arc<str>> {
        None
    }
}

/// An event, its process, and the rest of the node.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The event.
    pub record: &'a Record<'a>,
    /// Number of the event since the agent started, from 1.
    pub number: u64,
    /// Who did it, and its place in the table.
    pub process: &'a Process,
    /// Its place in the table.
    pub id: ProcessId,
    /// Everything else.
    pub state: &'a State,
    /// To the wall clock.
    pub clock: Clock,
    /// Name of the node.
    pub hostname: &'a str,
    /// Names of users and groups.
    pub names: &'a dyn UserNames,
}

impl<'a> View<'a> {
    /// Ancestors, parent first.
    pub fn ancestors(&self) -> impl Iterator<Item = &'a Process> + use<'a> {
        self.state.processes.ancestors(self.id).map(|(_, p)| p)
    }

    /// The container in which it happened: that of the group which the record names, for a task may have been moved to
    /// another since its process was last described (as runc moves the first process of a container).
    pub fn container(&self) -> Option<&'a Container> {
        let group = self.state.cgroups.get(self.cgroup()).or_else(|| {
            // A group that nobody told of; the process's own, if it is another, is the better guess.
            self.state.cgroups.get(self.process.task.cgroup)
        });
        group?.container.as_deref()
    }

    /// The group in which it happened. A fork is told by the parent and about the child.
    pub fn cgroup(&self) -> u64 {
        match (&self.record.body, self.record.header.cgroup) {
            (Body::ProcessFork(_) | Body::ProcessSnapshot(_), _) | (_, 0) => self.process.task.cgroup,
            (_, cgroup) => cgroup,
        }
    }

    /// When it happened, nanoseconds since the Unix epoch.
    pub fn time(&self) -> u64 {
        self.clock.realtime(self.record.header.time)
    }
}
