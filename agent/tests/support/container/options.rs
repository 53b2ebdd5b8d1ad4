//! What a test may ask of a container, and of a process in it.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use serde_json::{Value, json};

/// The capabilities of a container that nobody gave others: Docker's.
const DEFAULT_CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// A directory of the host that a container sees.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where it is on the host.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: String,
}

/// A container that is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// 64 hex digits; `None`: any.
    pub id: Option<String>,
    /// Path of its control group; `None`: as the runtime names it.
    pub cgroup: Option<String>,
    /// Name, where the runtime has names.
    pub name: Option<String>,
    /// Its first process. By default one that waits until the test is over.
    pub args: Vec<String>,
    /// Capabilities of its processes.
    pub capabilities: Vec<String>,
    /// All capabilities there are here, and nothing hidden or read-only.
    pub privileged: bool,
    /// Whether the first process has a terminal.
    pub terminal: bool,
    /// What it sees of the host.
    pub mounts: Vec<Mount>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            id: None,
            cgroup: None,
            name: None,
            args: vec!["/bin/cat".into()],
            capabilities: DEFAULT_CAPABILITIES.iter().map(|name| (*name).into()).collect(),
            privileged: false,
            terminal: false,
            mounts: Vec::new(),
        }
    }
}

impl Options {
    /// With these capabilities besides the default ones.
    pub fn with_capabilities(mut self, names: &[&str]) -> Self {
        self.capabilities.extend(names.iter().map(|name| (*name).into()));
        self
    }

    /// With a directory of the host.
    pub fn with_mount(mut self, source: impl Into<PathBuf>, destination: &str) -> Self {
        self.mounts.push(Mount { source: source.into(), destination: destination.into() });
        self
    }

    /// The capabilities it gets.
    fn granted(&self) -> Vec<String> {
        if self.privileged { own_capabilities() } else { self.capabilities.clone() }
    }

    /// The runtime's `config.json`, with a root directory.
    ///
    /// The format: <https://github.com/opencontainers/runtime-spec/blob/main/config.md>.
    pub fn config(&self, root: &str, writable: bool) -> Value {
        let granted = self.granted();
        let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}));
        let mut mounts = vec![
            json!({"destination": "/proc", "type": "proc", "source": "proc"}),
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
            json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}),
            json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "nodev", "mode=1777", "size=65536k"]}),
            json!({"destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]}),
        ];
        mounts.extend(self.mounts.iter().map(|mount| {
            json!({"destination": mount.destination, "type": "bind", "source": mount.source,
                "options": ["rbind", "rw"]})
        }));
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": self.terminal,
                "user": {"uid": 0, "gid": 0},
                "args": self.args,
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"],
                "cwd": "/",
                "capabilities": {"bounding": granted, "effective": granted, "permitted": granted},
            },
            "root": {"path": root, "readonly": !writable},
            "hostname": "test",
            "mounts": mounts,
            "linux": {
                "cgroupsPath": self.cgroup,
                "resources": {"devices": [{"allow": self.privileged, "access": "rwm"}]},
                "namespaces": namespaces,
                "maskedPaths": if self.privileged { vec![] } else { vec!["/proc/kcore", "/sys/firmware"] },
                "readonlyPaths": if self.privileged { vec![] } else { vec!["/proc/sys", "/proc/bus"] },
            },
        })
    }
}

/// The capabilities that this process may hand on.
fn own_capabilities() -> Vec<String> {
    let names = [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
    ];
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim();
    let bounding = u64::from_str_radix(bounding, 16).unwrap();
    let held = names.iter().enumerate().filter(|(number, _)| bounding >> number & 1 == 1);
    held.map(|(_, name)| format!("CAP_{name}")).collect()
}

/// Another process in a container.
#[derive(Clone, Debug)]
pub struct Exec {
    /// Program and arguments.
    pub args: Vec<OsString>,
    /// User and group.
    pub user: u32,
    /// Working directory.
    pub cwd: String,
    /// Whether it has a terminal.
    pub terminal: bool,
}

impl Exec {
    /// As root, in `/`, without a terminal.
    pub fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { args, user: 0, cwd: "/".into(), terminal: false }
    }

    /// As this user.
    pub fn user(mut self, uid: u32) -> Self {
        self.user = uid;
        self
    }

    /// In this directory.
    pub fn cwd(mut self, path: &str) -> Self {
        path.clone_into(&mut self.cwd);
        self
    }

    /// With a terminal of its own.
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }
}
