//! Opens and changes of files.

use std::path::{Path, PathBuf};

use io_uring::{opcode, types};
use vedette_abi::{
    Call, FileOpen, IORING_OP_OPENAT, IORING_OP_OPENAT2, IORING_OP_UNLINKAT, Syscall, header_flags,
};
use vedette_event::{Body, Record, Strings};

use crate::{
    ring::{MODES, Mode, c, close, may_run, ring, run},
    sensor::{Records, record},
};

pub const CWD: types::Fd = types::Fd(-100);

pub fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    (dir, root)
}

pub fn is(bytes: &[u8], path: &Path) -> bool {
    bytes == path.as_os_str().as_encoded_bytes()
}

/// The open with that path as passed.
pub fn open<'r>(records: &'r Records, raw: &Path) -> (Record<'r>, FileOpen, String) {
    let record = records
        .one(|r| matches!(&r.body, Body::FileOpen { raw: passed, .. } if is(passed, raw)) && is_mine(r));
    let Body::FileOpen { facts, path, .. } = record.body.clone() else { unreachable!() };
    (record, facts, String::from_utf8_lossy(path).into_owned())
}

/// The change whose first path was that one.
pub fn change<'r>(records: &'r Records, call: Call, raw: &Path) -> (Record<'r>, Syscall, Strings<'r>) {
    let record = records.one(|r| {
        matches!(&r.body, Body::Syscall { strings, .. } if is(strings.raw, raw))
            && r.call == Some(call)
            && is_mine(r)
    });
    let Body::Syscall { facts, strings } = record.body.clone() else { unreachable!() };
    (record, facts, strings)
}

/// Whether this process did it through io_uring.
pub fn is_mine(record: &Record<'_>) -> bool {
    record.header.tgid == std::process::id() && record.header.flags & header_flags::IO_URING != 0
}

#[test]
fn opens_are_reported_with_the_file_that_was_opened() {
    if !may_run() {
        return;
    }
    for mode in MODES {
        let (_dir, root) = place();
        let target = root.join("secret");
        std::fs::write(&target, "x").unwrap();
        let link = root.join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let nothing = root.join("nothing");
        let made = root.join("made");
        let how = types::OpenHow::new().flags(0o2_000_101).mode(0o640).resolve(4);
        let mut results = Vec::new();
        let records = record(&["openat", "openat2"], || {
            let mut ring = ring(mode, 8);
            let (link, nothing, made) = (c(&link), c(&nothing), c(&made));
            results = run(
                &mut ring,
                vec![
                    opcode::OpenAt::new(CWD, link.as_ptr()).flags(0o2_000_000).build(),
                    opcode::OpenAt::new(CWD, nothing.as_ptr()).build(),
                    opcode::OpenAt2::new(CWD, made.as_ptr(), &how).build(),
                ],
            );
        });
        close(&results);
        let (record, facts, path) = open(&records, &link);
        assert_eq!(path, target.to_str().unwrap(), "{mode:?}");
        assert_eq!((facts.ret, facts.flags, facts.dirfd), (i64::from(results[0]), 0o2_000_000, -100));
        assert_eq!(record.call, Some(Call::Openat));
        assert_eq!(record.header.io_uring_op, u32::from(IORING_OP_OPENAT));
        assert_eq!(record.header.flags & header_flags::SQPOLL != 0, mode == Mode::Polled);
        assert_eq!(
            facts.inode.ino,
            std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&target).unwrap())
        );

        let (_, facts, path) = open(&records, &nothing);
        assert_eq!((facts.ret, path.as_str()), (-2, ""));

        let (record, facts, path) = open(&records, &made);
        assert_eq!(path, made.to_str().unwrap());
        assert_eq!(record.call, Some(Call::Openat2));
        assert_eq!(record.header.io_uring_op, u32::from(IORING_OP_OPENAT2));
        assert_eq!((facts.flags, facts.mode, facts.resolve), (0o2_000_101, 0o640, 4));
    }
}

#[test]
fn names_are_changed_as_by_the_calls() {
    if !may_run() {
        return;
    }
    for mode in MODES {
        let (_dir, root) = place();
        let path = |name: &str| root.join(name);
        for name in ["old", "gone", "linked"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let types = ["unlinkat", "renameat2", "mkdirat", "symlinkat", "linkat"];
        let mut results = Vec::new();
        let records = record(&types, || {
            let mut ring = ring(mode, 8);
            let dir = std::fs::File::open(&root).unwrap();
            let dirfd = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&dir));
            let [old, new, gone, linked, to] = ["old", "new", "gone", "linked", "to"].map(|n| c(&path(n)));
            let (made, sym, relative) = (c(&path("made")), c(&path("sym")), c"target/of/it");
            let rest = c"missing";
            results = run(
                &mut ring,
                vec![
                    opcode::UnlinkAt::new(CWD, gone.as_ptr()).build(),
                    opcode::RenameAt::new(CWD, old.as_ptr(), CWD, new.as_ptr()).flags(1).build(),
                    opcode::MkDirAt::new(CWD, made.as_ptr()).mode(0o750).build(),
                    opcode::SymlinkAt::new(CWD, relative.as_ptr(), sym.as_ptr()).build(),
                    opcode::LinkAt::new(CWD, linked.as_ptr(), CWD, to.as_ptr()).build(),
                    opcode::UnlinkAt::new(dirfd, rest.as_ptr()).flags(0x200).build(),
                ],
            );
        });
        assert_eq!(results, [0, 0, 0, 0, 0, -2], "{mode:?}");
        let (record, facts, _) = change(&records, Call::Unlinkat, &path("gone"));
        assert_eq!((facts.ret, facts.args[0] as i32, facts.args[2]), (0, -100, 0));
        assert_eq!(record.header.io_uring_op, u32::from(IORING_OP_UNLINKAT));
        let (_, facts, strings) = change(&records, Call::Renameat2, &path("old"));
        assert!(is(strings.raw2, &path("new")));
        assert_eq!((facts.args[2] as i32, facts.args[4]), (-100, 1));
        let (_, facts, _) = change(&records, Call::Mkdirat, &path("made"));
        assert_eq!(facts.args[2], 0o750);
        let (_, _, strings) = change(&records, Call::Symlinkat, Path::new("target/of/it"));
        assert!(is(strings.raw2, &path("sym")));
        let (_, _, strings) = change(&records, Call::Linkat, &path("linked"));
        assert!(is(strings.raw2, &path("to")));
        let (_, facts, strings) = change(&records, Call::Unlinkat, Path::new("missing"));
        assert_eq!((facts.ret, facts.args[2]), (-2, 0x200));
        assert!(is(strings.base, &root), "{:?}", String::from_utf8_lossy(strings.base));
    }
}
