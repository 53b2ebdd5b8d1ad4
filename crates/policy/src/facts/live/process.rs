//! `proc.*`, `thread.*`, `user.*`, `group.*`.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use vedette_event::{Process, abi::path_flags, process::split_strings};

use super::{LiveFacts, stdio, text, usage};
use crate::field::{FieldArg, FieldId};
use crate::value::Value;

/// `argv[0]`.
pub fn exe(process: &Process) -> Option<&[u8]> {
    process.exec.args().next()
}

/// The arguments without `argv[0]`, joined by blanks.
pub fn args(process: &Process) -> &[u8] {
    process.args_line()
}

/// The task's name and the arguments.
pub fn cmdline(process: &Process) -> Cow<'_, [u8]> {
    process.cmdline()
}

/// The environment's strings.
pub fn environment(process: &Process) -> impl Iterator<Item = &[u8]> {
    split_strings(&process.exec.env)
}

/// A terminal in the encoding of `/proc/PID/stat`.
pub fn tty_number(device: u32) -> u32 {
    let (major, minor) = (device >> 20, device & 0xf_ffff);
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

/// Change time of the executable, nanoseconds since 1970; `None` where unknown.
pub fn ctime(process: &Process) -> Option<u64> {
    stamp(process.exec.exe.0.ctime_sec, process.exec.exe.0.ctime_nsec)
}

/// Modification time of the executable.
pub fn mtime(process: &Process) -> Option<u64> {
    stamp(process.exec.exe.0.mtime_sec, process.exec.exe.0.mtime_nsec)
}

fn stamp(seconds: i64, nanos: u32) -> Option<u64> {
    let seconds = u64::try_from(seconds).ok().filter(|s| *s > 0)?;
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(nanos)))
}

/// Whether the executable is a memory file.
pub fn is_from_memfd(process: &Process) -> bool {
    let exec = &process.exec;
    exec.exe.0.path_flags & path_flags::PSEUDO != 0 && exec.exe_path.starts_with(b"/memfd:")
}

/// Path of the executable. That of a memory file is its name, `memfd:NAME`, which is no path.
pub fn exe_path(process: &Process) -> &[u8] {
    match process.exec.exe_path.strip_prefix(b"/") {
        Some(name) if is_from_memfd(process) => name,
        _ => &process.exec.exe_path,
    }
}

/// `CAP_DAC_OVERRIDE` and `CAP_FOWNER` of `include/uapi/linux/capability.h`.
const MAY_WRITE: u64 = 1 << 1 | 1 << 3;

/// Whether the process may write to its executable, or make it so that it may: by mount, capabilities, owner and mode.
/// Further groups and lists of access rights are left out.
pub fn is_writable(process: &Process) -> bool {
    let (exe, task) = (&process.exec.exe.0, &process.task);
    if exe.ino == 0 || exe.path_flags & path_flags::READ_ONLY != 0 {
        return false;
    }
    match () {
        () if task.cap_effective & MAY_WRITE != 0 => true,
        () if task.fsuid == exe.uid => exe.mode & 0o200 != 0,
        () if task.fsgid == exe.gid => exe.mode & 0o020 != 0,
        () => exe.mode & 0o002 != 0,
    }
}

/// `OVERLAYFS_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
const OVERLAYFS_MAGIC: u64 = 0x794c_7630;

/// Whether the executable is in that layer of an overlay (a bit of [`path_flags`]). `None` where that is not known: the
/// kernel tells it with an exec only.
fn is_in_layer(process: &Process, layer: u32) -> Option<bool> {
    let exe = &process.exec.exe.0;
    let told = exe.path_flags & (path_flags::UPPER_LAYER | path_flags::LOWER_LAYER) != 0;
    (exe.ino != 0 && (told || exe.magic != OVERLAYFS_MAGIC)).then_some(exe.path_flags & layer != 0)
}

/// `evt.arg.flags` of an exec; `0` where none applies. Order and names are those that rules expect.
pub fn exe_flags(process: &Process) -> String {
    let flags = process.exec.exe.0.path_flags;
    let set = [
        (is_writable(process), "EXE_WRITABLE"),
        (flags & path_flags::UPPER_LAYER != 0, "EXE_UPPER_LAYER"),
        (is_from_memfd(process), "EXE_FROM_MEMFD"),
        (flags & path_flags::LOWER_LAYER != 0, "EXE_LOWER_LAYER"),
    ];
    let names: Vec<&str> = set.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}

/// Names of shells, for `proc.loginshellid`.
const SHELLS: &[&[u8]] = &[b"ash", b"bash", b"csh", b"ksh", b"sh", b"tcsh", b"zsh", b"dash"];

fn is_shell(process: &Process) -> bool {
    SHELLS.contains(&process.comm())
}

fn ancestor<'a>(facts: &'a LiveFacts<'_>, level: u32) -> Option<&'a Process> {
    match level {
        0 => Some(facts.view.process),
        n => facts.view.ancestors().nth(n as usize - 1),
    }
}

fn parent<'a>(facts: &'a LiveFacts<'_>) -> Option<&'a Process> {
    ancestor(facts, 1)
}

/// The process that leads a session or group, by its pid.
fn leader<'a>(facts: &'a LiveFacts<'_>, pid: u32) -> Option<&'a Process> {
    let processes = &facts.view.state.processes;
    processes.latest(pid).and_then(|id| processes.get(id))
}

/// Empty is not known.
fn known(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Absent } else { Value::bytes(bytes) }
}

/// A directory with a slash at its end, so that what is below it can be told by `startswith`.
fn directory(path: &[u8]) -> Value<'_> {
    match path {
        [] => Value::Absent,
        [.., b'/'] => Value::bytes(path),
        _ => Value::Bytes([path, b"/"].concat().into()),
    }
}

fn of_process<'a>(field: FieldId, process: &'a Process) -> Value<'a> {
    use FieldId as F;
    match field {
        F::ProcAname | F::ProcPname | F::ProcName | F::ProcSname | F::ProcVpgidName | F::ProcPgidName => {
            known(process.comm())
        }
        F::ProcAexe | F::ProcPexe | F::ProcExe | F::ProcSidExe | F::ProcVpgidExe => {
            exe(process).map(Value::bytes).unwrap_or_default()
        }
        F::ProcAexepath | F::ProcPexepath | F::ProcExepath | F::ProcSidExepath | F::ProcVpgidExepath => {
            known(exe_path(process))
        }
        F::ProcAcmdline | F::ProcPcmdline | F::ProcCmdline => {
            if process.comm().is_empty() {
                Value::Absent
            } else {
                Value::Bytes(cmdline(process))
            }
        }
        F::ProcApid | F::ProcPpid | F::ProcPid => i64::from(process.key.tgid).into(),
        F::ProcPcwd | F::ProcCwd => directory(&process.cwd),
        F::ProcPvpid | F::ProcVpid => i64::from(process.task.vpid).into(),
        F::ProcEnv | F::ProcAenv => {
            if process.exec.env.is_empty() {
                Value::Absent
            } else {
                Value::Bytes(text::join(environment(process)).into())
            }
        }
        _ => Value::Absent,
    }
}

fn variable<'a>(process: &'a Process, name: &str) -> Value<'a> {
    environment(process)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .map(Value::bytes)
        .unwrap_or_default()
}

/// The values of a field that has one for each ancestor; false where it is none.
pub fn each<'a>(facts: &'a LiveFacts<'_>, field: FieldId, push: &mut dyn FnMut(Value<'a>)) -> bool {
    use FieldId as F;
    if !matches!(field, F::ProcAname | F::ProcAexe | F::ProcAexepath | F::ProcAcmdline | F::ProcApid) {
        return false;
    }
    for ancestor in facts.view.ancestors() {
        push(of_process(field, ancestor));
    }
    true
}

/// The value of a field of this family, or `None` where it belongs to another.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId, arg: &FieldArg) -> Option<Value<'a>> {
    use FieldId as F;
    let view = &facts.view;
    let process = view.process;
    let task = &process.task;
    // As whom a call is made that changes ids or capabilities is what the process was before it: a rule about who may
    // call `setuid` does not ask what became of it, which is in the arguments.
    let subject = view.state.before().unwrap_or(task);
    let since = |start: u64| view.record.header.time.saturating_sub(start);
    // Of a process that is only known by its events' headers, all facts are zero: that is not root.
    let by_key =
        matches!(field, F::ProcPid | F::ProcPidTs | F::ProcDuration | F::ThreadTid | F::ThreadIsmain);
    if !by_key && !process.has_facts() {
        return None;
    }
    Some(match field {
        F::ProcName
        | F::ProcExe
        | F::ProcExepath
        | F::ProcCmdline
        | F::ProcCwd
        | F::ProcPid
        | F::ProcVpid => of_process(field, process),
        F::ProcPname | F::ProcPexe | F::ProcPexepath | F::ProcPcmdline | F::ProcPcwd | F::ProcPvpid => {
            parent(facts).map(|p| of_process(field, p)).unwrap_or_default()
        }
        F::ProcPpid => match parent(facts) {
            Some(parent) => of_process(field, parent),
            None => i64::from(task.parent_tgid).into(),
        },
        F::ProcAname | F::ProcAexe | F::ProcAexepath | F::ProcAcmdline | F::ProcApid => {
            let level = arg.index().unwrap_or(1);
            ancestor(facts, level).map(|p| of_process(field, p)).unwrap_or_default()
        }
        F::ProcEnv => match arg.key() {
            Some(name) => variable(process, name),
            None => of_process(field, process),
        },
        F::ProcArgs => Value::bytes(args(process)),
        F::ProcCmdnargs => (process.exec.args().skip(1).count() as u64).into(),
        F::ProcCmdlenargs => (process.exec.args().skip(1).map(<[u8]>::len).sum::<usize>() as u64).into(),
        F::ProcExeline => Value::Bytes(text::join(process.exec.args()).into()),
        F::ProcLoginshellid => {
            let shells = std::iter::once(process).chain(view.ancestors()).take_while(|p| is_shell(p));
            shells.last().map(|p| i64::from(p.key.tgid)).into()
        }
        F::ProcTty => tty_number(task.tty).into(),
        F::ProcPtty => parent(facts).map(|p| tty_number(p.task.tty)).into(),
        F::ProcSid => i64::from(task.sid).into(),
        F::ProcPgid => i64::from(task.pgid).into(),
        F::ProcVpgid => i64::from(task.vpgid).into(),
        F::ProcSname | F::ProcSidExe | F::ProcSidExepath => {
            leader(facts, task.sid).map(|p| of_process(field, p)).unwrap_or_default()
        }
        F::ProcVpgidName | F::ProcVpgidExe | F::ProcVpgidExepath | F::ProcPgidName => {
            leader(facts, task.pgid).map(|p| of_process(field, p)).unwrap_or_default()
        }
        F::ProcDuration => since(process.key.start).into(),
        F::ProcPpidDuration => parent(facts).map(|p| since(p.key.start)).into(),
        F::ProcPidTs => view.clock.realtime(process.key.start).into(),
        F::ProcPpidTs => parent(facts).map(|p| view.clock.realtime(p.key.start)).into(),
        F::ProcIsExeWritable => is_writable(process).into(),
        F::ProcIsExeUpperLayer => is_in_layer(process, path_flags::UPPER_LAYER).into(),
        F::ProcIsExeLowerLayer => is_in_layer(process, path_flags::LOWER_LAYER).into(),
        F::ProcStdinType => stdio::file_type(process, 0),
        F::ProcStdoutType => stdio::file_type(process, 1),
        F::ProcStderrType => stdio::file_type(process, 2),
        F::ProcStdinName => stdio::name(process, 0),
        F::ProcStdoutIno => stdio::inode(process, 1),
        F::ProcStdoutName => stdio::name(process, 1),
        F::ProcStderrName => stdio::name(process, 2),
        F::ProcPidnsInitStartTs if task.ns_pid_start != 0 => view.clock.realtime(task.ns_pid_start).into(),
        F::ProcExeInoCtimeDurationPidnsStart if task.ns_pid_start != 0 => {
            // 0 where the program is older than the namespace.
            ctime(process).map(|c| c.saturating_sub(view.clock.realtime(task.ns_pid_start))).into()
        }
        F::ProcIsExeFromMemfd => is_from_memfd(process).into(),
        F::ProcIsSidLeader => (task.sid == task.tgid).into(),
        F::ProcIsVpgidLeader => (task.vpgid == task.vpid).into(),
        F::ProcExeDev if process.exec.exe.0.ino != 0 => process.exec.exe.0.dev.into(),
        F::ProcExeIno if process.exec.exe.0.ino != 0 => process.exec.exe.0.ino.into(),
        F::ProcExeInoCtime => ctime(process).into(),
        F::ProcExeInoMtime => mtime(process).into(),
        F::ProcExeInoCtimeDurationProcStart => {
            let started = match process.exec.time {
                0 => process.key.start,
                time => time,
            };
            ctime(process).and_then(|c| view.clock.realtime(started).checked_sub(c)).into()
        }
        F::ThreadCapPermitted => Value::owned(text::capabilities(subject.cap_permitted)),
        F::ThreadCapInheritable => Value::owned(text::capabilities(subject.cap_inheritable)),
        F::ThreadCapEffective => Value::owned(text::capabilities(subject.cap_effective)),
        F::ThreadTid => i64::from(view.record.header.tid).into(),
        F::ThreadVtid => match view.record.header.tid {
            tid if tid == process.key.tgid => i64::from(task.vpid).into(),
            // Of other threads the kernel tells only the number in the initial namespace.
            tid if task.pid_level == 0 => i64::from(tid).into(),
            _ => Value::Absent,
        },
        F::ThreadNametid => {
            let mut text = process.comm().to_vec();
            text.extend_from_slice(view.record.header.tid.to_string().as_bytes());
            Value::Bytes(text.into())
        }
        F::ThreadIsmain => (view.record.header.tid == process.key.tgid).into(),
        F::UserUid => subject.euid.into(),
        F::UserRuid => task.uid.into(),
        F::UserRuidBefore => view.state.known_before().map(|known| known.uid).into(),
        F::UserHomedir => name(&facts.names.home, || view.names.home(subject.euid, process)),
        F::UserShell => name(&facts.names.shell, || view.names.shell(subject.euid, process)),
        F::UserName => name(&facts.names.user, || view.names.user(subject.euid, process)),
        F::UserLoginuid => (subject.loginuid as i32).into(),
        F::UserLoginname if subject.loginuid != u32::MAX => {
            name(&facts.names.login, || view.names.user(subject.loginuid, process))
        }

        F::ThreadCgroup | F::ThreadCgroups => usage::cgroup(facts, field, arg),
        F::GroupGid => subject.egid.into(),
        F::GroupName => name(&facts.names.group, || view.names.group(subject.egid, process)),
        _ => return usage::get(facts, field),
    })
}

/// A name that is looked up once for an event.
fn name<'a>(cell: &'a OnceCell<Option<Arc<str>>>, look_up: impl FnOnce() -> Option<Arc<str>>) -> Value<'a> {
    cell.get_or_init(look_up).as_deref().into()
}
