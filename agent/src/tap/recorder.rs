//! One who records, as the engine sees him: a queue with a bound, and what did not fit in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use vedette_event::recording::Frame;

use super::log::Chunk;

/// Most bytes of frames that wait for a recorder.
const QUEUE: usize = 8 << 20;

/// Bytes that a chunk takes beside its frames.
const OVERHEAD: usize = 128;

/// Somebody who wants to record.
#[derive(Debug)]
pub struct Join {
    queue: Sender<Arc<Vec<u8>>>,
    queued: Arc<AtomicUsize>,
}

/// The other end of the queue.
#[derive(Debug)]
pub struct Frames {
    queue: Receiver<Arc<Vec<u8>>>,
    queued: Arc<AtomicUsize>,
}

impl Join {
    /// Both ends of a queue.
    pub fn new() -> (Self, Frames) {
        // The bound is in bytes and kept by the sender.
        let (sender, receiver) = unbounded();
        let queued = Arc::new(AtomicUsize::new(0));
        (Self { queue: sender, queued: Arc::clone(&queued) }, Frames { queue: receiver, queued })
    }
}

impl Frames {
    /// Waits for frames. `Ok(None)`: none came in time.
    pub fn receive(&self, timeout: Duration) -> Result<Option<Arc<Vec<u8>>>, Ended> {
        match self.queue.recv_timeout(timeout) {
            Ok(frames) => Ok(Some(frames)),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => Ok(None),
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    /// Says that frames have been written out, which makes room for others.
    pub fn written(&self, frames: &[u8]) {
        self.queued.fetch_sub(frames.len() + OVERHEAD, Relaxed);
    }
}

/// The engine has ended.
#[derive(Debug)]
pub struct Ended;

#[derive(Clone, Copy, Debug)]
struct Lost {
    records: u64,
    from: u64,
    to: u64,
}

#[derive(Debug)]
pub(super) struct Recorder {
    join: Join,
    lost: Option<Lost>,
    last_snapshot: Option<Instant>,
}

impl Recorder {
    pub fn new(join: Join) -> Self {
        Self { join, lost: None, last_snapshot: None }
    }

    fn queued(&self) -> usize {
        self.join.queued.load(Relaxed)
    }

    /// False when there is nobody any more.
    fn push(&self, frames: Arc<Vec<u8>>) -> bool {
        self.join.queued.fetch_add(frames.len() + OVERHEAD, Relaxed);
        self.join.queue.send(frames).is_ok()
    }

    /// Hands frames over, or counts them as lost. False when there is nobody any more.
    pub fn send(&mut self, chunk: &Chunk) -> bool {
        if chunk.frames.is_empty() {
            return true;
        }
        let fits = self.lost.is_none() && self.queued() + chunk.frames.len() + OVERHEAD <= QUEUE;
        if fits {
            return self.push(Arc::clone(&chunk.frames));
        }
        let (from, to) = chunk.span;
        match &mut self.lost {
            Some(lost) => {
                if lost.records == 0 {
                    lost.from = from;
                }
                lost.records += chunk.records;
                lost.to = lost.to.max(to);
            }
            None => self.lost = Some(Lost { records: chunk.records, from, to }),
        }
        true
    }

    /// Records lost that it has not been told of.
    #[cfg(test)]
    pub fn lost_records(&self) -> u64 {
        self.lost.map_or(0, |lost| lost.records)
    }

    /// Whether it waits for a snapshot already.
    pub fn is_behind(&self) -> bool {
        self.lost.is_some()
    }

    /// Whether it has lost something and has room for a snapshot.
    pub fn wants_snapshot(&self, now: Instant, interval: Duration) -> bool {
        let recent = self.last_snapshot.is_some_and(|last| now.saturating_duration_since(last) < interval);
        self.lost.is_some() && self.queued() < QUEUE / 4 && !recent
    }

    /// Tells what was lost, and hands over a snapshot, whatever its size. False when there is nobody any more.
    pub fn send_snapshot(&mut self, snapshot: Vec<u8>) -> bool {
        let mut frames = Vec::new();
        if let Some(Lost { records, from, to }) = self.lost.take() {
            Frame::Lost { records, from, to }.encode(&mut frames);
        }
        self.last_snapshot = Some(Instant::now());
        frames.extend_from_slice(&snapshot);
        self.push(Arc::new(frames))
    }
}
