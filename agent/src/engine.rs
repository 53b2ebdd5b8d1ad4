//! The thread that knows things: records in, state brought up to date, rules evaluated, alerts out.

mod finding;
mod heal;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, select_biased};
use vedette_event::{
    Body, Clock, NoNames, Record, State, View,
    alert::{Alert, GapLog, Node},
    decode,
};
use vedette_policy::{Evaluator, LiveFacts, PolicySet, RuleMatching};

use crate::{names::Names, proc::Proc, sensor::Batch, sink::Sinks, stats::Stats};

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
            let mut work = Work {
                evaluator: Evaluator::new(policies).with_matching(self.matching),
                engine: self,
                gaps: GapLog::default(),
                number: 0,
            };
            loop {
                select_biased! {
                    recv(requests) -> request => match request {
                        Ok(Control::Policies(set, done)) => {
                            work.evaluator = Evaluator::new(set).with_matching(work.engine.matching);
                            // Nobody waits any more: no harm.
                            let _ = done.send(());
                        }
                        // Nobody can give us new policies any more; events go on.
                        Err(_) => match batches.recv() {
                            Ok(batch) => work.batch(batch, &recycle),
                            Err(_) => break,
                        },
                    },
                    recv(batches) -> batch => match batch {
                        Ok(batch) => work.batch(batch, &recycle),
                        Err(_) => break,
                    },
                }
            }
        })?;
        Ok(Running { thread, control })
    }
}

struct Work {
    engine: Engine,
    evaluator: Evaluator,
    gaps: GapLog,
    number: u64,
}

impl Work {
    fn batch(&mut self, mut batch: Batch, recycle: &Sender<Batch>) {
        let began = Instant::now();
        for bytes in batch.iter() {
            match decode(bytes) {
                Ok(record) => self.record(&record),
                Err(error) => {
                    self.engine.stats.undecodable.fetch_add(1, Relaxed);
                    tracing::warn!(%error, "a record could not be decoded");
                }
            }
        }
        batch.clear();
        // The pump has enough of them.
        let _ = recycle.try_send(batch);
        self.publish(began);
    }

    fn record(&mut self, record: &Record<'_>) {
        let engine = &mut self.engine;
        engine.stats.deliver(record.kind);
        let applied = engine.state.apply(record);
        match &record.body {
            Body::Gap(gap) => {
                engine.stats.gaps.fetch_add(1, Relaxed);
                engine.stats.gap_lost.fetch_add(u64::from(gap.total), Relaxed);
                self.gaps.note(record, engine.clock);
                return;
            }
            Body::CgroupMkdir { facts, .. } => {
                if let Some(group) = engine.state.cgroups.get(facts.id) {
                    (engine.on_cgroup)(CgroupChange::Made(facts.id, group.path.to_string()));
                }
                return;
            }
            Body::CgroupRmdir { facts, .. } => {
                (engine.on_cgroup)(CgroupChange::Removed(facts.id));
                return;
            }
            _ => {}
        }
        let Some(mut id) = applied.process else { return };
        if applied.incomplete {
            id = heal::process(&mut engine.state, &engine.proc, id, &engine.stats);
        }
        self.number += 1;
        let Some(process) = engine.state.processes.get(id) else { return };
        let view = View {
            record,
            number: self.number,
            process,
            id,
            state: &engine.state,
            clock: engine.clock,
            hostname: &engine.node.name,
            names: match &engine.names {
                Some(names) => names,
                None => &NoNames,
            },
        };
        let Some(facts) = LiveFacts::new(view) else { return };
        let (gaps, node, stats, sinks) = (&mut self.gaps, &engine.node, &engine.stats, &engine.sinks);
        self.evaluator.evaluate(&facts, |matched| {
            stats.matches.fetch_add(1, Relaxed);
            let mut alert = Alert::new(&view, finding::of(matched), node);
            alert.gaps = gaps.take();
            stats.alerts.fetch_add(1, Relaxed);
            sinks.send(&Arc::new(alert));
        });
    }

    fn publish(&self, began: Instant) {
        let (stats, state) = (&self.engine.stats, &self.engine.state);
        let table = state.processes.stats();
        stats.processes.store(table.entries as u64, Relaxed);
        stats.evicted.store(table.evicted_live + table.evicted_ended, Relaxed);
        stats.unknown_processes.store(state.stats().unknown_processes, Relaxed);
        stats.cgroups.store(state.cgroups.len() as u64, Relaxed);
        let busy = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        stats.busy_ns.fetch_add(busy, Relaxed);
    }
}
