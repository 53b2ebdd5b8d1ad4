//! Cases for the policy `container-escape`.

use std::{os::unix::net::UnixListener, path::PathBuf};

use super::{Case, act, os};
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
        attacks: &[act("by_a_program", |s| {
            let (place, _listener) = runtime_socket(s);
            s.run(s.act(["connect-unix"]).arg(&place))
        })],
        evasions: &[],
        benign: &[act("crictl", |s| {
            let (place, _listener) = runtime_socket(s);
            s.run(s.act_by(&s.executable("crictl"), ["connect-unix"]).arg(&place))
        })],
    },
    Case {
        rule: "Kernel helper program changed",
        // Opened, and nothing written.
        attacks: &[act("core_pattern", |s| s.run(&mut s.act(["write", "/proc/sys/kernel/core_pattern"])))],
        evasions: &[],
        benign: &[act("read_and_other_setting", |s| {
            s.acts(&[
                &[os("read"), os("/proc/sys/kernel/core_pattern")],
                &[os("write"), os("/proc/sys/kernel/printk")],
            ])
        })],
    },
    Case {
        rule: "Cgroup release agent written",
        attacks: &[act("opened", |s| s.run(s.act(["write"]).arg(release_agent(s))))],
        evasions: &[],
        benign: &[act("read_and_other_file", |s| {
            let other = s.file("cgroup/notify_on_release");
            s.acts(&[&[os("read"), os(&release_agent(s))], &[os("write"), os(&other)]])
        })],
    },
];
