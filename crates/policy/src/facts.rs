//! What the evaluator asks of an event.

mod live;
mod map;

pub use live::{LiveFacts, live_event_type};
pub use map::{FactsError, MapFacts};

use crate::event_type::EventType;
use crate::field::{FieldArg, FieldId};
use crate::value::Value;

/// An event with everything known about it: its process, its ancestors, its container.
///
/// The evaluator reads each field at most once per event, so an implementation need not cache.
pub trait Facts {
    /// The type of the event.
    fn event_type(&self) -> EventType;

    /// When it happened, in nanoseconds since 1970, UTC. Correlation knows no other clock.
    fn time(&self) -> u64;

    /// Whether it tells of a program that could not be started. Such an event has the type of an exec, and is held
    /// against the conditions only that say something about the result.
    fn is_failed_exec(&self) -> bool {
        false
    }

    /// The value of a field that has one value, or none.
    fn get<'a>(&'a self, field: FieldId, arg: &FieldArg) -> Value<'a>;

    /// Whether the value of a field is not known yet, but awaited.
    fn is_awaited(&self, _field: FieldId) -> bool {
        false
    }

    /// The values of a field that can have several, one by one: those of all ancestors (nearest first), of both ends
    /// of a connection, of a list. An absent value may be left out.
    fn each<'a>(&'a self, field: FieldId, arg: &FieldArg, push: &mut dyn FnMut(Value<'a>)) {
        push(self.get(field, arg));
    }
}

impl<F: Facts + ?Sized> Facts for &F {
    fn event_type(&self) -> EventType {
        (**self).event_type()
    }

    fn time(&self) -> u64 {
        (**self).time()
    }

    fn is_failed_exec(&self) -> bool {
        (**self).is_failed_exec()
    }

    fn get<'a>(&'a self, field: FieldId, arg: &FieldArg) -> Value<'a> {
        (**self).get(field, arg)
    }

    fn is_awaited(&self, field: FieldId) -> bool {
        (**self).is_awaited(field)
    }

    fn each<'a>(&'a self, field: FieldId, arg: &FieldArg, push: &mut dyn FnMut(Value<'a>)) {
        (**self).each(field, arg, push);
    }
}
