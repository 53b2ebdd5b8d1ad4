//! Arguments by table: their names, where each is in the record, and how it is written.

mod exec_failed;
mod fd_dup;
mod file_change;
mod file_mount;
mod io_uring;
mod kernel_control;
mod memory;
mod net;
mod process_change;
mod process_control;

use vedette_event::{
    Body, Strings,
    abi::{Call, Header, Syscall, TaskFacts, header_flags},
};

use super::super::{
    LiveFacts, descriptor, event,
    path::{self, Which},
    process as process_facts, text,
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
pub enum From {
    /// What the kernel holds about the process after the call.
    Task(fn(&TaskFacts) -> u64),
    /// What the call returned.
    Ret,
    /// One of the arguments as passed, counted from 0.
    Arg(usize),
    /// The same of an argument of 32 bits; what is above them is of no meaning.
    Arg32(usize),
    /// A 64-bit word of memory whose layout is another for 32-bit programs, of which nothing is said.
    Native(usize),
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
pub enum Form {
    /// A signed number.
    Dec,
    /// A number that the kernel takes as a signed 32-bit one: descriptors, pids.
    Int,
    /// A descriptor that may stand for the working directory.
    Dir,
    /// The number of a descriptor, or the name of the error.
    Fd,
    /// Both ends of the socket.
    Tuple,
    /// The address that the call names.
    Address,
    /// The name of a socket option, whose level is the second argument: the names are those of `SOL_SOCKET`.
    SocketOption(&'static [(u64, &'static str)]),
    /// An unsigned 32-bit number: user and group ids. All ones is -1, "leave it".
    Id,
    /// Hexadecimal.
    Hex,
    /// Octal, with a zero before it.
    Oct,
    /// 0, or the name of the error.
    Result,
    /// An address, or the name of the error.
    Pointer,
    /// Names of the bits that are set, joined by `|`; the names come in the order of the table.
    Flags(&'static [(u64, &'static str)]),
    /// The name of the value; a number without a name stays one.
    Choice(&'static [(u64, &'static str)]),
    /// The same, of names that are counted from 0.
    Index(&'static [&'static str]),
    /// The name of a user by its id; the number where nobody has it, -1 for "leave it".
    User,
    /// The name of a group, likewise.
    Group,
    /// Names of capabilities.
    Capabilities,
    /// Text that is made of several parts of the record; nothing where it has no meaning in this call.
    Made(fn(&Parts<'_>) -> Option<String>),
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
    /// Path of the program that the process with this pid runs. Nothing where the caller counts pids in a namespace of
    /// its own, or means more than one process.
    Program,
}

/// A record of a call, in its parts.
pub struct Parts<'a> {
    /// The header.
    pub header: &'a Header,
    /// The call.
    pub call: &'a Syscall,
    /// Its strings.
    pub strings: &'a Strings<'a>,
}

impl Parts<'_> {
    /// Whether a 32-bit program made the call.
    pub fn is_compat(&self) -> bool {
        self.header.flags & header_flags::COMPAT != 0
    }
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
/// An argument that is made of several parts.
pub const fn made_of(name: &'static str, make: fn(&Parts<'_>) -> Option<String>) -> Argument {
    Argument { name, from: From::Ret, form: Form::Made(make) }
}

/// What every call returns.
pub const RES: Argument = number_of("res", From::Ret, Form::Result);

/// The arguments of a call, in order.
pub fn of_call(call: Call) -> &'static [Argument] {
    use vedette_event::abi::Kind;
    let arguments = match call.kind() {
        Kind::FileChange => file_change::arguments(call),
        Kind::FileMount => file_mount::arguments(call),
        Kind::ProcessChange => process_change::arguments(call),
        Kind::ProcessControl => process_control::arguments(call),
        Kind::KernelControl => kernel_control::arguments(call),
        Kind::Memory => memory::arguments(call),
        Kind::IoUring => io_uring::arguments(call),
        Kind::ExecFailed => exec_failed::arguments(call),
        Kind::FdDup => fd_dup::arguments(call),
        Kind::NetConnect | Kind::NetSocket | Kind::NetSend | Kind::NetReceive => net::arguments(call),
        _ => None,
    };
    arguments.unwrap_or(&[RES])
}

/// Flags of `clone(2)`, `unshare(2)` and `setns(2)` (`include/uapi/linux/sched.h`).
pub const CLONE_FLAGS: &[(u64, &str)] = &[
    (0x400, "CLONE_FILES"),
    (0x200, "CLONE_FS"),
    (0x8000_0000, "CLONE_IO"),
    (0x0800_0000, "CLONE_NEWIPC"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x0400_0000, "CLONE_NEWUTS"),
    (0x8000, "CLONE_PARENT"),
    (0x800, "CLONE_SIGHAND"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x1_0000, "CLONE_THREAD"),
    (0x100, "CLONE_VM"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x4000, "CLONE_VFORK"),
    (0x0200_0000, "CLONE_NEWCGROUP"),
    (0x80, "CLONE_NEWTIME"),
];

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
    /// The call, where it is none on a socket.
    call: Option<&'a Syscall>,
}

fn source<'a>(facts: &'a LiveFacts<'_>) -> Option<Source<'a>> {
    match &facts.view.record.body {
        Body::Syscall { facts: call, strings } | Body::ProcessChange { syscall: call, strings, .. } => {
            Some(Source {
                ret: call.ret,
                args: &call.args,
                words: call.values,
                strings: *strings,
                call: Some(call),
            })
        }
        Body::NetCall { facts: call, path, data } => Some(Source {
            ret: call.ret,
            args: &call.args,
            words: [call.value, call.bytes.into(), call.size.into(), call.fd as u64, 0, 0, 0, 0],
            strings: Strings { path, data, ..Strings::default() },
            call: None,
        }),
        _ => None,
    }
}

fn raw_number(facts: &LiveFacts<'_>, source: &Source<'_>, from: From) -> Option<u64> {
    let record = facts.view.record;
    let word = |i: usize| source.words.get(i).copied().unwrap_or_default();
    let argument = |i: usize| source.args.get(i).copied().unwrap_or_default();
    Some(match from {
        From::Task(read) => match &record.body {
            Body::ProcessChange { task, .. } => read(task),
            _ => return None,
        },
        From::Ret => source.ret as u64,
        From::Arg(i) => argument(i),
        From::Arg32(i) => argument(i) & 0xffff_ffff,
        From::Native(_) if record.header.flags & header_flags::COMPAT != 0 => return None,
        From::Word(i) | From::Native(i) => word(i),
        From::Low(i) => word(i) & 0xffff_ffff,
        From::High(i) => word(i) >> 32,
        From::Share(i) => match word(i) >> 32 {
            0 => 0,
            whole => (word(i) & 0xffff_ffff) * 100 / whole,
        },
    })
}

/// An argument as a number.
pub fn number<'a>(facts: &'a LiveFacts<'_>, argument: &Argument) -> Value<'a> {
    let Some(source) = source(facts) else { return Value::Absent };
    let Some(raw) = raw_number(facts, &source, argument.from) else { return Value::Absent };
    match argument.form {
        Form::Dec | Form::Result | Form::Pointer => (raw as i64).into(),
        Form::Int | Form::Dir | Form::Fd => i64::from(raw as i32).into(),
        Form::Id | Form::User | Form::Group => id(raw).into(),
        Form::Hex | Form::Oct | Form::Flags(_) | Form::Choice(_) | Form::Index(_) | Form::Capabilities => {
            raw.into()
        }
        Form::SocketOption(_) => raw.into(),
        Form::Tuple | Form::Address => Value::Absent,
        Form::Made(_)
        | Form::Path
        | Form::Path2
        | Form::Raw
        | Form::Raw2
        | Form::Data
        | Form::File
        | Form::Program => Value::Absent,
    }
}

/// A user or group id; all ones means "leave it".
fn id(raw: u64) -> i64 {
    if raw as u32 == u32::MAX { -1 } else { i64::from(raw as u32) }
}

/// The name of a user or group, or its number.
fn name_of<'a>(raw: u64, look_up: impl FnOnce(u32) -> Option<std::sync::Arc<str>>) -> Value<'a> {
    let name = if raw as u32 == u32::MAX { None } else { look_up(raw as u32) };
    Value::owned(name.map_or_else(|| id(raw).to_string(), |name| name.to_string()))
}

/// An argument as text.
pub fn text<'a>(facts: &'a LiveFacts<'_>, argument: &Argument) -> Value<'a> {
    let Some(source) = source(facts) else { return Value::Absent };
    let Some(raw) = raw_number(facts, &source, argument.from) else { return Value::Absent };
    let strings = &source.strings;
    let view = &facts.view;
    match argument.form {
        Form::Dec | Form::Int | Form::Id => match number(facts, argument).as_whole() {
            Some(n) => Value::owned(n.to_string()),
            None => Value::Absent,
        },
        Form::Dir if raw as i32 == AT_FDCWD => "AT_FDCWD".into(),
        Form::Dir => Value::owned((raw as i32).to_string()),
        Form::Fd => event::result_text(i64::from(raw as i32)),
        Form::Tuple => descriptor::name(facts),
        Form::Address => descriptor::address(facts),
        Form::SocketOption(names) => match names.iter().find(|(value, _)| *value == raw) {
            Some((_, name)) if source.args[1] & 0xffff_ffff == SOL_SOCKET => Value::str(name),
            _ => Value::owned(raw.to_string()),
        },
        Form::Hex => Value::owned(format!("0x{raw:x}")),
        Form::Oct => Value::owned(format!("0{raw:o}")),
        Form::Pointer if !(-4095..0).contains(&(raw as i64)) => Value::owned(format!("0x{raw:x}")),
        Form::Result | Form::Pointer => event::result_text(raw as i64),
        Form::Flags(names) => Value::owned(text::flags(raw, names)),
        Form::Choice(names) => match names.iter().find(|(value, _)| *value == raw) {
            Some((_, name)) => Value::str(name),
            None => Value::owned(raw.to_string()),
        },
        Form::Index(names) => match usize::try_from(raw).ok().and_then(|i| names.get(i)) {
            Some(name) => Value::str(name),
            None => Value::owned(raw.to_string()),
        },
        Form::User => name_of(raw, |uid| view.names.user(uid, view.process)),
        Form::Group => name_of(raw, |gid| view.names.group(gid, view.process)),
        Form::Capabilities => Value::owned(text::capabilities(raw)),
        Form::Made(make) => source
            .call
            .and_then(|call| make(&Parts { header: &view.record.header, call, strings }))
            .map_or(Value::Absent, Value::owned),
        Form::Path => path::of_call(facts, Which::First),
        Form::Path2 => path::of_call(facts, Which::Second),
        Form::Raw => known(strings.raw),
        Form::Raw2 => known(strings.raw2),
        Form::Data => known(strings.data),
        Form::File => known(strings.path),
        Form::Program => program(facts, raw as i32),
    }
}

/// The program of another process, by what its pid is in the initial namespace.
fn program<'a>(facts: &'a LiveFacts<'_>, pid: i32) -> Value<'a> {
    let view = &facts.view;
    let is_initial = view.process.task.vpid == view.process.task.tgid;
    let target = u32::try_from(pid).ok().filter(|pid| *pid != 0 && is_initial);
    let target = target.and_then(|pid| view.state.processes.latest(pid));
    match target.and_then(|id| view.state.processes.get(id)) {
        Some(process) => known(process_facts::exe_path(process)),
        None => Value::Absent,
    }
}

fn known(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Absent } else { Value::bytes(bytes) }
}
