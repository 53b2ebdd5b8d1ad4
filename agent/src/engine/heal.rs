//! Looking up in `/proc` what the records did not tell.

use std::sync::atomic::Ordering::Relaxed;

use vedette_event::{ProcessId, State};

use crate::{proc::Proc, stats::Stats};

/// Most ancestors that one look-up goes back.
const GENERATIONS: usize = 16;

/// Completes a process, and its ancestors as far as they are not known. Returns its place, which may be a new one.
pub fn process(state: &mut State, proc: &Proc, id: ProcessId, stats: &Stats) -> ProcessId {
    let Some(key) = state.processes.get(id).map(|p| p.key) else { return id };
    let healed = match proc.complete(key) {
        Ok(found) => {
            stats.healed.fetch_add(1, Relaxed);
            state.complete(found)
        }
        Err(error) => {
            tracing::debug!(tgid = key.tgid, %error, "a process could not be looked up");
            state.give_up(id);
            return id;
        }
    };
    let mut at = healed;
    for _ in 0..GENERATIONS {
        let Some(parent) = state.missing_parent(at) else { break };
        let Ok(found) = proc.complete(parent) else { break };
        stats.healed.fetch_add(1, Relaxed);
        let parent = state.complete(found);
        state.processes.set_parent(at, Some(parent));
        at = parent;
    }
    healed
}
