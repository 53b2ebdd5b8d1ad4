//! A replay gives the alerts of the original.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::symlink, net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
};

use harness::{Agent, PATIENCE, may_load_bpf};
use vedette_event::{
    alert::Format,
    recording::{Blocks, Ending, Frame, Frames, Item},
};
use vedette_policy::{PolicySet, RuleMatching, load::read_sources, replay::replay};

/// Rules whose alerts say as much as they can about who did it: also about processes that were there before, about
/// users and groups, and about alerts held back.
fn policy(dir: &Path) -> String {
    format!(
        r#"
- rule: Marker read
  desc: A test reads its marker.
  condition: evt.type in (open, openat, openat2) and fd.name = {dir}/marker
  output: >
    %evt.num %evt.time.iso8601 %fd.name as %fd.nameraw by %proc.cmdline (%proc.pid) of %user.name %group.name
    below %proc.pname %proc.aname[2] %proc.aname[3] in %container.id session of %proc.sname
    after %evt.reltime %evt.deltatime at home in %user.homedir with %user.shell in %thread.cgroup.memory
    using %proc.nthreads %proc.vmsize %proc.vmrss %proc.vmswap %proc.fdopencount %proc.fdlimit %proc.fdusage
    %thread.pfminor %thread.pfmajor %thread.totexectime
  priority: Warning
  tags: [T1003.008]
- rule: Program in the directory
  desc: A test runs a program.
  condition: evt.type in (execve, execveat) and proc.cwd startswith {dir}
  output: "%evt.num %proc.exepath %proc.exeline by %user.name below %proc.pcmdline from %proc.cwd"
  priority: Notice
- rule: Opened again and again
  desc: A test reads a file.
  condition: evt.type in (open, openat, openat2) and fd.name = {dir}/often
  output: "%fd.name by %proc.name"
  priority: Notice
---
apiVersion: vedette.dev/v1alpha1
kind: ClusterSecurityPolicy
metadata: {{name: held}}
spec:
  rules:
    - name: Held back
      desc: A test reads a file often.
      condition: evt.type in (open, openat, openat2) and fd.name = "{dir}/often"
      output: "%fd.name by %proc.name"
      priority: Warning
      throttle: {{by: [proc.name], interval: 1h}}
    - name: Five times
      desc: A test reads a file often.
      condition: evt.type in (open, openat, openat2) and fd.name = "{dir}/often"
      threshold: {{count: 5, by: [fd.name], within: 1h}}
      output: "%fd.name five times"
      priority: Warning
"#,
        dir = dir.display()
    )
}

/// Records in a thread, and says so when the snapshot is there. The result is the whole recording.
fn record(socket: &Path) -> (std::thread::JoinHandle<Vec<u8>>, mpsc::Receiver<()>) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"{\"want\":\"recording\"}\n").unwrap();
    let (begun, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut blocks = Blocks::new(stream);
        let mut file = Vec::new();
        loop {
            match blocks.next_item().unwrap() {
                None => return file,
                Some(Item::Header(_)) => {}
                Some(Item::Block(payload)) => {
                    let mut frames = Frames::new(payload);
                    while let Some(frame) = frames.next_frame().unwrap() {
                        if matches!(frame, Frame::SnapshotEnd { .. }) {
                            begun.send(()).unwrap();
                        }
                    }
                }
            }
            file.extend_from_slice(blocks.raw());
        }
    });
    (thread, wait)
}

fn shell(dir: &Path, script: &str) {
    let status =
        Command::new("sh").current_dir(dir).args(["-c", script]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{script}");
}

#[test]
fn a_replay_gives_the_alerts_of_the_original_line_by_line() {
    if !may_load_bpf("recording") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().canonicalize().unwrap();
    for file in ["marker", "often"] {
        fs::write(dir.join(file), "x").unwrap();
    }
    symlink(dir.join("marker"), dir.join("innocent")).unwrap();
    let policies = dir.join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("a.yaml"), policy(&dir)).unwrap();
    // There before the agent: all it knows of this one is from /proc.
    let mut before = Command::new("sh")
        .current_dir(&dir)
        .args(["-c", "read line && cat innocent && sh -c 'cat ./marker; :'"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let socket = dir.join("agent.sock");
    let arguments = ["run", "--no-default-policies", "--output", "json", "--policy"].map(Into::into);
    let places = [policies.clone().into_os_string(), "--socket".into(), socket.clone().into_os_string()];
    let agent = Agent::start(arguments.into_iter().chain(places));
    agent.wait_ready(PATIENCE);

    // Before the recording, and so in the live alerts alone.
    shell(&dir, "cat marker");
    agent.expect_alert(0, "Marker read", |_| true);
    let (recording, begun) = record(&socket);
    begun.recv_timeout(PATIENCE).unwrap();

    before.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert!(before.wait().unwrap().success());
    shell(&dir, "for i in 1 2 3 4 5 6 7; do cat often; done");
    let mark = agent.stdout.mark();
    shell(&dir, "cat innocent; exec cat marker");
    agent.expect_alert(mark, "Marker read", |line| {
        line.at("output").as_str().is_some_and(|o| o.contains("/marker as"))
    });
    let ended = agent.terminate();
    let file = recording.join().unwrap();

    let set = PolicySet::load(read_sources([&policies]).unwrap()).set.unwrap();
    let mut replayed = Vec::new();
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    let (stats, ending) = replay(&*file, &set, RuleMatching::All, |raised| {
        Format::Json.write_line(&raised.alert, &mut replayed).unwrap();
        *counts.entry(raised.rule.name.clone()).or_default() += 1;
    });
    assert_eq!(ending.unwrap(), Ending::Complete);
    assert_eq!((stats.lost, stats.gap_lost, stats.undecodable, stats.unknown_frames), (0, 0, 0, 0));
    assert_eq!(counts["Marker read"], 4, "two by the process that was there before");
    assert_eq!(counts["Opened again and again"], 7);
    assert_eq!(counts["Held back"], 2, "the first, and the summary of the rest");
    assert_eq!(counts["Five times"], 1);
    assert!(counts["Program in the directory"] >= 10, "{counts:?}");

    let replayed = String::from_utf8(replayed).unwrap();
    let live: Vec<_> = ended.stdout.iter().map(|line| line.text.as_str()).collect();
    let replayed: Vec<_> = replayed.lines().collect();
    assert!(live.len() > replayed.len(), "the first alerts were before the recording");
    for (live, replayed) in live[live.len() - replayed.len()..].iter().zip(&replayed) {
        assert_eq!(live, replayed);
    }
}
