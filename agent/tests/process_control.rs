//! `process_control`: what a process does to another, and how it restricts itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use calls::{perl, seen};
use harness::may_load_bpf;
use sensor::record;
use vedette_abi::{Call, Kind};

/// A child that waits until its parent is done with it: `$child` is its number, `release` ends it.
const CHILD: &str = r#"
    pipe(R, W); pipe(S, T); $child = fork;
    unless ($child) { close W; close S; print T "up\n"; close T; <R>; exit 0 }
    close R; close T; <S>;
    sub release { close W; waitpid $child, 0 }
"#;

#[test]
fn tracing_names_the_request_and_the_process() {
    if !may_load_bpf("process_control") {
        return;
    }
    let mut ran = Vec::new();
    let records = record(&["ptrace"], || {
        // Numbers: arch/x86/entry/syscalls/syscall_64.tbl.
        ran.push(perl("call(101, 0, 0, 0, 0)", &[]));
        ran.push(perl(&format!("{CHILD} call(101, 0x4206, $child, 0, 0); print $child; release"), &[]));
        ran.push(perl("call(101, 13, 1, 0x10, 0x20)", &[]));
    });
    let args = |i: usize| seen(&records, ran[i].pid, Call::Ptrace).args();
    assert_eq!(args(0), "res=0 request=PTRACE_TRACEME pid=0 addr=0x0 data=0x0");
    let child = ran[1].out.lines().nth(1).unwrap();
    assert_eq!(args(1), format!("res=0 request=PTRACE_SEIZE pid={child} addr=0x0 data=0x0"));
    assert_eq!(args(2), "res=ESRCH request=PTRACE_SETREGS pid=1 addr=0x10 data=0x20");
}

#[test]
fn memory_of_other_processes() {
    if !may_load_bpf("process_control") {
        return;
    }
    let script = r#"
        $from = 'secret-of-the-other'; $to = 'x' x 19;
        ($f, $t) = (address($from), address($to));
        $local = pack('QQ', $t, 19); $remote = pack('QQ', $f, 19);
        printf("%d 0x%x 0x%x\n", call($ARGV[0] + 0, $$ + 0, $local, 1, $remote, 1, 0), $t, $f);
    "#;
    let mut ran = Vec::new();
    let records = record(&["process_vm_readv", "process_vm_writev"], || {
        ran.push(perl(script, &["310"]));
        ran.push(perl(script, &["311"]));
    });
    for (ran, call) in ran.iter().zip([Call::ProcessVmReadv, Call::ProcessVmWritev]) {
        let told: Vec<&str> = ran.out.lines().nth(1).unwrap().split(' ').collect();
        assert_eq!(
            seen(&records, ran.pid, call).args(),
            format!(
                "res=19 pid={} local_addr={} local_size=19 addr={} size=19 flags=0x0",
                ran.pid, told[1], told[2]
            )
        );
    }
}

#[test]
fn signals_by_every_way() {
    if !may_load_bpf("process_control") {
        return;
    }
    let script = format!(
        "{CHILD}
        call(62, $child, 0); call(200, $child, 18); call(234, $child, $child, 33);
        $fd = call(434, $child, 0); call(424, $fd, 9, 0, 0); call(438, $fd, 0, 0);
        print \"$child $fd\"; release"
    );
    let types = ["kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "pidfd_getfd"];
    let mut ran = None;
    let records = record(&types, || ran = Some(perl(&script, &[])));
    let ran = ran.unwrap();
    let (child, fd) = ran.out.lines().last().unwrap().split_once(' ').unwrap();
    let returned: Vec<&str> = ran.out.lines().collect();
    let args = |call| seen(&records, ran.pid, call).args();
    assert_eq!(args(Call::Kill), format!("res=0 pid={child} sig=0"));
    assert_eq!(args(Call::Tkill), format!("res=0 tid={child} sig=SIGCONT"));
    assert_eq!(args(Call::Tgkill), format!("res=0 pid={child} tid={child} sig=33"));
    assert_eq!(args(Call::PidfdOpen), format!("fd={fd} pid={child} flags=0 target={child}"));
    assert_eq!(args(Call::PidfdSendSignal), format!("res=0 pid_fd={fd} sig=SIGKILL flags=0 target={child}"));
    // The child may be gone by then.
    let got = match returned[5] {
        "-3" => "ESRCH",
        "-9" => "EBADF",
        got => got,
    };
    assert_eq!(args(Call::PidfdGetfd), format!("fd={got} pid_fd={fd} target_fd=0 flags=0x0 target={child}"));
}

#[test]
fn a_descriptor_that_is_no_pidfd_stands_for_nobody() {
    if !may_load_bpf("process_control") {
        return;
    }
    let mut ran = None;
    let script = "open(F, '<', '/dev/null') or die; print fileno(F), \"\\n\"; call(424, fileno(F), 0, 0, 0)";
    let records = record(&["pidfd_send_signal"], || ran = Some(perl(script, &[])));
    let ran = ran.unwrap();
    let seen = seen(&records, ran.pid, Call::PidfdSendSignal);
    assert_eq!(seen.args(), format!("res=EBADF pid_fd={} sig=0 flags=0", ran.returned()));
    assert_eq!(seen.strings.path, b"/dev/null");
}

#[test]
fn restrictions_name_the_option() {
    if !may_load_bpf("process_control") {
        return;
    }
    let mut ran = Vec::new();
    let records = record(&["prctl", "seccomp"], || {
        ran.push(perl("call(157, 4, 0)", &[]));
        ran.push(perl("$n = 'a-new-name'; call(157, 15, $n)", &[]));
        ran.push(perl("call(157, 38, 1, 0, 0, 0)", &[]));
        ran.push(perl("call(157, 24, 21)", &[]));
        ran.push(perl("call(157, 0x59616d61, -1)", &[]));
        ran.push(perl("call(317, 2, 0, pack('L', 0x7fff0000))", &[]));
        ran.push(perl("call(317, 1, 3, 0)", &[]));
    });
    let args = |i: usize, call| {
        let seen = seen(&records, ran[i].pid, call);
        assert_eq!(seen.call.ret, ran[i].returned());
        seen.args()
    };
    assert_eq!(args(0, Call::Prctl), "res=0 option=PR_SET_DUMPABLE arg2_int=0");
    assert_eq!(args(1, Call::Prctl), "res=0 option=PR_SET_NAME arg2_str=a-new-name");
    assert_eq!(args(2, Call::Prctl), "res=0 option=PR_SET_NO_NEW_PRIVS arg2_int=1");
    assert_eq!(args(3, Call::Prctl), "res=0 option=PR_CAPBSET_DROP arg2_int=21");
    let ptracer = args(4, Call::Prctl);
    assert!(ptracer.ends_with("option=PR_SET_PTRACER arg2_int=-1"), "{ptracer}");
    assert_eq!(args(5, Call::Seccomp), "res=0 op=SECCOMP_GET_ACTION_AVAIL flags=0");
    assert_eq!(
        args(6, Call::Seccomp),
        "res=EFAULT op=SECCOMP_SET_MODE_FILTER flags=SECCOMP_FILTER_FLAG_TSYNC|SECCOMP_FILTER_FLAG_LOG"
    );
}

#[test]
fn an_option_that_takes_no_string_carries_none() {
    if !may_load_bpf("process_control") {
        return;
    }
    let mut ran = None;
    // An address where a string is, for an option that takes a number.
    let records = record(&["prctl"], || ran = Some(perl("$s = 'secret'; call(157, 29, address($s))", &[])));
    let seen = seen(&records, ran.unwrap().pid, Call::Prctl);
    assert_eq!(seen.strings.data, b"");
    assert_eq!(seen.record.kind, Kind::ProcessControl);
}
