//! Emptying the rings, without ever putting an event before the state it depends on.
//!
//! Two rings have no common order. What makes one: a process's state record is always in its ring before any
//! event that happened after it. So each round takes the time (the *horizon*), then empties the event ring, then
//! the state ring, sorts both together, passes on what is not later than the horizon and keeps the rest for the
//! next round. Where a round does not come to the end of the event ring, the last event that it took is the horizon:
//! an exit or an exec must not be told before what the process did before it.

use aya::maps::{MapData, RingBuf};

use super::Batch;

/// Bytes of events that one round takes, so that state is looked at often enough under load.
const EVENTS_PER_ROUND: usize = 1 << 20;

/// How much later than its neighbour in the ring an event may have happened: a program takes the time first and its place
/// in the ring then, and others may do so on other CPUs in between. Nanoseconds.
const DISORDER: u64 = 1_000_000;

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
    /// Both rings were empty, and something is held back for the next round.
    Held,
    /// There is more in the rings.
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

    /// One round, appended to `out`. `now` is `CLOCK_BOOTTIME` taken just before.
    pub fn round(&mut self, now: u64, out: &mut Batch) -> Drained {
        let mut fresh = std::mem::take(&mut self.later);
        let mut horizon = now;
        let mut more = false;
        let mut taken = 0;
        while let Some(item) = self.events.next() {
            fresh.push(&item);
            self.stats.events += 1;
            taken += item.len();
            if taken >= EVENTS_PER_ROUND {
                more = true;
                // State from after this must not overtake the events that are still in the ring.
                horizon = now.min(Batch::time_of(&item).saturating_sub(DISORDER));
                break;
            }
        }
        self.take_state(&mut fresh);
        std::mem::swap(&mut self.later, &mut self.spare);
        fresh.settle(horizon, &mut self.later);
        if out.is_empty() {
            std::mem::swap(out, &mut fresh);
        } else {
            out.append(&fresh);
        }
        fresh.clear();
        self.spare = fresh;
        match (more, self.later.is_empty()) {
            (true, _) => Drained::More,
            (false, false) => Drained::Held,
            (false, true) => Drained::Idle,
        }
    }

    /// Empties the state ring only, and keeps what was in it for the next round: the event ring fills meanwhile, and the
    /// kernel counts what it loses. Nothing is passed on, because state must not overtake the events before it.
    pub fn hold_state(&mut self) {
        let mut later = std::mem::take(&mut self.later);
        self.take_state(&mut later);
        self.later = later;
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.later.bytes()
    }

    fn take_state(&mut self, into: &mut Batch) {
        while let Some(item) = self.state.next() {
            into.push(&item);
            self.stats.state += 1;
        }
    }
}
