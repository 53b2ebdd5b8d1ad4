//! Rules about reading and clearing files.

use std::{fs, process::Command};

use super::{BUSYBOX, Case, by_helper, in_container, on_host};
use crate::{container::HELPER, deed::Twin, scene::Scene};

/// From the stage to the root of the file system.
const UP: &str = "../../../..";

/// The helper reads a file by this name, from a directory that is four levels deep. Returns its pid.
fn read_by_name(scene: &Scene, name: &str) -> u32 {
    scene.stage.run(scene.stage.act(["read", name]).current_dir(scene.stage.directory()))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Directory traversal monitored file read",
        variant: "",
        attack: |s| {
            let raw = format!("{UP}/etc/passwd");
            by_helper(s, read_by_name(s, &raw), "openat", &format!("read {raw}"))
                .with("fd.name", "/etc/passwd")
                .with("fd.nameraw", raw)
        },
        benign: |s| Twin::Process(read_by_name(s, "/etc/../etc/passwd")),
    },
    Case {
        rule: "Directory traversal monitored file read",
        variant: "failed",
        attack: |s| {
            let raw = format!("{UP}/etc/vedette/none");
            let script = "cd \"$1\"; shift; exec \"$@\" || :";
            let helper = s.stage.helper();
            let directory = s.stage.directory();
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script, "sh"]).arg(directory).arg(&helper).args(["--act", "read", &raw]);
            let child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
            let pid = child.id();
            assert!(!child.wait_with_output().unwrap().status.success());
            by_helper(s, pid, "openat", &format!("read {raw}"))
                .with("fd.name", "/etc/vedette/none")
                .with("fd.nameraw", raw)
        },
        // A person in a shell may type such names.
        benign: |s| {
            let helper = s.stage.helper();
            Twin::Process(s.stage.shell(
                "cd \"$2\"; \"$1\" --act read ../../../../etc/passwd; :",
                &[helper.as_os_str(), s.stage.directory().as_os_str()],
            ))
        },
    },
    Case {
        rule: "Directory traversal monitored file read",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            let act = "read ../../etc/hostname";
            container.exec_with(
                &crate::container::Exec::new([HELPER, "--act", "read", "../../etc/hostname"]).cwd("/var/log"),
            );
            in_container(container, "openat", HELPER, &format!("helper --act {act}"))
                .with("fd.name", "/etc/hostname")
                .with("fd.nameraw", "../../etc/hostname")
        },
        benign: |s| {
            let container = s.container();
            container.exec_with(
                &crate::container::Exec::new([HELPER, "--act", "read", "../../bin/sh"]).cwd("/var/log"),
            );
            Twin::Container(container)
        },
    },
    Case {
        rule: "Read sensitive file trusted after startup",
        variant: "",
        attack: |s| {
            let pid = s.read_by_old_server("/etc/shadow".as_ref());
            on_host(pid, "openat", ("nginx", &s.stage.helper(), "nginx --act serve"))
                .with("fd.name", "/etc/shadow")
        },
        // What it reads when it starts is its business; and later, what is not secret.
        benign: |s| {
            s.read_by_old_server("/etc/passwd".as_ref());
            let nginx = s.stage.named("nginx");
            Twin::Process(s.stage.run(&mut s.stage.act_by(&nginx, ["read", "/etc/shadow"])))
        },
    },
    Case {
        rule: "Read sensitive file untrusted",
        variant: "",
        attack: |s| {
            let pid = s.stage.run(&mut s.stage.act(["read", "/etc/shadow"]));
            by_helper(s, pid, "openat", "read /etc/shadow").with("fd.name", "/etc/shadow")
        },
        benign: |s| Twin::Process(s.stage.run(Command::new("passwd").args(["-S", "root"]))),
    },
    Case {
        rule: "Read sensitive file untrusted",
        variant: "through_a_link",
        attack: |s| {
            let link = s.stage.link_to("/etc/pam.d");
            let (act, path) = ("read", link.join("login"));
            let pid = s.stage.run(s.stage.act([act]).arg(&path));
            by_helper(s, pid, "openat", &format!("read {}", path.display()))
                .with("fd.name", "/etc/pam.d/login")
        },
        benign: |s| Twin::Process(s.stage.shell("read line < /etc/pam.d/login; :", &[])),
    },
    Case {
        rule: "Read sensitive file untrusted",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            container.exec(["cat", "/etc/shadow"]);
            in_container(container, "openat", BUSYBOX, "cat /etc/shadow").with("fd.name", "/etc/shadow")
        },
        benign: |s| {
            let container = s.container();
            container.exec(["sh", "-c", "read line < /etc/shadow; cat /etc/passwd"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Clear Log Activities",
        variant: "",
        attack: |s| {
            let log = s.stage.place("/var/log");
            fs::write(&log.path, "made by a test\n").unwrap();
            let path = log.path.display().to_string();
            let pid = s.stage.run(&mut s.stage.act(["truncate", &path]));
            by_helper(s, pid, "openat", &format!("truncate {path}")).with("fd.name", path)
        },
        benign: |s| {
            let log = s.stage.place("/var/log");
            Twin::Process(s.stage.shell(
                "echo line >> \"$1\"; : > \"$2\"",
                &[log.as_ref(), s.stage.file("notes.txt").as_os_str()],
            ))
        },
    },
    Case {
        rule: "Clear Log Activities",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            container.exec(["sh", "-c", ": > /var/log/auth.log"]);
            in_container(container, "openat", BUSYBOX, "sh -c : > /var/log/auth.log")
                .with("fd.name", "/var/log/auth.log")
        },
        benign: |s| {
            let container = s.container();
            container.exec(["sh", "-c", ": >> /var/log/auth.log; : > /tmp/notes"]);
            Twin::Container(container)
        },
    },
];
