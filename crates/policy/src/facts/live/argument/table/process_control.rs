//! Calls by which a process acts on another, or restricts itself.

use vedette_event::abi::Call;

use super::{Argument, Form, From, Parts, RES, made_of, number_of as n};

/// `include/uapi/linux/ptrace.h` and `arch/x86/include/uapi/asm/ptrace-abi.h`.
const PTRACE: &[(u64, &str)] = &[
    (0, "PTRACE_TRACEME"),
    (1, "PTRACE_PEEKTEXT"),
    (2, "PTRACE_PEEKDATA"),
    (3, "PTRACE_PEEKUSR"),
    (4, "PTRACE_POKETEXT"),
    (5, "PTRACE_POKEDATA"),
    (6, "PTRACE_POKEUSR"),
    (7, "PTRACE_CONT"),
    (8, "PTRACE_KILL"),
    (9, "PTRACE_SINGLESTEP"),
    (12, "PTRACE_GETREGS"),
    (13, "PTRACE_SETREGS"),
    (14, "PTRACE_GETFPREGS"),
    (15, "PTRACE_SETFPREGS"),
    (16, "PTRACE_ATTACH"),
    (17, "PTRACE_DETACH"),
    (18, "PTRACE_GETFPXREGS"),
    (19, "PTRACE_SETFPXREGS"),
    (21, "PTRACE_OLDSETOPTIONS"),
    (24, "PTRACE_SYSCALL"),
    (25, "PTRACE_GET_THREAD_AREA"),
    (26, "PTRACE_SET_THREAD_AREA"),
    (30, "PTRACE_ARCH_PRCTL"),
    (31, "PTRACE_SYSEMU"),
    (32, "PTRACE_SYSEMU_SINGLESTEP"),
    (33, "PTRACE_SINGLEBLOCK"),
    (0x4200, "PTRACE_SETOPTIONS"),
    (0x4201, "PTRACE_GETEVENTMSG"),
    (0x4202, "PTRACE_GETSIGINFO"),
    (0x4203, "PTRACE_SETSIGINFO"),
    (0x4204, "PTRACE_GETREGSET"),
    (0x4205, "PTRACE_SETREGSET"),
    (0x4206, "PTRACE_SEIZE"),
    (0x4207, "PTRACE_INTERRUPT"),
    (0x4208, "PTRACE_LISTEN"),
    (0x4209, "PTRACE_PEEKSIGINFO"),
    (0x420a, "PTRACE_GETSIGMASK"),
    (0x420b, "PTRACE_SETSIGMASK"),
    (0x420c, "PTRACE_SECCOMP_GET_FILTER"),
    (0x420d, "PTRACE_SECCOMP_GET_METADATA"),
    (0x420e, "PTRACE_GET_SYSCALL_INFO"),
    (0x420f, "PTRACE_GET_RSEQ_CONFIGURATION"),
    (0x4210, "PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG"),
    (0x4211, "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG"),
    (0x4212, "PTRACE_SET_SYSCALL_INFO"),
];

/// `arch/x86/include/uapi/asm/signal.h`; number 0 only asks whether there is such a process.
const SIGNALS: &[&str] = &[
    "0",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// `include/uapi/linux/prctl.h`.
const PRCTL: &[(u64, &str)] = &[
    (1, "PR_SET_PDEATHSIG"),
    (2, "PR_GET_PDEATHSIG"),
    (3, "PR_GET_DUMPABLE"),
    (4, "PR_SET_DUMPABLE"),
    (5, "PR_GET_UNALIGN"),
    (6, "PR_SET_UNALIGN"),
    (7, "PR_GET_KEEPCAPS"),
    (8, "PR_SET_KEEPCAPS"),
    (9, "PR_GET_FPEMU"),
    (10, "PR_SET_FPEMU"),
    (11, "PR_GET_FPEXC"),
    (12, "PR_SET_FPEXC"),
    (13, "PR_GET_TIMING"),
    (14, "PR_SET_TIMING"),
    (PR_SET_NAME, "PR_SET_NAME"),
    (16, "PR_GET_NAME"),
    (19, "PR_GET_ENDIAN"),
    (20, "PR_SET_ENDIAN"),
    (21, "PR_GET_SECCOMP"),
    (22, "PR_SET_SECCOMP"),
    (23, "PR_CAPBSET_READ"),
    (24, "PR_CAPBSET_DROP"),
    (25, "PR_GET_TSC"),
    (26, "PR_SET_TSC"),
    (27, "PR_GET_SECUREBITS"),
    (28, "PR_SET_SECUREBITS"),
    (29, "PR_SET_TIMERSLACK"),
    (30, "PR_GET_TIMERSLACK"),
    (31, "PR_TASK_PERF_EVENTS_DISABLE"),
    (32, "PR_TASK_PERF_EVENTS_ENABLE"),
    (33, "PR_MCE_KILL"),
    (34, "PR_MCE_KILL_GET"),
    (35, "PR_SET_MM"),
    (36, "PR_SET_CHILD_SUBREAPER"),
    (37, "PR_GET_CHILD_SUBREAPER"),
    (38, "PR_SET_NO_NEW_PRIVS"),
    (39, "PR_GET_NO_NEW_PRIVS"),
    (40, "PR_GET_TID_ADDRESS"),
    (41, "PR_SET_THP_DISABLE"),
    (42, "PR_GET_THP_DISABLE"),
    (43, "PR_MPX_ENABLE_MANAGEMENT"),
    (44, "PR_MPX_DISABLE_MANAGEMENT"),
    (45, "PR_SET_FP_MODE"),
    (46, "PR_GET_FP_MODE"),
    (47, "PR_CAP_AMBIENT"),
    (50, "PR_SVE_SET_VL"),
    (51, "PR_SVE_GET_VL"),
    (52, "PR_GET_SPECULATION_CTRL"),
    (53, "PR_SET_SPECULATION_CTRL"),
    (54, "PR_PAC_RESET_KEYS"),
    (55, "PR_SET_TAGGED_ADDR_CTRL"),
    (56, "PR_GET_TAGGED_ADDR_CTRL"),
    (57, "PR_SET_IO_FLUSHER"),
    (58, "PR_GET_IO_FLUSHER"),
    (59, "PR_SET_SYSCALL_USER_DISPATCH"),
    (60, "PR_PAC_SET_ENABLED_KEYS"),
    (61, "PR_PAC_GET_ENABLED_KEYS"),
    (62, "PR_SCHED_CORE"),
    (63, "PR_SME_SET_VL"),
    (64, "PR_SME_GET_VL"),
    (65, "PR_SET_MDWE"),
    (66, "PR_GET_MDWE"),
    (67, "PR_SET_MEMORY_MERGE"),
    (68, "PR_GET_MEMORY_MERGE"),
    (0x5961_6d61, "PR_SET_PTRACER"),
    (0x5356_4d41, "PR_SET_VMA"),
];
const PR_SET_NAME: u64 = 15;

/// `include/uapi/linux/seccomp.h`.
const SECCOMP: &[&str] = &[
    "SECCOMP_SET_MODE_STRICT",
    "SECCOMP_SET_MODE_FILTER",
    "SECCOMP_GET_ACTION_AVAIL",
    "SECCOMP_GET_NOTIF_SIZES",
];
const SECCOMP_FLAGS: &[(u64, &str)] = &[
    (1, "SECCOMP_FILTER_FLAG_TSYNC"),
    (2, "SECCOMP_FILTER_FLAG_LOG"),
    (4, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
    (8, "SECCOMP_FILTER_FLAG_NEW_LISTENER"),
    (0x10, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"),
    (0x20, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
];

/// `include/uapi/linux/pidfd.h`.
const PIDFD_FLAGS: &[(u64, &str)] = &[(0o4000, "PIDFD_NONBLOCK"), (0o200, "PIDFD_THREAD")];
const PIDFD_SIGNAL: &[(u64, &str)] =
    &[(1, "PIDFD_SIGNAL_THREAD"), (2, "PIDFD_SIGNAL_THREAD_GROUP"), (4, "PIDFD_SIGNAL_PROCESS_GROUP")];

/// The arguments of a call of this family. Process ids are those that the caller passed, so they count in its pid
/// namespace; `target` of the calls on a pidfd counts in the initial one.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const fn pid(name: &'static str, i: usize) -> Argument {
        n(name, From::Arg(i), Form::Int)
    }
    const fn signal(i: usize) -> Argument {
        n("sig", From::Arg32(i), Form::Index(SIGNALS))
    }
    const TARGET: Argument = made_of("target", target);
    const fn program(from: From) -> Argument {
        n("target_exe", from, Form::Program)
    }
    Some(match call {
        Call::Ptrace => {
            const {
                &[
                    RES,
                    n("request", From::Arg(0), Form::Choice(PTRACE)),
                    pid("pid", 1),
                    n("addr", From::Arg(2), Form::Hex),
                    n("data", From::Arg(3), Form::Hex),
                    program(From::Arg(1)),
                ]
            }
        }
        Call::ProcessVmReadv | Call::ProcessVmWritev => {
            const {
                &[
                    RES,
                    pid("pid", 0),
                    n("local_addr", From::Native(0), Form::Hex),
                    n("local_size", From::Native(1), Form::Dec),
                    n("addr", From::Native(4), Form::Hex),
                    n("size", From::Native(5), Form::Dec),
                    n("flags", From::Arg(5), Form::Hex),
                    program(From::Arg(0)),
                ]
            }
        }
        Call::Kill => const { &[RES, pid("pid", 0), signal(1), program(From::Arg(0))] },
        Call::Tkill => const { &[RES, pid("tid", 0), signal(1), program(From::Arg(0))] },
        Call::Tgkill => const { &[RES, pid("pid", 0), pid("tid", 1), signal(2), program(From::Arg(0))] },
        Call::PidfdSendSignal => {
            const {
                &[
                    RES,
                    pid("pid_fd", 0),
                    signal(1),
                    n("flags", From::Arg32(3), Form::Flags(PIDFD_SIGNAL)),
                    TARGET,
                    program(From::Word(0)),
                ]
            }
        }
        Call::PidfdOpen => {
            const {
                &[
                    n("fd", From::Ret, Form::Result),
                    pid("pid", 0),
                    n("flags", From::Arg32(1), Form::Flags(PIDFD_FLAGS)),
                    TARGET,
                ]
            }
        }
        Call::PidfdGetfd => {
            const {
                &[
                    n("fd", From::Ret, Form::Result),
                    pid("pid_fd", 0),
                    pid("target_fd", 1),
                    n("flags", From::Arg32(2), Form::Hex),
                    TARGET,
                    program(From::Word(0)),
                ]
            }
        }
        Call::Prctl => {
            const {
                &[
                    RES,
                    n("option", From::Arg32(0), Form::Choice(PRCTL)),
                    made_of("arg2_str", name),
                    made_of("arg2_int", second),
                ]
            }
        }
        Call::Seccomp => {
            const {
                &[
                    RES,
                    n("op", From::Arg32(0), Form::Index(SECCOMP)),
                    n("flags", From::Arg32(1), Form::Flags(SECCOMP_FLAGS)),
                ]
            }
        }
        _ => return None,
    })
}

/// The process behind a pidfd, where the kernel told it.
fn target(parts: &Parts<'_>) -> Option<String> {
    match parts.call.values[0] {
        0 => None,
        pid => Some(pid.to_string()),
    }
}

/// The name that `PR_SET_NAME` sets.
fn name(parts: &Parts<'_>) -> Option<String> {
    let set = parts.call.args[0] as u32 == PR_SET_NAME as u32;
    // The kernel takes no more of it.
    let name = parts.strings.data.get(..15).unwrap_or(parts.strings.data);
    set.then(|| String::from_utf8_lossy(name).into_owned())
}

/// The second argument of the other options, most of which take a number.
fn second(parts: &Parts<'_>) -> Option<String> {
    let set = parts.call.args[0] as u32 == PR_SET_NAME as u32;
    (!set).then(|| (parts.call.args[1] as i64).to_string())
}
