//! What the engine asks the running system, and the recorders' note of the answers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use vedette_event::{Process, ProcessKey, Usage, UserNames};
use vedette_policy::pipeline::Outside;

use crate::{names::Names, proc::Proc, stats::Stats, tap::Tap};

/// The system that is watched.
pub(super) struct Live<'a> {
    pub proc: &'a Proc,
    pub names: Option<&'a Names>,
    pub stats: &'a Stats,
    pub tap: &'a Tap,
}

impl Live<'_> {
    /// Knows the names of users and groups and what processes use, and has recorders note what it is asked.
    pub fn user_names(&self) -> &dyn UserNames {
        self
    }

    /// The names, unless recorders have to note them.
    fn untold(&self) -> Option<&Names> {
        self.names.filter(|_| !self.tap.is_on())
    }
}

impl Outside for Live<'_> {
    fn process(&mut self, key: ProcessKey) -> Option<Process> {
        let found = match self.proc.complete(key) {
            Ok(found) => {
                self.stats.healed.fetch_add(1, Relaxed);
                Some(found)
            }
            Err(error) => {
                tracing::debug!(tgid = key.tgid, %error, "a process could not be looked up");
                None
            }
        };
        self.tap.looked_up(key, found.as_ref(), self.names);
        found
    }

    fn names(&self) -> &dyn UserNames {
        self.user_names()
    }
}

impl UserNames for Live<'_> {
    fn user(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        match self.untold() {
            Some(names) => names.user(uid, process),
            None => self.tap.user(uid, process, self.names?),
        }
    }

    fn group(&self, gid: u32, process: &Process) -> Option<Arc<str>> {
        match self.untold() {
            Some(names) => names.group(gid, process),
            None => self.tap.group(gid, process, self.names?),
        }
    }

    fn home(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        match self.untold() {
            Some(names) => names.home(uid, process),
            None => self.tap.home(uid, process, self.names?),
        }
    }

    fn shell(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        match self.untold() {
            Some(names) => names.shell(uid, process),
            None => self.tap.shell(uid, process, self.names?),
        }
    }

    fn usage(&self, process: &Process, tid: u32) -> Option<Usage> {
        self.tap.usage(process.key, tid, || self.proc.usage(process.key, tid).ok())
    }
}
