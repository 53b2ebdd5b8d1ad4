//! Containers by a `containerd` of the test's own, with its CRI plugin.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tempfile::TempDir;

use super::{Exec, Groups, Image, Options, Runtime, run, runc::in_terminal, tools};
use crate::wait;

/// How long containerd may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the image is called.
pub const IMAGE: &str = "registry.test/vedette/image:1.0";

/// The namespace in which the CRI plugin keeps its containers.
pub const CRI_NAMESPACE: &str = "k8s.io";

/// A containerd with directories of its own.
pub struct Containerd {
    daemon: Child,
    directory: TempDir,
    groups: Groups,
    running: Mutex<HashSet<String>>,
    execs: AtomicUsize,
}

impl Containerd {
    /// Starts it and gives it an image, under the name [`IMAGE`]. It ends with the thread that calls this.
    pub fn start(image: &Image) -> Arc<Self> {
        let directory = tempfile::Builder::new().prefix("vedette-containerd-").tempdir().unwrap();
        let path = directory.path();
        // Where a path of this host is looked for below our root, it is found.
        for place in ["tmp", "var"] {
            symlink(Path::new("/").join(place), path.join(place)).unwrap();
        }
        fs::write(path.join("config.toml"), configuration(path)).unwrap();
        // If this test is killed, containerd is, too.
        let mut daemon = tools::command("setpriv");
        daemon.args(["--pdeathsig", "KILL", "containerd", "--config"]).arg(path.join("config.toml"));
        let log = fs::File::create(path.join("log")).unwrap();
        let daemon = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let this = Self {
            daemon,
            directory,
            groups: Groups::new(),
            running: Mutex::default(),
            execs: AtomicUsize::new(0),
        };
        wait::until_some("containerd to answer", PATIENCE, || {
            let mut version = this.ctr();
            version.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            version.status().unwrap().success().then_some(())
        });
        let archive = image.archive(IMAGE, &["/bin/sleep", "600"]).unwrap();
        for namespace in ["default", CRI_NAMESPACE] {
            run(this.ctr().args(["--namespace", namespace, "images", "import"]).arg(&archive));
        }
        fs::remove_file(archive).unwrap();
        Arc::new(this)
    }

    /// Its control groups.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// A directory that looks like the root of a host with this containerd in the usual place, and with a place for
    /// runc's state, `run/runc`.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.root().join("run/containerd/containerd.sock")
    }

    /// `ctr`, which talks to it.
    pub fn ctr(&self) -> Command {
        let mut command = tools::command("ctr");
        command.arg("--address").arg(self.socket());
        command
    }

    /// Takes an image in from a tar, for its CRI.
    pub fn import(&self, tar: &Path) {
        run(self.ctr().args(["--namespace", CRI_NAMESPACE, "images", "import"]).arg(tar));
    }

    /// The names of the images that its CRI has.
    pub fn images(&self) -> Vec<String> {
        let all = run(self.ctr().args(["--namespace", CRI_NAMESPACE, "images", "list", "--quiet"]));
        all.lines().map(str::to_owned).collect()
    }

    /// Runs an image's program with an argument, in a container with a read-only root, and returns what it says.
    pub fn run_once(&self, image: &str, argument: &str) -> String {
        let number = self.execs.fetch_add(1, Relaxed);
        let (id, cgroup) = (format!("once-{number}"), self.groups.path(&format!("/once-{number}")));
        let mut command = self.ctr();
        command.args([
            "--namespace",
            CRI_NAMESPACE,
            "run",
            "--rm",
            "--read-only",
            "--cgroup",
            &cgroup,
            image,
            &id,
        ]);
        // What comes behind the id stands instead of the image's arguments, its entry point included.
        let program = image.rsplit('/').next().unwrap().split(':').next().unwrap();
        run(command.args([&format!("/usr/bin/{program}"), argument]))
    }

    /// The pid of a container's first process.
    pub fn pid_in(&self, namespace: &str, id: &str) -> u32 {
        let tasks = run(self.ctr().args(["--namespace", namespace, "tasks", "list"]));
        let task =
            tasks.lines().find_map(|line| line.strip_prefix(id)).unwrap_or_else(|| panic!("{id} in {tasks}"));
        task.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// A command that starts another process in a container of one of its namespaces.
    pub fn exec_in(&self, namespace: &str, id: &str, exec: &Exec) -> Command {
        let number = self.execs.fetch_add(1, Relaxed);
        let mut command = self.ctr();
        command.args(["--namespace", namespace, "tasks", "exec", "--exec-id", &format!("exec-{number}")]);
        command.args(["--user", &format!("{0}:{0}", exec.user), "--cwd", &exec.cwd]);
        if exec.terminal {
            command.arg("--tty");
        }
        command.arg(id).args(&exec.args);
        if exec.terminal { in_terminal(&command) } else { command }
    }
}

impl Runtime for Containerd {
    fn start(&self, id: &str, options: &Options) -> u32 {
        let mut command = self.ctr();
        command.args(["run", "--detach", "--cgroup", options.cgroup.as_deref().unwrap()]);
        if options.privileged {
            command.arg("--privileged");
        }
        for capability in &options.capabilities {
            command.args(["--cap-add", capability]);
        }
        for mount in &options.mounts {
            let source = mount.source.display();
            command.arg("--mount");
            command.arg(format!("type=bind,src={source},dst={},options=rbind:rw", mount.destination));
        }
        // Detached, nobody would keep its standard input open.
        let args: Vec<&str> = match options.args.as_slice() {
            [cat] if cat == "/bin/cat" => vec!["/bin/sleep", "600"],
            args => args.iter().map(String::as_str).collect(),
        };
        self.running.lock().unwrap().insert(id.to_owned());
        run(command.args([IMAGE, id]).args(args));
        self.pid_in("default", id)
    }

    fn exec(&self, id: &str, exec: &Exec) -> Command {
        self.exec_in("default", id, exec)
    }

    fn remove(&self, id: &str) {
        if !self.running.lock().unwrap().remove(id) {
            return;
        }
        // Each fails where the container never came so far.
        for arguments in [["tasks", "delete", "--force", id].as_slice(), &["containers", "delete", id]] {
            let mut command = self.ctr();
            let _ = command
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }

    fn cgroup(&self, id: &str) -> String {
        self.groups.path(&format!("/default/{id}"))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let ids: Vec<String> = self.running.get_mut().unwrap().iter().cloned().collect();
        for id in ids {
            self.remove(&id);
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Its configuration. The pause image is our image; what would need a network or more rights than tests have is off.
fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        r#"version = 2
root = "{directory}/lib"
state = "{directory}/run/containerd"
[grpc]
address = "{directory}/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/opt"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{IMAGE}"
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "{directory}/cni"
bin_dir = "{directory}/cni"
"#
    )
}
