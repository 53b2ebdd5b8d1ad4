//! `process_exec`: the whole command line and who runs it, before the program's first instruction.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{
    fs::File,
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, PermissionsExt},
    },
    process::{Command, Stdio},
};

use calls::field;
use harness::may_load_bpf;
use sensor::{Records, record, record_plan};
use vedette_abi::{ARGV_CAP, EVERY_SCOPE, ProcessExec, path_flags};
use vedette_agent::sensor::Plan;
use vedette_event::{Body, Record, process::split_strings};

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
    let Body::ProcessExec { facts, exe, filename, cwd, argv, env, .. } = record.body else { unreachable!() };
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
        run(Command::new("script").args(["-qec", "/bin/true marker-tty", "/dev/null"]).stdout(Stdio::null()));
    });
    let seen = records.iter().find_map(|r| match r.body {
        Body::ProcessExec { facts, argv, .. } if argv == b"/bin/true\0marker-tty\0" => Some(facts.task),
        _ => None,
    });
    let task = seen.expect("the exec of true");
    assert_eq!(task.tty >> 20, 136, "a pseudo terminal (major 136)");
    assert_ne!(task.sid, nix::unistd::getsid(None).unwrap().as_raw().unsigned_abs(), "a session of its own");
}

/// The exec with these arguments and no others.
fn with_args<'r>(records: &'r Records, args: &str) -> Record<'r> {
    records.one(|r| matches!(r.body, Body::ProcessExec { argv, .. } if argv == args.as_bytes()))
}

fn facts(record: &Record<'_>) -> ProcessExec {
    match record.body {
        Body::ProcessExec { facts, .. } => facts,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn standard_descriptors_are_told_when_somebody_asks() {
    if !may_load_bpf("process_exec") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().canonicalize().unwrap().join("input");
    std::fs::write(&input, "").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let stream = TcpStream::connect(server).unwrap();
    let client = stream.local_addr().unwrap();
    let socket = OwnedFd::from(stream);
    let mut pipe = 0;
    let run_it = |marker: &str, pipe: &mut u64| {
        let mut child = Command::new("/bin/true")
            .arg(marker)
            .stdin(File::open(&input).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(socket.try_clone().unwrap()))
            .spawn()
            .unwrap();
        let end = File::from(OwnedFd::from(child.stdout.take().unwrap()));
        *pipe = end.metadata().unwrap().ino();
        child.wait().unwrap();
    };
    let mut plan = Plan::default();
    plan.want("execve", EVERY_SCOPE);
    let without = record_plan(&plan, || run_it("marker-without", &mut pipe));
    plan.want_stdio();
    let with = record_plan(&plan, || run_it("marker-stdio", &mut pipe));

    let unasked = with_args(&without, "/bin/true\0marker-without\0");
    assert!(facts(&unasked).stdio.iter().all(|file| file.mode == 0 && file.path_len == 0));
    assert_eq!(field(&unasked, "proc.stdin.name"), "Absent");

    let seen = with_args(&with, "/bin/true\0marker-stdio\0");
    let told =
        |name: &str| (field(&seen, &format!("proc.{name}.type")), field(&seen, &format!("proc.{name}.name")));
    let owned = |kind: &str, name: String| (kind.to_owned(), name);
    assert_eq!(told("stdin"), owned("file", input.display().to_string()));
    assert_eq!(told("stdout"), owned("pipe", format!("pipe:[{pipe}]")));
    assert_eq!(told("stderr"), owned("ipv4", format!("{client}->{server}")));
    let meta = std::fs::metadata(&input).unwrap();
    assert_eq!((facts(&seen).stdio[0].ino, facts(&seen).stdio[0].mode), (meta.ino(), meta.mode()));
}

#[test]
fn a_program_in_memory_is_told_from_a_file_that_has_been_removed() {
    if !may_load_bpf("process_exec") {
        return;
    }
    // What is open for writing cannot be run, so the file is opened again. Perl closes its own descriptors on an exec
    // unless told otherwise.
    let script = r#"
        use Fcntl; open(T, '<', '/bin/true') or die; local $/; $program = <T>;
        sub keep { fcntl($_[0], F_SETFD, 0) }
        if ($ARGV[0] eq 'removed') {
            $path = "/dev/shm/vedette-$$"; open(F, '>', $path) or die; print F $program; close F; chmod 0755, $path;
            open(F, '<', $path) or die; unlink $path; keep(\*F); exec("/proc/self/fd/" . fileno(F), 'marker-removed') or die;
        }
        $name = 'vedette-memory'; $fd = syscall(319, $name, 0); open(M, ">&=$fd") or die; syswrite(M, $program);
        open(R, '<', "/proc/self/fd/$fd") or die; close M; keep(\*R); $fd = fileno(R);
        exec("/proc/self/fd/$fd", 'marker-memory') or die if $ARGV[0] eq 'proc';
        $argv = 'marker-at'; $empty = ''; $vector = pack('pQ', $argv, 0); syscall(322, $fd, $empty, $vector, 0, 0x1000);
        die;
    "#;
    let records = record(&["execve", "execveat"], || {
        for how in ["proc", "at", "removed"] {
            run(Command::new("/usr/bin/perl").args(["-e", script, how]));
        }
    });
    let by_path = records
        .one(|r| matches!(r.body, Body::ProcessExec { argv, .. } if argv.ends_with(b"\0marker-memory\0")));
    let at = with_args(&records, "marker-at\0");
    for record in [&by_path, &at] {
        assert_eq!(field(record, "proc.is_exe_from_memfd"), "Bool(true)");
        assert_eq!(field(record, "proc.exepath"), "memfd:vedette-memory");
        assert!(field(record, "evt.arg.flags").contains("EXE_FROM_MEMFD"));
    }
    assert_eq!(field(&at, "evt.type"), "execveat");
    let removed = records
        .one(|r| matches!(r.body, Body::ProcessExec { argv, .. } if argv.ends_with(b"\0marker-removed\0")));
    assert_eq!(field(&removed, "proc.is_exe_from_memfd"), "Bool(false)");
    assert!(field(&removed, "proc.exepath").starts_with("/dev/shm/vedette-"));
    assert_ne!(facts(&removed).exe.path_flags & path_flags::DELETED, 0);
}

#[test]
fn who_may_write_to_the_program() {
    if !may_load_bpf("process_exec") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = root.join("program");
    std::fs::copy("/bin/true", &program).unwrap();
    let program = program.to_str().unwrap();
    let read_only = format!(
        "mount --bind {0} {0} && mount -o remount,ro,bind {0} && exec {program} read-only",
        root.display()
    );
    let records = record(&["execve"], || {
        run(Command::new(program).arg("root"));
        run(Command::new("setpriv").args(["--reuid=65534", "--clear-groups", program, "nobody"]));
        run(Command::new("unshare").args(["-m", "sh", "-c", &read_only]));
    });
    let flags = |arg: &str| {
        let record = with_args(&records, &format!("{program}\0{arg}\0"));
        (field(&record, "proc.is_exe_writable"), field(&record, "evt.arg.flags").contains("EXE_WRITABLE"))
    };
    assert_eq!(flags("root"), ("Bool(true)".to_owned(), true));
    assert_eq!(flags("nobody"), ("Bool(false)".to_owned(), false));
    assert_eq!(flags("read-only"), ("Bool(false)".to_owned(), false));
}

#[test]
fn a_pid_namespace_begins_with_its_first_process() {
    if !may_load_bpf("process_exec") {
        return;
    }
    let records = record(&["execve"], || {
        run(Command::new("/bin/true").arg("marker-own"));
        run(Command::new("unshare").args(["--pid", "--fork", "/bin/true", "marker-first"]));
    });
    let own = facts(&with_args(&records, "/bin/true\0marker-own\0")).task;
    let stat = std::fs::read_to_string("/proc/1/stat").unwrap();
    let ticks: u64 =
        stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(19).unwrap().parse().unwrap();
    assert_eq!(own.ns_pid_start / 10_000_000, ticks);
    let first = facts(&with_args(&records, "/bin/true\0marker-first\0")).task;
    assert_eq!((first.vpid, first.ns_pid_start), (1, first.start));
}
