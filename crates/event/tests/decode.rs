//! Decoding of whole, cut, stretched, damaged and random records.

use std::net::SocketAddr;

use proptest::prelude::*;
use vedette_event::{
    Body, DecodeError, ProcessKey,
    abi::{ABI_VERSION, Call, Header, Kind, NetCall, Ring},
    decode,
    testing::RecordBuilder,
};

const CAT: ProcessKey = ProcessKey { tgid: 7, start: 9 };
const SHELL: ProcessKey = ProcessKey { tgid: 5, start: 3 };

/// One record of every kind, with strings where there are any.
fn one_of_each() -> Vec<(Kind, Vec<u8>)> {
    vec![
        (Kind::Gap, RecordBuilder::gap(Ring::Events, 5, 3).build()),
        (Kind::ProcessFork, RecordBuilder::process_fork(CAT, SHELL).build()),
        (Kind::ProcessSnapshot, RecordBuilder::process_snapshot(CAT, SHELL).build()),
        (
            Kind::ProcessExec,
            RecordBuilder::process_exec(CAT, "/bin/cat", &["cat", "-n", ""])
                .cwd("/home")
                .env(&["A=1"])
                .build(),
        ),
        (Kind::ProcessExit, RecordBuilder::process_exit(CAT).status(256).build()),
        (Kind::CgroupMkdir, RecordBuilder::cgroup_mkdir(11, "/a/b").build()),
        (Kind::CgroupRmdir, RecordBuilder::cgroup_rmdir(11, "/a/b").build()),
        (Kind::FileOpen, RecordBuilder::file_open(CAT, "/etc/shadow", "/tmp/x").build()),
        (Kind::NetConnect, RecordBuilder::net_connect(CAT, SocketAddr::from(([1, 2, 3, 4], 80))).build()),
        (Kind::NetConnect, RecordBuilder::unix_connect(CAT, "\0abstract").build()),
        (Kind::ProcessChange, RecordBuilder::process_change(CAT, Some(Call::Setuid)).build()),
        (
            Kind::NetSocket,
            RecordBuilder::net_connect(CAT, SocketAddr::from(([1, 2, 3, 4], 80))).of(Call::Bind),
        ),
        (
            Kind::NetSend,
            RecordBuilder::net_connect(CAT, SocketAddr::from(([1, 2, 3, 4], 80))).of(Call::Sendto),
        ),
        (
            Kind::NetReceive,
            RecordBuilder::net_connect(CAT, SocketAddr::from(([1, 2, 3, 4], 80))).of(Call::Recvfrom),
        ),
        (Kind::FdDup, RecordBuilder::syscall(CAT, Call::Dup).build()),
        (Kind::FileChange, RecordBuilder::syscall(CAT, Call::Unlink).build()),
        (Kind::FileMount, RecordBuilder::syscall(CAT, Call::Mount).build()),
        (Kind::ProcessControl, RecordBuilder::syscall(CAT, Call::Ptrace).build()),
        (Kind::KernelControl, RecordBuilder::syscall(CAT, Call::Bpf).build()),
        (Kind::Memory, RecordBuilder::syscall(CAT, Call::Mmap).build()),
        (Kind::IoUring, RecordBuilder::syscall(CAT, Call::IoUringSetup).build()),
        (Kind::ExecFailed, RecordBuilder::syscall(CAT, Call::ExecveFailed).build()),
    ]
}

/// The record of another call on a socket.
trait Of {
    fn of(self, call: Call) -> Vec<u8>;
}

impl Of for RecordBuilder<NetCall> {
    fn of(mut self, call: Call) -> Vec<u8> {
        self.header.kind = call.kind() as u16;
        self.call(call).build()
    }
}

/// Offsets of the header's fields.
const LEN: usize = std::mem::offset_of!(Header, len);
const KIND: usize = std::mem::offset_of!(Header, kind);
const VERSION: usize = std::mem::offset_of!(Header, version);
const CALL: usize = std::mem::offset_of!(Header, call);

#[test]
fn every_kind_is_decoded() {
    let records = one_of_each();
    for kind in Kind::ALL {
        assert!(records.iter().any(|(k, _)| k == kind), "no record of kind {}", kind.name());
    }
    for (kind, bytes) in &records {
        let record = decode(bytes).unwrap();
        assert_eq!(record.kind, *kind);
        assert_eq!(record.header.len as usize, bytes.len());
    }
}

#[test]
fn strings_come_out_as_they_went_in() {
    let bytes =
        RecordBuilder::process_exec(CAT, "/bin/cat", &["cat", "-n", ""]).cwd("/home").env(&["A=1"]).build();
    let Body::ProcessExec { facts, exe, filename, cwd, argv, env, .. } = decode(&bytes).unwrap().body else {
        panic!()
    };
    assert_eq!((exe, filename, cwd), (&b"/bin/cat"[..], &b"/bin/cat"[..], &b"/home"[..]));
    assert_eq!((argv, env), (&b"cat\0-n\0\0"[..], &b"A=1\0"[..]));
    assert_eq!((facts.argc, facts.argv_total, facts.envc), (3, 8, 1));

    let bytes = RecordBuilder::file_open(CAT, "/gone", "x").ret(-2).cwd("/tmp").build();
    let Body::FileOpen { facts, path, raw, cwd, .. } = decode(&bytes).unwrap().body else { panic!() };
    assert_eq!((facts.ret, path, raw, cwd), (-2, &b""[..], &b"x"[..], &b"/tmp"[..]));

    let bytes = RecordBuilder::unix_connect(CAT, "\0abstract").build();
    let Body::NetCall { path, .. } = decode(&bytes).unwrap().body else { panic!() };
    assert_eq!(path, b"\0abstract");
}

#[test]
fn a_record_cut_at_any_byte_is_an_error() {
    for (kind, bytes) in one_of_each() {
        for cut in 0..bytes.len() {
            let error = decode(&bytes[..cut]).expect_err(kind.name());
            assert!(
                matches!(error, DecodeError::Cut { need, have, .. } if have < need),
                "{} cut at {cut}: {error}",
                kind.name()
            );
        }
    }
}

#[test]
fn a_ring_may_pad_to_eight_bytes_and_no_more() {
    for (kind, bytes) in one_of_each() {
        for more in 0..16 {
            let mut longer = bytes.clone();
            longer.resize(bytes.len() + more, 0xee);
            let result = decode(&longer);
            assert_eq!(result.is_ok(), more < 8, "{} with {more} bytes more: {result:?}", kind.name());
        }
    }
}

#[test]
fn a_length_that_is_not_the_sum_of_the_parts_is_an_error() {
    for (_, bytes) in one_of_each() {
        for len in [0, bytes.len() as u32 - 1, bytes.len() as u32 + 1, u32::MAX] {
            let mut wrong = bytes.clone();
            wrong[LEN..LEN + 4].copy_from_slice(&len.to_le_bytes());
            let said = len as usize;
            assert_eq!(decode(&wrong), Err(DecodeError::Length { said, found: bytes.len() }));
        }
    }
}

#[test]
fn unknown_versions_kinds_and_calls_are_named() {
    for (_, bytes) in one_of_each() {
        let with = |at: usize, value: u8| {
            let mut changed = bytes.clone();
            changed[at] = value;
            decode(&changed).map(|r| r.kind)
        };
        assert_eq!(with(VERSION, ABI_VERSION + 1), Err(DecodeError::Version { found: ABI_VERSION + 1 }));
        assert_eq!(
            with(KIND + 1, 0xff).map_err(|e| matches!(e, DecodeError::Kind(k) if k >= 0xff00)),
            Err(true)
        );
        assert_eq!(with(CALL, 0xff), Err(DecodeError::Call(0xff)));
    }
    let message = DecodeError::Version { found: 9 }.to_string();
    assert_eq!(message, format!("record of ABI version 9, this build reads version {ABI_VERSION}"));
}

#[test]
fn calls_are_optional() {
    let bytes = RecordBuilder::file_open(CAT, "/x", "/x").call(Call::Openat2).build();
    assert_eq!(decode(&bytes).unwrap().call, Some(Call::Openat2));
    let mut none = bytes;
    none[CALL] = 0;
    assert_eq!(decode(&none).unwrap().call, None);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_good_header_before_random_bytes_never_panics(
        kind in 0..32u8,
        rest in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut bytes = vec![0; size_of::<Header>()];
        bytes.extend(&rest);
        let len = bytes.len() as u32;
        bytes[LEN..LEN + 4].copy_from_slice(&len.to_le_bytes());
        bytes[KIND] = kind;
        bytes[VERSION] = ABI_VERSION;
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(record.kind as u16, u16::from(kind));
        }
    }

    #[test]
    fn a_damaged_record_never_panics(
        which in 0..10usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = one_of_each()[which].1.clone();
        for (at, value) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        let _ = decode(&bytes);
    }
}
