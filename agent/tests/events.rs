//! `vedette-agent events` as a person runs it: what it shows, what it leaves out, how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use harness::{Agent, Ended, Line, PATIENCE, may_load_bpf};
use nix::sys::signal::Signal;

/// These tests take turns: loading programs is work for the kernel, and several at a time can take longer than patience.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts it with what comes only of this test's own processes, unless told otherwise.
fn follow(args: &[&str]) -> Agent {
    let own = std::process::id().to_string();
    let all = ["events", "--pid", &own].iter().chain(args).map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let agent = Agent::start(all);
    agent.wait_ready(PATIENCE);
    agent
}

/// A program with a name of its own, so that nothing else is taken for it: `cat`, which reads a file.
struct Reader {
    _dir: tempfile::TempDir,
    file: std::path::PathBuf,
    link: std::path::PathBuf,
}

impl Reader {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (file, link) = (root.join("what it is"), root.join("link"));
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Self { _dir: dir, file, link }
    }

    /// Reads the file through the link, in a process of its own.
    fn read(&self) -> u32 {
        let mut child = Command::new("cat").arg(&self.link).stdout(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        assert!(child.wait().unwrap().success());
        pid
    }
}

/// Connects to a port of this host, in a process of its own.
fn connect() -> (u32, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    let mut child = Command::new("bash").args(["-c", &script]).spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    (pid, port)
}

fn find<'l>(lines: &'l [std::sync::Arc<Line>], wanted: impl Fn(&Line) -> bool, what: &str) -> &'l Line {
    lines.iter().find(|l| wanted(l)).unwrap_or_else(|| {
        let all: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
        panic!("{what} is not among\n{}", all.join("\n"))
    })
}

fn quietly(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.stderr);
    assert!(ended.took < PATIENCE);
}

#[test]
fn an_open_a_connect_and_an_exec_in_json_and_in_text() {
    if !may_load_bpf("events") {
        return;
    }
    let _turn = turn();
    let reader = Reader::new();
    let (json, text) = (follow(&[]), follow(&["--output", "text"]));
    let cat = reader.read();
    let (client, port) = connect();
    // Its end is the last that they do.
    let marks = [(&json, format!("\"proc.pid\":{client}")), (&text, format!("[{client}]"))];
    for (agent, mark) in marks {
        let last = agent.stdout.wait_for(PATIENCE, |l| l.text.contains("procexit") && l.text.contains(&mark));
        assert!(last.is_some(), "{mark} is not in {} lines; {}", agent.stdout.mark(), agent.stderr.text());
    }
    let (json, text) = (json.terminate(), text.end_with(Signal::SIGINT));
    quietly(&json);
    quietly(&text);
    assert!(json.stdout.iter().all(|l| l.json.is_some()), "each line is JSON");

    let is = |l: &Line, event: &str, pid: u32| {
        let field = |name: &str| l.json.as_ref().unwrap().get(name).cloned().unwrap_or_default();
        field("evt.type") == event && field("proc.pid") == pid
    };
    let field = |l: &Line, name: &str| l.json.as_ref().unwrap()[name].clone();
    let path = reader.file.to_str().unwrap();
    let link = reader.link.to_str().unwrap();

    let open = find(&json.stdout, |l| is(l, "openat", cat) && field(l, "fd.name") == path, "the open");
    assert_eq!((field(open, "fd.nameraw"), field(open, "evt.arg.flags")), (link.into(), "O_RDONLY".into()));
    assert_eq!((field(open, "evt.res"), field(open, "proc.name")), ("SUCCESS".into(), "cat".into()));
    let exec = find(&json.stdout, |l| is(l, "execve", cat), "the exec");
    assert_eq!(field(exec, "proc.cmdline"), format!("cat {link}"));
    assert_eq!(field(exec, "proc.ppid"), std::process::id());
    // A shell without a home asks the name service first, by another connect.
    let there = |l: &Line| is(l, "connect", client) && l.json.as_ref().unwrap().get("fd.sport").is_some();
    let call = find(&json.stdout, there, "the connect");
    assert_eq!((field(call, "fd.sport"), field(call, "fd.sip")), (port.into(), "127.0.0.1".into()));

    // It has blanks.
    let open = format!("name=\"{path}\", flags=O_RDONLY");
    let open = find(&text.stdout, |l| l.text.contains(&open), "the open");
    assert!(open.text.contains(&format!("host cat[{cat}] openat(fd=3, ")), "{}", open.text);
    assert!(open.text.ends_with(&format!(") = 3  fd.nameraw={link}")), "{}", open.text);
    let exec = format!("cat[{cat}] execve(res=0, exe=cat, args={link}, ");
    find(&text.stdout, |l| l.text.contains(&exec), "the exec");
    let (call, to) = (format!("bash[{client}] connect(res=0, "), format!("->127.0.0.1:{port}"));
    find(&text.stdout, |l| l.text.contains(&call) && l.text.contains(&to), "the connect");
    assert!(text.stdout.iter().all(|l| !l.text.contains('\x1b')), "no colour in a pipe");
}

#[test]
fn a_condition_filters_and_a_count_ends_it() {
    if !may_load_bpf("events") {
        return;
    }
    let _turn = turn();
    let reader = Reader::new();
    let path = reader.file.display();
    let condition = format!("opens and fd.name = \"{path}\"");
    let macros = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(macros.path(), "- macro: opens\n  condition: evt.type in (open, openat, openat2)\n")
        .unwrap();
    let macros = macros.path().to_str().unwrap();
    let agent = follow(&[
        "--where",
        &condition,
        "--macros",
        macros,
        "--count",
        "2",
        "--output",
        "text",
        "--fields",
        "proc.pid,fd.nameraw,fd.num",
    ]);
    let pids = [reader.read(), reader.read(), reader.read()];
    let ended = agent.wait_end(PATIENCE);
    quietly(&ended);
    let lines: Vec<String> =
        ended.stdout.iter().map(|l| l.text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let link = reader.link.display();
    let row = |pid: u32| format!("{pid} {link} 3");
    assert_eq!(lines, ["proc.pid fd.nameraw fd.num".to_owned(), row(pids[0]), row(pids[1])]);
    let said = ended.stderr.iter().map(|l| l.text.as_str()).collect::<Vec<_>>();
    assert!(said.iter().any(|line| line.starts_with("ready: open, openat, openat2;")), "{said:?}");
    assert_eq!(said.last(), Some(&"ended: 2 events printed, 0 records lost"));
}

#[test]
fn it_runs_beside_an_agent() {
    if !may_load_bpf("events") {
        return;
    }
    let _turn = turn();
    let agent = Agent::start(["run", "--no-socket", "--output", "json"]);
    agent.wait_ready(PATIENCE);
    let events = follow(&["--kinds", "openat", "--comm", "cat", "--count", "1"]);
    Reader::new().read();
    quietly(&events.wait_end(PATIENCE));
    quietly(&agent.terminate());
}

#[test]
fn a_control_group_that_comes_and_goes() {
    if !may_load_bpf("events") {
        return;
    }
    let _turn = turn();
    let hierarchy = vedette_agent::identity::Hierarchy::of_host().unwrap();
    let agent = Agent::start(["events", "--kinds", "cgroup_mkdir,cgroup_rmdir"]);
    agent.wait_ready(PATIENCE);
    let name = format!("vedette-events-{}", std::process::id());
    let directory = hierarchy.mount.join(&name);
    std::fs::create_dir(&directory).unwrap();
    std::fs::remove_dir(&directory).unwrap();
    for kind in ["cgroup_mkdir", "cgroup_rmdir"] {
        let is_it =
            |l: &Line| l.at("kind") == kind && l.at("path").as_str().unwrap_or_default().ends_with(&name);
        assert!(agent.stdout.wait_for(PATIENCE, is_it).is_some(), "{kind}: {}", agent.stdout.text());
    }
    quietly(&agent.terminate());
}

#[test]
fn when_nobody_reads_any_more_it_ends_without_a_word() {
    if !may_load_bpf("events") {
        return;
    }
    let _turn = turn();
    let reader = Reader::new();
    let own = std::process::id().to_string();
    let mut child = Agent::command()
        .args(["events", "--pid", &own])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    // What this kernel lacks comes first.
    assert!(stderr.by_ref().map_while(Result::ok).any(|line| line.starts_with("ready")));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    reader.read();
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.starts_with('{'), "{first}");
    drop(stdout);
    // Nothing happens any more that it could fail to write; it looks by itself. Its end closes the stream.
    let rest: Vec<String> = stderr.map_while(Result::ok).collect();
    assert_eq!(rest, [""; 0]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Runs it to its end without a kernel.
fn refused(args: &[&str]) -> Output {
    Agent::command().arg("events").args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_wrong_condition_is_pointed_at() {
    let output = refused(&["--where", "evt.type = openat and fd.nmae = /etc/shadow"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("--where:1:23") && text.contains("^^^^^^^"), "{text}");
    assert!(text.contains("did you mean `fd.name`?"), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_usage_is_answered_with_what_there_is() {
    for (args, hint) in [
        (["--kinds", "opnat"], "did you mean `openat`?"),
        (["--kinds", "nonsense-at-all"], "groups: all, file"),
        (["--fields", "proc.nmae"], "did you mean `proc.name`?"),
        (["--count", "0"], "0 is not in 1.."),
    ] {
        let output = refused(&args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(hint), "{text}");
    }
    let help = refused(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(text.contains("Examples:") && text.contains("--where"), "{text}");
}
