//! Containers whose metadata is awaited: who is asked, what an answer does, and when nobody waits any more.

use std::{
    collections::VecDeque,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use vedette_event::{Knowledge, Metadata, Pod};

use super::{Answer, Live, QUIET, Work, to_sinks};

/// When each container has been waited for long enough, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    deadlines: VecDeque<(Instant, String)>,
}

impl Work {
    /// Asks about all containers that nobody was asked about: those that were there before, and those whose beginning
    /// was not seen.
    pub(super) fn ask_for_all(&mut self) {
        let containers = self.pipeline.state.cgroups.containers();
        let new = containers.filter(|container| container.knowledge == Knowledge::Unasked);
        let ids: Vec<String> = new.map(|container| container.id.clone()).collect();
        for id in ids {
            self.ask(&id);
        }
    }

    /// Asks about the container of a new group, unless that was done before.
    pub(super) fn ask_for_group(&mut self, group: u64) {
        let group = self.pipeline.state.cgroups.get(group);
        let new = group.and_then(|g| g.container.as_ref()).filter(|c| c.knowledge == Knowledge::Unasked);
        if let Some(id) = new.map(|container| container.id.clone()) {
            self.ask(&id);
        }
    }

    fn ask(&mut self, id: &str) {
        if !self.identity.is_on() {
            return;
        }
        let Some(container) = self.pipeline.state.cgroups.container(id).cloned() else { return };
        if !self.identity.ask(&container) {
            self.learn(id, Knowledge::Unknown, Metadata::default());
        } else if self.identity.wait.is_zero() {
            self.learn(id, Knowledge::Late, Metadata::default());
        } else {
            self.learn(id, Knowledge::Pending, Metadata::default());
            self.waiting.deadlines.push_back((Instant::now() + self.identity.wait, id.to_owned()));
        }
    }

    /// Takes an answer in. `None`: nobody answers any more.
    pub(super) fn answer(&mut self, answer: Option<Answer>) {
        match answer {
            Some(Answer::Container { id, metadata: Some(metadata) }) => {
                let knowledge = match self.pipeline.state.cgroups.container(&id) {
                    // The pod is on its way; until it is there or the time is over, the container is not complete.
                    Some(container)
                        if container.knowledge == Knowledge::Pending
                            && self.identity.expects_pods()
                            && container.pod_uid.is_some()
                            && container.pod.is_none() =>
                    {
                        Knowledge::Pending
                    }
                    _ => Knowledge::Known,
                };
                self.learn(&id, knowledge, *metadata);
            }
            Some(Answer::Container { id, metadata: None }) => {
                self.learn(&id, Knowledge::Unknown, Metadata::default());
            }
            Some(Answer::Pod { uid, pod }) => self.learn_pod(&uid, pod.map(|pod| *pod)),
            None => {
                tracing::warn!("degraded: nobody can be asked about containers any more");
                self.identity.end();
                self.give_up_all();
            }
        }
        self.tap.flush(&self.pipeline, self.names.as_ref());
    }

    fn learn_pod(&mut self, uid: &str, pod: Option<Pod>) {
        self.tap.pod(uid, pod.as_ref());
        let is_there = pod.is_some();
        self.pipeline.pod(uid, pod);
        if !is_there {
            return;
        }
        let cgroups = &self.pipeline.state.cgroups;
        let completed = cgroups.containers_of_pod(uid).into_iter().filter_map(|id| {
            let container = cgroups.container(&id)?;
            let is_complete =
                container.knowledge == Knowledge::Pending && container.metadata != Metadata::default();
            is_complete.then(|| (id, container.metadata.clone()))
        });
        for (id, metadata) in completed.collect::<Vec<_>>() {
            self.learn(&id, Knowledge::Known, metadata);
        }
    }

    /// What is known from here on. Events that waited for it are evaluated before it is noted for those who record, as
    /// the names that they ask for have to stand before it.
    fn learn(&mut self, id: &str, knowledge: Knowledge, metadata: Metadata) {
        let names = Live { proc: &self.proc, names: self.names.as_ref(), stats: &self.stats, tap: &self.tap };
        let noted = self.tap.is_on().then(|| metadata.clone());
        let to_sinks = to_sinks(&self.sinks, &self.stats);
        self.pipeline.container(id, knowledge, metadata, names.user_names(), to_sinks);
        if let Some(metadata) = noted {
            self.tap.container(id, knowledge, &metadata);
        }
    }

    /// Gives up waiting for those whose time is over. Returns how long to wait for whatever comes next.
    pub(super) fn give_up_late(&mut self) -> Duration {
        let now = Instant::now();
        while let Some((deadline, _)) = self.waiting.deadlines.front() {
            if *deadline > now {
                return QUIET.min(*deadline - now);
            }
            if let Some((_, id)) = self.waiting.deadlines.pop_front() {
                self.give_up(&id);
            }
        }
        QUIET
    }

    /// Gives up waiting at all: what waits belongs to policies that are about to go.
    pub(super) fn give_up_all(&mut self) {
        while let Some((_, id)) = self.waiting.deadlines.pop_front() {
            self.give_up(&id);
        }
        self.tap.flush(&self.pipeline, self.names.as_ref());
    }

    fn give_up(&mut self, id: &str) {
        let container = self.pipeline.state.cgroups.container(id);
        match container.map(|container| (container.knowledge, container.metadata.clone())) {
            Some((Knowledge::Pending, metadata)) => {
                self.identity.stats.late.fetch_add(1, Relaxed);
                self.learn(id, Knowledge::Late, metadata);
            }
            Some(_) => {}
            // Its groups have gone; its events may still wait.
            None => self.learn(id, Knowledge::Late, Metadata::default()),
        }
    }
}
