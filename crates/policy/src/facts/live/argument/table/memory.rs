//! Executable and anonymous memory.

use vedette_event::abi::Call;

use super::{Argument, Form, From, Parts, RES, made_of, number_of as n, string_of as s};

/// `include/uapi/asm-generic/mman-common.h`.
const PROT: &[(u64, &str)] = &[
    (1, "PROT_READ"),
    (2, "PROT_WRITE"),
    (4, "PROT_EXEC"),
    (8, "PROT_SEM"),
    (0x0100_0000, "PROT_GROWSDOWN"),
    (0x0200_0000, "PROT_GROWSUP"),
];
/// `include/uapi/asm-generic/mman.h` and `arch/x86/include/uapi/asm/mman.h`.
const MAP: &[(u64, &str)] = &[
    (0x1, "MAP_SHARED"),
    (0x2, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x40, "MAP_32BIT"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x1_0000, "MAP_NONBLOCK"),
    (0x100, "MAP_GROWSDOWN"),
    (0x800, "MAP_DENYWRITE"),
    (0x1000, "MAP_EXECUTABLE"),
    (0x2000, "MAP_LOCKED"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];
/// `include/uapi/linux/memfd.h`.
const MFD: &[(u64, &str)] = &[
    (1, "MFD_CLOEXEC"),
    (2, "MFD_ALLOW_SEALING"),
    (4, "MFD_HUGETLB"),
    (8, "MFD_NOEXEC_SEAL"),
    (0x10, "MFD_EXEC"),
];

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const ADDR: Argument = n("addr", From::Arg(0), Form::Hex);
    const LENGTH: Argument = n("length", From::Arg(1), Form::Dec);
    const PROTECTION: Argument = n("prot", From::Arg(2), Form::Flags(PROT));
    Some(match call {
        Call::MemfdCreate => {
            const {
                &[
                    n("fd", From::Ret, Form::Result),
                    s("name", Form::Data),
                    n("flags", From::Arg32(1), Form::Flags(MFD)),
                ]
            }
        }
        Call::Mmap => {
            const {
                &[
                    n("res", From::Ret, Form::Pointer),
                    ADDR,
                    LENGTH,
                    PROTECTION,
                    n("flags", From::Arg(3), Form::Flags(MAP)),
                    n("fd", From::Arg(4), Form::Int),
                    made_of("offset", offset),
                    s("path", Form::File),
                ]
            }
        }
        Call::Mprotect => const { &[RES, ADDR, LENGTH, PROTECTION] },
        Call::PkeyMprotect => const { &[RES, ADDR, LENGTH, PROTECTION, n("pkey", From::Arg(3), Form::Int)] },
        _ => return None,
    })
}

/// Bytes; the call of 32-bit programs (`mmap2`) counts in pages.
fn offset(parts: &Parts<'_>) -> Option<String> {
    let unit = if parts.is_compat() { 4096 } else { 1 };
    Some(parts.call.args[5].wrapping_mul(unit).to_string())
}
