//! The values of the current event: each field is read, each transformer computed, at most once.

use super::transform;
use crate::compile::{Program, Slot, SlotArg};
use crate::facts::Facts;
use crate::value::Value;

/// The memory of the cache, kept between events.
#[derive(Debug, Default)]
pub(crate) struct CacheState {
    entries: Vec<Entry>,
    values: Vec<Value<'static>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The number of the event for which the range is good.
    event: u64,
    range: Range,
}

/// Where the values of a slot are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Range {
    start: u32,
    end: u32,
}

/// The values of one event.
pub(crate) struct Cache<'a> {
    entries: Vec<Entry>,
    values: Vec<Value<'a>>,
    event: u64,
}

impl CacheState {
    pub fn for_program(program: &Program) -> Self {
        Self { entries: vec![Entry::default(); program.slots.len()], values: Vec::new() }
    }

    /// The cache for an event. Its memory must be given back with [`Cache::into_state`].
    pub fn begin<'a>(&mut self, event: u64) -> Cache<'a> {
        Cache { entries: std::mem::take(&mut self.entries), values: std::mem::take(&mut self.values), event }
    }
}

impl<'a> Cache<'a> {
    pub fn into_state(self) -> CacheState {
        CacheState { entries: self.entries, values: recycle(self.values) }
    }

    /// Reads a slot, if it is not read yet, and says where its values are.
    #[inline(always)]
    pub fn read<F: Facts>(&mut self, program: &Program, facts: &'a F, slot: u32) -> Range {
        let entry = self.entries[slot as usize];
        if entry.event == self.event { entry.range } else { self.fill(program, facts, slot) }
    }

    /// Reads a slot that is not read yet.
    #[inline(never)]
    fn fill<F: Facts>(&mut self, program: &Program, facts: &'a F, slot: u32) -> Range {
        let range = match program.slots.get(slot) {
            Slot::One(field) => {
                let start = self.values.len() as u32;
                let value = facts.get(field.id, &field.arg);
                if !value.is_absent() {
                    self.values.push(value);
                }
                Range { start, end: self.values.len() as u32 }
            }
            Slot::Many(field) => {
                let start = self.values.len() as u32;
                let values = &mut self.values;
                facts.each(field.id, &field.arg, &mut |value| {
                    if !value.is_absent() {
                        values.push(value);
                    }
                });
                Range { start, end: self.values.len() as u32 }
            }
            Slot::Call { function, args, index } => match args.as_slice() {
                [SlotArg::Slot(inner)] if transform::is_simple(*function) => {
                    let inner = self.read(program, facts, *inner);
                    let start = self.values.len() as u32;
                    for i in inner.start..inner.end {
                        let value = transform::simple(*function, &self.values[i as usize]);
                        self.values.extend(value);
                    }
                    Range { start, end: self.values.len() as u32 }
                }
                args => {
                    let args: Vec<_> = args.iter().map(|arg| self.argument(program, facts, arg)).collect();
                    let results = transform::apply(*function, &args, index.as_deref(), self);
                    let start = self.values.len() as u32;
                    self.values.extend(results);
                    Range { start, end: self.values.len() as u32 }
                }
            },
        };
        self.entries[slot as usize] = Entry { event: self.event, range };
        range
    }

    fn argument<'p, F: Facts>(
        &mut self,
        program: &'p Program,
        facts: &'a F,
        arg: &'p SlotArg,
    ) -> transform::Arg<'p> {
        match arg {
            SlotArg::Slot(slot) => transform::Arg::Values(self.read(program, facts, *slot)),
            SlotArg::Literal(bytes) => transform::Arg::Literal(bytes),
        }
    }

    /// The values of a slot that was read.
    #[inline]
    pub fn values(&self, range: Range) -> &[Value<'a>] {
        &self.values[range.start as usize..range.end as usize]
    }
}

/// An empty vector with the memory of another, whatever the lifetimes: collecting from an exhausted iterator of a
/// vector reuses its memory.
fn recycle<'b>(mut values: Vec<Value<'_>>) -> Vec<Value<'b>> {
    values.clear();
    values.into_iter().map(|_| Value::Absent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycling_keeps_the_memory() {
        let mut values = Vec::with_capacity(64);
        values.push(Value::owned("x"));
        let again: Vec<Value<'static>> = recycle(values);
        assert!(again.is_empty());
        assert!(again.capacity() >= 64);
    }
}
