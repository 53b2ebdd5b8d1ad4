//! The thread that takes records, and prints those that are asked for.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vedette_abi::{Gap, Ring};
use vedette_event::{Body, NoNames, Process, ProcessKey, Record, UserNames, alert::GapInfo, decode};
use vedette_policy::{
    Evaluator, FieldName,
    pipeline::{Outcome, Outside, Pipeline},
};

use super::{args::Look, json, text::Text};
use crate::{
    clock,
    identity::scopes_of_path,
    names::Names,
    proc::{Proc, Sweep, SweptGroup},
    run::{SharedSensor, lock},
    sensor::Batch,
};

/// How long it may be quiet before it is looked whether anybody still reads.
const QUIET: Duration = Duration::from_millis(500);
/// How often losses are told.
const TELL_LOSSES: Duration = Duration::from_secs(1);
/// Processes that are looked for between two batches, after a loss of state.
const SWEEP_STEP: usize = 16;

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// No more records come.
    Stopped,
    /// As many events as were asked for have been printed.
    Counted,
    /// Nobody reads any more.
    Closed,
    /// They cannot be written.
    Failed(io::Error),
}

/// What is known at the end.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub end: End,
    /// Events printed.
    pub printed: u64,
    /// Records lost, as far as gap records told.
    pub lost: u64,
}

/// Where processes and names are looked up.
struct System {
    proc: Proc,
    names: Option<Names>,
}

impl Outside for System {
    fn process(&mut self, key: ProcessKey) -> Option<Process> {
        self.proc.complete(key).ok()
    }

    fn names(&self) -> &dyn UserNames {
        match &self.names {
            Some(names) => names,
            None => &NoNames,
        }
    }
}

/// How events are printed.
pub struct Printer {
    look: Look,
    text: Text,
    fields: Vec<FieldName>,
    records: std::collections::BTreeSet<vedette_abi::Kind>,
}

impl Printer {
    /// Prints events, or the fields given, and records of the kinds given.
    pub fn new(
        look: Look,
        text: Text,
        fields: Vec<FieldName>,
        records: std::collections::BTreeSet<vedette_abi::Kind>,
    ) -> Self {
        Self { look, text, fields, records }
    }
}

/// The thread's work.
pub struct Follow<W> {
    pipeline: Pipeline,
    system: System,
    evaluator: Evaluator,
    printer: Printer,
    sensor: SharedSensor,
    out: W,
    /// Events that may still be printed.
    left: u64,
    printed: u64,
    lost: Losses,
    sweep: Option<Sweep>,
}

impl<W: Write + AsFd> Follow<W> {
    /// Prints at most `count` events to `out`.
    #[allow(clippy::too_many_arguments, reason = "each is given once, where everything is put together")]
    pub fn new(
        pipeline: Pipeline,
        proc: Proc,
        names: Option<Names>,
        evaluator: Evaluator,
        printer: Printer,
        sensor: SharedSensor,
        out: W,
        count: Option<u64>,
    ) -> Self {
        let system = System { proc, names };
        let left = count.unwrap_or(u64::MAX);
        let lost = Losses::default();
        Self { pipeline, system, evaluator, printer, sensor, out, left, printed: 0, lost, sweep: None }
    }

    /// Works until no more records come, enough have been printed, or nobody reads any more.
    pub fn run(mut self, batches: &Receiver<Batch>, recycle: &Sender<Batch>) -> Ended {
        let end = self.heads().and_then(|()| self.batches(batches, recycle)).unwrap_or_else(|error| {
            match error.kind() {
                ErrorKind::BrokenPipe => End::Closed,
                _ => End::Failed(error),
            }
        });
        self.lost.tell(true);
        Ended { end, printed: self.printed, lost: self.lost.total }
    }

    fn heads(&mut self) -> io::Result<()> {
        if self.printer.look == Look::Json || self.printer.fields.is_empty() {
            return Ok(());
        }
        let mut line = String::new();
        self.printer.text.heads(&self.printer.fields, &mut line).map_err(io::Error::other)?;
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    fn batches(&mut self, batches: &Receiver<Batch>, recycle: &Sender<Batch>) -> io::Result<End> {
        loop {
            match batches.recv_timeout(QUIET) {
                Ok(mut batch) => {
                    for bytes in batch.iter() {
                        match decode(bytes) {
                            Ok(record) => self.record(&record)?,
                            Err(error) => tracing::warn!(%error, "a record could not be decoded"),
                        }
                        if self.left == 0 {
                            self.out.flush()?;
                            return Ok(End::Counted);
                        }
                    }
                    batch.clear();
                    // The pump has enough of them.
                    let _ = recycle.try_send(batch);
                    self.out.flush()?;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if has_no_reader(&self.out) {
                        return Ok(End::Closed);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Stopped),
            }
            self.sweep();
            self.lost.tell(false);
        }
    }

    fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        let mut line = Vec::new();
        let (evaluator, printer) = (&mut self.evaluator, &mut self.printer);
        let mut printed = Ok(());
        let outcome = self.pipeline.observe(record, &mut self.system, |facts| {
            let mut fields = None;
            // Under any name of its file, as rules are.
            let others: Vec<_> = facts.further_names().collect();
            evaluator.evaluate_names(facts, &others, |matched| fields = Some(matched.output_fields));
            let Some(fields) = fields else { return };
            printed = match (printer.look, printer.fields.is_empty()) {
                (Look::Json, true) => json::event(facts, &mut line),
                (Look::Json, false) => json::fields(fields, &mut line),
                (Look::Text, all) => {
                    let mut text = String::new();
                    let written = match all {
                        true => printer.text.event(facts, &mut text),
                        false => printer.text.fields(&fields, &mut text),
                    };
                    line = text.into_bytes();
                    written.map_err(io::Error::other)
                }
            };
        });
        printed?;
        match outcome {
            Outcome::Event => {}
            Outcome::State => self.cgroup(&record.body),
            Outcome::Gap(_) => {
                self.lost.add(self.pipeline.take_gaps());
                if matches!(&record.body, Body::Gap(gap) if gap.ring == u32::from(Ring::State as u8)) {
                    match &mut self.sweep {
                        Some(sweep) => sweep.again(),
                        None => self.sweep = Some(Sweep::new(&self.pipeline.state, &self.system.proc)),
                    }
                }
            }
        }
        if self.printer.records.contains(&record.kind) {
            let time = self.pipeline.clock().realtime(record.header.time);
            match self.printer.look {
                Look::Json => json::record(record, time, &mut line)?,
                Look::Text => {
                    let mut text = String::new();
                    self.printer.text.record(record, time, &mut text).map_err(io::Error::other)?;
                    line = text.into_bytes();
                }
            }
        }
        if line.is_empty() {
            return Ok(());
        }
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.printed += 1;
        self.left -= 1;
        Ok(())
    }

    /// The kernel's filter wants to know of control groups.
    fn cgroup(&mut self, body: &Body<'_>) {
        match body {
            Body::CgroupMkdir { facts, .. } => {
                if let Some(group) = self.pipeline.state.cgroups.get(facts.id) {
                    lock(&self.sensor).filter().set_scopes(facts.id, scopes_of_path(&group.path));
                }
            }
            Body::CgroupRmdir { facts, .. } => lock(&self.sensor).filter().remove_scopes(facts.id),
            _ => {}
        }
    }

    fn sweep(&mut self) {
        let Some(sweep) = &mut self.sweep else { return };
        let sensor = &self.sensor;
        let on_group = |group| match group {
            SweptGroup::There(id, path) => lock(sensor).filter().set_scopes(id, scopes_of_path(&path)),
            SweptGroup::Gone(id) => lock(sensor).filter().remove_scopes(id),
        };
        let (state, proc) = (&mut self.pipeline.state, &self.system.proc);
        if !sweep.step(state, proc, clock::boottime(), SWEEP_STEP, on_group) {
            self.sweep = None;
        }
    }
}

/// Whether the other end of a pipe or socket has been closed.
fn has_no_reader(out: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
    // An error of the call says nothing about the reader; the next write will tell.
    poll(&mut fds, PollTimeout::ZERO).is_ok()
        && fds[0].revents().is_some_and(|r| r.intersects(PollFlags::POLLERR | PollFlags::POLLHUP))
}

/// What was lost, told now and then.
#[derive(Debug, Default)]
struct Losses {
    total: u64,
    /// By ring and kind, since they were told last.
    untold: BTreeMap<(String, String), u64>,
    told: Option<Instant>,
}

impl Losses {
    fn add(&mut self, gaps: Vec<GapInfo>) {
        for gap in gaps {
            self.total += gap.count;
            *self.untold.entry((gap.ring, gap.kind)).or_default() += gap.count;
        }
    }

    fn tell(&mut self, now: bool) {
        let due = now || self.told.is_none_or(|told| told.elapsed() >= TELL_LOSSES);
        if !due || self.untold.is_empty() {
            return;
        }
        self.told = Some(Instant::now());
        for ((ring, kind), count) in std::mem::take(&mut self.untold) {
            eprintln!("lost: {count} {kind} records, because the {ring} ring was full");
        }
    }
}

/// Losses that no record has told, because none came after them.
pub fn untold(gaps: &[Gap]) -> u64 {
    gaps.iter().map(|gap| u64::from(gap.total)).sum()
}
