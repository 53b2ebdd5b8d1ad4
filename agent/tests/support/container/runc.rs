//! Containers by `runc` alone, on overlayfs, with groups named as Docker names them.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use super::{Exec, Groups, Image, Options, Runtime, tools};
use crate::wait;

/// How long runc may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A runc with a state directory of its own.
pub struct Runc {
    directory: TempDir,
    state: PathBuf,
    image: Arc<Image>,
    groups: Groups,
    running: Mutex<HashMap<String, Running>>,
}

/// A container's runc, which ends with it. The container's first process reads from it, so that even if this test is
/// killed the container ends.
struct Running {
    runc: Child,
    bundle: PathBuf,
}

impl Runc {
    /// Containers from this image.
    pub fn new(image: Arc<Image>) -> Self {
        let directory = tempfile::Builder::new().prefix("vedette-runc-").tempdir().unwrap();
        let state = directory.path().join("state");
        Self { directory, state, image, groups: Groups::new(), running: Mutex::default() }
    }

    /// With its state in this directory.
    pub fn with_state(mut self, state: PathBuf) -> Self {
        self.state = state;
        self
    }

    /// Its control groups.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// `runc`, with our state directory.
    pub fn command(&self) -> Command {
        let mut command = tools::command("runc");
        command.arg("--root").arg(&self.state);
        command
    }

    /// A new bundle: a root file system whose upper layer is the container's own, and its description.
    fn bundle(&self, id: &str, options: &Options) -> PathBuf {
        let bundle = self.directory.path().join(id);
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(bundle.join(part)).unwrap();
        }
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            self.image.root().display(),
            bundle.join("upper").display(),
            bundle.join("work").display()
        );
        mount(
            Some("overlay"),
            &bundle.join("root"),
            Some("overlay"),
            MsFlags::empty(),
            Some(layers.as_str()),
        )
        .unwrap_or_else(|error| panic!("mount an overlayfs ({layers}): {error}"));
        fs::write(bundle.join("config.json"), options.config("root", true).to_string()).unwrap();
        bundle
    }
}

impl Runtime for Runc {
    fn start(&self, id: &str, options: &Options) -> u32 {
        let bundle = self.bundle(id, options);
        let (pid_file, log) = (bundle.join("pid"), bundle.join("log"));
        let mut command = self.command();
        command.arg("run").arg("--bundle").arg(&bundle).arg("--pid-file").arg(&pid_file).arg(id);
        let mut runc = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let pid = wait::until_some("a container to start", PATIENCE, || {
            if let Some(status) = runc.try_wait().unwrap() {
                panic!("runc ended with {status}: {}", fs::read_to_string(&log).unwrap_or_default());
            }
            started(&pid_file)
        });
        self.running.lock().unwrap().insert(id.to_owned(), Running { runc, bundle });
        pid
    }

    fn exec(&self, id: &str, exec: &Exec) -> Command {
        let mut command = self.command();
        command.args(["exec", "--user", &format!("{0}:{0}", exec.user), "--cwd", &exec.cwd]);
        if exec.terminal {
            command.arg("--tty");
        }
        command.arg(id).args(&exec.args);
        if exec.terminal { in_terminal(&command) } else { command }
    }

    fn remove(&self, id: &str) {
        let Some(Running { mut runc, bundle }) = self.running.lock().unwrap().remove(id) else { return };
        let mut delete = self.command();
        delete.args(["kill", id, "KILL"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Fails where it has ended by itself.
        let _ = delete.status();
        let _ = runc.wait();
        let _ = umount2(&bundle.join("root"), MntFlags::MNT_DETACH);
        let _ = fs::remove_dir_all(&bundle);
    }

    fn cgroup(&self, id: &str) -> String {
        self.groups.path(&format!("/docker/{id}"))
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let ids: Vec<String> = self.running.get_mut().unwrap().keys().cloned().collect();
        for id in ids {
            self.remove(&id);
        }
    }
}

/// The pid in a file that is written in one go once the container has started.
fn started(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file).ok()?.trim().parse().ok()
}

/// The same command in a terminal: `script` (in every Debian) makes one.
pub fn in_terminal(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted: Vec<String> =
        words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"))).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &format!("exec {}", quoted.join(" ")), "/dev/null"]);
    for (name, value) in command.get_envs() {
        terminal.env(name, value.unwrap_or_default());
    }
    terminal
}
