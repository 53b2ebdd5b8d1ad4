//! Names of this host, of made-up roots, and of a real mount namespace.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Child, Command, Stdio},
};

use vedette_event::ProcessKey;

use super::*;

fn process(tgid: u32, ns: u32) -> Process {
    let mut process = Process::unknown(ProcessKey { tgid, start: 1 });
    process.task.ns_mnt = ns;
    process
}

fn root(passwd: &str, group: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/passwd"), passwd).unwrap();
    fs::write(root.path().join("etc/group"), group).unwrap();
    root
}

/// Asks until the answer is the expected one, for longer than what was read counts as fresh.
fn wait_for(what: impl Fn() -> Option<Arc<str>>, expected: Option<&str>) {
    let end = Instant::now() + 10 * FRESH;
    loop {
        let name = what();
        if name.as_deref() == expected {
            return;
        }
        assert!(Instant::now() < end, "{name:?} instead of {expected:?}");
        std::thread::yield_now();
    }
}

#[test]
fn names_of_this_host() {
    let names = Names::of_host().unwrap();
    let own = process(std::process::id(), names.own.unwrap());
    wait_for(|| names.user(0, &own), Some("root"));
    wait_for(|| names.group(0, &own), Some("root"));
    assert_eq!(names.user(4_000_000_000, &own), None);
    let before = Instant::now();
    for _ in 0..10_000 {
        assert_eq!(names.user(4_000_000_000, &process(1, 0)), None);
    }
    assert!(before.elapsed() < 4 * WAIT, "an unknown user is not looked for every time");
}

#[test]
fn a_file_that_changes_is_read_again() {
    let root = root("a:x:1:1::/:\n", "g:x:5:\n");
    let names = Names::new(root.path(), "/proc").unwrap();
    let own = process(1, 0);
    wait_for(|| names.user(1, &own), Some("a"));
    wait_for(|| names.group(5, &own), Some("g"));
    fs::write(root.path().join("etc/passwd"), "bb:x:1:1::/:\nc:x:2:1::/:\n").unwrap();
    wait_for(|| names.user(2, &own), Some("c"));
    assert_eq!(names.user(1, &own).as_deref(), Some("bb"));
    fs::remove_file(root.path().join("etc/passwd")).unwrap();
    wait_for(|| names.user(3, &own), None);
    assert_eq!(names.user(1, &own).as_deref(), Some("bb"), "what is not there now is remembered");
}

#[test]
fn links_stay_inside_the_root_and_odd_files_do_not_count() {
    let with = root("", "");
    let etc = with.path().join("etc");
    fs::remove_file(etc.join("passwd")).unwrap();
    symlink("/etc/users", etc.join("passwd")).unwrap();
    fs::write(etc.join("users"), "inside:x:0:0::/:\n").unwrap();
    fs::remove_file(etc.join("group")).unwrap();
    let fifo = etc.join("group");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();

    let names = Names::new(with.path(), "/proc").unwrap();
    wait_for(|| names.user(0, &process(1, 0)), Some("inside"));
    assert_eq!(names.group(0, &process(1, 0)), None, "a FIFO");
}

#[test]
fn a_process_that_is_gone_or_in_another_namespace_has_no_names() {
    let names = Names::of_host().unwrap();
    assert_eq!(names.user(0, &process(std::process::id(), 12)), None, "it is not in namespace 12");
    assert_eq!(names.user(0, &process(u32::MAX, 13)), None);
}

#[test]
fn namespaces_are_bounded() {
    let names = Names::of_host().unwrap();
    for ns in 0..2 * NAMESPACES as u32 {
        let _ = names.shared.lock().find(ns + 100, Which::User, 0);
    }
    let spaces = names.shared.lock();
    assert_eq!(spaces.by_ns.len(), NAMESPACES);
    assert!(spaces.by_ns.contains_key(&(2 * NAMESPACES as u32 + 99)), "the last one used stays");
}

#[test]
fn the_names_of_a_process_that_is_gone_come_from_another_in_its_namespace() {
    let (proc, other, inside) = (tempfile::tempdir().unwrap(), root("", ""), root("captain:x:7:7::/:\n", ""));
    for (pid, ns, root) in [(5, 42, other.path()), (6, 43, inside.path())] {
        let directory = proc.path().join(pid.to_string());
        fs::create_dir_all(directory.join("ns")).unwrap();
        symlink(format!("mnt:[{ns}]"), directory.join("ns/mnt")).unwrap();
        symlink(root, directory.join("root")).unwrap();
    }
    let names = Names::new(other.path(), proc.path()).unwrap();
    wait_for(|| names.user(7, &process(99, 43)), Some("captain"));
    assert_eq!(names.user(7, &process(99, 42)), None);
    assert_eq!(names.user(7, &process(6, 42)), None, "6 is in another namespace");
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_in_another_mount_namespace_has_its_own_names() {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "needs root");
        eprintln!("skipped: needs root to make a mount namespace");
        return;
    }
    let other = root("captain:x:0:0::/:\n", "crew:x:0:\n");
    let script = format!(
        "mount --bind {0}/etc/passwd /etc/passwd && mount --bind {0}/etc/group /etc/group && exec sleep 60",
        other.path().display()
    );
    let child = Running(
        Command::new("unshare").args(["-m", "sh", "-c", &script]).stdin(Stdio::null()).spawn().unwrap(),
    );
    let pid = child.0.id();
    let end = Instant::now() + Duration::from_secs(10);
    while fs::read(format!("/proc/{pid}/comm")).unwrap() != b"sleep\n" {
        assert!(Instant::now() < end, "sleep does not start");
        std::thread::yield_now();
    }
    let names = Names::of_host().unwrap();
    let ns = Reader::new("/".into(), "/proc".into()).namespace_of(&pid.to_string()).unwrap();
    let inside = process(pid, ns);
    wait_for(|| names.user(0, &inside), Some("captain"));
    wait_for(|| names.group(0, &inside), Some("crew"));
    wait_for(|| names.user(0, &process(1, 0)), Some("root"));
}
