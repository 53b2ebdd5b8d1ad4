//! Arguments by table: their names, where each is in the record, and how it is written.

mod fd_dup;
mod net;
mod process_change;

use vedette_event::{Body, Strings, abi::Call};

use super::super::{LiveFacts, descriptor, event, text};
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
    /// The low half of such an argument, which is all that the kernel reads of it.
    Arg32(usize),
    /// A 64-bit word of what a pointer leads to.
    Word(usize),
    /// The low half of such a word.
    Low(usize),
    /// The high half of such a word.
    High(usize),
    /// The low half as a share of the high half, in percent.
    Share(usize),
}

/// How an argument is written.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "families of calls arrive one by one")]
pub enum Form {
    /// A signed number.
    Dec,
    /// A number that the kernel takes as a signed 32-bit one: descriptors, pids.
    Int,
    /// The number of a descriptor, or the name of the error.
    Fd,
    /// Both ends of the socket.
    Tuple,
    /// The address that the call names.
    Address,
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
    /// The name of a socket option, whose level is the second argument: the names are those of `SOL_SOCKET`.
    SocketOption(&'static [(u64, &'static str)]),
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

/// What every call returns.
pub const RES: Argument = number_of("res", From::Ret, Form::Result);

/// The arguments of a call, in order.
pub fn of_call(call: Call) -> &'static [Argument] {
    process_change::arguments(call)
        .or_else(|| net::arguments(call))
        .or_else(|| fd_dup::arguments(call))
        .unwrap_or(&[RES])
}

/// `SOL_SOCKET` of `<sys/socket.h>`.
const SOL_SOCKET: u64 = 1;

/// Where the arguments of an event are.
struct Source<'a> {
    ret: i64,
    args: &'a [u64; 6],
    /// What pointers lead to. Of a call on a socket: its value, the bytes that were moved, the bytes that were offered,
    /// the descriptor.
    words: [u64; 8],
    strings: Strings<'a>,
}

fn source<'a>(facts: &'a LiveFacts<'_>) -> Option<Source<'a>> {
    match &facts.view.record.body {
        Body::Syscall { facts: call, strings } | Body::ProcessChange { syscall: call, strings, .. } => {
            Some(Source { ret: call.ret, args: &call.args, words: call.values, strings: *strings })
        }
        Body::NetCall { facts: call, path, data } => Some(Source {
            ret: call.ret,
            args: &call.args,
            words: [call.value, call.bytes.into(), call.size.into(), call.fd as u64, 0, 0, 0, 0],
            strings: Strings { path, data, ..Strings::default() },
        }),
        _ => None,
    }
}

impl Source<'_> {
    fn number(&self, from: From) -> u64 {
        let arg = |i: usize| self.args.get(i).copied().unwrap_or_default();
        let word = |i: usize| self.words.get(i).copied().unwrap_or_default();
        match from {
            From::Ret => self.ret as u64,
            From::Arg(i) => arg(i),
            From::Arg32(i) => arg(i) & 0xffff_ffff,
            From::Word(i) => word(i),
            From::Low(i) => word(i) & 0xffff_ffff,
            From::High(i) => word(i) >> 32,
            From::Share(i) => match word(i) >> 32 {
                0 => 0,
                whole => (word(i) & 0xffff_ffff) * 100 / whole,
            },
        }
    }
}

/// An argument as a number.
pub fn number<'a>(facts: &'a LiveFacts<'_>, argument: &Argument) -> Value<'a> {
    let Some(source) = source(facts) else { return Value::Absent };
    let raw = source.number(argument.from);
    match argument.form {
        Form::Dec | Form::Result => (raw as i64).into(),
        Form::Int | Form::Fd => i64::from(raw as i32).into(),
        Form::Id => (if raw as u32 == u32::MAX { -1 } else { i64::from(raw as u32) }).into(),
        Form::Hex | Form::Oct | Form::Flags(_) | Form::Choice(_) | Form::SocketOption(_) => raw.into(),
        Form::Path | Form::Path2 | Form::Raw | Form::Raw2 | Form::Data | Form::File => Value::Absent,
        Form::Tuple | Form::Address => Value::Absent,
    }
}

/// An argument as text.
pub fn text<'a>(facts: &'a LiveFacts<'_>, argument: &Argument) -> Value<'a> {
    let Some(source) = source(facts) else { return Value::Absent };
    let raw = source.number(argument.from);
    let strings = &source.strings;
    match argument.form {
        Form::Dec | Form::Int | Form::Id => match number(facts, argument).as_whole() {
            Some(n) => Value::owned(n.to_string()),
            None => Value::Absent,
        },
        Form::Fd => event::result_text(i64::from(raw as i32)),
        Form::Tuple => descriptor::name(facts),
        Form::Address => descriptor::address(facts),
        Form::Hex => Value::owned(format!("0x{raw:x}")),
        Form::Oct => Value::owned(format!("0{raw:o}")),
        Form::Result => event::result_text(raw as i64),
        Form::Flags(names) => Value::owned(text::flags(raw, names)),
        Form::Choice(names) => match names.iter().find(|(value, _)| *value == raw) {
            Some((_, name)) => Value::str(name),
            None => Value::owned(raw.to_string()),
        },
        Form::SocketOption(names) => match names.iter().find(|(value, _)| *value == raw) {
            Some((_, name)) if source.number(From::Arg32(1)) == SOL_SOCKET => Value::str(name),
            _ => Value::owned(raw.to_string()),
        },
        Form::Path => path(strings.target, strings.base, strings.raw),
        Form::Path2 => path(strings.target2, strings.base2, strings.raw2),
        Form::Raw => known(strings.raw),
        Form::Raw2 => known(strings.raw2),
        Form::Data => known(strings.data),
        Form::File => known(strings.path),
    }
}

fn known(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Absent } else { Value::bytes(bytes) }
}

/// A path as it was resolved, else as passed and made absolute.
fn path<'a>(target: &'a [u8], base: &'a [u8], raw: &'a [u8]) -> Value<'a> {
    match (target, base, raw) {
        ([], [], raw) => known(raw),
        ([], base, []) => Value::bytes(base),
        ([], base, raw) => Value::Bytes(text::absolute(base, raw).into()),
        (target, ..) => Value::bytes(target),
    }
}
