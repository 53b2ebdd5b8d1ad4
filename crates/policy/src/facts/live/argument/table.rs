//! Arguments by table: their names, where each is in the record, and how it is written.

mod file_change;
mod file_mount;
mod process_change;

use vedette_event::{
    Body, Strings,
    abi::{Call, Syscall},
};

use super::super::{
    LiveFacts, event,
    path::{self, Which},
    text,
};
use crate::value::Value;

/// One argument of a call.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Its name, as in `evt.arg.NAME`.
    pub name: &'static str,
    /// Where it is.
    pub from: From,
    /// How it is written.
    pub form: Form,
}

/// Where an argument is in the record.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "families of calls arrive one by one")]
pub enum From {
    /// What the call returned.
    Ret,
    /// One of the arguments as passed, counted from 0.
    Arg(usize),
    /// A 64-bit word of what a pointer leads to.
    Word(usize),
    /// The low half of such a word.
    Low(usize),
    /// The high half of such a word.
    High(usize),
}

/// How an argument is written.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "families of calls arrive one by one")]
pub enum Form {
    /// A signed number.
    Dec,
    /// A number that the kernel takes as a signed 32-bit one: descriptors, pids.
    Int,
    /// A descriptor that may stand for the working directory.
    Dir,
    /// An unsigned 32-bit number: user and group ids. All ones is -1, "leave it".
    Id,
    /// Hexadecimal.
    Hex,
    /// Octal, with a zero before it.
    Oct,
    /// 0, or the name of the error.
    Result,
    /// Names of the bits that are set, joined by `|`; the names come in the order of the table.
    Flags(&'static [(u64, &'static str)]),
    /// The name of the value; a number without a name stays one.
    Choice(&'static [(u64, &'static str)]),
    /// The first path: absolute, as text.
    Path,
    /// The second path, likewise.
    Path2,
    /// The first path as passed.
    Raw,
    /// The second path, or another name, as passed.
    Raw2,
    /// The other string.
    Data,
    /// Path of the file behind the descriptor.
    File,
}

/// An argument that is a number.
pub const fn number_of(name: &'static str, from: From, form: Form) -> Argument {
    Argument { name, from, form }
}

/// An argument that is a string; its form says which.
pub const fn string_of(name: &'static str, form: Form) -> Argument {
    Argument { name, from: From::Ret, form }
}

/// The working directory in place of a descriptor (`include/uapi/linux/fcntl.h`).
const AT_FDCWD: i32 = -100;

/// What every call returns.
pub const RES: Argument = number_of("res", From::Ret, Form::Result);

/// The arguments of a call, in order.
pub fn of_call(call: Call) -> &'static [Argument] {
    file_change::arguments(call)
        .or_else(|| file_mount::arguments(call))
        .or_else(|| process_change::arguments(call))
        .unwrap_or(&[RES])
}

fn syscall<'a>(facts: &'a LiveFacts<'_>) -> Option<(&'a Syscall, &'a Strings<'a>)> {
    match &facts.view.record.body {
        Body::Syscall { facts, strings } | Body::ProcessChange { syscall: facts, strings, .. } => {
            Some((facts, strings))
        }
        _ => None,
    }
}

fn raw_number(call: &Syscall, from: From) -> u64 {
    let word = |i: usize| call.values.get(i).copied().unwrap_or_default();
    match from {
        From::Ret => call.ret as u64,
        From::Arg(i) => call.args.get(i).copied().unwrap_or_default(),
        From::Word(i) => word(i),
        From::Low(i) => word(i) & 0xffff_ffff,
        From::High(i) => word(i) >> 32,
    }
}

/// An argument as a number.
pub fn number<'a>(facts: &'a LiveFacts<'_>, argument: &Argument) -> Value<'a> {
    let Some((call, _)) = syscall(facts) else { return Value::Absent };
    let raw = raw_number(call, argument.from);
    match argument.form {
        Form::Dec | Form::Result => (raw as i64).into(),
        Form::Int | Form::Dir => i64::from(raw as i32).into(),
        Form::Id => (if raw as u32 == u32::MAX { -1 } else { i64::from(raw as u32) }).into(),
        Form::Hex | Form::Oct | Form::Flags(_) | Form::Choice(_) => raw.into(),
        Form::Path | Form::Path2 | Form::Raw | Form::Raw2 | Form::Data | Form::File => Value::Absent,
    }
}

/// An argument as text.
pub fn text<'a>(facts: &'a LiveFacts<'_>, argument: &Argument) -> Value<'a> {
    let Some((call, strings)) = syscall(facts) else { return Value::Absent };
    let raw = raw_number(call, argument.from);
    match argument.form {
        Form::Dec | Form::Int | Form::Id => match number(facts, argument).as_whole() {
            Some(n) => Value::owned(n.to_string()),
            None => Value::Absent,
        },
        Form::Dir if raw as i32 == AT_FDCWD => "AT_FDCWD".into(),
        Form::Dir => Value::owned((raw as i32).to_string()),
        Form::Hex => Value::owned(format!("0x{raw:x}")),
        Form::Oct => Value::owned(format!("0{raw:o}")),
        Form::Result => event::result_text(raw as i64),
        Form::Flags(names) => Value::owned(text::flags(raw, names)),
        Form::Choice(names) => match names.iter().find(|(value, _)| *value == raw) {
            Some((_, name)) => Value::str(name),
            None => Value::owned(raw.to_string()),
        },
        Form::Path => path::of_call(facts, Which::First),
        Form::Path2 => path::of_call(facts, Which::Second),
        Form::Raw => known(strings.raw),
        Form::Raw2 => known(strings.raw2),
        Form::Data => known(strings.data),
        Form::File => known(strings.path),
    }
}

fn known(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Absent } else { Value::bytes(bytes) }
}
