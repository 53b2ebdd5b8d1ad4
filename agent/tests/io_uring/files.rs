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
    let how = types::OpenHow::new().flags(0o2_000_101).mode(0o640).resolve(4);
    let mut done = Vec::new();
    let records = record(&["openat", "openat2"], || {
        for mode in MODES {
            let (dir, root) = place();
            let [target, link, nothing, made] = ["secret", "link", "nothing", "made"].map(|n| root.join(n));
            std::fs::write(&target, "x").unwrap();
            std::os::unix::fs::symlink(&target, &link).unwrap();
            let [to_link, to_nothing, to_made] = [&link, &nothing, &made].map(|p| c(p));
            let results = run(
                &mut ring(mode, 8),
                vec![
                    opcode::OpenAt::new(CWD, to_link.as_ptr()).flags(0o2_000_000).build(),
                    opcode::OpenAt::new(CWD, to_nothing.as_ptr()).build(),
                    opcode::OpenAt2::new(CWD, to_made.as_ptr(), &how).build(),
                ],
            );
            close(&results);
            done.push((mode, dir, target, link, nothing, made, results));
        }
    });
    for (mode, _dir, target, link, nothing, made, results) in done {
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
    let types = ["unlinkat", "renameat2", "mkdirat", "symlinkat", "linkat"];
    let target = |mode: Mode| PathBuf::from(format!("target/of/{mode:?}"));
    let missing = |mode: Mode| PathBuf::from(format!("missing-{mode:?}"));
    let mut done = Vec::new();
    let records = record(&types, || {
        for mode in MODES {
            let (dir, root) = place();
            for name in ["old", "gone", "linked"] {
                std::fs::write(root.join(name), "x").unwrap();
            }
            let directory = std::fs::File::open(&root).unwrap();
            let dirfd = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&directory));
            let [old, new, gone, linked, to, made, sym] =
                ["old", "new", "gone", "linked", "to", "made", "sym"].map(|n| c(&root.join(n)));
            let (target, missing) = (c(&target(mode)), c(&missing(mode)));
            let results = run(
                &mut ring(mode, 8),
                vec![
                    opcode::UnlinkAt::new(CWD, gone.as_ptr()).build(),
                    opcode::RenameAt::new(CWD, old.as_ptr(), CWD, new.as_ptr()).flags(1).build(),
                    opcode::MkDirAt::new(CWD, made.as_ptr()).mode(0o750).build(),
                    opcode::SymlinkAt::new(CWD, target.as_ptr(), sym.as_ptr()).build(),
                    opcode::LinkAt::new(CWD, linked.as_ptr(), CWD, to.as_ptr()).build(),
                    opcode::UnlinkAt::new(dirfd, missing.as_ptr()).flags(0x200).build(),
                ],
            );
            assert_eq!(results, [0, 0, 0, 0, 0, -2], "{mode:?}");
            done.push((mode, dir, root));
        }
    });
    for (mode, _dir, root) in done {
        let path = |name: &str| root.join(name);
        let (record, facts, _) = change(&records, Call::Unlinkat, &path("gone"));
        assert_eq!((facts.ret, facts.args[0] as i32, facts.args[2]), (0, -100, 0));
        assert_eq!(record.header.io_uring_op, u32::from(IORING_OP_UNLINKAT));
        let (_, facts, strings) = change(&records, Call::Renameat2, &path("old"));
        assert!(is(strings.raw2, &path("new")));
        assert_eq!((facts.args[2] as i32, facts.args[4]), (-100, 1));
        let (_, facts, _) = change(&records, Call::Mkdirat, &path("made"));
        assert_eq!(facts.args[2], 0o750);
        let (_, _, strings) = change(&records, Call::Symlinkat, &target(mode));
        assert!(is(strings.raw2, &path("sym")));
        let (_, _, strings) = change(&records, Call::Linkat, &path("linked"));
        assert!(is(strings.raw2, &path("to")));
        let (_, facts, strings) = change(&records, Call::Unlinkat, &missing(mode));
        assert_eq!((facts.ret, facts.args[2]), (-2, 0x200));
        assert!(is(strings.base, &root), "{:?}", String::from_utf8_lossy(strings.base));
    }
}
