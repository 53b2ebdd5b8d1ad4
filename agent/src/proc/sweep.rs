//! Ends processes whose end was lost.

use vedette_event::{ProcessKey, State};

use super::Proc;

/// Goes through the living processes of a state and ends those that are not there any more. To be made after a gap in
/// the state ring, and now and then; in steps, so that events do not have to wait.
#[derive(Debug)]
pub struct Sweep {
    rest: Vec<ProcessKey>,
    ended: u64,
}

impl Sweep {
    /// Of the processes that live now.
    pub fn new(state: &State) -> Self {
        let rest = state.processes.iter().filter(|p| p.exited.is_none()).map(|p| p.key).collect();
        Self { rest, ended: 0 }
    }

    /// Looks at no more than `most` processes; `time` is what counts as the end of those that are gone. Returns whether
    /// more are left.
    pub fn step(&mut self, state: &mut State, proc: &Proc, time: u64, most: usize) -> bool {
        for key in self.rest.drain(self.rest.len().saturating_sub(most)..) {
            if !proc.is_running(key) && state.processes.find(key).is_some() {
                state.processes.exit(key, time);
                self.ended += 1;
            }
        }
        !self.rest.is_empty()
    }

    /// Processes that were gone.
    pub fn ended(&self) -> u64 {
        self.ended
    }
}
