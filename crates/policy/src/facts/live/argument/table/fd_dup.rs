//! Calls that duplicate a descriptor. The file is the same behind both.

use vedette_event::abi::Call;

use super::{Argument, Form, From, number_of as n};

/// `fcntl` commands that are reported (`<fcntl.h>`).
const COMMANDS: &[(u64, &str)] = &[(0, "F_DUPFD"), (1030, "F_DUPFD_CLOEXEC")];
/// Flags of `dup3`.
const FLAGS: &[(u64, &str)] = &[(0o2_000_000, "O_CLOEXEC")];

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const RES: Argument = n("res", From::Ret, Form::Fd);
    const OLD: Argument = n("oldfd", From::Arg32(0), Form::Fd);
    const NEW: Argument = n("newfd", From::Arg32(1), Form::Fd);
    Some(match call {
        Call::Dup => const { &[RES, OLD] },
        Call::Dup2 => const { &[RES, OLD, NEW] },
        Call::Dup3 => const { &[RES, OLD, NEW, n("flags", From::Arg32(2), Form::Flags(FLAGS))] },
        Call::Fcntl => {
            const { &[RES, n("fd", From::Arg32(0), Form::Fd), n("cmd", From::Arg32(1), Form::Choice(COMMANDS))] }
        }
        _ => return None,
    })
}
