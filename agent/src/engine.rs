//! The thread that knows things: records in, state brought up to date, rules evaluated, alerts out.

mod finding;
mod heal;
mod summary;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, select_biased};
use vedette_abi::Ring;
use vedette_event::{
    Body, Clock, NoNames, Record, State, View,
    alert::{Alert, GapLog, Node},
    decode,
};
use vedette_policy::{Evaluator, LiveFacts, Match, PolicySet, RuleMatching, correlate::Correlation};

use self::summary::LastAlerts;
use crate::{
    clock,
    names::Names,
    proc::{Proc, Sweep},
    sensor::Batch,
    sink::Sinks,
    stats::Stats,
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
                evaluator: Some(Evaluator::new(policies).with_matching(self.matching)),
                output: Output {
                    node: self.node.clone(),
                    sinks: Arc::clone(&self.sinks),
                    stats: Arc::clone(&self.stats),
                    gaps: GapLog::default(),
                    last: LastAlerts::default(),
                },
                engine: self,
                number: 0,
                sweep: None,
            };
            loop {
                select_biased! {
                    recv(requests) -> request => match request {
                        Ok(Control::Policies(set, done)) => {
                            work.replace_policies(Some(set));
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
                    default(QUIET) => {
                        work.advance();
                        work.sweep();
                    }
                }
            }
            work.replace_policies(None);
        })?;
        Ok(Running { thread, control })
    }
}

/// Processes that are looked for between two batches.
const SWEEP_STEP: usize = 64;

/// How long it may be quiet before summaries that are due are told without an event to bring the time.
const QUIET: Duration = Duration::from_secs(1);

struct Work {
    engine: Engine,
    evaluator: Option<Evaluator>,
    output: Output,
    number: u64,
    /// After a loss of state: looks for processes whose end was lost.
    sweep: Option<Sweep>,
}

/// The way out of the engine.
struct Output {
    node: Node,
    sinks: Arc<Sinks>,
    stats: Arc<Stats>,
    /// Losses that no alert has told yet.
    gaps: GapLog,
    last: LastAlerts,
}

impl Output {
    /// A rule matched; `view` is the event, where there is one.
    fn matched(&mut self, matched: Match<'_>, view: Option<&View<'_>>) {
        self.stats.matches.fetch_add(1, Relaxed);
        let rule = matched.rule_index;
        let throttled = matched.rule.throttle.is_some();
        let is_summary = matches!(matched.correlation, Some(Correlation::Summary { .. }));
        let finding = finding::of(matched);
        let alert = match view {
            Some(view) if !is_summary => Some(Alert::new(view, finding, &self.node)),
            _ => self.last.summary(rule, finding),
        };
        let Some(mut alert) = alert else { return };
        alert.gaps = self.gaps.take();
        let alert = Arc::new(alert);
        if throttled && !is_summary {
            self.last.note(rule, &alert);
        }
        self.stats.alerts.fetch_add(1, Relaxed);
        self.sinks.send(&alert);
    }
}

impl Work {
    /// Puts other policies in place, or none. What the old ones held back is told first.
    fn replace_policies(&mut self, set: Option<Arc<PolicySet>>) {
        if let Some(old) = self.evaluator.take() {
            old.finish(|matched| self.output.matched(matched, None));
        }
        self.output.last.clear();
        self.evaluator = set.map(|set| Evaluator::new(set).with_matching(self.engine.matching));
    }

    /// Tells the summaries that are due.
    fn advance(&mut self) {
        let now = self.engine.clock.realtime(clock::boottime());
        if let Some(evaluator) = &mut self.evaluator {
            evaluator.advance(now, |matched| self.output.matched(matched, None));
        }
    }

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
        self.sweep();
        self.publish(began);
    }

    /// After a loss of state records, a few processes at a time: is each still there?
    fn sweep(&mut self) {
        let Some(sweep) = &mut self.sweep else { return };
        let engine = &mut self.engine;
        if !sweep.step(&mut engine.state, &engine.proc, clock::boottime(), SWEEP_STEP) {
            tracing::info!(
                ended = sweep.ended(),
                "the process table was compared with /proc after a loss of records"
            );
            self.sweep = None;
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        let engine = &mut self.engine;
        engine.stats.deliver(record.kind);
        let applied = engine.state.apply(record);
        match &record.body {
            Body::Gap(gap) => {
                engine.stats.gaps.fetch_add(1, Relaxed);
                engine.stats.gap_lost.fetch_add(u64::from(gap.total), Relaxed);
                self.output.gaps.note(record, engine.clock);
                if gap.ring == u32::from(Ring::State as u8) {
                    self.sweep = Some(Sweep::new(&engine.state));
                }
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
        let (Some(facts), Some(evaluator)) = (LiveFacts::new(view), &mut self.evaluator) else { return };
        evaluator.evaluate(&facts, |matched| self.output.matched(matched, Some(&view)));
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
