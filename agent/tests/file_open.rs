//! `file_open`: what was opened, as the kernel resolved it, whatever the caller called it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use harness::may_load_bpf;
use sensor::{Records, record};
use vedette_abi::{Call, FileOpen, path_flags};
use vedette_event::{Body, Record};

const OPENS: &[&str] = &["open", "creat", "openat", "openat2"];
const FMODE_CREATED: u32 = 0x10_0000;

struct Place {
    _dir: tempfile::TempDir,
    root: PathBuf,
    target: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let target = root.join("secret");
        std::fs::write(&target, "x").unwrap();
        Self { _dir: dir, root, target }
    }
}

/// Makes raw system calls, so that no library puts another in their place. Perl is part of every Debian.
fn perl(script: &str, args: &[&Path]) -> u32 {
    let mut child = Command::new("perl").args(["-e", script]).args(args).spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success(), "{script}");
    pid
}

fn opened(record: Record<'_>) -> (FileOpen, String, String, Option<Call>) {
    let Body::FileOpen { facts, path, raw, .. } = record.body else { panic!("{record:?}") };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (facts, text(path), text(raw), record.call)
}

/// The open with that path as passed.
fn by_raw<'r>(records: &'r Records, pid: u32, wanted: &Path) -> Record<'r> {
    records.one(|r| {
        matches!(&r.body, Body::FileOpen { raw, .. } if *raw == wanted.as_os_str().as_encoded_bytes())
            && r.header.tgid == pid
    })
}

#[test]
fn each_call_of_the_family_is_seen_with_its_flags() {
    if !may_load_bpf("file_open") {
        return;
    }
    let place = Place::new();
    let made = place.root.join("made");
    let mut pids = Vec::new();
    let records = record(OPENS, || {
        // Numbers: arch/x86/entry/syscalls/syscall_64.tbl.
        pids.push(perl("syscall(2, $ARGV[0], 0) >= 0 or die", &[&place.target]));
        pids.push(perl("syscall(85, $ARGV[0], 0640) >= 0 or die", &[&made]));
        pids.push(perl("syscall(257, -100, $ARGV[0], 02000002) >= 0 or die", &[&place.target]));
        // struct open_how: flags, mode, resolve.
        pids.push(perl(
            "$how = pack('QQQ', 1, 0, 4); syscall(437, -100, $ARGV[0], $how, 24) >= 0 or die",
            &[&place.target],
        ));
    });
    let (open, path, raw, call) = opened(by_raw(&records, pids[0], &place.target));
    assert_eq!((call, open.flags), (Some(Call::Open), 0));
    assert_eq!(
        (path.as_str(), raw.as_str()),
        (place.target.to_str().unwrap(), place.target.to_str().unwrap())
    );
    let (creat, path, _, call) = opened(by_raw(&records, pids[1], &made));
    assert_eq!((call, creat.flags, creat.mode), (Some(Call::Creat), 0o1101, 0o640));
    assert_eq!(path, made.to_str().unwrap());
    assert_ne!(creat.f_mode & FMODE_CREATED, 0, "the kernel says that it made the file");
    let (openat, _, _, call) = opened(by_raw(&records, pids[2], &place.target));
    assert_eq!((call, openat.flags), (Some(Call::Openat), 0o2_000_002));
    assert_eq!(openat.f_mode & FMODE_CREATED, 0);
    let (openat2, _, _, call) = opened(by_raw(&records, pids[3], &place.target));
    assert_eq!((call, openat2.flags, openat2.resolve), (Some(Call::Openat2), 1, 4));
}

#[test]
fn the_file_is_described_as_stat_does() {
    if !may_load_bpf("file_open") {
        return;
    }
    let place = Place::new();
    let mut pid = 0;
    let records = record(OPENS, || pid = perl("open(F, '<', $ARGV[0]) or die", &[&place.target]));
    let (open, ..) = opened(by_raw(&records, pid, &place.target));
    let meta = std::fs::metadata(&place.target).unwrap();
    let device = (nix::sys::stat::major(meta.dev()) << 20 | nix::sys::stat::minor(meta.dev())) as u32;
    let inode = open.inode;
    assert_eq!(
        (inode.ino, inode.mode, inode.uid, inode.gid),
        (meta.ino(), meta.mode(), meta.uid(), meta.gid())
    );
    assert_eq!((inode.dev, u64::from(inode.nlink)), (device, meta.nlink()));
    assert_eq!((inode.mtime_sec, i64::from(inode.mtime_nsec)), (meta.mtime(), meta.mtime_nsec()));
    assert_eq!((inode.ctime_sec, i64::from(inode.ctime_nsec)), (meta.ctime(), meta.ctime_nsec()));
    assert_eq!(inode.path_flags, 0);
}

#[test]
fn no_detour_hides_what_is_opened() {
    if !may_load_bpf("file_open") {
        return;
    }
    let place = Place::new();
    let link = place.root.join("link");
    symlink(&place.target, &link).unwrap();
    std::fs::create_dir_all(place.root.join("a/b")).unwrap();
    let dots = place.root.join("a/b/../../a/../secret");
    let magic = PathBuf::from(format!("/proc/self/root{}", place.target.display()));
    let mut pids = Vec::new();
    let read = "open(F, '<', $ARGV[0]) or die";
    let records = record(OPENS, || {
        for way in [&link, &dots, &magic] {
            pids.push(perl(read, &[way]));
        }
        // Relative to the working directory, and to a descriptor.
        pids.push(perl("chdir($ARGV[0]) or die; open(F, '<', 'secret') or die", &[&place.root]));
        pids.push(perl(
            "opendir(D, $ARGV[0]) or die; $f = 'secret'; syscall(257, fileno(D), $f, 0) >= 0 or die",
            &[&place.root],
        ));
        // From a root of one's own.
        pids.push(perl("chroot($ARGV[0]) or die; open(F, '<', '/secret') or die", &[&place.root]));
    });
    let names = [link, dots, magic, "secret".into(), "secret".into(), "/secret".into()];
    for (pid, raw) in pids.iter().zip(names) {
        let (open, path, ..) = opened(by_raw(&records, *pid, &raw));
        assert_eq!(path, place.target.to_str().unwrap(), "{}", raw.display());
        assert!(open.ret >= 0);
    }
}

#[test]
fn a_failed_open_keeps_what_was_asked_for_and_from_where() {
    if !may_load_bpf("file_open") {
        return;
    }
    let place = Place::new();
    let mut pid = 0;
    let records =
        record(OPENS, || pid = perl("chdir($ARGV[0]); open(F, '<', 'nothing') and die", &[&place.root]));
    let record = by_raw(&records, pid, Path::new("nothing"));
    let Body::FileOpen { facts, path, cwd, .. } = &record.body else { panic!() };
    assert_eq!((facts.ret, path.len()), (-2, 0));
    assert_eq!(*cwd, place.root.as_os_str().as_encoded_bytes());
}

#[test]
fn a_file_without_a_name_is_marked() {
    if !may_load_bpf("file_open") {
        return;
    }
    let place = Place::new();
    let mut pid = 0;
    let script =
        "open(F, '<', $ARGV[0]) or die; unlink($ARGV[0]); open(G, '<', '/proc/self/fd/' . fileno(F)) or die";
    let records = record(OPENS, || pid = perl(script, &[&place.target]));
    let record = records.one(|r| {
        r.header.tgid == pid
            && matches!(&r.body, Body::FileOpen { raw, .. } if raw.starts_with(b"/proc/self/fd/"))
    });
    let (open, path, ..) = opened(record);
    assert_eq!(path, place.target.to_str().unwrap());
    assert_ne!(open.inode.path_flags & path_flags::DELETED, 0);
}

#[test]
fn a_path_deeper_than_a_page_is_cut_and_marked() {
    if !may_load_bpf("file_open") {
        return;
    }
    let place = Place::new();
    // Each step is short enough for one call; all together are longer than PATH_MAX.
    let script = r#"chdir($ARGV[0]) or die; $n = 'd' x 200; for (1..25) { mkdir $n; chdir $n or die } open(F, '>', 'deep') or die"#;
    let mut pid = 0;
    let records = record(OPENS, || pid = perl(script, &[&place.root]));
    let (open, path, ..) = opened(by_raw(&records, pid, Path::new("deep")));
    assert_ne!(open.inode.path_flags & path_flags::CUT, 0);
    assert!(path.ends_with("/deep") && path.len() > 3800, "{} bytes", path.len());
}
