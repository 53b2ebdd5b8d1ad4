//! `evt.*` and `syscall.*`.

use vedette_event::{
    Body,
    abi::{Call, FileOpen},
};

use super::{
    LiveFacts, argument,
    path::{self, Which},
    text,
};
use crate::event_type::{EventCategory, EventType};
use crate::field::{FieldArg, FieldId};
use crate::value::Value;

/// The kernel's `FMODE_CREATED` (`include/linux/fs.h`): the open made the file.
const FMODE_CREATED: u32 = 0x10_0000;
/// `O_PATH`: a handle that neither reads nor writes.
const O_PATH: u32 = 0o10_000_000;

/// What the call returned.
pub fn result(facts: &LiveFacts<'_>) -> Option<i64> {
    match &facts.view.record.body {
        Body::FileOpen { facts, .. } => Some(facts.ret),
        Body::NetCall { facts, .. } => Some(facts.ret),
        Body::Syscall { facts, .. } | Body::ProcessChange { syscall: facts, .. } => Some(facts.ret),
        Body::ProcessExec { .. } => Some(0),
        Body::ProcessFork(fork) => Some(i64::from(fork.task.tgid)),
        _ => None,
    }
}

/// The name of an error.
fn error_text<'a>(n: i64) -> Value<'a> {
    let number = n.unsigned_abs();
    vedette_event::errno_name(number).map_or_else(|| Value::owned(number.to_string()), Value::str)
}

/// A result as an argument shows it: the number, or the name of the error.
pub fn result_text<'a>(n: i64) -> Value<'a> {
    if (-4095..0).contains(&n) { error_text(n) } else { Value::owned(n.to_string()) }
}

/// The facts of an open.
pub fn open<'a>(facts: &'a LiveFacts<'_>) -> Option<&'a FileOpen> {
    match &facts.view.record.body {
        Body::FileOpen { facts, .. } => Some(facts),
        _ => None,
    }
}

/// Whether an open made the file.
pub fn created(open: &FileOpen) -> bool {
    open.f_mode & FMODE_CREATED != 0
}

fn opened_for(facts: &LiveFacts<'_>, accept: impl Fn(u32) -> bool) -> bool {
    open(facts).is_some_and(|o| o.flags & O_PATH == 0 && accept(o.flags & 0o3))
}

/// The path that a call's directory and name arguments make.
fn abspath<'a>(facts: &'a LiveFacts<'_>, arg: &FieldArg) -> Value<'a> {
    if let Body::FileOpen { .. } = facts.view.record.body {
        return if arg.key().is_none() { path::name(facts) } else { Value::Absent };
    }
    let Some(call) = facts.view.record.call else { return Value::Absent };
    let which = match (call, arg.key()) {
        // What a symbolic link holds is no path of the call's.
        (Call::Symlink | Call::Symlinkat, None) => Which::Second,
        (Call::Symlink | Call::Symlinkat, Some(_)) => return Value::Absent,
        (_, None | Some("src")) => Which::First,
        (_, Some("dst")) if call.spec().base2 != 0 => Which::Second,
        _ => return Value::Absent,
    };
    path::of_call(facts, which)
}

/// The value of a field of this family, or `None` where it belongs to another.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId, arg: &FieldArg) -> Option<Value<'a>> {
    use FieldId as F;
    let view = &facts.view;
    let time = view.time();
    Some(match field {
        F::EvtNum => view.number.into(),
        F::EvtTime => {
            let c = text::civil(time);
            Value::owned(format!("{}.{:09}", c.clock, c.nanos))
        }
        F::EvtTimeS => Value::owned(text::civil(time).clock),
        F::EvtTimeIso8601 => {
            let c = text::civil(time);
            Value::owned(format!("{}T{}.{:09}Z", c.date, c.clock, c.nanos))
        }
        F::EvtDatetime => {
            let c = text::civil(time);
            Value::owned(format!("{} {}.{:09}", c.date, c.clock, c.nanos))
        }
        F::EvtDatetimeS => {
            let c = text::civil(time);
            Value::owned(format!("{} {}", c.date, c.clock))
        }
        F::EvtRawtime => time.into(),
        F::EvtRawtimeS => (time / 1_000_000_000).into(),
        F::EvtRawtimeNs => (time % 1_000_000_000).into(),
        F::EvtDir => "<".into(),
        F::EvtType => facts.event_type.name().into(),
        F::EvtTypeIs => u64::from(arg.key() == Some(facts.event_type.name())).into(),
        F::SyscallType if facts.event_type != EventType::Procexit => facts.event_type.name().into(),
        F::EvtCategory => facts.event_type.category().as_str().into(),
        F::EvtSource => "syscall".into(),
        F::EvtHostname => view.hostname.into(),
        F::EvtCpu => view.record.header.cpu.into(),
        F::EvtArgs | F::EvtInfo => Value::owned(argument::all(facts)),
        F::EvtAbspath => abspath(facts, arg),
        F::EvtArg => argument::text(facts, arg),
        F::EvtRawarg => argument::number(facts, arg),
        F::EvtRes => match result(facts) {
            None => Value::Absent,
            Some(n) if n >= 0 => "SUCCESS".into(),
            Some(n) => error_text(n),
        },
        F::EvtRawres => result(facts).into(),
        F::EvtFailed => result(facts).map(|n| n < 0).into(),
        F::EvtIsIo => (facts.event_type.category() == EventCategory::Io).into(),
        F::EvtIsIoRead | F::EvtIsIoWrite => false.into(),
        // Every event is told by the thread that it happened to.
        F::EvtIsAsync => false.into(),
        F::EvtIsWait => matches!(
            facts.event_type,
            EventType::Poll
                | EventType::Select
                | EventType::EpollWait
                | EventType::Nanosleep
                | EventType::Futex
        )
        .into(),
        F::EvtCount => 1u64.into(),
        F::EvtCountError => u64::from(result(facts).is_some_and(|n| n < 0)).into(),
        F::EvtCountExit => 1u64.into(),
        F::EvtIsOpenRead => opened_for(facts, |access| access == 0 || access == 2).into(),
        F::EvtIsOpenWrite => opened_for(facts, |access| access == 1 || access == 2).into(),
        F::EvtIsOpenExec => open(facts).is_some_and(|o| created(o) && o.mode & 0o111 != 0).into(),
        F::EvtIsOpenCreate => open(facts).is_some_and(created).into(),
        _ => return None,
    })
}
