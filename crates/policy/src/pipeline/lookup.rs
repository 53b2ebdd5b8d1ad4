//! Looking up what the records did not tell.

use vedette_event::{ProcessId, State};

use super::Outside;

/// Most ancestors that one look-up goes back.
const GENERATIONS: usize = 16;

/// Completes a process, and its ancestors as far as they are not known. Returns its place, which may be a new one.
pub fn process(state: &mut State, outside: &mut impl Outside, id: ProcessId) -> ProcessId {
    let Some(key) = state.processes.get(id).map(|p| p.key) else { return id };
    let Some(found) = outside.process(key) else {
        state.give_up(id);
        return id;
    };
    let healed = state.complete(found);
    let mut at = healed;
    for _ in 0..GENERATIONS {
        let Some(parent) = state.missing_parent(at) else { break };
        let Some(found) = outside.process(parent) else { break };
        let parent = state.complete(found);
        state.processes.set_parent(at, Some(parent));
        at = parent;
    }
    healed
}
