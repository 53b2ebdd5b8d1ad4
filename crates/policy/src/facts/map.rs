//! Events written down as fields and values, for tests.

use std::net::IpAddr;

use rustc_hash::FxHashMap;
use serde_json::Value as Json;

use super::Facts;
use crate::event_type::EventType;
use crate::field::{FieldArg, FieldId, FieldName, FieldNameError, FieldType, Multiplicity};
use crate::value::Value;

/// Why an event cannot be built from fields and values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The name is no field.
    #[error(transparent)]
    Field(#[from] FieldNameError),
    /// The value is not of the field's type.
    #[error("`{field}` is a {expected}, and {value} is none")]
    Type {
        /// The field.
        field: String,
        /// Its type.
        expected: &'static str,
        /// What was given.
        value: String,
    },
    /// `evt.type` is not given.
    #[error("the event has no `evt.type`")]
    NoEventType,
    /// `evt.type` is no event type.
    #[error("unknown event type `{0}`")]
    UnknownEventType(String),
}

/// An event as a map from fields to values.
///
/// Some values follow from others where they are not given: `fd.directory` and `fd.filename` from `fd.name`, both ends
/// (`fd.ip`, `fd.net`, `fd.port`) from client and server, `proc.pname` and `proc.aname[2]` from the list `proc.aname`
/// (nearest ancestor first). What neither is given nor follows is absent.
#[derive(Debug, Clone)]
pub struct MapFacts {
    event_type: EventType,
    time: u64,
    values: FxHashMap<FieldId, Vec<(FieldArg, Vec<Value<'static>>)>>,
}

impl MapFacts {
    /// An event of that type without any values.
    pub fn new(event_type: EventType) -> Self {
        Self { event_type, time: 0, values: FxHashMap::default() }
    }

    /// An event from fields and JSON values, as in a test file. `evt.type` must be among them.
    ///
    /// # Errors
    /// A name that is no field, or a value of the wrong type.
    pub fn from_json<'j>(fields: impl IntoIterator<Item = (&'j str, &'j Json)>) -> Result<Self, FactsError> {
        let mut facts = Self::new(EventType::Open);
        let mut has_type = false;
        for (name, value) in fields {
            if name == "evt.type" {
                let text = value.as_str().unwrap_or_default();
                let known = EventType::from_name(text);
                facts.event_type = known.ok_or_else(|| FactsError::UnknownEventType(text.to_owned()))?;
                has_type = true;
            } else {
                facts.set(name, value)?;
            }
        }
        if has_type { Ok(facts) } else { Err(FactsError::NoEventType) }
    }

    /// Sets a field from JSON; a list sets several values, `null` takes the value away.
    ///
    /// # Errors
    /// A name that is no field, or a value of the wrong type.
    pub fn set(&mut self, name: &str, json: &Json) -> Result<(), FactsError> {
        let field = FieldName::parse(name)?;
        let of = field.id.info().r#type;
        let wrong = |value: &Json| FactsError::Type {
            field: name.to_owned(),
            expected: of.as_str(),
            value: value.to_string(),
        };
        let values = match json {
            Json::Null => Vec::new(),
            Json::Array(items) => {
                items.iter().map(|v| parse(v, of).ok_or_else(|| wrong(v))).collect::<Result<_, _>>()?
            }
            value => vec![parse(value, of).ok_or_else(|| wrong(value))?],
        };
        if field.id == FieldId::EvtRawtime {
            self.time =
                values.first().and_then(|v| v.as_whole()).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        }
        self.insert(field, values);
        Ok(())
    }

    /// The same event at that time (nanoseconds since 1970).
    pub fn at(mut self, time: u64) -> Self {
        self.time = time;
        self
    }

    /// The same event with a value.
    pub fn with(mut self, field: FieldName, value: Value<'static>) -> Self {
        self.insert(field, vec![value]);
        self
    }

    /// The same event with several values of a field, or none.
    pub fn with_all(mut self, field: FieldName, values: Vec<Value<'static>>) -> Self {
        self.insert(field, values);
        self
    }

    fn insert(&mut self, field: FieldName, values: Vec<Value<'static>>) {
        let of = self.values.entry(field.id).or_default();
        of.retain(|(arg, _)| *arg != field.arg);
        of.push((field.arg, values));
    }

    fn given(&self, id: FieldId, arg: &FieldArg) -> Option<&[Value<'static>]> {
        self.values.get(&id)?.iter().find(|(a, _)| a == arg).map(|(_, v)| v.as_slice())
    }

    fn derived<'a>(&'a self, field: FieldId, arg: &FieldArg, push: &mut dyn FnMut(Value<'a>)) {
        let name = |id| self.given(id, &FieldArg::None).and_then(|v| v.first());
        let path = || name(FieldId::FdName).and_then(|v| v.as_bytes());
        match (field, arg) {
            (FieldId::EvtType | FieldId::SyscallType, _) => push(Value::str(self.event_type.name())),
            (FieldId::EvtTypeIs, FieldArg::Key(key)) => {
                push(Value::Uint(u64::from(**key == *self.event_type.name())));
            }
            (FieldId::EvtCategory, _) => push(Value::str(self.event_type.category().as_str())),
            (FieldId::EvtSource, _) => push(Value::str("syscall")),
            (FieldId::EvtDir, _) => push(Value::str("<")),
            (FieldId::EvtNum | FieldId::EvtCount, _) => push(Value::Uint(1)),
            (FieldId::EvtRawtime, _) => push(Value::Uint(self.time)),
            (FieldId::FdDirectory, _) => {
                let slash = path().and_then(|p| Some((p, p.iter().rposition(|b| *b == b'/')?)));
                slash.into_iter().for_each(|(p, i)| push(Value::bytes(&p[..i.max(1)])));
            }
            (FieldId::FdFilename, _) => {
                let slash = path().and_then(|p| Some((p, p.iter().rposition(|b| *b == b'/')?)));
                slash.into_iter().for_each(|(p, i)| push(Value::bytes(&p[i + 1..])));
            }
            (FieldId::FdIp | FieldId::FdNet, _) => both(name(FieldId::FdCip), name(FieldId::FdSip), push),
            (FieldId::FdPort, _) => both(name(FieldId::FdCport), name(FieldId::FdSport), push),
            (FieldId::FdCnet, _) => both(name(FieldId::FdCip), None, push),
            (FieldId::FdSnet, _) => both(name(FieldId::FdSip), None, push),
            (FieldId::FdLnet, _) => both(name(FieldId::FdLip), None, push),
            (FieldId::FdRnet, _) => both(name(FieldId::FdRip), None, push),
            (FieldId::ProcPname, _) => self.ancestor(FieldId::ProcAname, 1, push),
            (FieldId::ProcPexe, _) => self.ancestor(FieldId::ProcAexe, 1, push),
            (FieldId::ProcPexepath, _) => self.ancestor(FieldId::ProcAexepath, 1, push),
            (FieldId::ProcPcmdline, _) => self.ancestor(FieldId::ProcAcmdline, 1, push),
            (FieldId::ProcPpid, _) => self.ancestor(FieldId::ProcApid, 1, push),
            (id, FieldArg::Index(level)) if id.info().multiplicity == Multiplicity::Ancestors => {
                self.ancestor(id, *level as usize, push);
            }
            _ => {}
        }
    }

    /// `proc.aname[level]` from `proc.name` (level 0) or the list that `proc.aname` was set to.
    fn ancestor<'a>(&'a self, id: FieldId, level: usize, push: &mut dyn FnMut(Value<'a>)) {
        let own = match id {
            FieldId::ProcAname => FieldId::ProcName,
            FieldId::ProcAexe => FieldId::ProcExe,
            FieldId::ProcAexepath => FieldId::ProcExepath,
            FieldId::ProcAcmdline => FieldId::ProcCmdline,
            FieldId::ProcApid => FieldId::ProcPid,
            _ => return,
        };
        let (list, index) = match level.checked_sub(1) {
            Some(index) => (id, index),
            None => (own, 0),
        };
        let value = self.given(list, &FieldArg::None).and_then(|v| v.get(index));
        value.into_iter().for_each(|v| push(v.borrow()));
    }
}

fn both<'a>(a: Option<&'a Value<'static>>, b: Option<&'a Value<'static>>, push: &mut dyn FnMut(Value<'a>)) {
    a.into_iter().chain(b).for_each(|v| push(v.borrow()));
}

fn parse(json: &Json, of: FieldType) -> Option<Value<'static>> {
    match of {
        FieldType::String | FieldType::Bytes => match json {
            Json::String(text) => Some(Value::owned(text.clone())),
            Json::Number(number) => Some(Value::owned(number.to_string())),
            _ => None,
        },
        FieldType::Bool => json.as_bool().map(Value::Bool),
        FieldType::Uint | FieldType::Port | FieldType::Time => json.as_u64().map(Value::Uint),
        FieldType::Int => json.as_i64().map(Value::Int),
        FieldType::Duration => match json {
            Json::String(text) => {
                let duration = crate::document::native::parse_duration(text)?;
                u64::try_from(duration.as_nanos()).ok().map(Value::Uint)
            }
            _ => json.as_u64().map(Value::Uint),
        },
        FieldType::Float => json.as_f64().map(Value::Float),
        FieldType::Ip | FieldType::Net => json.as_str()?.parse::<IpAddr>().ok().map(Value::Ip),
    }
}

impl Facts for MapFacts {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn time(&self) -> u64 {
        self.time
    }

    fn is_failed_exec(&self) -> bool {
        let first = |id| self.given(id, &FieldArg::None).and_then(|values| values.first());
        matches!(self.event_type, EventType::Execve | EventType::Execveat)
            && (first(FieldId::EvtRes).and_then(|v| v.as_bytes()).is_some_and(|text| text != b"SUCCESS")
                || first(FieldId::EvtRawres).and_then(|v| v.as_whole()).is_some_and(|n| n < 0)
                || matches!(first(FieldId::EvtFailed), Some(Value::Bool(true))))
    }

    fn get<'a>(&'a self, field: FieldId, arg: &FieldArg) -> Value<'a> {
        let mut value = None;
        self.each(field, arg, &mut |v| {
            value.get_or_insert(v);
        });
        value.unwrap_or_default()
    }

    fn each<'a>(&'a self, field: FieldId, arg: &FieldArg, push: &mut dyn FnMut(Value<'a>)) {
        match self.given(field, arg) {
            Some(values) => values.iter().for_each(|v| push(v.borrow())),
            None => self.derived(field, arg, push),
        }
    }
}
