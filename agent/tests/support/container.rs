//! Real containers for tests: made by `runc` directly, or by a `containerd` of the test's own.
//!
//! No registry is asked: the image is made of Debian's static busybox and this test program as a helper
//! ([`Image`]). Everything lives in temporary directories and control groups of the test's own, and goes when the
//! test lets go of it.

// Each test target is a crate of its own, and none uses everything.
#![allow(dead_code, reason = "shared by test targets")]

#[path = "container/cgroups.rs"]
mod cgroups;
#[path = "container/containerd.rs"]
mod containerd;
#[path = "container/cri.rs"]
mod cri;
#[path = "container/image.rs"]
mod image;
#[path = "container/options.rs"]
mod options;
#[path = "container/runc.rs"]
mod runc;
#[path = "container/tools.rs"]
mod tools;

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::Arc,
};

#[allow(unused_imports, reason = "shared by test targets")]
pub use self::{
    cgroups::Groups,
    containerd::{Containerd, IMAGE},
    cri::{Pod, PodSpec, Pods, Security},
    image::{HELPER, Image},
    options::{Exec, Mount, Options},
    runc::Runc,
    tools::{busybox, missing, program},
};

/// What runs containers.
pub trait Runtime: Send + Sync {
    /// Starts a container and returns the pid of its first process, in the eyes of the host.
    fn start(&self, id: &str, options: &Options) -> u32;
    /// A command that starts another process in a container, and lives as long as that.
    fn exec(&self, id: &str, exec: &Exec) -> Command;
    /// Ends a container and forgets it.
    fn remove(&self, id: &str);
    /// The control group that this runtime gives a container by default, as a path in its hierarchy.
    fn cgroup(&self, id: &str) -> String;
}

/// A running container. It is ended when the test lets go of it.
pub struct Container {
    runtime: Arc<dyn Runtime>,
    id: String,
    pid: u32,
    cgroup: String,
}

impl Container {
    /// Starts one.
    pub fn run(runtime: &Arc<dyn Runtime>, options: Options) -> Self {
        let id = options.id.clone().unwrap_or_else(fresh_id);
        let cgroup = options.cgroup.clone().unwrap_or_else(|| runtime.cgroup(&id));
        let options = Options { cgroup: Some(cgroup.clone()), ..options };
        let pid = runtime.start(&id, &options);
        Self { runtime: Arc::clone(runtime), id, pid, cgroup }
    }

    /// 64 hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The first 12 of them, which is what people and rules use.
    pub fn short_id(&self) -> &str {
        &self.id[..12]
    }

    /// The pid of its first process, in the eyes of the host.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The path of its control group.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// A path in the container, in the eyes of the host.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }

    /// A file in the container, with this text.
    pub fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The command that runs a process in the container. Its streams are those of the command.
    pub fn command(&self, exec: &Exec) -> Command {
        self.runtime.exec(&self.id, exec)
    }

    /// Runs a process in the container to its end, which must be a good one.
    pub fn exec<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.exec_with(&Exec::new(args))
    }

    /// The same with more to say about it.
    pub fn exec_with(&self, exec: &Exec) -> Output {
        let output = self.try_exec(exec);
        assert!(output.status.success(), "{exec:?}: {output:?}");
        output
    }

    /// The same, whatever the end.
    pub fn try_exec(&self, exec: &Exec) -> Output {
        let mut command = self.command(exec);
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.runtime.remove(&self.id);
    }
}

/// An id that no other container has.
pub fn fresh_id() -> String {
    let mut bytes = [0; 32];
    let mut random = fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut random, &mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a command to its end, which must be a good one, and returns what it wrote to standard output.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
