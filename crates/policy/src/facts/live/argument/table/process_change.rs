//! Calls that change the process itself.
//!
//! Ids are written as names, as rules compare them (`evt.arg.uid = nobody`); `evt.rawarg.uid` is the number.

use vedette_event::abi::Call;

use super::{Argument, CLONE_FLAGS, Form, From, Parts, RES, made_of, number_of as n, string_of as s};

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const fn user(name: &'static str, i: usize) -> Argument {
        n(name, From::Arg(i), Form::User)
    }
    const fn group(name: &'static str, i: usize) -> Argument {
        n(name, From::Arg(i), Form::Group)
    }
    Some(match call {
        Call::Setuid | Call::Setfsuid => const { &[RES, user("uid", 0)] },
        Call::Setgid | Call::Setfsgid => const { &[RES, group("gid", 0)] },
        Call::Setreuid => const { &[RES, user("ruid", 0), user("euid", 1)] },
        Call::Setregid => const { &[RES, group("rgid", 0), group("egid", 1)] },
        Call::Setresuid => const { &[RES, user("ruid", 0), user("euid", 1), user("suid", 2)] },
        Call::Setresgid => const { &[RES, group("rgid", 0), group("egid", 1), group("sgid", 2)] },
        Call::Setgroups => const { &[RES, n("size", From::Arg32(0), Form::Int), made_of("groups", groups)] },
        // What the process has after the call, as in Falco.
        Call::Capset => {
            const {
                &[
                    RES,
                    n("cap_inheritable", From::Task(|t| t.cap_inheritable), Form::Capabilities),
                    n("cap_permitted", From::Task(|t| t.cap_permitted), Form::Capabilities),
                    n("cap_effective", From::Task(|t| t.cap_effective), Form::Capabilities),
                ]
            }
        }
        Call::Setpgid => {
            const { &[RES, n("pid", From::Arg(0), Form::Int), n("pgid", From::Arg(1), Form::Int)] }
        }
        Call::Setns => {
            const {
                &[
                    RES,
                    n("fd", From::Arg(0), Form::Int),
                    n("nstype", From::Arg32(1), Form::Flags(CLONE_FLAGS)),
                ]
            }
        }
        Call::Unshare => const { &[RES, n("flags", From::Arg(0), Form::Flags(CLONE_FLAGS))] },
        Call::Chdir | Call::Chroot => const { &[RES, s("path", Form::Path)] },
        Call::Fchdir => const { &[RES, n("fd", From::Arg(0), Form::Int)] },
        _ => return None,
    })
}

/// The ids of a `setgroups`, as far as they are carried. 32-bit programs have a call with ids of another width.
fn groups(parts: &Parts<'_>) -> Option<String> {
    if parts.is_compat() {
        return None;
    }
    let size = usize::try_from(parts.call.args[0]).ok()?;
    let ids = parts.call.values.iter().flat_map(|word| [*word as u32, (*word >> 32) as u32]);
    let mut text: Vec<String> = ids.take(size).map(|id| id.to_string()).collect();
    if size > text.len() {
        text.push("…".to_owned());
    }
    Some(text.join(","))
}
