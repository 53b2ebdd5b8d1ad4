//! What the engine asks the running system, and the recorders' note of the answers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use vedette_event::{NoNames, Process, ProcessKey, UserNames};
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
    /// Knows the names of users and groups, and has recorders note what it is asked.
    pub fn user_names(&self) -> &dyn UserNames {
        match self.names {
            Some(_) if self.tap.is_on() => self,
            Some(names) => names,
            None => &NoNames,
        }
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
        self.tap.user(uid, process, self.names?)
    }

    fn group(&self, gid: u32, process: &Process) -> Option<Arc<str>> {
        self.tap.group(gid, process, self.names?)
    }
}
