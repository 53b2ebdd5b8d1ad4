//! `file_change` and `file_mount`: each call made raw, and what the rules see of it held against what was done.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use harness::{Agent, Line, PATIENCE, may_load_bpf};

/// Event types of both kinds.
const TYPES: &str = "rename, renameat, renameat2, unlink, unlinkat, rmdir, mkdir, mkdirat, link, linkat, symlink, \
    symlinkat, mknod, mknodat, chmod, fchmod, fchmodat, fchmodat2, chown, lchown, fchown, fchownat, truncate, \
    ftruncate, setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr, utime, utimes, futimesat, \
    utimensat, mount, umount2, move_mount, open_tree, fsopen, fsconfig, fsmount, fspick, mount_setattr, pivot_root, \
    chroot";

fn agent(dir: &Path) -> Agent {
    let policy = dir.join("policy.yaml");
    let rule = format!(
        "- rule: Call\n  desc: d\n  condition: evt.type in ({TYPES})\n  \
         output: \"%evt.type %evt.res %fs.path.name %fs.path.nameraw %fs.path.source %fs.path.target %evt.abspath \
         %fd.name %fd.num %fd.ino %evt.args\"\n  priority: Notice\n"
    );
    fs::write(&policy, rule).unwrap();
    let policy = policy.to_str().unwrap();
    let agent =
        Agent::start(["run", "--no-default-policies", "--no-socket", "--output", "json", "--policy", policy]);
    agent.wait_ready(3 * PATIENCE);
    agent
}

/// Runs a script for perl, which makes raw calls, and returns its pid.
fn perl(prefix: &[&str], script: &str, args: &[&Path]) -> u32 {
    let mut words = prefix.to_vec();
    words.extend(["perl", "-e", script]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(args).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success(), "{script}");
    pid
}

fn field<'l>(line: &'l Line, name: &str) -> &'l serde_json::Value {
    &line.json.as_ref().unwrap()["output_fields"][name]
}

/// Waits for the call of a process, and holds the fields against what is expected.
fn expect(agent: &Agent, pid: u32, call: &str, args: &str, fields: &[(&str, &str)]) {
    let line = agent.expect_alert(0, "Call", |line| {
        line.is_of(pid) && field(line, "evt.type") == call && field(line, "evt.args") == args
    });
    for (name, expected) in fields {
        let found = field(&line, name);
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(found, *expected, "{name} of {call} {args}");
    }
}

/// `#` in what is expected stands for the directory.
struct Stage {
    dir: tempfile::TempDir,
    agent: Agent,
    _turn: MutexGuard<'static, ()>,
}

/// The tests take turns: each runs an agent, through whose programs every call of the machine passes.
static TURN: Mutex<()> = Mutex::new(());

impl Stage {
    fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::Builder::new().prefix("vedette-change-").tempdir_in("/var/lib").unwrap();
        let root = dir.path();
        fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("way")).unwrap();
        for name in ["real/a", "real/b", "real/c", "real/d"] {
            fs::write(root.join(name), "text").unwrap();
        }
        symlink("real/a", root.join("to-a")).unwrap();
        let agent = agent(root);
        Self { dir, agent, _turn: turn }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn expect(&self, pid: u32, call: &str, args: &str, fields: &[(&str, &str)]) {
        let root = self.root().to_str().unwrap();
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.replace('#', root))).collect();
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        expect(&self.agent, pid, call, &args.replace('#', root), &fields);
    }
}

#[test]
fn names_that_come_and_go() {
    if !may_load_bpf("file_change") {
        return;
    }
    let stage = Stage::new();
    // Numbers: arch/x86/entry/syscalls/syscall_64.tbl. Perl's strings have to be variables.
    let script = r#"
        chdir($ARGV[0]); $r = $ARGV[0]; sub c { my $n = shift; syscall($n, @_) >= 0 or die "$n: $!" }
        ($wa, $e, $wf, $f, $g, $h, $l, $m, $n, $d, $dd, $t, $s, $ss, $q, $qq, $none, $an) = ("$r/way/a", "$r/way/e", "way/f",
            "real/f", "g", "way/../real/h", "way/l", "m", "$r/way/n", "way/dir", "dir2", "../real/a", "way/s", "ss", "way/q", "qq",
            "way/none", "n");
        opendir(D, "real"); $fd = fileno(D);
        c(82, $wa, $e); c(264, -100, $wf = "way/e", $fd, $an = "f"); c(316, $fd, $an, -100, $g, 1);
        c(86, $g, $h); c(265, -100, $x = "to-a", $fd, $y = "k", 0);
        c(88, $t, $s); c(266, $t, $fd, $ss);
        c(83, $d, 0750); c(258, $fd, $dd, 0700); c(84, $d);
        c(133, $q, 010600, 0); c(259, -100, $qq, 020600, 0x103);
        c(87, $s); c(263, $fd, $dd, 0x200); syscall(87, $none);
    "#;
    let pid = perl(&[], script, &[stage.root()]);
    let fd = 3;
    stage.expect(
        pid,
        "rename",
        "res=0 oldpath=#/real/a newpath=#/real/e",
        &[
            ("evt.res", "SUCCESS"),
            ("fs.path.source", "#/real/a"),
            ("fs.path.target", "#/real/e"),
            ("evt.abspath", "#/real/a"),
            ("fs.path.name", "null"),
        ],
    );
    stage.expect(
        pid,
        "renameat",
        &format!("res=0 olddirfd=AT_FDCWD oldpath=#/real/e newdirfd={fd} newpath=#/real/f"),
        &[("fs.path.source", "#/real/e"), ("fs.path.target", "#/real/f")],
    );
    stage.expect(
        pid,
        "renameat2",
        &format!("res=0 olddirfd={fd} oldpath=#/real/f newdirfd=AT_FDCWD newpath=#/g flags=RENAME_NOREPLACE"),
        &[("fs.path.target", "#/g")],
    );
    stage.expect(
        pid,
        "link",
        "res=0 oldpath=#/g newpath=#/real/h",
        &[("fs.path.source", "#/real/h"), ("fs.path.target", "#/g")],
    );
    stage.expect(
        pid,
        "linkat",
        &format!("res=0 olddir=AT_FDCWD oldpath=#/to-a newdir={fd} newpath=#/real/k flags=0"),
        &[],
    );
    stage.expect(
        pid,
        "symlink",
        "res=0 target=../real/a linkpath=#/real/s",
        &[("fs.path.source", "#/real/s"), ("fs.path.target", "#/real/a"), ("evt.abspath", "#/real/s")],
    );
    stage.expect(pid, "symlinkat", &format!("res=0 target=../real/a linkdirfd={fd} linkpath=#/real/ss"), &[]);
    stage.expect(
        pid,
        "mkdir",
        "res=0 path=#/real/dir mode=0750",
        &[("fs.path.name", "#/real/dir"), ("fs.path.nameraw", "way/dir")],
    );
    stage.expect(pid, "mkdirat", &format!("res=0 dirfd={fd} path=#/real/dir2 mode=0700"), &[]);
    stage.expect(pid, "rmdir", "res=0 path=#/real/dir", &[]);
    stage.expect(pid, "mknod", "res=0 path=#/real/q mode=010600 dev=0x0", &[]);
    stage.expect(pid, "mknodat", "res=0 dirfd=AT_FDCWD path=#/qq mode=020600 dev=0x103", &[]);
    stage.expect(pid, "unlink", "res=0 path=#/real/s", &[("fs.path.name", "#/real/s")]);
    stage.expect(pid, "unlinkat", &format!("res=0 dirfd={fd} name=#/real/dir2 flags=AT_REMOVEDIR"), &[]);
    stage.expect(
        pid,
        "unlink",
        "res=ENOENT path=#/real/none",
        &[("evt.res", "ENOENT"), ("fs.path.name", "null"), ("evt.abspath", "#/real/none")],
    );
    assert!(stage.agent.terminate().status.success());
}

#[test]
fn what_inodes_say() {
    if !may_load_bpf("file_change") {
        return;
    }
    let stage = Stage::new();
    let script = r#"
        chdir($ARGV[0]); $r = $ARGV[0]; sub c { my $n = shift; syscall($n, @_) >= 0 or die "$n: $!" }
        ($toa, $b, $way, $x, $v) = ("to-a", "b", "$r/way/b", "user.vedette", "value");
        opendir(D, "real"); $fd = fileno(D); open(F, "+<", "real/c"); $f = fileno(F);
        c(90, $toa, 06755); c(91, $f, 0640); c(268, $fd, $b, 0); c(452, -100, $way, 01777, 0);
        c(92, $toa, 1, -1); c(94, $toa, 2, 3); c(93, $f, 4, 5); c(260, -100, $toa, 6, 7, 0x100);
        c(76, $way, 2); c(77, $f, 3);
        c(188, $toa, $x, $v, 5, 1); c(190, $f, $x, $v, 5, 0); c(197, $toa, $x); c(199, $f, $x);
        syscall(189, $toa, $x, $v, 5, 2); syscall(198, $toa, $x);
        $u = pack("qq", 100, 200); c(132, $way, $u); $w = pack("qqqq", 300, 0, 400, 0); c(235, $toa, $w);
        c(261, $fd, $b, $w); c(280, -100, $toa, $w, 0x100);
    "#;
    let pid = perl(&[], script, &[stage.root()]);
    let ino = fs::metadata(stage.root().join("real/c")).unwrap().ino().to_string();
    let of_c =
        [("fd.name", "#/real/c"), ("fd.num", "4"), ("fd.ino", ino.as_str()), ("fs.path.name", "#/real/c")];
    let mode = "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISGID|S_ISUID";
    let link = [("fs.path.name", "#/to-a")];
    let file = [("fs.path.name", "#/real/a"), ("fs.path.nameraw", "to-a"), ("fd.name", "null")];
    stage.expect(pid, "chmod", &format!("res=0 filename=#/real/a mode={mode}"), &file);
    stage.expect(pid, "fchmod", "res=0 fd=4 mode=S_IRGRP|S_IWUSR|S_IRUSR", &of_c);
    stage.expect(pid, "fchmodat", "res=0 dirfd=3 filename=#/real/b mode=0", &[]);
    let all = "S_IXOTH|S_IWOTH|S_IROTH|S_IXGRP|S_IWGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISVTX";
    stage.expect(
        pid,
        "fchmodat2",
        &format!("res=0 dirfd=AT_FDCWD filename=#/real/b mode={all} flags=0"),
        &[("fs.path.name", "#/real/b")],
    );
    stage.expect(pid, "chown", "res=0 path=#/real/a uid=1 gid=-1", &file);
    stage.expect(pid, "lchown", "res=0 path=#/to-a uid=2 gid=3", &link);
    stage.expect(pid, "fchown", "res=0 fd=4 uid=4 gid=5", &of_c);
    let nofollow = "AT_SYMLINK_NOFOLLOW";
    stage.expect(
        pid,
        "fchownat",
        &format!("res=0 dirfd=AT_FDCWD pathname=#/to-a uid=6 gid=7 flags={nofollow}"),
        &link,
    );
    stage.expect(pid, "truncate", "res=0 path=#/real/b length=2", &[]);
    stage.expect(pid, "ftruncate", "res=0 fd=4 length=3", &of_c);
    let attribute = "name=user.vedette";
    stage.expect(
        pid,
        "setxattr",
        &format!("res=0 path=#/real/a {attribute} size=5 flags=XATTR_CREATE"),
        &file,
    );
    stage.expect(pid, "fsetxattr", &format!("res=0 fd=4 {attribute} size=5 flags=0"), &of_c);
    stage.expect(pid, "removexattr", &format!("res=0 path=#/real/a {attribute}"), &file);
    stage.expect(pid, "fremovexattr", &format!("res=0 fd=4 {attribute}"), &of_c);
    // Links have no attributes of users.
    let refused = "res=EPERM path=#/to-a name=user.vedette";
    stage.expect(pid, "lsetxattr", &format!("{refused} size=5 flags=XATTR_REPLACE"), &[]);
    stage.expect(pid, "lremovexattr", refused, &[]);
    stage.expect(pid, "utime", "res=0 path=#/real/b atime=100 mtime=200", &[]);
    stage.expect(pid, "utimes", "res=0 path=#/real/a atime=300 mtime=400", &file);
    stage.expect(pid, "futimesat", "res=0 dirfd=3 path=#/real/b atime=300 mtime=400", &[]);
    stage.expect(
        pid,
        "utimensat",
        &format!("res=0 dirfd=AT_FDCWD path=#/to-a atime=300 mtime=400 flags={nofollow}"),
        &link,
    );
    assert!(stage.agent.terminate().status.success());
}

#[test]
fn mounts() {
    if !may_load_bpf("file_change") {
        return;
    }
    let stage = Stage::new();
    let script = r#"
        chdir($ARGV[0]); $r = $ARGV[0]; sub c { my $n = shift; my $x = syscall($n, @_); $x >= 0 or die "$n: $!"; $x }
        ($none, $way, $tmpfs, $real, $m, $e, $abs) = ("none", "way", "tmpfs", "real", "m", "", "$r/way");
        ($size, $value) = ("size", "1m"); $z = pack("q", 0);
        mkdir("m"); c(165, $none, $way, $tmpfs, 6, 0); c(165, $abs, $m, $none, 0x5000, 0); c(166, $m, 2); c(166, $way, 0);
        $t = c(428, -100, $way, 1); c(429, $t, $e, -100, $m, 4);
        $at = pack("QQQQ", 1, 0, 0, 0); c(442, -100, $m, 0, $at, 32); c(166, $m, 2);
        $s = c(430, $tmpfs, 0); c(431, $s, 1, $size, $value, 0); c(431, $s, 6, 0, 0, 0); c(432, $s, 0, 2);
        <STDIN>;
    "#;
    // It stays until everything has been looked at: its mount namespace goes with it.
    let mut child = Command::new("unshare")
        .args(["-m", "--propagation", "private", "perl", "-e", script])
        .arg(stage.root())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    stage.expect(
        pid,
        "mount",
        "res=0 dev=none dir=#/real type=tmpfs flags=NOSUID|NODEV",
        &[("fs.path.source", "none"), ("fs.path.target", "#/real")],
    );
    stage.expect(
        pid,
        "mount",
        "res=0 dev=#/way dir=#/m type=none flags=BIND|REC",
        &[("fs.path.source", "#/real"), ("fs.path.target", "#/m")],
    );
    stage.expect(pid, "umount2", "res=0 name=#/m flags=DETACH", &[("fs.path.name", "#/m")]);
    stage.expect(pid, "umount2", "res=0 name=#/real flags=0", &[]);
    stage.expect(pid, "open_tree", "fd=3 dirfd=AT_FDCWD path=#/real flags=OPEN_TREE_CLONE", &[]);
    stage.expect(
        pid,
        "move_mount",
        "res=0 from_dirfd=3 from_path=#/m to_dirfd=AT_FDCWD to_path=#/m flags=MOVE_MOUNT_F_EMPTY_PATH",
        &[],
    );
    stage.expect(
        pid,
        "mount_setattr",
        "res=0 dirfd=AT_FDCWD path=#/m flags=0 attr_set=MOUNT_ATTR_RDONLY attr_clr=0 propagation=0",
        &[],
    );
    stage.expect(pid, "fsopen", "fd=4 type=tmpfs flags=0", &[]);
    stage.expect(pid, "fsconfig", "res=0 fd=4 cmd=FSCONFIG_SET_STRING key=size value_charbuf=1m aux=0", &[]);
    stage.expect(pid, "fsconfig", "res=0 fd=4 cmd=FSCONFIG_CMD_CREATE aux=0", &[]);
    stage.expect(pid, "fsmount", "fd=5 fs_fd=4 flags=0 attr_flags=MOUNT_ATTR_NOSUID", &[]);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    // In a root of its own a path means something else.
    let script = r#"
        chdir($ARGV[0]); ($real, $a, $c, $link) = ("real", "/a", "/./c", "/link");
        syscall(161, $real) == 0 or die; syscall(87, $a) == 0 or die; chdir("/"); syscall(88, $c, $link) == 0 or die;
        syscall(90, $link, 0600) == 0 or die;
    "#;
    let pid = perl(&[], script, &[stage.root()]);
    stage.expect(pid, "chroot", "res=0 path=#/real", &[]);
    stage.expect(pid, "unlink", "res=0 path=#/real/a", &[("fs.path.nameraw", "/a")]);
    stage.expect(pid, "symlink", "res=0 target=/./c linkpath=#/real/link", &[]);
    stage.expect(pid, "chmod", "res=0 filename=#/real/c mode=S_IWUSR|S_IRUSR", &[]);
    assert!(stage.agent.terminate().status.success());
}
