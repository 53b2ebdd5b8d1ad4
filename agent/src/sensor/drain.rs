//! Emptying the rings, without ever putting an event before the state it depends on.
//!
//! Two rings have no common order. What makes one: a process's state record is always in its ring before any
//! event that happened after it. So each round takes the time (the *horizon*), then empties the event ring, then
//! the state ring, sorts both together, passes on what is not later than the horizon and keeps the rest for the
//! next round.

use aya::maps::{MapData, RingBuf};

use super::Batch;

/// Bytes of events that one round takes, so that state is looked at often enough under load.
const EVENTS_PER_ROUND: usize = 1 << 20;

/// What the rings gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainStats {
    /// Records taken from the state ring.
    pub state: u64,
    /// Records taken from the event ring.
    pub events: u64,
}

/// What a round left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Both rings are empty and nothing is held back: wait for more.
    Idle,
    /// There is more, or something is held back for the next round.
    More,
}

/// Both rings and what is held back.
pub struct Drain {
    state: RingBuf<MapData>,
    events: RingBuf<MapData>,
    later: Batch,
    /// An empty batch whose memory is used again.
    spare: Batch,
    stats: DrainStats,
}

impl Drain {
    /// Takes over the rings.
    pub fn new(state: RingBuf<MapData>, events: RingBuf<MapData>) -> Self {
        Self { state, events, later: Batch::default(), spare: Batch::default(), stats: DrainStats::default() }
    }

    /// What was taken so far.
    pub fn stats(&self) -> DrainStats {
        self.stats
    }

    /// The rings' descriptors, to wait on: state, events.
    pub fn rings(&self) -> (&RingBuf<MapData>, &RingBuf<MapData>) {
        (&self.state, &self.events)
    }

    /// One round, appended to `out`. `now` is `CLOCK_BOOTTIME` taken just before. With `events: false` only state
    /// is taken: the event ring then fills, and the kernel counts what it loses.
    pub fn round(&mut self, now: u64, events: bool, out: &mut Batch) -> Drained {
        let mut fresh = std::mem::take(&mut self.later);
        let mut more = false;
        if events {
            let start = fresh.bytes();
            while let Some(item) = self.events.next() {
                fresh.push(&item);
                self.stats.events += 1;
                if fresh.bytes() - start >= EVENTS_PER_ROUND {
                    more = true;
                    break;
                }
            }
        }
        while let Some(item) = self.state.next() {
            fresh.push(&item);
            self.stats.state += 1;
        }
        std::mem::swap(&mut self.later, &mut self.spare);
        fresh.settle(now, &mut self.later);
        if out.is_empty() {
            std::mem::swap(out, &mut fresh);
        } else {
            out.append(&fresh);
        }
        fresh.clear();
        self.spare = fresh;
        if more || !self.later.is_empty() { Drained::More } else { Drained::Idle }
    }
}
