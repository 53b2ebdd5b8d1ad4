//! Cases for the policy `privilege-escalation`.

use std::{os::unix::net::UnixListener, path::PathBuf, process::Command};

use super::{Case, os};
use crate::stage::{Made, Stage};

/// A socket of a container runtime that this host does not have, with somebody who listens.
fn runtime_socket(stage: &Stage) -> (Made, UnixListener) {
    for path in ["/run/crio/crio.sock", "/run/podman/podman.sock", "/run/cri-dockerd.sock"].map(PathBuf::from)
    {
        if path.exists() {
            continue;
        }
        let mut place = stage.place(path.parent().and_then(|p| p.to_str()).unwrap());
        place.path = path;
        // Another test may have been quicker.
        if let Ok(listener) = UnixListener::bind(&place.path) {
            return (place, listener);
        }
        std::mem::take(&mut place.path);
    }
    panic!("this host has every container runtime");
}

/// The release agent of a control group where the host has one, else a file of that name.
fn release_agent(stage: &Stage) -> PathBuf {
    let groups = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let real = groups.map(|group| group.path().join("release_agent")).find(|path| path.exists());
    real.unwrap_or_else(|| stage.file("cgroup/release_agent"))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Container runtime socket used",
        attack: |s| {
            let (place, _listener) = runtime_socket(s);
            s.run(s.act(["connect-unix"]).arg(&place))
        },
        benign: |s| {
            let (place, _listener) = runtime_socket(s);
            s.run(s.act_by(&s.executable("crictl"), ["connect-unix"]).arg(&place))
        },
    },
    Case {
        rule: "Kernel helper program changed",
        // Opened, and nothing written.
        attack: |s| s.run(&mut s.act(["write", "/proc/sys/kernel/core_pattern"])),
        benign: |s| {
            s.acts(&[
                &[os("read"), os("/proc/sys/kernel/core_pattern")],
                &[os("write"), os("/proc/sys/kernel/printk")],
            ])
        },
    },
    Case {
        rule: "Cgroup release agent written",
        attack: |s| s.run(s.act(["write"]).arg(release_agent(s))),
        benign: |s| {
            let other = s.file("cgroup/notify_on_release");
            s.acts(&[&[os("read"), os(&release_agent(s))], &[os("write"), os(&other)]])
        },
    },
    Case {
        rule: "Set-uid program started with a hostile environment",
        attack: |s| {
            s.run(Command::new("/usr/bin/su").arg("--version").env("GLIBC_TUNABLES", "glibc.malloc.check=0"))
        },
        benign: |s| s.shell("/usr/bin/su --version; GLIBC_TUNABLES=glibc.malloc.check=0 /bin/true", &[]),
    },
];
