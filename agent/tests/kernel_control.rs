//! `kernel_control`: modules, BPF, keys, clocks and names. What would harm this host is asked for in a way that the
//! kernel refuses: a call that fails is an event as well.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use calls::{Ran, perl, seen};
use harness::may_load_bpf;
use sensor::record;
use vedette_abi::Call;
use vedette_event::errno_name;

/// What the call returned, as arguments show it.
fn result(ran: &Ran) -> String {
    match ran.returned() {
        n if n < 0 => errno_name(n.unsigned_abs()).unwrap().to_owned(),
        n => n.to_string(),
    }
}

/// Runs each script, whose first line of output is what its call returned. In the arguments, `@` stands for that.
fn each(cases: &[(Call, &str, &str)], args: &[&str]) {
    let types: Vec<&str> = cases.iter().map(|c| c.0.name()).collect();
    let mut ran = Vec::new();
    let records = record(&types, || ran.extend(cases.iter().map(|(_, script, _)| perl(script, args))));
    for ((call, _, expected), ran) in cases.iter().zip(&ran) {
        let seen = seen(&records, ran.pid, *call);
        assert_eq!(seen.args(), expected.replace("@", &result(ran)), "{}", call.name());
        assert_eq!(seen.call.ret, ran.returned());
    }
}

#[test]
fn modules_and_kernels() {
    if !may_load_bpf("kernel_control") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let module = dir.path().canonicalize().unwrap().join("no.ko");
    std::fs::write(&module, "this is no module").unwrap();
    let module = module.to_str().unwrap();
    let finit = format!("res=@ fd=3 uargs=debug=1 flags=MODULE_INIT_IGNORE_VERMAGIC path={module}");
    // Numbers: arch/x86/entry/syscalls/syscall_64.tbl. 1000 segments are more than the kernel takes, and 0x80 is a flag
    // that it does not know.
    let cases = [
        (
            Call::InitModule,
            "$m = 'no module'; $a = 'x=1 y=2'; call(175, $m, 9, $a)",
            "res=@ length=9 uargs=x=1 y=2",
        ),
        (
            Call::FinitModule,
            "open(F, '<', $ARGV[0]) or die; $a = 'debug=1'; call(313, fileno(F), $a, 2)",
            finit.as_str(),
        ),
        (
            Call::DeleteModule,
            "$n = 'vedette_is_no_module'; call(176, $n, 04000)",
            "res=@ name=vedette_is_no_module flags=O_NONBLOCK",
        ),
        (
            Call::KexecLoad,
            "call(246, 0x1000, 1000, 0, 0x3e0001)",
            "res=@ entry=0x1000 nr_segments=1000 flags=KEXEC_ON_CRASH",
        ),
        (
            Call::KexecFileLoad,
            "$c = \"quiet\\0\"; call(320, -1, -1, 6, $c, 0x84)",
            "res=@ kernel_fd=-1 initrd_fd=-1 cmdline=quiet\0 flags=KEXEC_FILE_NO_INITRAMFS",
        ),
    ];
    each(&cases, &[module]);
}

#[test]
fn bpf_names_what_is_made() {
    if !may_load_bpf("kernel_control") {
        return;
    }
    // union bpf_attr: type, instructions, …, name at 48; type, sizes, …, name at 28.
    let cases = [
        (
            Call::Bpf,
            "call(321, 5, pack('LLQQLLQLLa16', 6, 1, 0, 0, 0, 0, 0, 0, 0, 'probe'), 64)",
            "fd=@ cmd=BPF_PROG_LOAD prog_type=BPF_PROG_TYPE_XDP name=probe",
        ),
        (
            Call::Bpf,
            "call(321, 0, pack('LLLLLLLa16', 2, 4, 8, 1, 0, 0, 0, 'table'), 44)",
            "fd=@ cmd=BPF_MAP_CREATE map_type=BPF_MAP_TYPE_ARRAY name=table",
        ),
        (Call::Bpf, "call(321, 11, pack('QQ', 0, 0), 16)", "fd=@ cmd=BPF_PROG_GET_NEXT_ID"),
        (Call::Bpf, "call(321, 4711, 0, 0)", "fd=@ cmd=4711"),
    ];
    each(&cases, &[]);
}

#[test]
fn measuring_and_fault_handling() {
    if !may_load_bpf("kernel_control") {
        return;
    }
    // struct perf_event_attr: type, size, config.
    let cases = [
        (
            Call::PerfEventOpen,
            "call(298, pack('LLQx112', 1, 128, 2), 0, -1, -1, 8)",
            "fd=@ type=PERF_TYPE_SOFTWARE config=0x2 pid=0 cpu=-1 group_fd=-1 flags=PERF_FLAG_FD_CLOEXEC",
        ),
        (Call::Userfaultfd, "call(323, 02000001)", "res=@ flags=O_CLOEXEC|UFFD_USER_MODE_ONLY"),
    ];
    each(&cases, &[]);
}

#[test]
fn keys() {
    if !may_load_bpf("kernel_control") {
        return;
    }
    let cases = [
        (
            Call::AddKey,
            "($t, $d, $p) = ('user', 'vedette:key', 'value'); call(248, $t, $d, $p, 5, -2)",
            "res=@ type=user description=vedette:key length=5 keyring=-2",
        ),
        (
            Call::RequestKey,
            "($t, $d) = ('user', 'vedette:none'); call(249, $t, $d, 0, -2)",
            "res=@ type=user description=vedette:none keyring=-2",
        ),
        (
            Call::Keyctl,
            "call(250, 0, -1, 0, 0, 0)",
            "res=@ operation=KEYCTL_GET_KEYRING_ID arg2=0xffffffffffffffff arg3=0x0 arg4=0x0 arg5=0x0",
        ),
    ];
    each(&cases, &[]);
}

#[test]
fn names_clocks_and_the_rest() {
    if !may_load_bpf("kernel_control") {
        return;
    }
    // The names are set in a namespace of the script's own; the magic numbers, the clock and the time are bad.
    let own = "syscall(272, 0x04000000) and die;";
    let sethostname = format!("{own} $n = 'vedette-test-and-more'; call(170, $n, 12)");
    let setdomainname = format!("{own} $n = 'vedette.test'; call(171, $n, 12)");
    let cases = [
        (Call::Sethostname, sethostname.as_str(), "res=@ name=vedette-test len=12"),
        (Call::Setdomainname, &setdomainname, "res=@ name=vedette.test len=12"),
        (
            Call::Reboot,
            "$a = 'secret'; call(169, 1, 2, 0x1234567, $a)",
            "res=@ magic=0x1 magic2=0x2 cmd=LINUX_REBOOT_CMD_RESTART",
        ),
        (
            Call::Reboot,
            "$a = 'fast'; call(169, 1, 2, 0xa1b2c3d4, $a)",
            "res=@ magic=0x1 magic2=0x2 cmd=LINUX_REBOOT_CMD_RESTART2 arg=fast",
        ),
        (
            Call::ClockSettime,
            "call(227, 1, pack('qq', 1000, 17))",
            "res=@ clockid=CLOCK_MONOTONIC sec=1000 nsec=17",
        ),
        (Call::Settimeofday, "call(164, pack('qq', 1000, 3000000), 0)", "res=@ sec=1000 usec=3000000"),
        (
            Call::Swapon,
            "$p = '/vedette/no-swap'; call(167, $p, 0x8000)",
            "res=@ path=/vedette/no-swap flags=0x8000",
        ),
        (Call::Acct, "$p = '/vedette/no-file'; call(163, $p)", "res=@ path=/vedette/no-file"),
        (Call::Syslog, "call(103, 10, 0, 0)", "res=@ type=SYSLOG_ACTION_SIZE_BUFFER len=0"),
    ];
    each(&cases, &[]);
}
