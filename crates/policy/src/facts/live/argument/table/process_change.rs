//! Calls that change the process itself.

use vedette_event::abi::Call;

use super::{Argument, Form, From, RES, number_of as n, string_of as s};

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const fn id(name: &'static str, i: usize) -> Argument {
        n(name, From::Arg(i), Form::Id)
    }
    Some(match call {
        Call::Setuid | Call::Setfsuid => const { &[RES, id("uid", 0)] },
        Call::Setgid | Call::Setfsgid => const { &[RES, id("gid", 0)] },
        Call::Setreuid => const { &[RES, id("ruid", 0), id("euid", 1)] },
        Call::Setregid => const { &[RES, id("rgid", 0), id("egid", 1)] },
        Call::Setresuid => const { &[RES, id("ruid", 0), id("euid", 1), id("suid", 2)] },
        Call::Setresgid => const { &[RES, id("rgid", 0), id("egid", 1), id("sgid", 2)] },
        Call::Chdir | Call::Chroot => const { &[RES, s("path", Form::Path)] },
        _ => return None,
    })
}
