//! The thread that knows things: records in, state brought up to date, rules evaluated, alerts out.

mod groups;
mod live;
mod waiting;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, select_biased};
use vedette_abi::{Header, Ring};
use vedette_event::{Body, Clock, Record, State, alert::Node, decode};
use vedette_policy::{
    PolicySet, RuleMatching,
    pipeline::{Outcome, Pipeline, Raised},
};

use self::{groups::Groups, live::Live, waiting::Waiting};
use crate::{
    clock,
    hosts::Hosts,
    identity::{Answer, Identity},
    names::Names,
    proc::{Proc, Sweep, Swept, SweptGroup},
    sensor::Batch,
    sink::Sinks,
    stats::Stats,
    tap::Tap,
    targets::Targets,
};

/// A control group came or went: the kernel's filter wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupChange {
    /// A group with this id and path.
    Made(u64, String),
    /// The group is gone.
    Removed(u64),
}

/// What the engine is told between batches.
pub enum Control {
    /// Use these policies from now on. The answer comes when they are live.
    Policies(Arc<PolicySet>, Sender<()>),
    /// So many records of process state were lost, and no gap record has told it yet.
    LostState(u32),
}

/// What the engine works with.
pub struct Engine {
    /// Processes and control groups.
    pub state: State,
    /// To the wall clock.
    pub clock: Clock,
    /// The node.
    pub node: Node,
    /// Names of users and groups.
    pub names: Option<Names>,
    /// Where what is missing is looked up.
    pub proc: Proc,
    /// Where alerts go.
    pub sinks: Arc<Sinks>,
    /// Where everything is counted.
    pub stats: Arc<Stats>,
    /// Told about control groups.
    pub on_cgroup: Box<dyn FnMut(CgroupChange) + Send>,
    /// Which of several matching rules fire.
    pub matching: RuleMatching,
    /// Knows the addresses of hosts that rules name.
    pub hosts: Option<Arc<Hosts>>,
    /// Who records.
    pub tap: Tap,
    /// Knows about containers and pods.
    pub identity: Identity,
}

/// The running thread.
pub struct Running {
    thread: JoinHandle<()>,
    control: Sender<Control>,
}

impl Running {
    /// Replaces the policies and waits until the new ones are live. False when the engine has ended.
    pub fn set_policies(&self, set: Arc<PolicySet>) -> bool {
        let (done, wait) = crossbeam_channel::bounded(1);
        self.control.send(Control::Policies(set, done)).is_ok() && wait.recv().is_ok()
    }

    /// Says that records of process state were lost, for which no gap record has come. Dropped when something else is
    /// being asked of the engine: it can be said again.
    pub fn lost_state(&self, lost: u32) {
        let _ = self.control.try_send(Control::LostState(lost));
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end, which comes when the pump ends. False when the thread panicked.
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread could be had.
    pub fn start(
        self,
        policies: Arc<PolicySet>,
        batches: Receiver<Batch>,
        recycle: Sender<Batch>,
    ) -> std::io::Result<Running> {
        let (control, requests) = crossbeam_channel::bounded(1);
        let thread = std::thread::Builder::new().name("vedette-engine".into()).spawn(move || {
            let mut work = Work::new(self);
            work.replace_policies(Some(policies));
            work.ask_for_all();
            loop {
                let quiet = work.give_up_late();
                select_biased! {
                    recv(requests) -> request => match request {
                        Ok(Control::Policies(set, done)) => {
                            work.give_up_all();
                            work.replace_policies(Some(set));
                            // Nobody waits any more: no harm.
                            let _ = done.send(());
                        }
                        Ok(Control::LostState(lost)) => work.lost_state(lost),
                        // Nobody can give us new policies any more; events go on.
                        Err(_) => match batches.recv() {
                            Ok(batch) => work.batch(batch, &recycle),
                            Err(_) => break,
                        },
                    },
                    recv(work.tap.joins()) -> join => work.join(join.ok()),
                    recv(work.identity.answers()) -> answer => work.answer(answer.ok()),
                    recv(batches) -> batch => match batch {
                        Ok(batch) => work.batch(batch, &recycle),
                        Err(_) => break,
                    },
                    default(quiet.min(work.patience())) => {
                        let began = Instant::now();
                        work.advance();
                        work.sweep();
                        work.publish(began);
                    }
                }
            }
            work.give_up_all();
            work.replace_policies(None);
        })?;
        Ok(Running { thread, control })
    }
}

/// Processes that are compared with `/proc` between two batches: about two milliseconds' worth.
const SWEEP_STEP: usize = 16;

/// How long it may be quiet before summaries that are due are told without an event to bring the time.
const QUIET: Duration = Duration::from_secs(1);

struct Work {
    pipeline: Pipeline,
    hosts: Option<Arc<Hosts>>,
    names: Option<Names>,
    proc: Proc,
    sinks: Arc<Sinks>,
    stats: Arc<Stats>,
    on_cgroup: Box<dyn FnMut(CgroupChange) + Send>,
    tap: Tap,
    targets: Targets,
    /// Looks up groups that no record told of.
    groups: Groups,
    identity: Identity,
    /// Containers whose metadata is awaited.
    waiting: Waiting,
    /// After a loss of state: looks for processes whose end was lost.
    sweep: Option<Sweep>,
}

/// What is done with an alert.
fn to_sinks<'a>(sinks: &'a Sinks, stats: &'a Stats) -> impl FnMut(Raised<'_>) + use<'a> {
    |raised| {
        stats.alerts.fetch_add(1, Relaxed);
        sinks.send(&raised.alert);
    }
}

impl Work {
    fn new(engine: Engine) -> Self {
        let mut pipeline = Pipeline::new(engine.state, engine.clock, engine.node, engine.matching);
        if let Some(hosts) = &engine.hosts {
            pipeline = pipeline.with_resolver(Arc::clone(hosts) as _);
        }
        Self {
            pipeline,
            hosts: engine.hosts,
            names: engine.names,
            proc: engine.proc,
            sinks: engine.sinks,
            stats: engine.stats,
            on_cgroup: engine.on_cgroup,
            tap: engine.tap,
            targets: Targets::new(),
            groups: Groups::default(),
            identity: engine.identity,
            waiting: Waiting::default(),
            sweep: None,
        }
    }

    /// Puts other policies in place, or none. What the old ones held back is told first.
    fn replace_policies(&mut self, set: Option<Arc<PolicySet>>) {
        if let (Some(hosts), Some(set)) = (&self.hosts, &set) {
            hosts.want(set.needs().hosts);
        }
        self.pipeline.set_policies(set, to_sinks(&self.sinks, &self.stats));
    }

    /// How long to wait for events before other things are done.
    fn patience(&self) -> Duration {
        if self.sweep.is_some() { Duration::ZERO } else { QUIET }
    }

    /// Tells the summaries that are due, and forgets what ended.
    fn advance(&mut self) {
        let now = self.pipeline.clock().realtime(clock::boottime());
        self.pipeline.advance(now, to_sinks(&self.sinks, &self.stats));
        self.tap.time(now);
        self.tap.flush(&self.pipeline, self.names.as_ref());
    }

    /// Somebody records from here on.
    fn join(&mut self, recorder: Option<crate::tap::Join>) {
        self.tap.join(recorder, &self.pipeline, self.names.as_ref());
    }

    fn batch(&mut self, mut batch: Batch, recycle: &Sender<Batch>) {
        let began = Instant::now();
        let mut completed = Vec::new();
        for bytes in batch.iter() {
            let bytes = self.targets.put(bytes, &self.pipeline.state, &mut completed);
            match decode(bytes) {
                Ok(record) => {
                    self.know_group(&record.header);
                    self.tap.before(&record, self.names.as_ref());
                    self.record(&record);
                    self.tap.record(bytes);
                    if let Body::CgroupMkdir { facts, .. } = &record.body {
                        self.ask_for_group(facts.id);
                    }
                }
                Err(error) => {
                    self.stats.undecodable.fetch_add(1, Relaxed);
                    tracing::warn!(%error, "a record could not be decoded");
                }
            }
        }
        self.targets.rest();
        batch.clear();
        // The pump has enough of them.
        let _ = recycle.try_send(batch);
        self.sweep();
        self.tap.flush(&self.pipeline, self.names.as_ref());
        self.publish(began);
    }

    /// Looks the control group of an event up where it is not known, because the record of its making was lost: as long
    /// as it is not, a process in a container would be told as one of the host.
    fn know_group(&mut self, header: &Header) {
        let Some(made) = self.groups.look_up(header, &self.pipeline.state.cgroups, &self.proc) else {
            return;
        };
        // As if its making had been told just now, for the state as for recorders; the kernel did not, so it is not counted.
        let Ok(record) = decode(&made) else { return };
        let mut outside =
            Live { proc: &self.proc, names: self.names.as_ref(), stats: &self.stats, tap: &self.tap };
        self.pipeline.record(&record, &mut outside, to_sinks(&self.sinks, &self.stats));
        self.stats.healed.fetch_add(1, Relaxed);
        self.tell_group(header.cgroup);
        self.tap.record(&made);
        self.ask_for_group(header.cgroup);
    }

    /// Tells the kernel's filter of a control group.
    fn tell_group(&mut self, id: u64) {
        if let Some(group) = self.pipeline.state.cgroups.get(id) {
            (self.on_cgroup)(CgroupChange::Made(id, group.path.to_string()));
        }
    }

    /// After a loss of state records, a few processes at a time: is each still there, and what it was?
    fn sweep(&mut self) {
        let Some(sweep) = &mut self.sweep else { return };
        let before = sweep.found();
        let on_cgroup = &mut self.on_cgroup;
        let more = sweep.step(&mut self.pipeline.state, &self.proc, clock::boottime(), SWEEP_STEP, |group| {
            on_cgroup(match group {
                SweptGroup::There(id, path) => CgroupChange::Made(id, path),
                SweptGroup::Gone(id) => CgroupChange::Removed(id),
            });
        });
        let found = sweep.found();
        let new = |of: fn(&Swept) -> u64| of(&found) - of(&before);
        self.stats.sweep_ended.fetch_add(new(|s| s.ended), Relaxed);
        self.stats.healed.fetch_add(new(|s| s.added) + new(|s| s.changed), Relaxed);
        if !more {
            self.stats.sweeps.fetch_add(1, Relaxed);
            tracing::info!(
                ended = found.ended,
                changed = found.changed,
                added = found.added,
                groups_added = found.groups_added,
                groups_removed = found.groups_removed,
                "the process table was compared with /proc after a loss of records"
            );
            self.sweep = None;
        }
        if found != before {
            // No record tells of these changes.
            self.tap.resync(&self.pipeline, self.names.as_ref());
        }
        if found.groups_added != before.groups_added {
            self.ask_for_all();
        }
    }

    /// Records of process state were lost.
    fn lost_state(&mut self, lost: u32) {
        match &mut self.sweep {
            Some(sweep) => sweep.again(),
            None => {
                tracing::warn!(
                    lost,
                    "records of process state were lost; the process table is compared with /proc"
                );
                self.sweep = Some(Sweep::new(&self.pipeline.state, &self.proc));
            }
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        self.stats.deliver(record.kind);
        let mut outside =
            Live { proc: &self.proc, names: self.names.as_ref(), stats: &self.stats, tap: &self.tap };
        match self.pipeline.record(record, &mut outside, to_sinks(&self.sinks, &self.stats)) {
            Outcome::Event => {}
            Outcome::Gap(lost) => {
                self.stats.gaps.fetch_add(1, Relaxed);
                self.stats.gap_lost.fetch_add(u64::from(lost), Relaxed);
                if matches!(&record.body, Body::Gap(gap) if gap.ring == u32::from(Ring::State as u8)) {
                    self.lost_state(lost);
                }
            }
            Outcome::State => match &record.body {
                Body::CgroupMkdir { facts, .. } => self.tell_group(facts.id),
                Body::CgroupRmdir { facts, .. } => (self.on_cgroup)(CgroupChange::Removed(facts.id)),
                _ => {}
            },
        }
    }

    fn publish(&self, began: Instant) {
        let (stats, state) = (&self.stats, &self.pipeline.state);
        let hold = self.pipeline.hold_stats();
        stats.held.store(hold.held, Relaxed);
        stats.held_gave_up.store(hold.gave_up, Relaxed);
        stats.held_refused.store(hold.refused, Relaxed);
        let table = state.processes.stats();
        stats.matches.store(self.pipeline.matches(), Relaxed);
        stats.processes.store(table.entries as u64, Relaxed);
        stats.evicted.store(table.evicted_live + table.evicted_ended, Relaxed);
        stats.unknown_processes.store(state.stats().unknown_processes, Relaxed);
        stats.cgroups.store(state.cgroups.len() as u64, Relaxed);
        let busy = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        stats.busy_ns.fetch_add(busy, Relaxed);
    }
}

#[cfg(test)]
mod tests;
