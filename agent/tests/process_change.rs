//! `process_change`: ids, capabilities, sessions, namespaces, directories and names, as they are after the call.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::os::unix::fs::symlink;

use calls::{Ran, perl, seen};
use harness::may_load_bpf;
use sensor::record;
use vedette_abi::{Call, TaskFacts};
use vedette_agent::identity::Hierarchy;
use vedette_event::{Body, State, StateLimits};

/// Runs each script while the calls are reported, and hands over what it wrote with the record of its call.
fn each(cases: &[(Call, &str, &str)], check: impl Fn(&Ran, &TaskFacts)) {
    let types: Vec<&str> = cases.iter().map(|c| c.0.name()).collect();
    let mut ran = Vec::new();
    let records = record(&types, || {
        ran.extend(cases.iter().map(|(_, script, _)| perl(script, &[])));
    });
    for ((call, _, args), ran) in cases.iter().zip(&ran) {
        let seen = seen(&records, ran.pid, *call);
        assert_eq!(seen.call.ret, ran.returned(), "{}", call.name());
        assert_eq!(seen.args(), *args, "{}", call.name());
        assert_eq!(seen.header().tgid, ran.pid);
        check(ran, &seen.task());
    }
}

#[test]
fn ids_are_those_that_proc_shows_afterwards() {
    if !may_load_bpf("process_change") {
        return;
    }
    // Numbers: arch/x86/entry/syscalls/syscall_64.tbl.
    let cases = [
        (Call::Setuid, "call(105, 65534); status", "res=0 uid=65534"),
        (Call::Setgid, "call(106, 65533); status", "res=0 gid=65533"),
        (Call::Setreuid, "call(113, -1, 7); status", "res=0 ruid=-1 euid=7"),
        (Call::Setregid, "call(114, 8, -1); status", "res=0 rgid=8 egid=-1"),
        (Call::Setresuid, "call(117, 1, 2, 3); status", "res=0 ruid=1 euid=2 suid=3"),
        (Call::Setresgid, "call(119, 4, 5, 6); status", "res=0 rgid=4 egid=5 sgid=6"),
        (Call::Setfsuid, "call(122, 9); status", "res=0 uid=9"),
        (Call::Setfsgid, "call(123, 10); status", "res=0 gid=10"),
        (Call::Setgroups, "call(116, 3, pack('L*', 5, 70000, 7)); status", "res=0 size=3 groups=5,70000,7"),
    ];
    each(&cases, |ran, task| {
        assert_eq!([task.uid, task.euid, task.suid, task.fsuid], ran.status("Uid")[..]);
        assert_eq!([task.gid, task.egid, task.sgid, task.fsgid], ran.status("Gid")[..]);
    });
}

#[test]
fn capabilities_are_those_that_proc_shows_afterwards() {
    if !may_load_bpf("process_change") {
        return;
    }
    // Header of version 3, this thread; effective, permitted and inheritable, low halves then high halves.
    let script = "call(126, pack('LL', 0x20080522, 0), pack('L6', 1, 0x200001, 0, 0, 0x80, 0)); status";
    let args = "res=0 cap_inheritable= cap_permitted=CAP_CHOWN CAP_SYS_ADMIN CAP_BPF cap_effective=CAP_CHOWN";
    each(&[(Call::Capset, script, args)], |ran, task| {
        assert_eq!(task.cap_effective, ran.capabilities("CapEff"));
        assert_eq!(task.cap_permitted, ran.capabilities("CapPrm"));
        assert_eq!(task.cap_inheritable, ran.capabilities("CapInh"));
        assert_eq!(task.cap_bounding, ran.capabilities("CapBnd"));
        assert_eq!(task.cap_permitted, 1 | 1 << 21 | 1 << 39);
    });
}

#[test]
fn a_call_that_is_refused_changes_nothing_and_is_told() {
    if !may_load_bpf("process_change") {
        return;
    }
    let mut ran = None;
    let records = record(&["setuid", "setresuid"], || {
        ran = Some(perl("syscall(117, 65534, 65534, 65534); call(105, 0); status", &[]));
    });
    let ran = ran.unwrap();
    let seen = seen(&records, ran.pid, Call::Setuid);
    assert_eq!(seen.args(), "res=EPERM uid=0");
    assert_eq!((seen.task().uid, ran.status("Uid")[0]), (65534, 65534));
}

#[test]
fn sessions_and_groups() {
    if !may_load_bpf("process_change") {
        return;
    }
    let print = "print getppid(), ' ', getpgrp(), ' ', `ps -o sid= -p $$`";
    let mut ran = Vec::new();
    let records = record(&["setsid", "setpgid"], || {
        ran.push(perl(&format!("call(112); {print}"), &[]));
        ran.push(perl(&format!("call(109, 0, 0); {print}"), &[]));
    });
    let told = |ran: &Ran| -> Vec<u32> {
        ran.out.lines().nth(1).unwrap().split_ascii_whitespace().map(|n| n.parse().unwrap()).collect()
    };
    let setsid = seen(&records, ran[0].pid, Call::Setsid);
    assert_eq!(setsid.args(), format!("res={}", ran[0].pid));
    assert_eq!((setsid.task().sid, setsid.task().pgid), (ran[0].pid, ran[0].pid));
    assert_eq!([setsid.task().parent_tgid, setsid.task().pgid, setsid.task().sid], told(&ran[0])[..]);
    let setpgid = seen(&records, ran[1].pid, Call::Setpgid);
    assert_eq!(setpgid.args(), "res=0 pid=0 pgid=0");
    assert_eq!([setpgid.task().parent_tgid, setpgid.task().pgid, setpgid.task().sid], told(&ran[1])[..]);
    assert_ne!(setpgid.task().sid, ran[1].pid);
}

#[test]
fn namespaces_are_left_and_entered() {
    if !may_load_bpf("process_change") {
        return;
    }
    let links = "print readlink(\"/proc/self/ns/$_\"), \"\\n\" for qw(uts mnt net)";
    let mut ran = Vec::new();
    let records = record(&["unshare", "setns"], || {
        ran.push(perl(&format!("call(272, 0x04020000); {links}"), &[]));
        ran.push(perl(
            &format!("open(F, '<', '/proc/self/ns/uts') or die; print fileno(F), \"\\n\"; syscall(308, fileno(F), 0x04000000) and die; {links}"),
            &[],
        ));
    });
    let number =
        |line: &str| -> u32 { line.split_once('[').unwrap().1.trim_end_matches(']').parse().unwrap() };
    let unshare = seen(&records, ran[0].pid, Call::Unshare);
    assert_eq!(unshare.args(), "res=0 flags=CLONE_NEWNS|CLONE_NEWUTS");
    let task = unshare.task();
    let told: Vec<u32> = ran[0].out.lines().skip(1).map(number).collect();
    assert_eq!([task.ns_uts, task.ns_mnt, task.ns_net], told[..]);
    let own = number(std::fs::read_link("/proc/self/ns/uts").unwrap().to_str().unwrap());
    assert_ne!(task.ns_uts, own);
    let setns = seen(&records, ran[1].pid, Call::Setns);
    assert_eq!(setns.args(), format!("res=0 fd={} nstype=CLONE_NEWUTS", ran[1].returned()));
    assert_eq!((setns.task().ns_uts, setns.call.inode.ino), (own, u64::from(own)));
}

#[test]
fn directories_are_told_as_they_are_and_as_they_were_called() {
    if !may_load_bpf("process_change") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let (real, link) = (root.join("real"), root.join("link"));
    std::fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let (real, link) = (real.to_str().unwrap(), link.to_str().unwrap());
    let mut ran = Vec::new();
    let records = record(&["chdir", "fchdir", "chroot"], || {
        ran.push(perl("$d = $ARGV[0]; call(80, $d); print readlink('/proc/self/cwd')", &[link]));
        ran.push(perl(
            "opendir(D, $ARGV[0]) or die; call(81, fileno(D)); print readlink('/proc/self/cwd')",
            &[link],
        ));
        ran.push(perl("$d = $ARGV[0]; call(161, $d)", &[link]));
        ran.push(perl("$d = $ARGV[0]; call(80, $d)", &["/vedette/nowhere"]));
    });
    let mut state = State::new(StateLimits::default());
    for record in records.iter() {
        state.apply(&record);
    }
    let cwd = |pid: u32| {
        let id = state.processes.latest(pid).unwrap();
        String::from_utf8_lossy(&state.processes.get(id).unwrap().cwd).into_owned()
    };
    let chdir = seen(&records, ran[0].pid, Call::Chdir);
    assert_eq!((chdir.strings.path, chdir.strings.raw), (real.as_bytes(), link.as_bytes()));
    assert_eq!(chdir.args(), format!("res=0 path={link}"));
    assert_eq!((ran[0].out.lines().nth(1), cwd(ran[0].pid).as_str()), (Some(real), real));
    let fchdir = seen(&records, ran[1].pid, Call::Fchdir);
    assert_eq!(fchdir.strings.path, real.as_bytes());
    assert_eq!((ran[1].out.lines().nth(1), cwd(ran[1].pid).as_str()), (Some(real), real));
    let chroot = seen(&records, ran[2].pid, Call::Chroot);
    assert_eq!((chroot.strings.path, chroot.strings.raw), (real.as_bytes(), link.as_bytes()));
    assert_ne!(cwd(ran[2].pid), real, "a new root is no new working directory");
    let failed = seen(&records, ran[3].pid, Call::Chdir);
    assert_eq!(failed.args(), "res=ENOENT path=/vedette/nowhere");
    assert_eq!(cwd(ran[3].pid), std::env::current_dir().unwrap().to_str().unwrap());
}

#[test]
fn a_new_name_is_known_however_it_was_given() {
    if !may_load_bpf("process_change") {
        return;
    }
    let mut own = 0;
    let mut file = 0;
    let records = record(&["prctl"], || {
        own = perl("$n = 'a-name-that-is-longer-than-15'; syscall(157, 15, $n)", &[]).pid;
        file = perl("open(F, '>', '/proc/self/comm') or die; print F 'by-file'; close F or die", &[]).pid;
    });
    for (pid, name) in [(own, "a-name-that-is-"), (file, "by-file")] {
        let record = records.one(|r| {
            r.header.tgid == pid && r.call.is_none() && matches!(r.body, Body::ProcessChange { .. })
        });
        let Body::ProcessChange { task, .. } = record.body else { unreachable!() };
        let mut state = State::new(StateLimits::default());
        records.iter().for_each(|r| {
            state.apply(&r);
        });
        let process = state.processes.get(state.processes.latest(pid).unwrap()).unwrap();
        assert_eq!(String::from_utf8_lossy(process.comm()), name);
        assert_eq!(task.comm[..name.len()], *name.as_bytes());
        assert_eq!(task.tgid, pid);
    }
}

#[test]
fn a_move_to_another_control_group_is_known_at_once() {
    if !may_load_bpf("process_change") {
        return;
    }
    let hierarchy = Hierarchy::of_host().unwrap();
    let group = hierarchy.mount.join(format!("vedette-move-{}", std::process::id()));
    std::fs::create_dir(&group).unwrap();
    let id = hierarchy.id_of(&format!("/{}", group.file_name().unwrap().to_str().unwrap())).unwrap();
    let procs = group.join("cgroup.procs");
    let mut pid = 0;
    let records = record(&["setsid"], || {
        pid =
            perl("open(F, '>', $ARGV[0]) or die; print F $$; close F or die", &[procs.to_str().unwrap()]).pid;
    });
    std::fs::remove_dir(&group).unwrap();
    let record = records
        .one(|r| r.header.tgid == pid && r.call.is_none() && matches!(r.body, Body::ProcessChange { .. }));
    let Body::ProcessChange { task, .. } = record.body else { unreachable!() };
    assert_eq!((task.cgroup, record.header.cgroup), (id, id));
}
