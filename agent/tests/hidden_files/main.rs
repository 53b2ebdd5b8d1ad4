//! Tricks that are to hide a watched file: whatever the way to it, a rule that names it fires.
//!
//! One agent runs while all tests go on. Each trick reads the one file that the rules name by another way, and the
//! alert must be there, with the name that the rule knows; each has a twin that does the same with a file beside it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/harness.rs"]
mod harness;
mod race;
mod tricks;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use libtest_mimic::{Arguments, Failed, Trial};

use self::{
    harness::{Agent, PATIENCE},
    tricks::{TRICKS, Trick, Where},
};

/// Where everything happens, and the agent that watches.
pub struct Stage {
    dir: tempfile::TempDir,
    numbers: AtomicUsize,
    /// The agent.
    pub agent: Agent,
}

/// `output` says under which name the rule matched, what the kernel resolved, and what was asked for.
const OUTPUT: &str = "%fd.name|%fd.realpath|%fd.nameraw|%evt.type";

fn policy(root: &Path) -> String {
    format!(
        r#"
- rule: Watched
  desc: A test reads the watched file.
  condition: evt.type in (open, openat, openat2, open_by_handle_at) and fd.name = {root}/secret/file
  output: "{OUTPUT}"
  priority: Warning
- rule: In the directory
  desc: The same by its directory.
  condition: evt.type in (open, openat, openat2, open_by_handle_at) and fd.directory = {root}/secret and fd.filename = file
  output: "{OUTPUT}"
  priority: Warning
- rule: Sentinel
  desc: A test says that it is done.
  condition: evt.type in (open, openat) and fd.name startswith {root}/sentinel/
  output: "{OUTPUT}"
  priority: Notice
- rule: Not in the allowed place
  desc: A test reads a marked file elsewhere.
  condition: evt.type in (open, openat) and fd.filename = marked and not fd.name startswith {root}/allowed/
  output: "{OUTPUT}"
  priority: Notice
- rule: Linked
  desc: A test gives the watched file another name.
  condition: evt.type in (link, linkat) and evt.arg.oldpath = {root}/secret/file
  output: "%evt.arg.oldpath|%evt.arg.newpath|%fs.path.source|%fs.path.target"
  priority: Notice
- rule: Hostname of the kernel
  desc: A test reads a setting.
  condition: evt.type in (open, openat) and fd.name = /proc/sys/kernel/hostname
  output: "{OUTPUT}"
  priority: Notice
- rule: Memory of a process
  desc: A test opens the memory of a process.
  condition: evt.type in (open, openat) and fd.name glob /proc/*/mem
  output: "{OUTPUT}"
  priority: Notice
- rule: Raced
  desc: A test opens a file that is renamed meanwhile.
  condition: evt.type in (open, openat) and fd.name = {root}/race/file and evt.failed = false
  output: "{OUTPUT}"
  priority: Notice
"#,
        root = root.display()
    )
}

impl Stage {
    fn new() -> Self {
        // Not below /tmp, which may be a file system that tests mount things over.
        let dir = tempfile::Builder::new().prefix("vedette-hidden-").tempdir_in("/var/lib").unwrap();
        let root = dir.path();
        for name in ["secret", "sentinel", "allowed", "race"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        for name in ["secret/file", "secret/other", "secret/marked", "allowed/marked", "race/file"] {
            fs::write(root.join(name), "x").unwrap();
        }
        fs::write(root.join("policy.yaml"), policy(root)).unwrap();
        let agent = Agent::start([
            "run",
            "--no-default-policies",
            "--no-socket",
            "--output",
            "json",
            "--events-ring",
            "64MiB",
            "--policy",
            root.join("policy.yaml").to_str().unwrap(),
        ]);
        agent.wait_ready(3 * PATIENCE);
        Self { dir, numbers: AtomicUsize::new(0), agent }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    fn fresh(&self, prefix: &str) -> PathBuf {
        self.root().join(format!("{prefix}{}", self.numbers.fetch_add(1, Relaxed)))
    }

    /// Runs a trick on a file in `secret`, and returns the pid that it ran below.
    fn play(&self, trick: &Trick, file: &str) -> u32 {
        let work = self.fresh("work");
        fs::create_dir(&work).unwrap();
        let mut command = match trick.place {
            Where::Host => Command::new("sh"),
            Where::OwnMounts => {
                let mut unshare = Command::new("unshare");
                unshare.args(["-m", "--propagation", "private", "sh"]);
                unshare
            }
        };
        command.args(["-euc", trick.script, "sh"]).arg(self.root()).arg(&work).arg(file);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {output:?}", trick.name);
        pid
    }

    /// Waits until everything that has happened so far has been judged.
    fn settle(&self, mark: usize) {
        let sentinel = self.fresh("sentinel/");
        fs::write(&sentinel, "").unwrap();
        self.agent
            .expect_alert(mark, "Sentinel", |line| output(line).starts_with(sentinel.to_str().unwrap()));
    }
}

/// The values in the text of an alert, in the order of [`OUTPUT`], behind the time and the priority.
pub fn output(line: &harness::Line) -> &str {
    let text = line.at("output").as_str().unwrap_or_default();
    text.find('/').map_or(text, |at| &text[at..])
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !harness::may_load_bpf("hidden_files") {
        return ExitCode::SUCCESS;
    }
    let stage = Arc::new(Stage::new());
    let mut trials = Vec::new();
    for trick in TRICKS {
        let s = Arc::clone(&stage);
        trials.push(Trial::test(format!("seen::{}", trick.name), move || seen(trick, &s)));
        let s = Arc::clone(&stage);
        trials.push(Trial::test(format!("quiet::{}", trick.name), move || quiet(trick, &s)));
    }
    for (name, test) in [
        ("a_hard_link_is_seen_when_it_is_made", hard_link as fn(&Stage) -> Result<(), Failed>),
        ("what_a_rule_excludes_is_judged_under_each_name", negation),
        ("another_proc_is_proc", another_proc),
        ("files_of_proc_have_the_number_of_the_process", proc_self),
        ("a_file_that_is_renamed_while_it_is_opened", race::renamed_while_opening),
    ] {
        let s = Arc::clone(&stage);
        trials.push(Trial::test(name, move || test(&s)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let ended = Arc::into_inner(stage).unwrap().agent.terminate();
    assert!(ended.status.success(), "the agent ended with {}: {:?}", ended.status, ended.stderr);
    conclusion.exit_code()
}

/// Both rules fire, once for the one open.
fn seen(trick: &Trick, stage: &Stage) -> Result<(), Failed> {
    let mark = stage.agent.stdout.mark();
    let pid = stage.play(trick, "file");
    let watched = stage.root().join("secret/file").display().to_string();
    for rule in ["Watched", "In the directory"] {
        let alert = stage.agent.expect_alert(mark, rule, |line| line.is_of(pid));
        let parts: Vec<&str> = output(&alert).split('|').collect();
        assert_eq!(parts[0], watched, "{}: {}", trick.name, alert.text);
        assert_eq!(parts[3], trick.call, "{}", trick.name);
    }
    stage.settle(mark);
    let alerts = stage.agent.stdout.since(mark);
    let of = |rule: &str| alerts.iter().filter(|l| l.rule() == rule && l.is_of(pid)).count();
    assert_eq!((of("Watched"), of("In the directory")), (1, 1), "{}: {alerts:#?}", trick.name);
    Ok(())
}

/// The same way to another file says nothing.
fn quiet(trick: &Trick, stage: &Stage) -> Result<(), Failed> {
    let mark = stage.agent.stdout.mark();
    let pid = stage.play(trick, "other");
    stage.settle(mark);
    let raised: Vec<_> = stage.agent.stdout.since(mark).into_iter().filter(|l| l.is_of(pid)).collect();
    assert!(raised.is_empty(), "{}: {raised:#?}", trick.name);
    Ok(())
}

/// The kernel knows a file by the name it was opened by, and of other hard links only their number. So what is seen is
/// that such a link is made: with what it leads to.
fn hard_link(stage: &Stage) -> Result<(), Failed> {
    let mark = stage.agent.stdout.mark();
    let way = stage.fresh("way");
    std::os::unix::fs::symlink(stage.root().join("secret"), &way).unwrap();
    let link = stage.fresh("link");
    fs::hard_link(way.join("file"), &link).unwrap();
    let alert = stage.agent.expect_alert(mark, "Linked", |_| true);
    let watched = stage.root().join("secret/file");
    let expected =
        format!("{}|{}|{}|{}", watched.display(), link.display(), link.display(), watched.display());
    assert_eq!(output(&alert), expected);
    Ok(())
}

fn negation(stage: &Stage) -> Result<(), Failed> {
    let rule = "Not in the allowed place";
    let root = stage.root();
    let mark = stage.agent.stdout.mark();
    // In the allowed place under every name: nothing.
    fs::read(root.join("allowed/marked")).unwrap();
    fs::read(root.join("allowed/../allowed/marked")).unwrap();
    stage.settle(mark);
    assert!(stage.agent.stdout.since(mark).iter().all(|line| line.rule() != rule));
    // A link in the allowed place leads out of it.
    std::os::unix::fs::symlink(root.join("secret"), root.join("allowed/out")).unwrap();
    fs::read(root.join("allowed/out/marked")).unwrap();
    let alert = stage.agent.expect_alert(mark, rule, |_| true);
    assert!(output(&alert).starts_with(root.join("secret/marked").to_str().unwrap()), "{}", alert.text);
    // A way from elsewhere leads into it: the name that was asked for is not allowed.
    let mark = stage.agent.stdout.mark();
    let way = stage.fresh("way");
    std::os::unix::fs::symlink(root.join("allowed"), &way).unwrap();
    fs::read(way.join("marked")).unwrap();
    let alert = stage.agent.expect_alert(mark, rule, |_| true);
    assert!(output(&alert).starts_with(way.to_str().unwrap()), "{}", alert.text);
    assert!(output(&alert).contains(&format!("|{}/allowed/marked|", root.display())), "{}", alert.text);
    Ok(())
}

fn another_proc(stage: &Stage) -> Result<(), Failed> {
    for script in [
        r#"mkdir "$2/p"; mount -t proc none "$2/p"; cat "$2/p/sys/kernel/hostname""#,
        r#"mkdir "$2/s"; mount --bind /proc/sys/kernel "$2/s"; cat "$2/s/hostname""#,
        // A part of an instance that is nowhere to be seen as a whole.
        r#"mkdir "$2/p" "$2/s"; mount -t proc none "$2/p"; mount --bind "$2/p/sys" "$2/s"; umount "$2/p"; cat "$2/s/kernel/hostname""#,
        "cat /proc/sys/kernel/hostname",
    ] {
        let trick = Trick { name: "proc", place: Where::OwnMounts, call: "openat", script };
        let mark = stage.agent.stdout.mark();
        let pid = stage.play(&trick, "");
        stage.agent.expect_alert(mark, "Hostname of the kernel", |line| line.is_of(pid));
    }
    Ok(())
}

fn proc_self(stage: &Stage) -> Result<(), Failed> {
    for (path, expected) in
        [("/proc/self/mem", "/proc/{pid}/mem"), ("/proc/thread-self/mem", "/proc/{pid}/task/{pid}/mem")]
    {
        let script = format!(r#"exec perl -e 'open(F, "+<", "{path}") or die'"#);
        let mark = stage.agent.stdout.mark();
        let child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let pid = child.id();
        assert!(child.wait_with_output().unwrap().status.success());
        let alert = stage.agent.expect_alert(mark, "Memory of a process", |line| line.is_of(pid));
        let expected = expected.replace("{pid}", &pid.to_string());
        assert_eq!(output(&alert), format!("{expected}|{expected}|{path}|openat"));
    }
    Ok(())
}
