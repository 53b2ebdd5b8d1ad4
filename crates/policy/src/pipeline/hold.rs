//! Events that wait for what is not known yet about their container.
//!
//! A container's first events come before its runtime can be asked about it. An event of such a container that some
//! rule matches, or about which a rule cannot be decided without the metadata, is kept with an excerpt of the state as
//! it was, and evaluated when the answer comes or is given up. Nobody else waits: events of other containers and of the
//! host go on, and so do those of this container that no rule cares about. The events of one container stay in order.

use std::collections::{HashMap, VecDeque};

use vedette_event::{Excerpt, Record};

/// Most events that wait.
const EVENTS: usize = 2048;

/// Most memory that they take, bytes, as far as it is counted: records and processes.
const BYTES: usize = 16 << 20;

/// Bytes that are counted for one process of an excerpt.
const PROCESS: usize = 768;

/// An event that waits.
#[derive(Debug)]
pub struct Held {
    /// The record.
    pub bytes: Box<[u8]>,
    /// Number of the event.
    pub number: u64,
    /// What was known when it happened.
    pub excerpt: Excerpt,
}

impl Held {
    fn size(&self) -> usize {
        self.bytes.len() + self.excerpt.state.processes.len() * PROCESS
    }
}

/// Figures about events that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldStats {
    /// Events that waited, or still do.
    pub held: u64,
    /// Of these, events that were evaluated without the metadata because it did not come in time.
    pub gave_up: u64,
    /// Events that found no room to wait, and were evaluated at once.
    pub refused: u64,
}

/// All of them, by container.
#[derive(Debug, Default)]
pub struct Hold {
    queues: HashMap<String, VecDeque<Held>>,
    events: usize,
    bytes: usize,
    pub stats: HoldStats,
}

impl Hold {
    /// Keeps an event. False when there is no room; then nothing is kept.
    pub fn keep(&mut self, container: &str, record: &Record<'_>, number: u64, excerpt: Excerpt) -> bool {
        let held = Held { bytes: record.bytes.into(), number, excerpt };
        let size = held.size();
        if self.events >= EVENTS || self.bytes + size > BYTES {
            self.stats.refused += 1;
            return false;
        }
        self.events += 1;
        self.bytes += size;
        self.stats.held += 1;
        match self.queues.get_mut(container) {
            Some(queue) => queue.push_back(held),
            None => {
                self.queues.insert(container.to_owned(), VecDeque::from([held]));
            }
        }
        true
    }

    /// The events of a container, in order; they are not kept any more.
    pub fn take(&mut self, container: &str) -> VecDeque<Held> {
        let queue = self.queues.remove(container).unwrap_or_default();
        self.events -= queue.len();
        self.bytes -= queue.iter().map(Held::size).sum::<usize>();
        queue
    }

    /// Containers with events that wait, by the first event's number.
    pub fn containers(&self) -> Vec<String> {
        let mut all: Vec<_> = self
            .queues
            .iter()
            .map(|(id, queue)| (queue.front().map(|held| held.number), id.clone()))
            .collect();
        all.sort();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// Number of events that wait.
    pub fn len(&self) -> usize {
        self.events
    }
}
