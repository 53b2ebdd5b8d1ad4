//! The thread of a sink.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, never, select};
use vedette_event::alert::{Alert, Format};

use super::{OnClosed, Shared, add, output::Output};

/// What a sink is told besides alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// To open its file anew.
    Reopen,
}

/// Bytes that are gathered before a write while more alerts wait.
const BATCH: usize = 64 * 1024;

/// How long a failed write waits for its next attempt: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// Between two reports about the same trouble.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// Formats and writes the alerts of one sink.
pub(super) struct Writer {
    name: String,
    format: Format,
    output: Output,
    shared: Arc<Shared>,
    on_closed: OnClosed,
    /// Lines; those before `done` are written.
    batch: Vec<u8>,
    done: usize,
    /// Whether writing fails at present.
    failing: bool,
    reported_failure: Option<Instant>,
    reported_drops: (u64, Option<Instant>),
}

/// How an attempt to write a batch ended.
enum Attempt {
    /// All is written.
    Done,
    /// There is no room at the moment.
    Full,
    /// It failed, and may succeed later.
    Failed,
    /// Nobody will read any more.
    Closed,
}

impl Writer {
    pub(super) fn new(
        name: String,
        format: Format,
        output: Output,
        shared: Arc<Shared>,
        on_closed: OnClosed,
    ) -> Self {
        Self {
            name,
            format,
            output,
            shared,
            on_closed,
            batch: Vec::new(),
            done: 0,
            failing: false,
            reported_failure: None,
            reported_drops: (0, None),
        }
    }

    /// Runs until all senders of `alerts` are gone and all is written.
    pub(super) fn run(mut self, alerts: &Receiver<Arc<Alert>>, mut control: Receiver<Control>) {
        loop {
            select! {
                recv(alerts) -> alert => match alert {
                    Ok(alert) => self.format(&alert),
                    Err(_) => break,
                },
                recv(control) -> told => match told {
                    Ok(Control::Reopen) => {
                        self.reopen(true);
                    }
                    Err(_) => control = never(),
                },
            }
            while self.batch.len() < BATCH
                && let Ok(alert) = alerts.try_recv()
            {
                self.format(&alert);
            }
            if !self.flush(&control) {
                self.close(alerts);
                return;
            }
            self.report_drops();
        }
        if let Err(error) = self.output.sync() {
            add(&self.shared.errors, 1);
            tracing::error!(sink = self.name, %error, "cannot sync alerts to disk");
        }
    }

    fn format(&mut self, alert: &Alert) {
        if let Err(error) = self.format.write_line(alert, &mut self.batch) {
            add(&self.shared.errors, 1);
            add(&self.shared.dropped, 1);
            tracing::error!(sink = self.name, uid = %alert.uid, %error, "cannot format an alert");
        }
    }

    /// Writes the batch. A failed write is tried again until it succeeds or the shutdown's time is up. Returns
    /// false when the reader has gone.
    fn flush(&mut self, control: &Receiver<Control>) -> bool {
        let mut backoff = BACKOFF.0;
        while !self.batch.is_empty() {
            match self.attempt() {
                Attempt::Done => {
                    self.clear();
                    if std::mem::take(&mut self.failing) {
                        tracing::info!(sink = self.name, "alerts are being written again");
                    }
                    break;
                }
                Attempt::Closed => return false,
                Attempt::Full => backoff = BACKOFF.0,
                Attempt::Failed => backoff = (backoff * 2).min(BACKOFF.1),
            }
            self.report_drops();
            if !self.wait(control, backoff) {
                self.drop_rest();
            }
        }
        true
    }

    fn progress(&mut self, count: usize) {
        let end = (self.done + count).min(self.batch.len());
        add(&self.shared.written, lines(&self.batch[self.done..end]));
        add(&self.shared.bytes, count as u64);
        self.done = end;
    }

    /// Waits before the next attempt. Returns false when there is no time for another.
    fn wait(&mut self, control: &Receiver<Control>, backoff: Duration) -> bool {
        if let Some(stop_at) = self.shared.stop_at.get() {
            let left = stop_at.saturating_duration_since(Instant::now());
            thread::sleep(backoff.min(BACKOFF.0).min(left));
            return !left.is_zero();
        }
        // Ended early by the shutdown, which lets go of the other end.
        if control.recv_timeout(backoff) == Ok(Control::Reopen) {
            self.reopen(true);
        }
        true
    }

    /// Opens the file anew if it has to be. A line that was begun in the old file is written whole into the new
    /// one. Returns false where there is no file that anybody would find: then it is better to wait.
    fn reopen(&mut self, always: bool) -> bool {
        match self.output.refresh(always) {
            Ok(false) => true,
            Ok(true) => {
                let written = &self.batch[..self.done];
                self.done = written.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
                true
            }
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    /// Writes what it can at once.
    fn attempt(&mut self) -> Attempt {
        // Asked every time: it costs a microsecond, and so a rotation is noticed with the next alert.
        if !self.reopen(false) {
            return Attempt::Failed;
        }
        while self.done < self.batch.len() {
            match self.output.write(&self.batch[self.done..]) {
                Ok(0) => {
                    self.failed(&ErrorKind::WriteZero.into());
                    return Attempt::Failed;
                }
                Ok(count) => self.progress(count),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::BrokenPipe => return Attempt::Closed,
                    // Somebody who shares our standard output made it non-blocking: it is full, not broken.
                    ErrorKind::WouldBlock => return Attempt::Full,
                    _ => {
                        self.failed(&error);
                        return Attempt::Failed;
                    }
                },
            }
        }
        Attempt::Done
    }

    fn failed(&mut self, error: &io::Error) {
        add(&self.shared.errors, 1);
        self.failing = true;
        if is_due(self.reported_failure) {
            self.reported_failure = Some(Instant::now());
            tracing::error!(sink = self.name, %error, "cannot write alerts, trying again");
        }
    }

    fn report_drops(&mut self) {
        let (reported, when) = self.reported_drops;
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped > reported && is_due(when) {
            self.reported_drops = (dropped, Some(Instant::now()));
            tracing::warn!(sink = self.name, count = dropped - reported, "alerts dropped");
        }
    }

    fn drop_rest(&mut self) {
        add(&self.shared.dropped, lines(&self.batch[self.done..]));
        self.clear();
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.batch.shrink_to(4 * BATCH);
        self.done = 0;
    }

    /// Says that the reader has gone, and counts what nobody will read, until the shutdown.
    fn close(mut self, alerts: &Receiver<Arc<Alert>>) {
        self.drop_rest();
        self.shared.closed.store(true, Ordering::Relaxed);
        tracing::info!(sink = self.name, "the reader of the alerts has gone");
        (self.on_closed)(&self.name);
        for _ in alerts {
            add(&self.shared.dropped, 1);
        }
    }
}

fn is_due(last: Option<Instant>) -> bool {
    last.is_none_or(|at| at.elapsed() >= REPORT_EVERY)
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}
