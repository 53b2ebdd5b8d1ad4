//! `evt.arg.*` and `evt.rawarg.*`: the arguments of a call by name or position.

mod table;

use vedette_event::{
    Body,
    abi::{Call, FileOpen},
};

use super::{LiveFacts, descriptor, event, path, process, text};
use crate::field::FieldArg;
use crate::value::Value;

/// The working directory in place of a descriptor (`include/uapi/linux/fcntl.h`).
const AT_FDCWD: i32 = -100;

/// How `openat2` resolves (`include/uapi/linux/openat2.h`).
const RESOLVE: &[(u64, &str)] = &[
    (0x08, "RESOLVE_BENEATH"),
    (0x10, "RESOLVE_IN_ROOT"),
    (0x02, "RESOLVE_NO_MAGICLINKS"),
    (0x04, "RESOLVE_NO_SYMLINKS"),
    (0x01, "RESOLVE_NO_XDEV"),
    (0x20, "RESOLVE_CACHED"),
];

/// Names of the arguments in order, by event.
fn names(facts: &LiveFacts<'_>) -> &'static [&'static str] {
    match &facts.view.record.body {
        Body::FileOpen { .. } => match facts.view.record.call {
            Some(Call::Creat) => &["fd", "name", "mode", "dev", "ino"],
            Some(Call::Openat) => &["fd", "dirfd", "name", "flags", "mode", "dev", "ino"],
            Some(Call::Openat2) => &["fd", "dirfd", "name", "flags", "mode", "resolve", "dev", "ino"],
            Some(Call::OpenByHandleAt) => &["fd", "mountfd", "flags", "path", "dev", "ino"],
            _ => &["fd", "name", "flags", "mode", "dev", "ino"],
        },
        Body::NetCall { .. } => &["res", "tuple", "fd", "addr"],
        Body::ProcessExec { .. } => &[
            "res",
            "exe",
            "args",
            "tid",
            "pid",
            "ptid",
            "cwd",
            "comm",
            "env",
            "tty",
            "pgid",
            "loginuid",
            "flags",
            "cap_inheritable",
            "cap_permitted",
            "cap_effective",
            "exe_ino",
            "exe_ino_ctime",
            "exe_ino_mtime",
            "uid",
            "trusted_exepath",
            "filename",
        ],
        Body::ProcessFork(_) => &["res", "exe", "tid", "pid", "ptid", "comm", "uid", "gid", "vtid", "vpid"],
        Body::ProcessExit(_) => &["status", "ret", "sig", "core"],
        _ => &[],
    }
}

/// The arguments of an event whose call has a table.
fn table_of(facts: &LiveFacts<'_>) -> &'static [table::Argument] {
    match (facts.view.record.call, &facts.view.record.body) {
        (Some(call), Body::Syscall { .. } | Body::ProcessChange { .. }) => table::of_call(call),
        _ => &[],
    }
}

/// An argument of a call with a table.
fn in_table(facts: &LiveFacts<'_>, arg: &FieldArg) -> Option<&'static table::Argument> {
    let table = table_of(facts);
    match arg {
        FieldArg::Key(key) => table.iter().find(|a| a.name == &**key),
        FieldArg::Index(i) => table.get(*i as usize),
        FieldArg::None => None,
    }
}

fn name<'n>(facts: &LiveFacts<'_>, arg: &'n FieldArg) -> Option<&'n str> {
    match arg {
        FieldArg::Key(key) => Some(key),
        FieldArg::Index(i) => names(facts).get(*i as usize).copied(),
        FieldArg::None => None,
    }
}

/// An argument as text.
pub fn text<'a>(facts: &'a LiveFacts<'_>, arg: &FieldArg) -> Value<'a> {
    if let Some(argument) = in_table(facts, arg) {
        return table::text(facts, argument);
    }
    let Some(name) = name(facts, arg) else { return Value::Absent };
    match &facts.view.record.body {
        Body::FileOpen { facts: open, .. } => match name {
            "name" | "filename" | "path" => path::name(facts),
            "resolve" => Value::owned(text::flags(open.resolve.into(), RESOLVE)),
            "dirfd" | "mountfd" if open.dirfd == AT_FDCWD => "AT_FDCWD".into(),
            "flags" => {
                let flags = facts.flags.get_or_init(|| text::open_flags(open.flags, event::created(open)));
                Value::bytes(flags.as_bytes())
            }
            "mode" => Value::owned(format!("0{:o}", open.mode)),
            "dev" => Value::owned(format!("0x{:x}", open.inode.dev)),
            "fd" | "res" => Value::owned(format!("{}", open.ret)),
            _ => fallback(facts, arg),
        },
        Body::NetCall { facts: connect, .. } => match name {
            "tuple" => descriptor::name(facts),
            "addr" => descriptor::remote(facts),
            "res" => match event::result(facts) {
                Some(n) if n < 0 => {
                    vedette_event::errno_name(n.unsigned_abs()).map(Value::str).unwrap_or_default()
                }
                _ => Value::owned(connect.ret.to_string()),
            },
            _ => fallback(facts, arg),
        },
        Body::ProcessExec { filename, .. } => match name {
            "exe" => process::exe(facts.view.process).map(Value::bytes).unwrap_or_default(),
            "args" => Value::bytes(process::args(facts.view.process)),
            "cwd" => Value::bytes(&facts.view.process.cwd),
            "comm" => Value::bytes(facts.view.process.comm()),
            "env" => Value::Bytes(text::join(process::environment(facts.view.process)).into()),
            "flags" => Value::owned(process::exe_flags(facts.view.process)),
            "filename" => Value::bytes(filename),
            "trusted_exepath" => Value::bytes(process::exe_path(facts.view.process)),
            "cap_inheritable" => Value::owned(text::capabilities(facts.view.process.task.cap_inheritable)),
            "cap_permitted" => Value::owned(text::capabilities(facts.view.process.task.cap_permitted)),
            "cap_effective" => Value::owned(text::capabilities(facts.view.process.task.cap_effective)),
            _ => fallback(facts, arg),
        },
        Body::ProcessFork(_) => match name {
            "comm" => Value::bytes(facts.view.process.comm()),
            "exe" => process::exe(facts.view.process).map(Value::bytes).unwrap_or_default(),
            _ => fallback(facts, arg),
        },
        _ => fallback(facts, arg),
    }
}

fn fallback<'a>(facts: &'a LiveFacts<'_>, arg: &FieldArg) -> Value<'a> {
    number(facts, arg).as_whole().map_or(Value::Absent, |n| Value::owned(n.to_string()))
}

/// An argument as a number.
pub fn number<'a>(facts: &'a LiveFacts<'_>, arg: &FieldArg) -> Value<'a> {
    if let Some(argument) = in_table(facts, arg) {
        return table::number(facts, argument);
    }
    let Some(name) = name(facts, arg) else { return Value::Absent };
    let process = facts.view.process;
    let task = &process.task;
    match &facts.view.record.body {
        Body::FileOpen { facts: open, .. } => open_number(open, name),
        Body::NetCall { facts: connect, .. } => match name {
            "fd" => i64::from(connect.fd).into(),
            "res" => connect.ret.into(),
            _ => Value::Absent,
        },
        Body::ProcessExec { .. } | Body::ProcessFork(_) => match name {
            "res" => event::result(facts).into(),
            "tid" => facts.view.record.header.tid.into(),
            "pid" => task.tgid.into(),
            "ptid" => task.parent_tgid.into(),
            "tty" => process::tty_number(task.tty).into(),
            "pgid" => task.pgid.into(),
            "loginuid" => (task.loginuid as i32).into(),
            "uid" => task.euid.into(),
            "gid" => task.egid.into(),
            "vpid" | "vtid" => task.vpid.into(),
            "cap_inheritable" => task.cap_inheritable.into(),
            "cap_permitted" => task.cap_permitted.into(),
            "cap_effective" => task.cap_effective.into(),
            "exe_ino" => process.exec.exe.0.ino.into(),
            "exe_ino_ctime" => process::ctime(process).into(),
            "exe_ino_mtime" => process::mtime(process).into(),
            _ => Value::Absent,
        },
        Body::ProcessExit(exit) => match name {
            "status" => exit.status.into(),
            "ret" => (exit.status >> 8 & 0xff).into(),
            "sig" => (exit.status & 0x7f).into(),
            "core" => (exit.status >> 7 & 1).into(),
            _ => Value::Absent,
        },
        _ => Value::Absent,
    }
}

fn open_number<'a>(open: &FileOpen, name: &str) -> Value<'a> {
    match name {
        "fd" | "res" => open.ret.into(),
        "flags" => open.flags.into(),
        "mode" => open.mode.into(),
        "dirfd" | "mountfd" => open.dirfd.into(),
        "dev" => open.inode.dev.into(),
        "ino" => open.inode.ino.into(),
        "resolve" => open.resolve.into(),
        _ => Value::Absent,
    }
}

/// All arguments as `name=value`, joined by blanks.
pub fn all(facts: &LiveFacts<'_>) -> String {
    let mut parts = Vec::new();
    for name in names(facts).iter().copied().chain(table_of(facts).iter().map(|a| a.name)) {
        let value = text(facts, &FieldArg::Key(name.into()));
        if let Some(bytes) = value.as_bytes() {
            parts.push(format!("{name}={}", String::from_utf8_lossy(bytes)));
        }
    }
    parts.join(" ")
}
