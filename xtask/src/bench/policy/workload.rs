//! A recording of this host while it does a bit of everything.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::daemon::Daemon;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{agent, build_ebpf, exec};

/// A rule for every kind of event that the sensor reports, which never matches.
const POLICY: &str = "\
- rule: Everything
  desc: Makes the agent ask for all events.
  condition: >
    evt.type in (open, openat, openat2, creat, connect, execve, execveat, clone, fork, vfork, clone3, procexit)
    and proc.name = no-program-has-this-name
  output: never
  priority: Debug
";

/// What people and services do: read many files, build, commit, run small programs, connect.
const WORKLOAD: &str = r#"
set -u
cd "$1"
find /usr/share /usr/lib -xdev -type f -size -64k 2>/dev/null | head -n 20000 | xargs -n 100 cat >/dev/null 2>&1
if command -v cc >/dev/null; then
    printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint main(void) { return puts("x"); }\n' >a.c
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do cc -O1 -o a a.c && ./a; done >/dev/null 2>&1
fi
if command -v git >/dev/null; then
    git init -q repository && cd repository
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        echo $i >file && git add file && git -c user.name=x -c user.email=x@x.invalid commit -qm $i && git log -1
    done >/dev/null 2>&1
    cd ..
fi
i=0
while [ $i -lt 500 ]; do
    i=$((i + 1))
    ls -l /etc | grep -c conf | cat >/dev/null
    id >/dev/null
    [ $((i % 25)) -eq 0 ] && bash -c 'for p in 1 7 9 13 4444; do (exec 3<>/dev/tcp/127.0.0.1/$p) 2>/dev/null; done'
done
exit 0
"#;

/// Time that starting and stopping may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rounds of the workload before giving up.
const MOST_ROUNDS: usize = 16;

/// Records until there are more than `events` records, and returns the file.
///
/// # Errors
/// The agent or `vedette record` does not build or run.
pub fn record(workspace: &Workspace, events: usize) -> Result<PathBuf> {
    let tools = setup::ensure(workspace, Need::Build)?;
    build_ebpf::build(workspace, &tools, false)?;
    let daemon = agent::build(workspace, None)?;
    let recorder = agent::build_bin(workspace, "vedette-cli", "vedette")?;

    let directory = workspace.root().join("target/bench");
    let scratch = directory.join("workload");
    // Left over from a run that was interrupted, or not there.
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let (policy, socket) = (directory.join("everything.yaml"), directory.join("agent.sock"));
    fs::write(&policy, POLICY)?;
    let file = directory.join("mixed.vrec");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let arguments = [
        "run",
        "--no-default-policies",
        "--events-ring",
        "64MiB",
        "--policy",
        &text(&policy),
        "--socket",
        &text(&socket),
    ];
    let daemon = Daemon::start(&daemon, &arguments.map(str::to_owned), PATIENCE)?;

    let mut rounds = 2;
    loop {
        eprintln!("recording the workload, {rounds} rounds");
        let recorded = record_rounds(&recorder, &file, &socket, &scratch, rounds)?;
        // Not every record is an event that rules are evaluated on.
        if recorded > events + events / 5 {
            break;
        }
        if rounds >= MOST_ROUNDS {
            bail!("the workload made only {recorded} records in {rounds} rounds");
        }
        rounds *= 2;
    }
    daemon.stop(PATIENCE)?;
    // What is left over does no harm.
    let _ = fs::remove_dir_all(&scratch);
    Ok(file)
}

/// Records while the workload runs, and returns the number of records.
fn record_rounds(
    recorder: &Path,
    file: &Path,
    socket: &Path,
    scratch: &Path,
    rounds: usize,
) -> Result<usize> {
    let mut command = exec::command(recorder);
    command.arg("record").arg("-o").arg(file).arg("--socket").arg(socket);
    let mut child = command.stderr(Stdio::piped()).spawn().context("start vedette record")?;
    let stderr = child.stderr.take().ok_or_else(|| anyhow!("vedette record has no stderr"))?;
    let worked = work(scratch, rounds);
    kill_process(Pid::from_child(&child), Signal::INT).context("stop vedette record")?;
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let recorded = lines.find_map(|line| line.strip_prefix("recorded ")?.split_once(' ')?.0.parse().ok());
    let status = child.wait()?;
    worked?;
    recorded.with_context(|| format!("vedette record ended with {status} and did not say what it recorded"))
}

fn work(scratch: &Path, rounds: usize) -> Result<()> {
    for round in 0..rounds {
        let directory = scratch.join(round.to_string());
        // Left over from an attempt with fewer rounds, or not there.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        let mut command = exec::command("sh");
        command.args(["-c", WORKLOAD, "workload"]).arg(&directory).stdin(Stdio::null()).stdout(Stdio::null());
        exec::run(&mut command)?;
    }
    Ok(())
}
