//! Programs that could not be started.

use vedette_event::abi::Call;

use super::{Argument, Form, From, RES, number_of as n, string_of as s};

/// `AT_EMPTY_PATH` and the like of `execveat(2)`.
const AT_FLAGS: &[(u64, &str)] =
    &[(0x1000, "AT_EMPTY_PATH"), (0x100, "AT_SYMLINK_NOFOLLOW"), (0x1_0000, "AT_EXECVE_CHECK")];

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    Some(match call {
        Call::ExecveFailed => const { &[RES, s("filename", Form::Raw)] },
        Call::ExecveatFailed => {
            const {
                &[
                    RES,
                    n("dirfd", From::Arg(0), Form::Int),
                    s("pathname", Form::Raw),
                    s("filename", Form::Path),
                    n("at_flags", From::Arg32(4), Form::Flags(AT_FLAGS)),
                ]
            }
        }
        _ => return None,
    })
}
