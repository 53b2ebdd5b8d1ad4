//! `fd_dup`: what is behind a descriptor that was duplicated, whatever kind of file it is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/fields.rs"]
mod fields;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    fs::File,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{fs::MetadataExt, net::UnixStream},
    },
};

use fields::{assert_fields, field};
use harness::may_load_bpf;
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        epoll::{Epoll, EpollCreateFlags},
        eventfd::EventFd,
        inotify::{InitFlags, Inotify},
        memfd::{MFdFlags, memfd_create},
    },
};
use sensor::{Records, record, record_all};
use vedette_abi::Call;
use vedette_event::Record;

const CALLS: &[&str] = &["dup", "dup2", "dup3", "fcntl"];

/// The record of a call of this process that made the descriptor, the last one.
fn of(records: &Records, call: Call, made: i32) -> Record<'_> {
    let mut found = None;
    for record in records.iter() {
        let mine = record.header.tgid == std::process::id() && record.call == Some(call);
        if mine && field(&record, "fd.num") == made.to_string() {
            found = Some(record);
        }
    }
    found.unwrap_or_else(|| panic!("no {} that made {made}", call.name()))
}

/// Where `/proc` says that the descriptor leads.
fn link(fd: BorrowedFd<'_>) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    link.to_str().unwrap().to_owned()
}

fn inode(fd: BorrowedFd<'_>) -> u64 {
    std::fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().ino()
}

#[test]
fn every_kind_of_file_has_a_type_and_a_name() {
    if !may_load_bpf("fd_dup") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = File::create(dir.path().join("file")).unwrap();
    let (pipe, _end) = nix::unistd::pipe().unwrap();
    let memory = memfd_create("vedette-dup", MFdFlags::MFD_CLOEXEC).unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
    let event = EventFd::new().unwrap();
    let signals = nix::sys::signalfd::SignalFd::new(&nix::sys::signal::SigSet::empty()).unwrap();
    let timer = nix::sys::timerfd::TimerFd::new(
        nix::sys::timerfd::ClockId::CLOCK_MONOTONIC,
        nix::sys::timerfd::TimerFlags::empty(),
    )
    .unwrap();
    let null = File::open("/dev/null").unwrap();
    let directory = File::open(dir.path()).unwrap();
    let files: [(BorrowedFd<'_>, &str, &str); 10] = [
        (file.as_fd(), "file", "f"),
        (directory.as_fd(), "directory", "d"),
        (null.as_fd(), "file", "f"),
        (pipe.as_fd(), "pipe", "p"),
        (memory.as_fd(), "memfd", "m"),
        (epoll.0.as_fd(), "eventpoll", "l"),
        (inotify.as_fd(), "inotify", "i"),
        (event.as_fd(), "event", "e"),
        (signals.as_fd(), "signalfd", "s"),
        (timer.as_fd(), "timerfd", "t"),
    ];
    let mut made: Vec<OwnedFd> = Vec::new();
    let records =
        record_all(CALLS, || made.extend(files.iter().map(|(fd, ..)| nix::unistd::dup(fd).unwrap())));
    for ((fd, kind, letter), copy) in files.iter().zip(&made) {
        let name = link(*fd);
        // A memory file is deleted from the beginning, and `/proc` says so.
        let name = name.trim_end_matches(" (deleted)");
        let record = of(&records, Call::Dup, copy.as_raw_fd());
        assert_fields(
            &record,
            &[
                ("evt.type", "dup"),
                ("evt.rawres", &copy.as_raw_fd().to_string()),
                ("fd.num", &copy.as_raw_fd().to_string()),
                ("fd.type", kind),
                ("fd.typechar", letter),
                ("fd.name", name),
                ("fd.ino", &inode(*fd).to_string()),
                ("evt.arg.res", &copy.as_raw_fd().to_string()),
                ("evt.rawarg.oldfd", &fd.as_raw_fd().to_string()),
                ("fd.sip", "<NA>"),
                ("fd.l4proto", "<NA>"),
            ],
        );
        if !name.starts_with('/') || *kind == "memfd" {
            // What lies in no directory has no path.
            let no_path =
                ["fd.directory", "fd.filename", "fd.realpath", "fd.containerdirectory"].map(|f| (f, "<NA>"));
            assert_fields(&record, &no_path);
        }
    }
    let record = of(&records, Call::Dup, made[0].as_raw_fd());
    assert_fields(&record, &[("fd.directory", dir.path().to_str().unwrap()), ("fd.filename", "file")]);
}

#[test]
fn sockets_have_both_ends() {
    if !may_load_bpf("fd_dup") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, far) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    let mut made: Vec<OwnedFd> = Vec::new();
    let records = record_all(CALLS, || {
        let all = [client.as_fd(), udp.as_fd(), unix.as_fd(), stream.as_fd(), listener.as_fd()];
        made.extend(all.iter().map(|fd| nix::unistd::dup(fd).unwrap()));
    });
    let of = |i: usize| of(&records, Call::Dup, OwnedFd::as_raw_fd(&made[i]));
    assert_fields(
        &of(0),
        &[
            ("fd.type", "ipv4"),
            ("fd.l4proto", "tcp"),
            ("fd.lport", &near.port().to_string()),
            ("fd.rport", &far.port().to_string()),
            ("fd.lip", "127.0.0.1"),
            ("fd.connected", "true"),
            ("fd.name_changed", "false"),
            ("fd.ino", &inode(client.as_fd()).to_string()),
            ("fd.directory", "<NA>"),
            ("fd.realpath", "<NA>"),
        ],
    );
    assert_fields(
        &of(1),
        &[
            ("fd.type", "ipv4"),
            ("fd.l4proto", "udp"),
            ("fd.connected", "false"),
            ("fd.name", &udp.local_addr().unwrap().to_string()),
            ("fd.rip", "<NA>"),
        ],
    );
    let path = path.to_str().unwrap();
    for i in [2, 3] {
        assert_fields(&of(i), &[("fd.type", "unix"), ("fd.name", path)]);
    }
    assert_fields(&of(4), &[("fd.is_server", "true"), ("fd.sport", &far.port().to_string())]);
}

#[test]
fn all_four_calls_and_nothing_else_of_fcntl() {
    if !may_load_bpf("fd_dup") {
        return;
    }
    let file = File::open("/dev/null").unwrap();
    let mut target = File::open("/dev/zero").unwrap().into();
    let mut third = File::open("/dev/zero").unwrap().into();
    let (mut at, mut again) = (0, 0);
    let records = record_all(CALLS, || {
        nix::unistd::dup2(&file, &mut target).unwrap();
        nix::unistd::dup3(&file, &mut third, OFlag::O_CLOEXEC).unwrap();
        at = fcntl(&file, FcntlArg::F_DUPFD(100)).unwrap();
        again = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(200)).unwrap();
        fcntl(&file, FcntlArg::F_GETFD).unwrap();
    });
    let old = file.as_raw_fd().to_string();
    let made = OwnedFd::as_raw_fd(&target);
    assert_fields(
        &of(&records, Call::Dup2, made),
        &[
            ("evt.rawarg.oldfd", &old),
            ("evt.rawarg.newfd", &made.to_string()),
            ("fd.name", "/dev/null"),
            ("evt.args", &format!("res={made} oldfd={old} newfd={made}")),
        ],
    );
    let made = OwnedFd::as_raw_fd(&third);
    assert_fields(
        &of(&records, Call::Dup3, made),
        &[("evt.arg.flags", "O_CLOEXEC"), ("fd.name", "/dev/null")],
    );
    for (made, command) in [(at, "F_DUPFD"), (again, "F_DUPFD_CLOEXEC")] {
        assert_fields(
            &of(&records, Call::Fcntl, made),
            &[("evt.arg.cmd", command), ("evt.rawarg.fd", &old), ("fd.name", "/dev/null")],
        );
        nix::unistd::close(made).unwrap();
    }
    let mine = |r: &Record<'_>| r.header.tgid == std::process::id() && r.call == Some(Call::Fcntl);
    let of_file = records.iter().filter(|r| mine(r) && field(r, "evt.rawarg.fd") == old);
    assert_eq!(of_file.count(), 2, "F_GETFD duplicates nothing");
}

#[test]
fn a_duplication_that_fails_has_no_descriptor() {
    if !may_load_bpf("fd_dup") {
        return;
    }
    let records = record_all(CALLS, || {
        let file = File::open("/dev/null").unwrap();
        assert!(fcntl(&file, FcntlArg::F_DUPFD(i32::MAX)).is_err());
    });
    assert_fields(
        &of(&records, Call::Fcntl, -1),
        &[
            ("evt.arg.res", "EINVAL"),
            ("evt.res", "EINVAL"),
            ("fd.type", "<NA>"),
            ("fd.name", "<NA>"),
            ("fd.ino", "<NA>"),
        ],
    );
}

#[test]
fn what_is_no_socket_is_reported_only_where_it_is_asked_for() {
    if !may_load_bpf("fd_dup") {
        return;
    }
    let mut made = Vec::new();
    let records = record(CALLS, || {
        made.push(nix::unistd::dup(File::open("/dev/null").unwrap()).unwrap());
        made.push(nix::unistd::dup(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap());
    });
    let mine = records.iter().filter(|r| r.header.tgid == std::process::id());
    let told: Vec<String> = mine.map(|r| field(&r, "fd.num")).collect();
    assert_eq!(told, [made[1].as_raw_fd().to_string()]);
}
