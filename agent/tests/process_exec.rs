//! `process_exec`: the whole command line and who runs it, before the program's first instruction.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{os::unix::fs::PermissionsExt, process::Command};

use harness::may_load_bpf;
use sensor::{Records, record};
use vedette_abi::{ARGV_CAP, ProcessExec};
use vedette_event::{Body, process::split_strings};

struct Seen {
    facts: ProcessExec,
    exe: String,
    filename: String,
    cwd: String,
    args: Vec<String>,
    env: Vec<String>,
}

/// The exec of the process with this id whose arguments contain `marker`.
fn exec(records: &Records, pid: u32, marker: &str) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let record = records.one(|r| {
        matches!(&r.body, Body::ProcessExec { argv, .. } if text(argv).contains(marker))
            && r.header.tgid == pid
    });
    let Body::ProcessExec { facts, exe, filename, cwd, argv, env } = record.body else { unreachable!() };
    Seen {
        facts,
        exe: text(exe),
        filename: text(filename),
        cwd: text(cwd),
        args: split_strings(argv).map(text).collect(),
        env: split_strings(env).map(text).collect(),
    }
}

fn run(command: &mut Command) -> u32 {
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

#[test]
fn arguments_come_whole_up_to_8_kib_and_are_marked_when_cut() {
    if !may_load_bpf("process_exec") {
        return;
    }
    let (whole, cut) = ("w".repeat(5000), "c".repeat(20_000));
    let mut pids = (0, 0);
    let records = record(&["execve"], || {
        pids.0 = run(Command::new("/bin/true").args(["marker-whole", &whole, "", "last"]));
        pids.1 = run(Command::new("/bin/true").args(["marker-cut", &cut]));
    });
    let seen = exec(&records, pids.0, "marker-whole");
    assert_eq!(seen.args, ["/bin/true", "marker-whole", &whole, "", "last"]);
    assert_eq!((seen.facts.argc, seen.facts.argv_total), (5, u32::from(seen.facts.argv_len)));
    let seen = exec(&records, pids.1, "marker-cut");
    assert_eq!(usize::from(seen.facts.argv_len), ARGV_CAP - 1);
    assert_eq!(
        seen.facts.argv_total as usize,
        "/bin/true".len() + 1 + "marker-cut".len() + 1 + cut.len() + 1
    );
}

#[test]
fn the_program_its_name_and_its_place_are_told_apart() {
    if !may_load_bpf("process_exec") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let link = root.join("innocent");
    std::os::unix::fs::symlink("/bin/true", &link).unwrap();
    let script = root.join("script");
    std::fs::write(&script, "#!/bin/sh\ntrue\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut pids = (0, 0);
    let records = record(&["execve"], || {
        pids.0 =
            run(Command::new(&link).arg("marker-link").current_dir(&root).env_clear().env("VEDETTE", "yes"));
        pids.1 = run(Command::new(&script).arg("marker-script"));
    });
    let seen = exec(&records, pids.0, "marker-link");
    assert_eq!(seen.exe, std::fs::canonicalize("/bin/true").unwrap().to_str().unwrap());
    assert_eq!((seen.filename.as_str(), seen.cwd.as_str()), (link.to_str().unwrap(), root.to_str().unwrap()));
    assert_eq!(seen.facts.task.comm, *b"innocent\0\0\0\0\0\0\0\0");
    assert_eq!(seen.env, ["VEDETTE=yes"]);
    assert_eq!(seen.facts.task.parent_tgid, std::process::id());
    let seen = exec(&records, pids.1, "marker-script");
    assert_eq!(seen.exe, std::fs::canonicalize("/bin/sh").unwrap().to_str().unwrap(), "the interpreter runs");
    assert_eq!(seen.args[1], script.to_str().unwrap());
}

#[test]
fn ids_and_capabilities_are_those_after_the_exec() {
    if !may_load_bpf("process_exec") {
        return;
    }
    let mut pid = 0;
    let records = record(&["execve"], || {
        pid = run(Command::new("setpriv").args([
            "--reuid=65534",
            "--regid=65533",
            "--clear-groups",
            "--inh-caps=-all",
            "/bin/true",
            "marker-ids",
        ]));
    });
    // The exec of setpriv itself has the same words in its arguments.
    let seen = records.iter().filter(|r| r.header.tgid == pid).find_map(|r| match r.body {
        Body::ProcessExec { facts, argv, .. } if argv.starts_with(b"/bin/true\0") => Some(facts.task),
        _ => None,
    });
    let task = seen.expect("the exec of true");
    assert_eq!((task.uid, task.euid, task.fsuid, task.gid, task.egid), (65534, 65534, 65534, 65533, 65533));
    assert_eq!((task.cap_effective, task.cap_permitted), (0, 0));
    let own = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|t| t.trim().parse().ok());
    assert_eq!(task.loginuid, own.unwrap_or(u32::MAX));
    let namespace = |name: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        link.to_str().unwrap().split_once(":[").unwrap().1.trim_end_matches(']').parse::<u32>().unwrap()
    };
    for (name, read) in [
        ("mnt", task.ns_mnt),
        ("pid", task.ns_pid),
        ("net", task.ns_net),
        ("user", task.ns_user),
        ("uts", task.ns_uts),
        ("ipc", task.ns_ipc),
        ("cgroup", task.ns_cgroup),
    ] {
        assert_eq!(read, namespace(name), "{name}");
    }
}

#[test]
fn a_terminal_and_a_session_are_seen() {
    if !may_load_bpf("process_exec") {
        return;
    }
    let records = record(&["execve"], || {
        run(Command::new("script")
            .args(["-qec", "/bin/true marker-tty", "/dev/null"])
            .stdout(std::process::Stdio::null()));
    });
    let seen = records.iter().find_map(|r| match r.body {
        Body::ProcessExec { facts, argv, .. } if argv == b"/bin/true\0marker-tty\0" => Some(facts.task),
        _ => None,
    });
    let task = seen.expect("the exec of true");
    assert_eq!(task.tty >> 20, 136, "a pseudo terminal (major 136)");
    assert_ne!(task.sid, nix::unistd::getsid(None).unwrap().as_raw().unsigned_abs(), "a session of its own");
}
