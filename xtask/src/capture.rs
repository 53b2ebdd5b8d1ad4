//! `cargo xtask capture`: the picture in the README, made of what the agent really says.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    agent, build_ebpf,
    setup::{self, Need},
    workspace::Workspace,
};

/// Where the picture is kept.
const PICTURE: &str = "docs/alerts.svg";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is done to be told of: as it is shown, and as it is run in a scratch directory.
const ACTIONS: &[(&str, &str)] = &[
    ("ln -s /etc/shadow /tmp/x; cat /tmp/x", "ln -sf /etc/shadow x && cat x >/dev/null"),
    (
        "cp /bin/ls /dev/shm/upd; /dev/shm/upd",
        "cp /bin/ls /dev/shm/upd && /dev/shm/upd >/dev/null; rm -f /dev/shm/upd",
    ),
    ("echo > ~/.ssh/authorized_keys", "mkdir -p .ssh && echo '# nobody' > .ssh/authorized_keys"),
];

/// Make docs/alerts.svg: start the agent with the built-in policies, do things it alerts on, draw what it says.
///
/// Needs root and a kernel with BTF, like `cargo xtask run`.
#[derive(clap::Args)]
pub struct Args {}

/// Makes the picture.
///
/// # Errors
/// When this host cannot run the agent, or an action raised no alert.
pub fn run(workspace: &Workspace, _args: &Args) -> Result<()> {
    if let Some(obstacle) = agent::obstacle("capture") {
        bail!(obstacle);
    }
    let tools = setup::ensure(workspace, Need::Build)?;
    build_ebpf::build(workspace, &tools, false)?;
    let binary = agent::build(workspace, None)?;
    let scratch = std::env::temp_dir().join(format!("vedette-capture-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let text = record(&binary, &scratch);
    fs::remove_dir_all(&scratch)?;
    let picture = anstyle_svg::Term::new().render_svg(&wrapped(&text?));
    let path = workspace.root().join(PICTURE);
    fs::write(&path, picture).with_context(|| format!("write {}", path.display()))?;
    eprintln!("{}", path.display());
    Ok(())
}

/// Runs the agent and the actions, and returns what a person would have seen.
fn record(binary: &Path, scratch: &Path) -> Result<String> {
    let mut child = Command::new(binary)
        .args(["run", "--output", "text", "--hostname", "node-1"])
        .env("CLICOLOR_FORCE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", binary.display()))?;
    let shown = watch(&mut child, scratch);
    if let Some(pid) = Pid::from_raw(i32::try_from(child.id())?) {
        kill_process(pid, Signal::TERM)?;
    }
    child.wait()?;
    shown
}

fn watch(child: &mut Child, scratch: &Path) -> Result<String> {
    let stderr = lines(child.stderr.take().ok_or_else(|| anyhow!("no stderr"))?);
    let stdout = lines(child.stdout.take().ok_or_else(|| anyhow!("no stdout"))?);
    let mut shown = "\u{1b}[1m$ cargo xtask run\u{1b}[0m\n".to_owned();
    loop {
        let line = stderr.recv_timeout(PATIENCE).context("the agent is not ready in time")?;
        if line.starts_with("ready") {
            shown += &format!("{line}\n");
            break;
        }
    }
    for (typed, command) in ACTIONS {
        let status =
            Command::new("sh").args(["-c", command]).current_dir(scratch).env("HOME", scratch).status()?;
        if !status.success() {
            bail!("`{command}` failed: {status}");
        }
        let line = stdout.recv_timeout(PATIENCE).with_context(|| format!("no alert on `{typed}`"))?;
        let line = without_our_ancestry(&line);
        shown += &format!("\u{1b}[2m                    # in another terminal: {typed}\u{1b}[0m\n{line}\n");
        settle(&stdout);
    }
    Ok(shown)
}

/// The line without what is above this command in the ancestry: that is the machine the picture was made on.
fn without_our_ancestry(line: &str) -> String {
    const OURS: &str = " ← xtask";
    let Some(at) = line.find(OURS) else { return line.to_owned() };
    // The ancestry is dimmed, and what to do comes after it.
    let rest = line[at..].find('\u{1b}').map_or("\u{1b}[0m", |end| &line[at + end..]);
    format!("{}{rest}", &line[..at])
}

/// Columns of the picture.
const COLUMNS: usize = 132;

/// Breaks long lines at blanks, as a terminal of that width would show them. Escape sequences take no room.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0;
        for word in line.split_inclusive(' ') {
            let width = visible(word);
            if column + width > COLUMNS && column > 0 {
                out.push_str("\n    ");
                column = 4;
            }
            out.push_str(word);
            column += width;
        }
        out.push('\n');
    }
    out
}

/// Characters that take room.
fn visible(word: &str) -> usize {
    let mut inside = false;
    let shown = |c: char| {
        match (inside, c) {
            (false, '\u{1b}') => inside = true,
            (true, 'm') => inside = false,
            (false, _) => return true,
            (true, _) => {}
        }
        false
    };
    word.chars().filter(|c| *c != '\n').map(shown).filter(|seen| *seen).count()
}

/// Takes further alerts of the same action away, until there are none for a moment.
fn settle(lines: &Receiver<String>) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && lines.recv_timeout(Duration::from_millis(300)).is_ok() {}
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_by_what_is_visible() {
        assert_eq!(visible("\u{1b}[31mred\u{1b}[0m "), 4);
        let long = format!("\u{1b}[1m{}\u{1b}[0m", "word ".repeat(30));
        let lines: Vec<String> = wrapped(&long).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|l| visible(l) <= COLUMNS));
    }
}
