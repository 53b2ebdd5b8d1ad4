//! What records do to the state of the node.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{net::SocketAddr, sync::Arc};

use proptest::prelude::*;
use vedette_event::{
    Applied, Exec, Origin, Process, ProcessKey, State, StateLimits,
    abi::{self, Call, Ring, task_flags},
    decode,
    process::{GRACE, MAX_ANCESTORS, TICK},
    testing::{RecordBuilder, task},
};

const INIT: ProcessKey = ProcessKey { tgid: 1, start: 1 };
const NOBODY: ProcessKey = ProcessKey { tgid: 0, start: 0 };

fn key(tgid: u32, start: u64) -> ProcessKey {
    ProcessKey { tgid, start }
}

fn state() -> State {
    State::new(StateLimits::default())
}

fn apply(state: &mut State, record: Vec<u8>) -> Applied {
    state.apply(&decode(&record).unwrap())
}

/// Applies a record about a process that has to be known then.
fn known(state: &mut State, record: Vec<u8>) -> Process {
    let id = apply(state, record).process.unwrap();
    state.processes.get(id).unwrap().clone()
}

fn get(state: &State, key: ProcessKey) -> &Process {
    state.processes.get(state.processes.find(key).unwrap()).unwrap()
}

fn parent(state: &State, key: ProcessKey) -> Option<ProcessKey> {
    Some(state.processes.get(get(state, key).parent?)?.key)
}

/// A process as `/proc` would show it.
fn from_proc(key: ProcessKey, parent: ProcessKey, exe: &str) -> Process {
    let mut process = Process::unknown(key);
    process.task = task(key, parent);
    let argv = format!("{exe}\0").into_bytes().into();
    process.exec = Arc::new(Exec { exe_path: exe.as_bytes().into(), argv, ..Exec::default() });
    process.cwd = Arc::from(&b"/proc-says"[..]);
    process
}

#[test]
fn what_has_ended_is_forgotten_on_a_quiet_node_too() {
    let mut state = state();
    let ended = key(5, 5);
    apply(&mut state, RecordBuilder::process_exec(ended, "/bin/true", &["true"]).time(5).build());
    apply(&mut state, RecordBuilder::process_exit(ended).time(10).build());
    state.prune(10 + GRACE / 2);
    assert!(state.processes.find(ended).is_some(), "its events may still come");
    // No record comes that would bring the time.
    state.prune(10 * GRACE);
    assert_eq!(state.processes.find(ended), None);
}

#[test]
fn a_fork_inherits_the_program_and_an_exec_replaces_it() {
    let (mut state, child) = (state(), key(20, 200));
    apply(
        &mut state,
        RecordBuilder::process_exec(INIT, "/bin/sh", &["sh", "-i"]).cwd("/srv").time(5).build(),
    );
    let forked = known(&mut state, RecordBuilder::process_fork(child, INIT).uid(7).build());
    assert!(Arc::ptr_eq(&forked.exec, &get(&state, INIT).exec), "shared, not copied");
    assert_eq!((&*forked.cwd, forked.origin, forked.task.uid), (&b"/srv"[..], Origin::Fork, 7));
    assert_eq!(parent(&state, child), Some(INIT));

    let ran =
        known(&mut state, RecordBuilder::process_exec(child, "/bin/cat", &["cat", "x"]).time(9).build());
    assert_eq!((&*ran.exec.exe_path, ran.exec.time, ran.comm()), (&b"/bin/cat"[..], 9, &b"cat"[..]));
    assert_eq!(ran.exec.args().collect::<Vec<_>>(), [b"cat", &b"x"[..]]);
    assert_eq!(ran.origin, Origin::Fork);
    assert_eq!(parent(&state, child), Some(INIT), "an exec does not change the parent");
    assert_eq!(&*get(&state, INIT).exec.exe_path, b"/bin/sh");
    assert_eq!(state.processes.len(), 2);
}

#[test]
fn a_parent_may_end_before_its_children() {
    let mut state = state();
    let (shell, child, grandchild) = (key(2, 2), key(3, 3), key(4, 4));
    for (child, parent) in [(shell, INIT), (child, shell), (grandchild, child)] {
        apply(&mut state, RecordBuilder::process_fork(child, parent).build());
    }
    apply(&mut state, RecordBuilder::process_exit(shell).time(10).build());
    apply(&mut state, RecordBuilder::process_exit(child).time(11).build());
    // Time goes on, and with it pruning.
    let open = RecordBuilder::file_open(grandchild, "/x", "/x").time(10 * GRACE).build();
    let applied = apply(&mut state, open);
    let line: Vec<ProcessKey> =
        state.processes.ancestors(applied.process.unwrap()).map(|(_, p)| p.key).collect();
    assert_eq!(line, [child, shell]);
    assert_eq!(get(&state, child).exited, Some(11));
    apply(&mut state, RecordBuilder::process_exit(grandchild).time(10 * GRACE).build());
    apply(&mut state, RecordBuilder::file_open(INIT, "/x", "/x").time(20 * GRACE).build());
    assert_eq!(state.processes.len(), 1, "only the one that opened");
}

#[test]
fn a_reused_number_is_another_process() {
    let (mut state, old, new) = (state(), key(7, 100), key(7, 900));
    apply(&mut state, RecordBuilder::process_exec(old, "/bin/old", &["old"]).build());
    // Its end was lost.
    apply(&mut state, RecordBuilder::process_exec(new, "/bin/new", &["new"]).build());
    assert!(get(&state, old).exited.is_some());
    assert_eq!(&*get(&state, new).exec.exe_path, b"/bin/new");
    // An event of the first that comes late is the first's, and does the second no harm.
    let late = known(&mut state, RecordBuilder::file_open(old, "/x", "/x").build());
    assert_eq!(&*late.exec.exe_path, b"/bin/old");
    apply(&mut state, RecordBuilder::process_exit(old).time(5).build());
    assert_eq!(get(&state, new).exited, None);
    apply(&mut state, RecordBuilder::file_open(key(7, 50), "/x", "/x").build());
    assert_eq!(get(&state, new).exited, None);
    assert_eq!(state.processes.latest(7), state.processes.find(new));
}

#[test]
fn a_process_known_by_its_header_only_is_looked_up_once() {
    let (mut state, cat) = (state(), key(7, 3 * TICK + 3));
    let open = || RecordBuilder::file_open(cat, "/x", "/x").cgroup(5).build();
    assert!(apply(&mut state, open()).incomplete);
    assert!(apply(&mut state, open()).incomplete, "until somebody answers");
    assert_eq!(state.stats().unknown_processes, 1);
    assert_eq!((get(&state, cat).origin, get(&state, cat).task.cgroup), (Origin::Header, 5));

    let id = state.complete(from_proc(cat, INIT, "/bin/cat"));
    assert!(!apply(&mut state, open()).incomplete);
    assert_eq!(get(&state, cat).origin, Origin::Healed);
    assert_eq!(state.missing_parent(id), Some(INIT));
    state.complete(from_proc(INIT, NOBODY, "/sbin/init"));
    state.link_parents();
    assert_eq!((parent(&state, cat), state.missing_parent(id)), (Some(INIT), None));

    let gone = key(8, 8);
    let id = apply(&mut state, RecordBuilder::file_open(gone, "/x", "/x").build()).process.unwrap();
    state.give_up(id);
    assert!(!apply(&mut state, RecordBuilder::file_open(gone, "/x", "/x").build()).incomplete);
    assert!(!get(&state, gone).has_facts(), "its user is not root, but unknown");
}

#[test]
fn a_fork_of_an_unknown_parent_is_incomplete_until_its_exec() {
    let (mut state, child) = (state(), key(7, 7));
    assert!(apply(&mut state, RecordBuilder::process_fork(child, key(6, 6)).build()).incomplete);
    assert!(
        !apply(&mut state, RecordBuilder::process_exec(child, "/bin/a", &["a"]).time(1).build()).incomplete
    );
    let kthread = RecordBuilder::process_fork(key(9, 9), key(2, 2)).facts(|t| t.flags |= task_flags::KTHREAD);
    assert!(!apply(&mut state, kthread.build()).incomplete, "a kernel thread has no program");
}

#[test]
fn the_snapshot_never_undoes_what_was_seen() {
    let (mut state, cat) = (state(), key(7, 7));
    apply(&mut state, RecordBuilder::process_exec(cat, "/bin/cat", &["cat"]).uid(5).time(50).build());
    // The iterator, and the look into /proc, saw the process before its exec.
    apply(&mut state, RecordBuilder::process_snapshot(cat, INIT).comm("sh").build());
    state.complete(from_proc(cat, INIT, "/bin/sh"));
    let process = get(&state, cat);
    assert_eq!(
        (&*process.exec.exe_path, process.comm(), process.task.uid),
        (&b"/bin/cat"[..], &b"cat"[..], 5)
    );
    assert_eq!(&*process.cwd, b"/");
}

#[test]
fn a_snapshot_completed_from_proc() {
    let (mut state, shell, cat) = (state(), key(5, 5), key(7, 7));
    // The child comes before its parent, and does not take the parent's program for its own.
    assert!(apply(&mut state, RecordBuilder::process_snapshot(cat, shell).uid(3).build()).incomplete);
    apply(&mut state, RecordBuilder::process_exec(shell, "/bin/sh", &["sh"]).time(1).build());
    assert!(apply(&mut state, RecordBuilder::process_snapshot(cat, shell).build()).incomplete);
    state.link_parents();
    assert_eq!(parent(&state, cat), Some(shell));
    let mut read = from_proc(cat, INIT, "/bin/cat");
    read.task.uid = 99;
    state.complete(read);
    let process = get(&state, cat);
    assert_eq!((&*process.exec.exe_path, &*process.cwd), (&b"/bin/cat"[..], &b"/proc-says"[..]));
    assert_eq!((process.task.uid, process.origin), (3, Origin::Snapshot), "the kernel's own word counts");
    assert!(!process.is_incomplete());
    assert_eq!(parent(&state, cat), Some(shell), "and so does the first parent");
    // A fork record that was waiting in the ring meanwhile.
    let again = known(&mut state, RecordBuilder::process_fork(cat, shell).build());
    assert_eq!(&*again.exec.exe_path, b"/bin/cat");
}

#[test]
fn approximate_starts_meet_exact_ones() {
    let mut state = state();
    let (shell, cat) = (key(5, 3 * TICK), key(7, 8 * TICK));
    for (key, parent, exe) in [(cat, shell, "/bin/cat"), (shell, NOBODY, "/bin/sh")] {
        let mut process = from_proc(key, parent, exe);
        process.approximate_start = true;
        state.complete(process);
    }
    state.link_parents();
    // Records name both exactly.
    let (exact_shell, exact_cat) = (key(5, 3 * TICK + 11), key(7, 8 * TICK + 22));
    let opened = known(&mut state, RecordBuilder::file_open(exact_cat, "/x", "/x").build());
    assert_eq!(&*opened.exec.exe_path, b"/bin/cat");
    let forked = known(&mut state, RecordBuilder::process_fork(key(9, 9 * TICK), exact_shell).build());
    assert_eq!(&*forked.exec.exe_path, b"/bin/sh");
    let ran = known(&mut state, RecordBuilder::process_exec(exact_cat, "/bin/dog", &["dog"]).build());
    assert_eq!((ran.key, ran.approximate_start), (exact_cat, false));
    assert_eq!(state.processes.len(), 3);
    assert_eq!(parent(&state, exact_cat).map(|p| p.tgid), Some(5));
}

#[test]
fn what_had_ended_when_it_was_read_does_not_stay() {
    let mut state = state();
    let mut zombie = from_proc(key(7, 7), INIT, "");
    zombie.exited = Some(7);
    state.complete(zombie);
    apply(&mut state, RecordBuilder::file_open(INIT, "/x", "/x").time(10 * GRACE).build());
    assert_eq!(state.processes.find(key(7, 7)), None);
}

#[test]
fn gaps_of_the_state_ring_are_counted() {
    let mut state = state();
    assert_eq!(
        apply(&mut state, RecordBuilder::gap(Ring::State, 3, 40).build()),
        Applied { process: None, incomplete: false }
    );
    apply(&mut state, RecordBuilder::gap(Ring::Events, 3, 9).build());
    assert_eq!((state.stats().state_gaps, state.stats().state_lost), (1, 40));
    apply(&mut state, RecordBuilder::process_exit(key(3, 3)).build());
    assert_eq!(state.processes.stats().unknown_exits, 1);
}

#[test]
fn groups_of_the_chosen_hierarchy_only() {
    let mut state = State::new(StateLimits { hierarchy: Some(4), ..StateLimits::default() });
    let mkdir = |id, hierarchy| RecordBuilder::cgroup_mkdir(id, "/x").hierarchy(hierarchy).time(1).build();
    apply(&mut state, mkdir(10, 0));
    apply(&mut state, mkdir(11, 4));
    assert!(state.cgroups.get(10).is_none() && state.cgroups.get(11).is_some());
    apply(&mut state, RecordBuilder::cgroup_rmdir(11, "/x").hierarchy(0).time(2).build());
    apply(&mut state, RecordBuilder::file_open(INIT, "/x", "/x").time(10 * GRACE).build());
    assert!(state.cgroups.get(11).is_some(), "another hierarchy's group of the same number");
    apply(&mut state, RecordBuilder::cgroup_rmdir(11, "/x").hierarchy(4).time(11 * GRACE).build());
    assert!(state.cgroups.get(11).is_some(), "events of it may still come");
    apply(&mut state, RecordBuilder::file_open(INIT, "/x", "/x").time(12 * GRACE).build());
    assert!(state.cgroups.get(11).is_none());
}

#[test]
fn a_fork_bomb_stays_within_the_limit() {
    let mut state = State::new(StateLimits { processes: 4096, ..StateLimits::default() });
    apply(&mut state, RecordBuilder::process_exec(INIT, "/sbin/init", &["init"]).build());
    let mut last = INIT;
    for n in 0..50_000u32 {
        let child = key(10 + n, u64::from(n) + 10);
        let applied = apply(&mut state, RecordBuilder::process_fork(child, last).time(u64::from(n)).build());
        assert!(!applied.incomplete, "child {n} knows its program");
        last = child;
    }
    assert_eq!(state.processes.len(), 4096);
    assert_eq!(&*get(&state, last).exec.exe_path, b"/sbin/init");
    let id = state.processes.find(last).unwrap();
    assert_eq!(state.processes.ancestors(id).count(), MAX_ANCESTORS);
}

/// Any record about a few processes that meet often.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let name = || (1..6u32, 1..6u64).prop_map(|(tgid, start)| key(tgid, start * TICK / 2));
    let time = 0..5 * GRACE;
    prop_oneof![
        (name(), name(), time.clone())
            .prop_map(|(c, p, t)| RecordBuilder::process_fork(c, p).time(t).build()),
        (name(), name(), time.clone())
            .prop_map(|(c, p, t)| RecordBuilder::process_snapshot(c, p).time(t).build()),
        (name(), name(), time.clone())
            .prop_map(|(c, p, t)| RecordBuilder::process_exec(c, "/bin/x", &["x"]).parent(p).time(t).build()),
        (name(), time.clone()).prop_map(|(c, t)| RecordBuilder::process_exit(c).time(t).build()),
        (name(), time.clone()).prop_map(|(c, t)| RecordBuilder::file_open(c, "/x", "x").time(t).build()),
        (name(), time.clone()).prop_map(|(c, t)| {
            RecordBuilder::net_connect(c, SocketAddr::from(([0; 16], 1))).time(t).build()
        }),
        (1..9u64, time.clone()).prop_map(|(id, t)| RecordBuilder::cgroup_mkdir(id, "/a").time(t).build()),
        (1..9u64, time).prop_map(|(id, t)| RecordBuilder::cgroup_rmdir(id, "/a").time(t).build()),
        (any::<u64>(), any::<u32>())
            .prop_map(|(first, n)| RecordBuilder::gap(Ring::State, first >> 1, n).build()),
    ]
}

proptest! {
    #[test]
    fn any_order_of_records_leaves_a_sound_state(
        cap in 1..12usize,
        records in proptest::collection::vec((any_record(), any::<bool>()), 1..100),
    ) {
        let mut state = State::new(StateLimits { processes: cap, cgroups: 4, hierarchy: None });
        for (record, approximate) in records {
            let applied = apply(&mut state, record);
            if let Some(id) = applied.process {
                let process = state.processes.get(id).expect("the process of a record is there");
                prop_assert_eq!(applied.incomplete, process.is_incomplete());
                if applied.incomplete {
                    let key = process.key;
                    let mut read = from_proc(key, INIT, "/bin/y");
                    read.approximate_start = approximate;
                    let completed = state.complete(read);
                    prop_assert_eq!(completed, id);
                    prop_assert!(!state.processes.get(id).unwrap().is_incomplete());
                }
                prop_assert!(state.processes.ancestors(id).all(|(ancestor, _)| ancestor != id));
            }
            prop_assert!(state.processes.len() <= cap && state.cgroups.len() <= 4);
        }
        state.link_parents();
        for (id, _) in state.processes.entries() {
            prop_assert!(state.processes.ancestors(id).count() <= cap);
        }
    }
}

#[test]
fn a_change_is_the_leaders_and_what_was_before_is_kept_for_the_event() {
    let (mut state, process) = (state(), key(20, 200));
    apply(&mut state, RecordBuilder::process_exec(process, "/bin/su", &["su"]).uid(1000).time(5).build());
    assert!(state.before().is_none());
    let change = |uid: u32| {
        RecordBuilder::process_change(process, Some(Call::Setuid)).uid(uid).comm("su").facts(|t| t.sid = 7)
    };
    // Another thread's ids are not those of the process; its session is.
    let mut by_thread = change(5);
    by_thread.header.tid = 21;
    let after = known(&mut state, by_thread.build());
    assert_eq!((after.task.uid, after.task.sid), (1000, 7));
    assert!(state.before().is_none());

    let after = known(&mut state, change(0).build());
    assert_eq!((after.task.uid, state.before().unwrap().uid), (0, 1000));
    assert_eq!(&*after.exec.exe_path, b"/bin/su", "it runs the same program");

    // A new name without a call, and a child that inherits all.
    let child = key(30, 300);
    let renamed =
        known(&mut state, RecordBuilder::process_change(process, None).uid(0).comm("renamed").build());
    assert_eq!(renamed.comm(), b"renamed");
    apply(&mut state, RecordBuilder::process_fork(child, process).uid(0).comm("renamed").build());
    assert!(state.before().is_none(), "of the last record only");
    assert_eq!(get(&state, child).cmdline(), &b"renamed"[..]);
    assert_eq!(parent(&state, child), Some(process));
}

#[test]
fn a_change_of_directory_counts_only_if_it_was_made() {
    let (mut state, process) = (state(), key(20, 200));
    apply(&mut state, RecordBuilder::process_exec(process, "/bin/sh", &["sh"]).cwd("/srv").time(5).build());
    let chdir = |ret: i64, path: &str| {
        RecordBuilder::process_change(process, Some(Call::Chdir))
            .string(abi::strings::PATH, path)
            .with(|change| change.syscall.ret = ret)
            .build()
    };
    assert_eq!(&*known(&mut state, chdir(-2, "/srv")).cwd, b"/srv");
    assert_eq!(&*known(&mut state, chdir(0, "/tmp")).cwd, b"/tmp");
    // A new root is none.
    let chroot =
        RecordBuilder::process_change(process, Some(Call::Chroot)).string(abi::strings::PATH, "/var").build();
    assert_eq!(&*known(&mut state, chroot).cwd, b"/tmp");
}

#[test]
fn what_was_lost_about_a_living_process_is_taken_over_and_what_records_told_is_kept() {
    let mut state = State::new(StateLimits::default());
    let (shell, child) = (ProcessKey { tgid: 5, start: 10 }, ProcessKey { tgid: 6, start: 20 });
    let apply = |state: &mut State, bytes: Vec<u8>| state.apply(&decode(&bytes).unwrap()).process.unwrap();
    apply(&mut state, RecordBuilder::process_exec(shell, "/bin/bash", &["bash", "-c", "x"]).build());
    apply(&mut state, RecordBuilder::process_fork(child, shell).build());
    let id = apply(
        &mut state,
        RecordBuilder::process_exec(child, "/usr/bin/python3", &["python3", "a.py"])
            .parent(shell)
            .time(30)
            .build(),
    );
    let known = |state: &State| state.processes.get(id).unwrap().clone();
    let before = known(&state);
    assert!(!state.refresh(before.clone()), "the same is no change");

    // A title of its own making changes nothing.
    let mut read = before.clone();
    read.exec = Arc::new(Exec { argv: b"harmless\0".as_slice().into(), time: 0, ..(*before.exec).clone() });
    assert!(!state.refresh(read.clone()));
    assert_eq!(known(&state).exec.argv, before.exec.argv);
    // Other ids, and a parent that took over.
    read.task.euid = 1000;
    (read.task.parent_tgid, read.task.parent_start) = (1, 1);
    assert!(state.refresh(read.clone()));
    let now = known(&state);
    assert_eq!((now.task.euid, now.task.parent_tgid), (1000, shell.tgid));
    assert_eq!(state.processes.ancestors(id).map(|(_, p)| p.key).collect::<Vec<_>>(), [shell]);
    // The same file under another name, and another file.
    read.task.comm[..5].copy_from_slice(b"other");
    assert!(state.refresh(read.clone()));
    assert_eq!(&*known(&state).exec.argv, b"harmless\0");
    let mut exec = (*read.exec).clone();
    exec.exe.0.ino += 1;
    exec.exe_path = b"/usr/bin/perl".as_slice().into();
    read.exec = exec.into();
    assert!(state.refresh(read.clone()));
    assert_eq!(&*known(&state).exec.exe_path, b"/usr/bin/perl");
    // One that has ended is left alone.
    state.processes.exit(child, 40);
    read.task.euid = 0;
    assert!(!state.refresh(read));
}
