//! Calls that change the kernel, or what all processes share.

use vedette_event::abi::Call;

use super::{Argument, Form, From, Parts, RES, made_of, number_of as n, string_of as s};

/// `include/uapi/linux/module.h`.
const MODULE_INIT: &[(u64, &str)] = &[
    (1, "MODULE_INIT_IGNORE_MODVERSIONS"),
    (2, "MODULE_INIT_IGNORE_VERMAGIC"),
    (4, "MODULE_INIT_COMPRESSED_FILE"),
];
/// Flags of `delete_module(2)`.
const DELETE_MODULE: &[(u64, &str)] = &[(0o4000, "O_NONBLOCK"), (0o1000, "O_TRUNC")];

/// `enum bpf_cmd` of `include/uapi/linux/bpf.h`.
const BPF: &[&str] = &[
    "BPF_MAP_CREATE",
    "BPF_MAP_LOOKUP_ELEM",
    "BPF_MAP_UPDATE_ELEM",
    "BPF_MAP_DELETE_ELEM",
    "BPF_MAP_GET_NEXT_KEY",
    "BPF_PROG_LOAD",
    "BPF_OBJ_PIN",
    "BPF_OBJ_GET",
    "BPF_PROG_ATTACH",
    "BPF_PROG_DETACH",
    "BPF_PROG_TEST_RUN",
    "BPF_PROG_GET_NEXT_ID",
    "BPF_MAP_GET_NEXT_ID",
    "BPF_PROG_GET_FD_BY_ID",
    "BPF_MAP_GET_FD_BY_ID",
    "BPF_OBJ_GET_INFO_BY_FD",
    "BPF_PROG_QUERY",
    "BPF_RAW_TRACEPOINT_OPEN",
    "BPF_BTF_LOAD",
    "BPF_BTF_GET_FD_BY_ID",
    "BPF_TASK_FD_QUERY",
    "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
    "BPF_MAP_FREEZE",
    "BPF_BTF_GET_NEXT_ID",
    "BPF_MAP_LOOKUP_BATCH",
    "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
    "BPF_MAP_UPDATE_BATCH",
    "BPF_MAP_DELETE_BATCH",
    "BPF_LINK_CREATE",
    "BPF_LINK_UPDATE",
    "BPF_LINK_GET_FD_BY_ID",
    "BPF_LINK_GET_NEXT_ID",
    "BPF_ENABLE_STATS",
    "BPF_ITER_CREATE",
    "BPF_LINK_DETACH",
    "BPF_PROG_BIND_MAP",
    "BPF_TOKEN_CREATE",
    "BPF_PROG_STREAM_READ_BY_FD",
];
const BPF_MAP_CREATE: u32 = 0;
const BPF_PROG_LOAD: u32 = 5;

/// `enum bpf_prog_type`.
const BPF_PROG_TYPES: &[&str] = &[
    "BPF_PROG_TYPE_UNSPEC",
    "BPF_PROG_TYPE_SOCKET_FILTER",
    "BPF_PROG_TYPE_KPROBE",
    "BPF_PROG_TYPE_SCHED_CLS",
    "BPF_PROG_TYPE_SCHED_ACT",
    "BPF_PROG_TYPE_TRACEPOINT",
    "BPF_PROG_TYPE_XDP",
    "BPF_PROG_TYPE_PERF_EVENT",
    "BPF_PROG_TYPE_CGROUP_SKB",
    "BPF_PROG_TYPE_CGROUP_SOCK",
    "BPF_PROG_TYPE_LWT_IN",
    "BPF_PROG_TYPE_LWT_OUT",
    "BPF_PROG_TYPE_LWT_XMIT",
    "BPF_PROG_TYPE_SOCK_OPS",
    "BPF_PROG_TYPE_SK_SKB",
    "BPF_PROG_TYPE_CGROUP_DEVICE",
    "BPF_PROG_TYPE_SK_MSG",
    "BPF_PROG_TYPE_RAW_TRACEPOINT",
    "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
    "BPF_PROG_TYPE_LWT_SEG6LOCAL",
    "BPF_PROG_TYPE_LIRC_MODE2",
    "BPF_PROG_TYPE_SK_REUSEPORT",
    "BPF_PROG_TYPE_FLOW_DISSECTOR",
    "BPF_PROG_TYPE_CGROUP_SYSCTL",
    "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
    "BPF_PROG_TYPE_CGROUP_SOCKOPT",
    "BPF_PROG_TYPE_TRACING",
    "BPF_PROG_TYPE_STRUCT_OPS",
    "BPF_PROG_TYPE_EXT",
    "BPF_PROG_TYPE_LSM",
    "BPF_PROG_TYPE_SK_LOOKUP",
    "BPF_PROG_TYPE_SYSCALL",
    "BPF_PROG_TYPE_NETFILTER",
];

/// `enum bpf_map_type`.
const BPF_MAP_TYPES: &[&str] = &[
    "BPF_MAP_TYPE_UNSPEC",
    "BPF_MAP_TYPE_HASH",
    "BPF_MAP_TYPE_ARRAY",
    "BPF_MAP_TYPE_PROG_ARRAY",
    "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    "BPF_MAP_TYPE_PERCPU_HASH",
    "BPF_MAP_TYPE_PERCPU_ARRAY",
    "BPF_MAP_TYPE_STACK_TRACE",
    "BPF_MAP_TYPE_CGROUP_ARRAY",
    "BPF_MAP_TYPE_LRU_HASH",
    "BPF_MAP_TYPE_LRU_PERCPU_HASH",
    "BPF_MAP_TYPE_LPM_TRIE",
    "BPF_MAP_TYPE_ARRAY_OF_MAPS",
    "BPF_MAP_TYPE_HASH_OF_MAPS",
    "BPF_MAP_TYPE_DEVMAP",
    "BPF_MAP_TYPE_SOCKMAP",
    "BPF_MAP_TYPE_CPUMAP",
    "BPF_MAP_TYPE_XSKMAP",
    "BPF_MAP_TYPE_SOCKHASH",
    "BPF_MAP_TYPE_CGROUP_STORAGE",
    "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY",
    "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE",
    "BPF_MAP_TYPE_QUEUE",
    "BPF_MAP_TYPE_STACK",
    "BPF_MAP_TYPE_SK_STORAGE",
    "BPF_MAP_TYPE_DEVMAP_HASH",
    "BPF_MAP_TYPE_STRUCT_OPS",
    "BPF_MAP_TYPE_RINGBUF",
    "BPF_MAP_TYPE_INODE_STORAGE",
    "BPF_MAP_TYPE_TASK_STORAGE",
    "BPF_MAP_TYPE_BLOOM_FILTER",
    "BPF_MAP_TYPE_USER_RINGBUF",
    "BPF_MAP_TYPE_CGRP_STORAGE",
    "BPF_MAP_TYPE_ARENA",
    "BPF_MAP_TYPE_INSN_ARRAY",
];

/// `enum perf_type_id` of `include/uapi/linux/perf_event.h`.
const PERF_TYPES: &[&str] = &[
    "PERF_TYPE_HARDWARE",
    "PERF_TYPE_SOFTWARE",
    "PERF_TYPE_TRACEPOINT",
    "PERF_TYPE_HW_CACHE",
    "PERF_TYPE_RAW",
    "PERF_TYPE_BREAKPOINT",
];
const PERF_FLAGS: &[(u64, &str)] = &[
    (1, "PERF_FLAG_FD_NO_GROUP"),
    (2, "PERF_FLAG_FD_OUTPUT"),
    (4, "PERF_FLAG_PID_CGROUP"),
    (8, "PERF_FLAG_FD_CLOEXEC"),
];

/// `include/uapi/linux/keyctl.h`.
const KEYCTL: &[&str] = &[
    "KEYCTL_GET_KEYRING_ID",
    "KEYCTL_JOIN_SESSION_KEYRING",
    "KEYCTL_UPDATE",
    "KEYCTL_REVOKE",
    "KEYCTL_CHOWN",
    "KEYCTL_SETPERM",
    "KEYCTL_DESCRIBE",
    "KEYCTL_CLEAR",
    "KEYCTL_LINK",
    "KEYCTL_UNLINK",
    "KEYCTL_SEARCH",
    "KEYCTL_READ",
    "KEYCTL_INSTANTIATE",
    "KEYCTL_NEGATE",
    "KEYCTL_SET_REQKEY_KEYRING",
    "KEYCTL_SET_TIMEOUT",
    "KEYCTL_ASSUME_AUTHORITY",
    "KEYCTL_GET_SECURITY",
    "KEYCTL_SESSION_TO_PARENT",
    "KEYCTL_REJECT",
    "KEYCTL_INSTANTIATE_IOV",
    "KEYCTL_INVALIDATE",
    "KEYCTL_GET_PERSISTENT",
    "KEYCTL_DH_COMPUTE",
    "KEYCTL_PKEY_QUERY",
    "KEYCTL_PKEY_ENCRYPT",
    "KEYCTL_PKEY_DECRYPT",
    "KEYCTL_PKEY_SIGN",
    "KEYCTL_PKEY_VERIFY",
    "KEYCTL_RESTRICT_KEYRING",
    "KEYCTL_MOVE",
    "KEYCTL_CAPABILITIES",
    "KEYCTL_WATCH_KEY",
];

/// `include/uapi/linux/reboot.h`.
const REBOOT: &[(u64, &str)] = &[
    (0x0123_4567, "LINUX_REBOOT_CMD_RESTART"),
    (0xcdef_0123, "LINUX_REBOOT_CMD_HALT"),
    (0x89ab_cdef, "LINUX_REBOOT_CMD_CAD_ON"),
    (0, "LINUX_REBOOT_CMD_CAD_OFF"),
    (0x4321_fedc, "LINUX_REBOOT_CMD_POWER_OFF"),
    (0xa1b2_c3d4, "LINUX_REBOOT_CMD_RESTART2"),
    (0xd000_fce2, "LINUX_REBOOT_CMD_SW_SUSPEND"),
    (0x4558_4543, "LINUX_REBOOT_CMD_KEXEC"),
];

/// `include/uapi/linux/kexec.h`.
const KEXEC_LOAD: &[(u64, &str)] =
    &[(1, "KEXEC_ON_CRASH"), (2, "KEXEC_PRESERVE_CONTEXT"), (4, "KEXEC_UPDATE_ELFCOREHDR")];
const KEXEC_FILE: &[(u64, &str)] = &[
    (1, "KEXEC_FILE_UNLOAD"),
    (2, "KEXEC_FILE_ON_CRASH"),
    (4, "KEXEC_FILE_NO_INITRAMFS"),
    (8, "KEXEC_FILE_DEBUG"),
];

/// `include/uapi/linux/time.h`.
const CLOCKS: &[&str] = &[
    "CLOCK_REALTIME",
    "CLOCK_MONOTONIC",
    "CLOCK_PROCESS_CPUTIME_ID",
    "CLOCK_THREAD_CPUTIME_ID",
    "CLOCK_MONOTONIC_RAW",
    "CLOCK_REALTIME_COARSE",
    "CLOCK_MONOTONIC_COARSE",
    "CLOCK_BOOTTIME",
    "CLOCK_REALTIME_ALARM",
    "CLOCK_BOOTTIME_ALARM",
    "CLOCK_SGI_CYCLE",
    "CLOCK_TAI",
];

/// `include/linux/syslog.h`.
const SYSLOG: &[&str] = &[
    "SYSLOG_ACTION_CLOSE",
    "SYSLOG_ACTION_OPEN",
    "SYSLOG_ACTION_READ",
    "SYSLOG_ACTION_READ_ALL",
    "SYSLOG_ACTION_READ_CLEAR",
    "SYSLOG_ACTION_CLEAR",
    "SYSLOG_ACTION_CONSOLE_OFF",
    "SYSLOG_ACTION_CONSOLE_ON",
    "SYSLOG_ACTION_CONSOLE_LEVEL",
    "SYSLOG_ACTION_SIZE_UNREAD",
    "SYSLOG_ACTION_SIZE_BUFFER",
];

/// Flags of `userfaultfd(2)`.
const USERFAULTFD: &[(u64, &str)] =
    &[(0o4000, "O_NONBLOCK"), (0o2_000_000, "O_CLOEXEC"), (1, "UFFD_USER_MODE_ONLY")];

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const fn int(name: &'static str, i: usize) -> Argument {
        n(name, From::Arg(i), Form::Int)
    }
    const fn dec(name: &'static str, i: usize) -> Argument {
        n(name, From::Arg(i), Form::Dec)
    }
    Some(match call {
        Call::InitModule => const { &[RES, dec("length", 1), s("uargs", Form::Data)] },
        Call::FinitModule => {
            const {
                &[
                    RES,
                    int("fd", 0),
                    s("uargs", Form::Data),
                    n("flags", From::Arg32(2), Form::Flags(MODULE_INIT)),
                    s("path", Form::File),
                ]
            }
        }
        Call::DeleteModule => {
            const { &[RES, s("name", Form::Data), n("flags", From::Arg32(1), Form::Flags(DELETE_MODULE))] }
        }
        Call::KexecLoad => {
            const {
                &[
                    RES,
                    n("entry", From::Arg(0), Form::Hex),
                    dec("nr_segments", 1),
                    made_of("flags", kexec_flags),
                ]
            }
        }
        Call::KexecFileLoad => {
            const {
                &[
                    RES,
                    int("kernel_fd", 0),
                    int("initrd_fd", 1),
                    s("cmdline", Form::Data),
                    n("flags", From::Arg(4), Form::Flags(KEXEC_FILE)),
                    s("path", Form::File),
                ]
            }
        }
        Call::Bpf => {
            const {
                &[
                    n("fd", From::Ret, Form::Result),
                    n("cmd", From::Arg32(0), Form::Index(BPF)),
                    made_of("prog_type", bpf_prog_type),
                    made_of("map_type", bpf_map_type),
                    made_of("name", bpf_name),
                ]
            }
        }
        Call::PerfEventOpen => {
            const {
                &[
                    n("fd", From::Ret, Form::Result),
                    n("type", From::Low(0), Form::Index(PERF_TYPES)),
                    n("config", From::Word(1), Form::Hex),
                    int("pid", 1),
                    int("cpu", 2),
                    int("group_fd", 3),
                    n("flags", From::Arg(4), Form::Flags(PERF_FLAGS)),
                ]
            }
        }
        Call::Userfaultfd => const { &[RES, n("flags", From::Arg32(0), Form::Flags(USERFAULTFD))] },
        Call::AddKey => {
            const {
                &[
                    RES,
                    s("type", Form::Data),
                    s("description", Form::Raw2),
                    dec("length", 3),
                    int("keyring", 4),
                ]
            }
        }
        Call::RequestKey => {
            const { &[RES, s("type", Form::Data), s("description", Form::Raw2), int("keyring", 3)] }
        }
        Call::Keyctl => {
            const {
                &[
                    RES,
                    n("operation", From::Arg32(0), Form::Index(KEYCTL)),
                    n("arg2", From::Arg(1), Form::Hex),
                    n("arg3", From::Arg(2), Form::Hex),
                    n("arg4", From::Arg(3), Form::Hex),
                    n("arg5", From::Arg(4), Form::Hex),
                ]
            }
        }
        Call::Reboot => {
            const {
                &[
                    RES,
                    n("magic", From::Arg32(0), Form::Hex),
                    n("magic2", From::Arg32(1), Form::Hex),
                    n("cmd", From::Arg32(2), Form::Choice(REBOOT)),
                    s("arg", Form::Data),
                ]
            }
        }
        Call::Sethostname | Call::Setdomainname => const { &[RES, s("name", Form::Data), int("len", 1)] },
        Call::ClockSettime => {
            const {
                &[
                    RES,
                    n("clockid", From::Arg32(0), Form::Index(CLOCKS)),
                    n("sec", From::Native(0), Form::Dec),
                    n("nsec", From::Native(1), Form::Dec),
                ]
            }
        }
        Call::Settimeofday => {
            const { &[RES, n("sec", From::Native(0), Form::Dec), n("usec", From::Native(1), Form::Dec)] }
        }
        Call::Swapon => const { &[RES, s("path", Form::Path), n("flags", From::Arg32(1), Form::Hex)] },
        Call::Acct => const { &[RES, s("path", Form::Path)] },
        Call::Syslog => const { &[RES, n("type", From::Arg32(0), Form::Index(SYSLOG)), int("len", 2)] },
        _ => return None,
    })
}

/// The low half is flags, the high half the machine.
fn kexec_flags(parts: &Parts<'_>) -> Option<String> {
    Some(super::super::super::text::flags(parts.call.args[3] & 0xffff, KEXEC_LOAD))
}

fn bpf_type(parts: &Parts<'_>, command: u32, names: &[&str]) -> Option<String> {
    // The first word of the attributes is what the command makes.
    let number = parts.call.values[0] as u32;
    let is_meant = parts.call.args[0] as u32 == command && parts.call.args[2] >= 4;
    is_meant.then(|| names.get(number as usize).map_or_else(|| number.to_string(), |n| (*n).to_owned()))
}

fn bpf_prog_type(parts: &Parts<'_>) -> Option<String> {
    bpf_type(parts, BPF_PROG_LOAD, BPF_PROG_TYPES)
}

fn bpf_map_type(parts: &Parts<'_>) -> Option<String> {
    bpf_type(parts, BPF_MAP_CREATE, BPF_MAP_TYPES)
}

/// `prog_name` or `map_name` of `union bpf_attr`.
fn bpf_name(parts: &Parts<'_>) -> Option<String> {
    let at = match parts.call.args[0] as u32 {
        BPF_MAP_CREATE => 28,
        BPF_PROG_LOAD => 48,
        _ => return None,
    };
    let bytes: Vec<u8> = parts.call.values.iter().flat_map(|word| word.to_le_bytes()).collect();
    // What the caller did not pass is not part of the attributes.
    let end = usize::try_from(parts.call.args[2]).unwrap_or(usize::MAX).min(at + 16);
    let name = bytes.get(at..end)?.split(|b| *b == 0).next()?;
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}
