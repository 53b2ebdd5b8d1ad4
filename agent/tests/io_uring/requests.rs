//! Requests in every way that the kernel knows: in chains, by workers, in masses, unfinished, and told to nobody.

use std::{collections::HashMap, path::Path};

use io_uring::{opcode, squeue::Flags, types};
use vedette_abi::{Call, IORING_OP_NOP, Kind, header_flags};
use vedette_event::Body;

use crate::{
    files::{CWD, change, is, is_mine, open, place},
    ring::{MODES, Mode, c, close, ends, may_run, push, ring, ring_with_results, run, submit},
    sensor::{record, watch},
    wait::until,
};

#[test]
fn a_file_in_the_rings_own_table_is_found_there() {
    if !may_run() {
        return;
    }
    let mut done = Vec::new();
    let records = record(&["openat"], || {
        for mode in MODES {
            let (dir, root) = place();
            let [first, any, link] = ["first", "any", "link"].map(|n| root.join(n));
            std::fs::write(&first, "x").unwrap();
            std::fs::write(&any, "x").unwrap();
            std::os::unix::fs::symlink(&any, &link).unwrap();
            let mut ring = ring(mode, 8);
            ring.submitter().register_files_sparse(8).unwrap();
            let (one, two) = (c(&first), c(&link));
            let fixed = types::DestinationSlot::try_from_slot_target(5).unwrap();
            let chosen = types::DestinationSlot::auto_target();
            let results = run(
                &mut ring,
                vec![
                    opcode::OpenAt::new(CWD, one.as_ptr()).file_index(Some(fixed)).build(),
                    opcode::OpenAt::new(CWD, two.as_ptr()).file_index(Some(chosen)).build(),
                ],
            );
            assert_eq!(results[0], 0, "{mode:?}");
            done.push((mode, dir, first, any, link, results[1]));
        }
    });
    for (mode, _dir, first, any, link, chosen) in done {
        let (record, facts, path) = open(&records, &first);
        assert_eq!((facts.ret, path.as_str()), (5, first.to_str().unwrap()), "{mode:?}");
        assert_ne!(record.header.flags & header_flags::DIRECT, 0);
        let (record, facts, path) = open(&records, &link);
        assert_eq!((facts.ret, path.as_str()), (chosen.into(), any.to_str().unwrap()), "{mode:?}");
        assert_ne!(record.header.flags & header_flags::DIRECT, 0);
    }
}

#[test]
fn a_chain_is_reported_link_by_link_and_what_was_cancelled_failed() {
    if !may_run() {
        return;
    }
    let mut done = Vec::new();
    let records = watch(&["mkdirat", "openat"], |sensor| {
        for mode in MODES {
            let (dir, root) = place();
            let [made, missing, never] = ["made", "missing", "never"].map(|n| root.join(n));
            let (one, two, three) = (c(&made), c(&missing), c(&never));
            // Not every failure breaks a chain; that of an open does.
            let results = run(
                &mut ring(mode, 8),
                vec![
                    opcode::MkDirAt::new(CWD, one.as_ptr()).build().flags(Flags::IO_LINK),
                    opcode::OpenAt::new(CWD, two.as_ptr()).build().flags(Flags::IO_LINK),
                    opcode::MkDirAt::new(CWD, three.as_ptr()).build(),
                ],
            );
            assert_eq!(results, [0, -2, -125], "{mode:?}");
            until("nothing is pending", || sensor.io_uring_pending().unwrap() == 0);
            done.push((dir, made, missing, never));
        }
    });
    for (_dir, made, missing, never) in done {
        assert_eq!(change(&records, Call::Mkdirat, &made).1.ret, 0);
        assert_eq!(open(&records, &missing).1.ret, -2);
        assert_eq!(change(&records, Call::Mkdirat, &never).1.ret, -125);
    }
}

#[test]
fn a_worker_is_not_taken_for_another_process() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let target = root.join("file");
    std::fs::write(&target, "x").unwrap();
    let mut results = Vec::new();
    let mut tid = 0;
    let records = record(&["openat"], || {
        let mut ring = ring(Mode::Plain, 8);
        let path = c(&target);
        results = run(&mut ring, vec![opcode::OpenAt::new(CWD, path.as_ptr()).build().flags(Flags::ASYNC)]);
        tid = nix::unistd::gettid().as_raw();
    });
    close(&results);
    let (record, facts, path) = open(&records, &target);
    assert_eq!((facts.ret, path.as_str()), (i64::from(results[0]), target.to_str().unwrap()));
    assert_eq!((record.header.tgid, record.header.tid as i32), (std::process::id(), tid));
}

#[test]
fn of_a_thousand_opens_each_is_reported_once_and_the_books_balance() {
    if !may_run() {
        return;
    }
    let ways = [
        (Mode::Plain, Flags::empty()),
        (Mode::Plain, Flags::ASYNC),
        (Mode::Deferred, Flags::empty()),
        (Mode::Polled, Flags::empty()),
    ];
    let (_dir, root) = place();
    let mut counted = None;
    let records = watch(&["openat"], |sensor| {
        for (i, (mode, flags)) in ways.into_iter().enumerate() {
            let mut ring = ring(mode, 100);
            for batch in 0..10 {
                let names: Vec<_> = (0..100).map(|n| c(&root.join(format!("{i}-{batch}{n:02}")))).collect();
                let open = |name: &std::ffi::CString| {
                    opcode::OpenAt::new(CWD, name.as_ptr()).flags(0o102).mode(0o600).build().flags(flags)
                };
                close(&run(&mut ring, names.iter().map(open).collect()));
            }
            until("nothing is pending", || sensor.io_uring_pending().unwrap() == 0);
        }
        counted = Some(sensor.counters().unwrap());
    });
    let mut seen: HashMap<Vec<u8>, u32> = HashMap::new();
    for record in records.iter().filter(is_mine) {
        let Body::FileOpen { facts, path, raw, .. } = record.body else { continue };
        assert!(facts.ret >= 0 && path == raw, "{facts:?}");
        *seen.entry(raw.to_vec()).or_default() += 1;
    }
    assert_eq!(seen.len(), 4000);
    assert!(seen.values().all(|n| *n == 1));
    let opens = counted.unwrap().of(Kind::FileOpen);
    assert!(opens.balances() && opens.submitted >= 4000 && opens.errors == 0, "{opens:?}");
}

#[test]
fn a_request_whose_success_is_told_to_nobody_is_reported_at_once() {
    if !may_run() {
        return;
    }
    let mut done = Vec::new();
    let records = watch(&["openat", "unlinkat"], |sensor| {
        for mode in MODES {
            let (dir, root) = place();
            let [gone, missing, after] = ["gone", "missing", "after"].map(|n| root.join(n));
            std::fs::write(&gone, "x").unwrap();
            let mut ring = ring(mode, 8);
            let (one, two, three) = (c(&gone), c(&missing), c(&after));
            let silent = opcode::UnlinkAt::new(CWD, one.as_ptr()).build().flags(Flags::SKIP_SUCCESS);
            let fails =
                opcode::OpenAt::new(CWD, two.as_ptr()).build().flags(Flags::SKIP_SUCCESS | Flags::IO_LINK);
            // The end of this one is told to nobody either, because the one before it fails.
            let dropped = opcode::UnlinkAt::new(CWD, three.as_ptr()).build();
            submit(&mut ring, vec![silent, fails, dropped]);
            ring.submit_and_wait(1).unwrap();
            let end = ring.completion().next().unwrap();
            assert_eq!((end.user_data(), end.result()), (1, -2), "{mode:?}");
            until("the file is gone", || !gone.exists());
            until("nothing is pending", || sensor.io_uring_pending().unwrap() == 0);
            done.push((dir, gone, missing, after));
        }
    });
    for (_dir, gone, missing, after) in done {
        let (record, facts, _) = change(&records, Call::Unlinkat, &gone);
        assert_eq!(facts.ret, 0);
        assert_ne!(record.header.flags & header_flags::UNCONFIRMED, 0);
        // It fails later, and is not told twice.
        let (record, ..) = open(&records, &missing);
        assert_ne!(record.header.flags & header_flags::UNCONFIRMED, 0);
        let is_dropped = |r: &vedette_event::Record<'_>| matches!(&r.body, Body::Syscall { strings, .. } if is(strings.raw, &after));
        assert_eq!(records.iter().filter(is_dropped).count(), 0, "it was never started");
    }
}

#[test]
fn results_that_find_no_room_are_reported_too() {
    if !may_run() {
        return;
    }
    let mut done = Vec::new();
    let records = watch(&["openat"], |sensor| {
        for mode in MODES {
            let (dir, root) = place();
            let paths: Vec<_> = (0..12).map(|i| root.join(format!("{i:02}"))).collect();
            let mut ring = ring_with_results(mode, 4, 4);
            let names: Vec<_> = paths.iter().map(|p| c(p)).collect();
            for (batch, names) in names.chunks(4).enumerate() {
                // Each has a number of its own, and nobody takes the results.
                let open = |(i, name): (usize, &std::ffi::CString)| {
                    let open = opcode::OpenAt::new(CWD, name.as_ptr()).flags(0o102).mode(0o600);
                    open.build().user_data((batch * 4 + i) as u64)
                };
                push(&mut ring, names.iter().enumerate().map(open).collect());
                ring.submit().unwrap();
                until("the queue is taken", || ring.submission().is_empty());
            }
            let results = ends(&mut ring, 12);
            until("nothing is pending", || sensor.io_uring_pending().unwrap() == 0);
            close(&results);
            done.push((mode, dir, paths, results));
        }
    });
    for (mode, _dir, paths, results) in done {
        for (path, result) in paths.iter().zip(results) {
            let (_, facts, resolved) = open(&records, path);
            assert_eq!((facts.ret, resolved.as_str()), (result.into(), path.to_str().unwrap()), "{mode:?}");
        }
    }
}

#[test]
fn a_ring_that_is_closed_leaves_nothing_behind() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let never = root.join("never");
    let records = watch(&["openat", "accept4"], |sensor| {
        let (read, _write) = nix::unistd::pipe().unwrap();
        let mut ring = ring(Mode::Plain, 8);
        let name = c(&never);
        let waits = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&read));
        // Nothing is ever written, so the open stays where it is until the ring is closed.
        submit(
            &mut ring,
            vec![
                opcode::PollAdd::new(waits, 1).build().flags(Flags::IO_LINK),
                opcode::OpenAt::new(CWD, name.as_ptr()).build(),
            ],
        );
        assert_eq!(sensor.io_uring_pending().unwrap(), 1);
        drop(ring);
        until("nothing is pending", || sensor.io_uring_pending().unwrap() == 0);
    });
    let (_, facts, _) = open(&records, &never);
    assert_eq!(facts.ret, -125);
}

#[test]
fn what_has_no_call_of_its_own_is_an_io_uring_event_for_who_asks() {
    if !may_run() {
        return;
    }
    let act = || {
        let mut ring = ring(Mode::Plain, 8);
        assert_eq!(run(&mut ring, vec![opcode::Nop::new().build()]), [0]);
    };
    let is_nop = |r: &vedette_event::Record<'_>| {
        is_mine(r) && r.call == Some(Call::IoUringOther) && r.header.io_uring_op == u32::from(IORING_OP_NOP)
    };
    record(&["io_uring"], act).one(is_nop);
    assert_eq!(record(&["openat"], act).iter().filter(is_nop).count(), 0, "nobody asked");
}

#[test]
fn a_name_as_long_as_the_kernel_takes_is_kept_whole() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let mut long = root.to_str().unwrap().to_owned();
    while long.len() < 4080 {
        long.push_str("/.");
    }
    long.push_str("/missing");
    let records = record(&["unlinkat"], || {
        let name = c(Path::new(&long));
        let mut ring = ring(Mode::Plain, 8);
        assert_eq!(run(&mut ring, vec![opcode::UnlinkAt::new(CWD, name.as_ptr()).build()]), [-2]);
    });
    assert_eq!(change(&records, Call::Unlinkat, Path::new(&long)).1.ret, -2);
}
