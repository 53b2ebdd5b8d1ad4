//! Facts read off a live event: what the sensor reported, and what is known about who did it.
//!
//! One file per family of fields. A field that no arm knows is absent; the test at the end holds the registry's
//! `filled` column against that.

mod argument;
mod container;
mod descriptor;
mod event;
mod io_uring;
mod path;
mod process;
mod stdio;
mod text;

use vedette_event::{
    Record, View,
    abi::{self, Call, Kind},
};

use std::cell::OnceCell;
use std::sync::Arc;

use super::Facts;
use crate::event_type::EventType;
use crate::field::{FIELDS, FieldArg, FieldId};
use crate::value::Value;
use text::Assembled;

/// The facts of one event.
#[derive(Clone)]
pub struct LiveFacts<'v> {
    view: View<'v>,
    event_type: EventType,
    /// `fd.name` of a connection, once it was asked for.
    name: OnceCell<Assembled<112>>,
    /// Which of a file's names is told.
    naming: path::Naming,
    /// The first path of a call, made absolute, likewise.
    first: OnceCell<path::Text>,
    /// The second.
    second: OnceCell<path::Text>,
    /// The flags of an open, likewise.
    flags: OnceCell<Assembled<160>>,
    names: Names,
}

/// Names of users and groups that were looked up for the event, so that values can borrow them.
#[derive(Clone, Default)]
struct Names {
    user: OnceCell<Option<Arc<str>>>,
    login: OnceCell<Option<Arc<str>>>,
    group: OnceCell<Option<Arc<str>>>,
}

/// By the call's number: the event type of its name.
static EVENT_TYPES: [Option<EventType>; abi::CALLS] = {
    let mut types = [None; abi::CALLS];
    let mut i = 0;
    while i < Call::ALL.len() {
        types[Call::ALL[i] as usize] = EventType::of_call(Call::ALL[i]);
        i += 1;
    }
    types
};

/// The type of a record's event, or `None` for a record that is none (a gap, a control group).
pub fn live_event_type(record: &Record<'_>) -> Option<EventType> {
    EVENT_TYPES[record.call? as usize]
}

impl<'v> LiveFacts<'v> {
    /// The facts of an event, or `None` for a record that is none (a gap, a control group).
    pub fn new(view: View<'v>) -> Option<Self> {
        Self::named(view, path::Naming::Resolved)
    }

    fn named(view: View<'v>, naming: path::Naming) -> Option<Self> {
        Some(Self {
            view,
            event_type: live_event_type(view.record)?,
            name: OnceCell::new(),
            naming,
            first: OnceCell::new(),
            second: OnceCell::new(),
            flags: OnceCell::new(),
            names: Names::default(),
        })
    }

    /// The same event under the other names of its file: without the bind mount that it was reached through, and as
    /// it was asked for. Most have none.
    pub fn further_names(&self) -> impl Iterator<Item = Self> + use<'v> {
        path::further(self)
    }

    /// The event.
    pub fn view(&self) -> &View<'v> {
        &self.view
    }
}

/// The module that knows a field.
#[derive(Clone, Copy)]
enum Family {
    Event,
    Process,
    Descriptor,
    Container,
    IoUring,
    Other,
}

/// By the field's number, so that reading one does not ask module after module.
static FAMILIES: [Family; FIELDS.len()] = {
    let mut families = [Family::Other; FIELDS.len()];
    let mut i = 0;
    while i < families.len() {
        families[i] = match FIELDS[i].name.as_bytes() {
            [b'e', b'v', b't', b'.', ..] | [b's', b'y', b's', b'c', b'a', b'l', b'l', b'.', ..] => {
                Family::Event
            }
            [b'f', b'd', b'.', ..] | [b'f', b's', b'.', ..] => Family::Descriptor,
            [b'c', b'o', b'n', b't', ..] | [b'k', b'8', b's', ..] => Family::Container,
            [b'i', b'o', b'_', ..] => Family::IoUring,
            [b'p', b'r', b'o', b'c', b'.', ..]
            | [b't', b'h', b'r', b'e', ..]
            | [b'u', b's', b'e', b'r', ..]
            | [b'g', b'r', b'o', b'u', ..] => Family::Process,
            _ => Family::Other,
        };
        i += 1;
    }
    families
};

impl Facts for LiveFacts<'_> {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn time(&self) -> u64 {
        self.view.time()
    }

    fn is_failed_exec(&self) -> bool {
        self.view.record.kind == Kind::ExecFailed
    }

    fn get<'a>(&'a self, field: FieldId, arg: &FieldArg) -> Value<'a> {
        let value = match FAMILIES[field as usize] {
            Family::Event => event::get(self, field, arg),
            Family::Process => process::get(self, field, arg),
            Family::Descriptor => descriptor::get(self, field),
            Family::Container => container::get(self, field, arg),
            Family::IoUring => io_uring::get(self, field),
            Family::Other => None,
        };
        value.unwrap_or_default()
    }

    fn is_awaited(&self, field: FieldId) -> bool {
        matches!(FAMILIES[field as usize], Family::Container) && container::is_awaited(self, field)
    }

    fn each<'a>(&'a self, field: FieldId, arg: &FieldArg, push: &mut dyn FnMut(Value<'a>)) {
        if !process::each(self, field, push) && !descriptor::each(self, field, push) {
            push(self.get(field, arg));
        }
    }
}

#[cfg(test)]
mod tests {
    use vedette_event::{Clock, NoNames, ProcessKey, State, StateLimits, decode, testing::RecordBuilder};

    use super::*;
    use crate::field::FIELDS;

    fn with_event(record: &[u8], check: impl FnOnce(&LiveFacts<'_>)) {
        let record = decode(record).unwrap();
        let mut state = State::new(StateLimits::default());
        let id = state.apply(&record).process.unwrap();
        let view = View {
            record: &record,
            number: 1,
            process: state.processes.get(id).unwrap(),
            id,
            state: &state,
            clock: Clock::default(),
            hostname: "node",
            names: &NoNames,
        };
        check(&LiveFacts::new(view).unwrap());
    }

    fn text(facts: &LiveFacts<'_>, field: &str) -> String {
        let name = crate::field::FieldName::parse(field).unwrap();
        match facts.get(name.id, &name.arg) {
            Value::Bytes(b) => String::from_utf8_lossy(&b).into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn an_open_shows_both_paths_and_its_flags_as_text() {
        let key = ProcessKey { tgid: 7, start: 9 };
        let record = RecordBuilder::file_open(key, "/etc/shadow", "/tmp/x").flags(0o1101).ret(3).build();
        with_event(&record, |f| {
            assert_eq!(text(f, "evt.type"), "openat");
            assert_eq!(text(f, "fd.name"), "/etc/shadow");
            assert_eq!(text(f, "fd.nameraw"), "/tmp/x");
            assert_eq!(text(f, "fd.directory"), "/etc");
            assert_eq!(text(f, "fd.filename"), "shadow");
            assert_eq!(text(f, "evt.arg.flags"), "O_TRUNC|O_CREAT|O_WRONLY");
            assert_eq!(text(f, "evt.is_open_write"), "Bool(true)");
            assert_eq!(text(f, "evt.is_open_read"), "Bool(false)");
            assert_eq!(text(f, "evt.res"), "SUCCESS");
            assert_eq!(text(f, "container.id"), "host");
            assert_eq!(text(f, "fd.num"), "Int(3)");
        });
    }

    #[test]
    fn what_io_uring_did_says_how() {
        use abi::header_flags::{IO_URING, SQPOLL, UNCONFIRMED};
        let key = ProcessKey { tgid: 7, start: 9 };
        let of = |flags: u16, op: u32| {
            let mut record = RecordBuilder::file_open(key, "/etc/shadow", "/etc/shadow").ret(3);
            (record.header.flags, record.header.io_uring_op) = (flags, op);
            record.build()
        };
        with_event(&of(0, 0), |f| assert_eq!(text(f, "io_uring.op"), "Absent"));
        with_event(&of(IO_URING | SQPOLL, abi::IORING_OP_OPENAT2.into()), |f| {
            assert_eq!(text(f, "io_uring.op"), "IORING_OP_OPENAT2");
            assert_eq!(text(f, "io_uring.sqpoll"), "Bool(true)");
            assert_eq!(text(f, "io_uring.direct"), "Bool(false)");
            assert_eq!(text(f, "io_uring.confirmed"), "Bool(true)");
        });
        with_event(&of(IO_URING | UNCONFIRMED, 250), |f| {
            assert_eq!(text(f, "io_uring.op"), "250");
            assert_eq!(text(f, "io_uring.confirmed"), "Bool(false)");
        });
    }

    #[test]
    fn a_field_that_the_registry_calls_empty_is_empty() {
        let key = ProcessKey { tgid: 7, start: 9 };
        let record = RecordBuilder::file_open(key, "/etc/shadow", "/tmp/x").ret(3).build();
        with_event(&record, |f| {
            for field in FIELDS.iter().filter(|f| !f.filled) {
                let value = f.get(field.id, &FieldArg::None);
                assert!(value.is_absent(), "{} is filled: {value:?}", field.name);
            }
        });
    }
}
