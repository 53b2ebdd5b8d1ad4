//! A view of this host in which nothing that is done lasts.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::scenes::Scene;

/// Mounts an overlay over `/` whose upper layer is in memory, makes it the root, and runs scenes that are named on
/// standard input, one after the other. `$1`: an empty directory; `$2`: the directory with the scenes.
const SETUP: &str = r#"
mount -t tmpfs -o size=75%,mode=755 noise "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mkdir -p run/lock run/noise run/sshd .host
cp "$2"/*.sh run/noise/
cp -L --remove-destination /etc/resolv.conf etc/resolv.conf 2>/dev/null || true
printf '#!/bin/sh\nexit 101\n' > usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
pivot_root . .host
cd /
umount -l /.host
rmdir /.host
echo prepared
while read -r name; do
  mkdir -p "/var/lib/noise/$name"
  cd "/var/lib/noise/$name"
  code=0
  setsid --wait sh -eu "/run/noise/$name.sh" > "/run/noise/$name.log" 2>&1 < /dev/null || code=$?
  cd /
  echo "ended $name $code"
done
"#;

/// What every scene begins with. `needs PROGRAM…` leaves the scene out where one is missing.
const PRELUDE: &str = r#"
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
needs() {
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "there is no $program"; exit 77; }
  done
}
on_terminal() { # SCRIPT: run on a terminal of its own, as root at a login does
  script -qec "$1" /dev/null
}
wait_for() { # COMMAND…: until it succeeds, ten seconds at most
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "gave up waiting for: $*"; return 1; }
    sleep 0.1
  done
}
"#;

/// The exit code of a scene that cannot be played here.
const LEFT_OUT: &str = "77";

/// How long the sandbox may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running sandbox. It ends, with all that runs in it, when it is dropped.
pub struct Sandbox {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

/// How a scene ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Done,
    /// It was not played, for this reason.
    LeftOut(String),
    /// It failed; the end of what it wrote.
    Failed(String),
}

impl Sandbox {
    /// Starts one with these scenes, below an empty directory.
    ///
    /// # Errors
    /// When the kernel does not allow it.
    pub fn start(scratch: &Path, scenes: &[&'static Scene]) -> Result<Self> {
        let (mount, scripts) = (scratch.join("sandbox"), scratch.join("scenes"));
        fs::create_dir_all(&mount)?;
        fs::create_dir_all(&scripts)?;
        for scene in scenes {
            let needs = format!("needs {}\n", scene.needs.join(" "));
            fs::write(scripts.join(format!("{}.sh", scene.name)), [PRELUDE, &needs, scene.script].concat())?;
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"]);
        command.args(["sh", "-euc", SETUP, "sandbox"]).args([&mount, &scripts]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("start unshare (util-linux)")?;
        let orders = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("the sandbox has no stdout"))?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let sandbox = Self { child, orders, answers };
        match sandbox.answer(PATIENCE)?.as_str() {
            "prepared" => Ok(sandbox),
            other => bail!("the sandbox said `{other}`"),
        }
    }

    /// The process above all others in it, in the eyes of the host.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Plays a scene to its end.
    ///
    /// # Errors
    /// When it does not end in time, or the sandbox is gone.
    pub fn perform(&mut self, scene: &Scene, patience: Duration) -> Result<Ended> {
        let orders = self.orders.as_mut().ok_or_else(|| anyhow!("the sandbox takes no orders"))?;
        writeln!(orders, "{}", scene.name)?;
        let answer = self
            .answer(patience)
            .with_context(|| format!("the scene `{}`; it said:\n{}", scene.name, self.log(scene, 5)))?;
        let code = answer.strip_prefix("ended ").and_then(|rest| rest.strip_prefix(scene.name));
        Ok(match code.map(str::trim) {
            Some("0") => Ended::Done,
            Some(LEFT_OUT) => Ended::LeftOut(self.log(scene, 1)),
            _ => Ended::Failed(self.log(scene, 15)),
        })
    }

    fn answer(&self, patience: Duration) -> Result<String> {
        self.answers.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => anyhow!("it did not end within {patience:?}"),
            RecvTimeoutError::Disconnected => anyhow!("the sandbox has ended"),
        })
    }

    /// The last lines that a scene wrote.
    fn log(&self, scene: &Scene, lines: usize) -> String {
        // The sandbox's own root is seen through the child of `unshare`, which is in its mounts.
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let child = fs::read_to_string(children).unwrap_or_default();
        let path = PathBuf::from(format!("/proc/{}/root/run/noise/{}.log", child.trim(), scene.name));
        let text =
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Killing `unshare` kills the first process of its pid namespace, and the kernel all others of it.
        self.orders = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
