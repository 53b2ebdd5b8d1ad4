//! `exec_failed`: programs that could not be started.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use calls::{field, perl, seen};
use harness::may_load_bpf;
use sensor::record_plan;
use vedette_abi::{Call, EVERY_SCOPE, Kind};
use vedette_agent::sensor::Plan;

fn plan() -> Plan {
    let mut plan = Plan::default();
    plan.want("execve", EVERY_SCOPE);
    plan.want_failed_execs(EVERY_SCOPE);
    plan
}

#[test]
fn what_was_asked_for_and_why_it_was_refused() {
    if !may_load_bpf("exec_failed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let plain = root.join("plain");
    std::fs::write(&plain, "no program").unwrap();
    let (root, plain) = (root.to_str().unwrap(), plain.to_str().unwrap());
    let mut ran = Vec::new();
    let records = record_plan(&plan(), || {
        // Numbers: arch/x86/entry/syscalls/syscall_64.tbl.
        ran.push(perl("$p = '/vedette/nowhere'; call(59, $p, 0, 0)", &[]));
        ran.push(perl("$p = $ARGV[0]; call(59, $p, 0, 0)", &[plain]));
        ran.push(perl(
            "opendir(D, $ARGV[0]) or die; $p = 'none'; call(322, fileno(D), $p, 0, 0, 0x100)",
            &[root],
        ));
        ran.push(perl(
            "open(F, '<', $ARGV[0]) or die; $p = ''; call(322, fileno(F), $p, 0, 0, 0x1000)",
            &[plain],
        ));
    });
    let seen = |i: usize, call| {
        let seen = seen(&records, ran[i].pid, call);
        assert_eq!((seen.call.ret, seen.record.kind), (ran[i].returned(), Kind::ExecFailed));
        seen
    };
    let nowhere = seen(0, Call::ExecveFailed);
    assert_eq!(nowhere.args(), "res=ENOENT filename=/vedette/nowhere");
    assert_eq!(field(&nowhere.record, "evt.type"), "execve");
    assert_eq!(field(&nowhere.record, "evt.res"), "ENOENT");
    assert_eq!(seen(1, Call::ExecveFailed).args(), format!("res=EACCES filename={plain}"));
    let none = seen(2, Call::ExecveatFailed);
    assert_eq!(
        none.args(),
        format!("res=ENOENT dirfd=3 pathname=none filename={root}/none at_flags=AT_SYMLINK_NOFOLLOW")
    );
    assert_eq!(field(&none.record, "evt.type"), "execveat");
    let by_descriptor = seen(3, Call::ExecveatFailed);
    assert_eq!(by_descriptor.args(), format!("res=EACCES dirfd=3 filename={plain} at_flags=AT_EMPTY_PATH"));
}

#[test]
fn a_program_that_starts_is_told_once_and_as_an_exec() {
    if !may_load_bpf("exec_failed") {
        return;
    }
    let mut ran = None;
    let records = record_plan(&plan(), || ran = Some(perl("exec('/bin/true') or die", &[])));
    let pid = ran.unwrap().pid;
    let kinds: Vec<Kind> = records
        .iter()
        .filter(|r| r.header.tgid == pid && matches!(r.kind, Kind::ProcessExec | Kind::ExecFailed))
        .map(|r| r.kind)
        .filter(|kind| *kind == Kind::ExecFailed)
        .collect();
    assert_eq!(kinds, []);
    let execs = records.iter().filter(|r| r.header.tgid == pid && r.kind == Kind::ProcessExec).count();
    assert_eq!(execs, 2, "perl and true");
}
