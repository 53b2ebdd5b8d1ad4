//! Calls by the 32-bit entry are reported as what they are, though their numbers mean something else to 64-bit programs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(target_arch = "x86_64")]

#[path = "support/harness.rs"]
mod harness;
#[path = "raw/i386.rs"]
mod i386;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    ffi::CString,
    net::TcpListener,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use i386::{Low, call, native};
use sensor::{Records, record, record_plan};
use vedette_abi::{Call, EVERY_SCOPE, header_flags};
use vedette_agent::sensor::Plan;
use vedette_event::{Body, Record};

const AT_FDCWD: u32 = -100i32 as u32;

/// Whether the kernel has the 32-bit entry; otherwise says that it has not. It may be switched off at boot.
fn may_run() -> bool {
    if !harness::may_load_bpf("compat") {
        return false;
    }
    let config = std::fs::read_to_string("/proc/sys/abi/vsyscall32");
    if config.is_err() {
        eprintln!("compat: left out, because this kernel was built without CONFIG_IA32_EMULATION");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "in CI they must run");
        return false;
    }
    true
}

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    (dir, root)
}

/// The record of this process for that call and first path.
fn one<'r>(records: &'r Records, wanted: Call, path: &Path) -> Record<'r> {
    let record = records.one(|r| {
        let raw = match &r.body {
            Body::FileOpen { raw, .. } => raw,
            Body::Syscall { strings, .. } => strings.raw,
            _ => return false,
        };
        r.header.tgid == std::process::id()
            && r.call == Some(wanted)
            && raw == path.as_os_str().as_encoded_bytes()
    });
    assert_eq!(record.header.flags, header_flags::COMPAT, "{wanted:?}");
    record
}

#[test]
fn opens_by_the_32_bit_entry_are_opens() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let [open, openat, creat, missing] = ["open", "openat", "creat", "missing"].map(|n| root.join(n));
    std::fs::write(&open, "x").unwrap();
    std::fs::write(&openat, "x").unwrap();
    let mut low = Low::new();
    let mut fds = Vec::new();
    // Numbers: arch/x86/entry/syscalls/syscall_32.tbl.
    let records = record(&["open", "openat", "creat"], || {
        let [a, b, d, e] = [&open, &openat, &creat, &missing].map(|p| low.string(&c(p)));
        fds.push(call(5, &[a, 0o2]));
        fds.push(call(295, &[AT_FDCWD, b, 0o2_000_000, 0]));
        fds.push(call(8, &[d, 0o640]));
        assert_eq!(call(5, &[e, 0]), -2);
    });
    let expected = [
        (Call::Open, &open, 0o2, 0),
        (Call::Openat, &openat, 0o2_000_000, 0),
        (Call::Creat, &creat, 0o1101, 0o640),
    ];
    for ((wanted, path, flags, mode), fd) in expected.into_iter().zip(&fds) {
        assert!(*fd >= 0, "{wanted:?}: {fd}");
        let Body::FileOpen { facts, path: resolved, .. } = one(&records, wanted, path).body else { panic!() };
        assert_eq!((facts.ret, facts.flags, facts.mode), (i64::from(*fd), flags, mode), "{wanted:?}");
        assert_eq!((facts.dirfd, resolved), (-100, path.as_os_str().as_encoded_bytes()));
    }
    let Body::FileOpen { facts, .. } = one(&records, Call::Open, &missing).body else { panic!() };
    assert_eq!(facts.ret, -2);
    for fd in fds {
        nix::unistd::close(fd).unwrap();
    }
}

#[test]
fn changes_by_the_32_bit_entry_are_changes() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let [gone, old, new, mode, at] = ["gone", "old", "new", "mode", "at"].map(|n| root.join(n));
    for path in [&gone, &old, &mode, &at] {
        std::fs::write(path, "x").unwrap();
    }
    let mut low = Low::new();
    let records = record(&["unlink", "rename", "chmod", "unlinkat"], || {
        let [gone, old, new, mode, at] = [&gone, &old, &new, &mode, &at].map(|p| low.string(&c(p)));
        assert_eq!(call(10, &[gone]), 0);
        assert_eq!(call(38, &[old, new]), 0);
        assert_eq!(call(15, &[mode, 0o751]), 0);
        assert_eq!(call(301, &[AT_FDCWD, at, 0]), 0);
    });
    one(&records, Call::Unlink, &gone);
    let Body::Syscall { strings, .. } = one(&records, Call::Rename, &old).body else { panic!() };
    assert_eq!(strings.raw2, new.as_os_str().as_encoded_bytes());
    let Body::Syscall { facts, .. } = one(&records, Call::Chmod, &mode).body else { panic!() };
    assert_eq!((facts.ret, facts.args[1]), (0, 0o751));
    let Body::Syscall { facts, .. } = one(&records, Call::Unlinkat, &at).body else { panic!() };
    assert_eq!((facts.args[0] as i32, facts.args[1] >> 32), (-100, 0), "a pointer of 32 bits");
}

#[test]
fn connects_by_the_32_bit_entry_are_connects() {
    if !may_run() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut low = Low::new();
    let mut fd = -1;
    let records = record(&["connect"], || {
        let mut address = vec![2, 0];
        address.extend(port.to_be_bytes());
        address.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let address = low.put(&address);
        fd = call(359, &[2, 1, 0]);
        assert_eq!(call(362, &[fd as u32, address, 16]), 0);
    });
    let record = records.one(|r| {
        matches!(&r.body, Body::NetCall { facts, .. } if facts.socket.remote_port == port)
            && r.header.tgid == std::process::id()
    });
    assert_eq!((record.call, record.header.flags), (Some(Call::Connect), header_flags::COMPAT));
    let Body::NetCall { facts, .. } = record.body else { panic!() };
    assert_eq!((facts.ret, facts.fd, &facts.socket.remote[..4]), (0, fd, &[127, 0, 0, 1][..]));
    nix::unistd::close(fd).unwrap();
}

#[test]
fn processes_and_memory_by_the_32_bit_entry() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let missing = root.join("no-program");
    let mut low = Low::new();
    let mut at = 0;
    let mut plan = Plan::default();
    plan.want("mmap", EVERY_SCOPE);
    plan.want("setfsuid", EVERY_SCOPE);
    plan.want_failed_execs(EVERY_SCOPE);
    let records = record_plan(&plan, || {
        // The user id for file access it has already: nothing changes.
        assert_eq!(call(215, &[nix::unistd::geteuid().as_raw()]), nix::unistd::geteuid().as_raw() as i32);
        // mmap2: readable and executable, private and anonymous; the last argument is in pages.
        at = call(192, &[0, 4096, 5, 0x22, u32::MAX, 0]) as u32;
        let path = low.string(&c(&missing));
        let list = low.put(&[0; 8]);
        assert_eq!(call(11, &[path, list, list]), -2);
    });
    let mine = |r: &Record<'_>, wanted: Call| {
        r.header.tgid == std::process::id()
            && r.call == Some(wanted)
            && r.header.flags == header_flags::COMPAT
    };
    records.one(|r| mine(r, Call::Setfsuid) && matches!(&r.body, Body::ProcessChange { .. }));
    let Body::Syscall { facts, .. } = records.one(|r| mine(r, Call::Mmap)).body else { panic!() };
    // The kernel's own result register is not cut to 32 bits; an address of this entry fits anyway.
    assert_eq!((facts.ret as u64, facts.args[2], facts.args[4]), (at.into(), 5, u32::MAX.into()));
    let Body::Syscall { facts, strings } = records.one(|r| mine(r, Call::ExecveFailed)).body else {
        panic!()
    };
    assert_eq!((facts.ret, strings.raw), (-2, missing.as_os_str().as_encoded_bytes()));
}

#[test]
fn a_native_number_is_not_taken_for_a_32_bit_one() {
    if !may_run() {
        return;
    }
    let mut low = Low::new();
    let buffer = u64::from(low.put(&[0; 256]));
    let path = u64::from(low.string(c"/no/such/native"));
    let mut x32 = 0;
    let records = record(&["open", "unlink"], || {
        // 5 is open to i386 and fstat to x86-64; 10 is unlink and mprotect.
        assert_eq!(native(5, [0, buffer, 0, 0]), 0);
        assert_eq!(native(10, [buffer & !0xfff, 0, 3, 0]), 0);
        // x32 has the native numbers with a bit set.
        x32 = native(0x4000_0002, [path, 0, 0, 0]);
        if x32 == -1 {
            x32 = -i64::from(nix::errno::Errno::last_raw());
        }
    });
    let mine: Vec<_> = records
        .iter()
        .filter(|r| r.header.tgid == std::process::id())
        .filter(|r| matches!(r.call, Some(Call::Open | Call::Unlink)))
        .collect();
    // ENOSYS
    if x32 == -38 {
        eprintln!("compat: this kernel has no x32 entry, so that part is left out");
        assert!(mine.iter().all(|r| matches!(&r.body, Body::FileOpen { facts, .. } if facts.ret == -38)));
    } else {
        assert_eq!(mine.len(), 1, "{mine:?}");
    }
}
