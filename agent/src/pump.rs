//! The thread that empties the rings and nothing else.
//!
//! It hands batches to the engine through a bounded channel. When the engine falls behind, the event ring is left
//! alone: it fills, and the kernel counts and reports what it loses, in one place. The state ring is emptied all
//! the same, as far as a bounded buffer allows, and what was in it is held back until the events before it have been
//! taken.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use crate::{
    clock,
    sensor::{Batch, Drain, Drained},
};

/// Batches that may wait for the engine.
const QUEUE: usize = 4;

/// Bytes of state that may wait while the engine is busy. Beyond that even the state ring is left to fill.
const STATE_BACKLOG: usize = 32 << 20;

/// Longest wait for a ring to wake us, milliseconds. Rings wake us when something comes; this bounds what a lost
/// wake-up could cost.
const WAIT_MS: u16 = 1000;

/// Woken again sooner than this, nanoseconds, and there is a storm: then events are gathered before they are taken. One
/// by one they would cost a wake-up each, which is dearer than all that is done with them, and half of it is paid by the
/// process whose event it is.
const STORM_NS: u64 = 3_000_000;

/// How long events are gathered in a storm, milliseconds. An event that comes alone does not wait.
const GATHER_MS: u16 = 1;

/// Wait while the engine's queue is full, milliseconds.
const BACKPRESSURE_MS: u16 = 2;

/// The running thread.
pub struct Pump {
    stop: Arc<EventFd>,
    thread: JoinHandle<std::io::Result<()>>,
    /// Batches in the order of time.
    pub batches: Receiver<Batch>,
    /// Emptied batches come back here, so that their memory is used again.
    pub recycle: Sender<Batch>,
}

impl Pump {
    /// Starts emptying.
    ///
    /// # Errors
    /// No thread or event descriptor could be had.
    pub fn start(drain: Drain) -> std::io::Result<Self> {
        let (full, batches) = crossbeam_channel::bounded(QUEUE);
        let (recycle, empty) = crossbeam_channel::bounded(QUEUE);
        let stop =
            Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let thread = std::thread::Builder::new().name("vedette-pump".into()).spawn({
            let stop = Arc::clone(&stop);
            move || run(drain, &stop, &full, &empty)
        })?;
        Ok(Self { stop, thread, batches, recycle })
    }

    /// Asks the thread to empty the rings once more and to end. Detach the programs first.
    pub fn finish(&self) {
        // Only fails when the counter is at its limit, and then it is readable already.
        let _ = self.stop.write(1);
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Waiting on the rings failed, or the thread panicked.
    pub fn join(self) -> std::io::Result<()> {
        drop(self.batches);
        self.thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the pump thread panicked")))
    }
}

fn run(
    mut drain: Drain,
    stop: &EventFd,
    full: &Sender<Batch>,
    empty: &Receiver<Batch>,
) -> std::io::Result<()> {
    let mut waiting = Batch::default();
    let mut woken = 0;
    loop {
        // Programs are detached before this is set, so a round that begins after seeing it misses nothing.
        let stopping = stop.read().is_ok();
        let behind = full.is_full();
        let drained = if behind && !stopping {
            if drain.held() < STATE_BACKLOG {
                drain.hold_state();
            }
            Drained::More
        } else {
            drain.round(clock::boottime(), &mut waiting)
        };
        if stopping {
            return finish(drain, waiting, full);
        }
        if !waiting.is_empty() {
            match full.try_send(std::mem::take(&mut waiting)) {
                Ok(()) => waiting = empty.try_recv().unwrap_or_default(),
                Err(TrySendError::Full(batch)) => waiting = batch,
                Err(TrySendError::Disconnected(_)) => return Ok(()),
            }
        }
        if behind {
            wait(&[stop.as_fd()], BACKPRESSURE_MS)?;
        } else if drained != Drained::More {
            if drained == Drained::Idle {
                let (state, events) = drain.rings();
                wait(&[state.as_fd(), events.as_fd(), stop.as_fd()], WAIT_MS)?;
            }
            if clock::boottime().saturating_sub(woken) < STORM_NS {
                wait(&[stop.as_fd()], GATHER_MS)?;
            }
            woken = clock::boottime();
        }
    }
}

/// The last rounds: everything that is in the rings goes to the engine, however long it takes to make room.
fn finish(mut drain: Drain, mut waiting: Batch, full: &Sender<Batch>) -> std::io::Result<()> {
    loop {
        if !waiting.is_empty() && full.send(std::mem::take(&mut waiting)).is_err() {
            return Ok(());
        }
        if drain.round(u64::MAX, &mut waiting) == Drained::Idle && waiting.is_empty() {
            return Ok(());
        }
    }
}

fn wait(fds: &[BorrowedFd<'_>], milliseconds: u16) -> std::io::Result<()> {
    let mut fds: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    match poll(&mut fds, PollTimeout::from(milliseconds)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
