//! Rules about links to files that matter.

use std::process::Command;

use super::{BUSYBOX, Case, by_helper, in_container};
use crate::{
    deed::{Deed, Twin},
    scene::Scene,
};

/// The helper makes a link, which is removed.
fn link(scene: &Scene, act: &str, event: &str, target: &str) -> (Deed, String) {
    let link = scene.stage.directory().join("link").display().to_string();
    let pid = scene.stage.run(&mut scene.stage.act([act, target, &link]));
    (by_helper(scene, pid, event, &format!("{act} {target} {link}")), link)
}

fn twin(scene: &Scene, act: &str, target: &str) -> Twin {
    let link = scene.stage.directory().join("link");
    Twin::Process(scene.stage.run(scene.stage.act([act, target]).arg(link)))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Create Symlink Over Sensitive Files",
        variant: "symlink",
        attack: |s| {
            let (deed, link) = link(s, "symlink", "symlink", "/etc/shadow");
            deed.with("evt.arg.target", "/etc/shadow").with("evt.arg.linkpath", link)
        },
        benign: |s| twin(s, "symlink", "/etc/hostname"),
    },
    Case {
        rule: "Create Symlink Over Sensitive Files",
        variant: "symlinkat",
        attack: |s| {
            let (deed, link) = link(s, "symlinkat", "symlinkat", "/root");
            deed.with("evt.arg.target", "/root").with("evt.arg.linkpath", link)
        },
        benign: |s| twin(s, "symlinkat", "/home"),
    },
    Case {
        rule: "Create Symlink Over Sensitive Files",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            container.exec(["ln", "-s", "/etc/sudoers", "/tmp/x"]);
            in_container(container, "symlink", BUSYBOX, "ln -s /etc/sudoers /tmp/x")
                .with("evt.arg.target", "/etc/sudoers")
                .with("evt.arg.linkpath", "/tmp/x")
        },
        benign: |s| {
            let container = s.container();
            container.exec(["ln", "-s", "/etc/hostname", "/tmp/x"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Create Hardlink Over Sensitive Files",
        variant: "",
        attack: |s| {
            let (deed, link) = link(s, "link", "linkat", "/etc/shadow");
            deed.with("evt.arg.oldpath", "/etc/shadow").with("evt.arg.newpath", link)
        },
        benign: |s| twin(s, "link", "/etc/passwd"),
    },
    Case {
        rule: "Create Hardlink Over Sensitive Files",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            container.exec(["ln", "/etc/shadow", "/etc/x"]);
            in_container(container, "link", BUSYBOX, "ln /etc/shadow /etc/x")
                .with("evt.arg.oldpath", "/etc/shadow")
                .with("evt.arg.newpath", "/etc/x")
        },
        benign: |s| {
            let container = s.container();
            container.exec(["ln", "/etc/hostname", "/etc/x"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Remove Bulk Data from Disk",
        variant: "",
        attack: |s| {
            let file = s.stage.file("data").display().to_string();
            let pid = s.stage.run(Command::new("shred").args(["-u", "-n", "1", &file]));
            super::on_host(
                pid,
                "execve",
                ("shred", "/usr/bin/shred".as_ref(), &format!("shred -u -n 1 {file}")),
            )
        },
        benign: |s| Twin::Process(s.stage.run(Command::new("rm").arg(s.stage.file("data")))),
    },
    Case {
        rule: "Remove Bulk Data from Disk",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            container.write("/tmp/data", "made by a test\n");
            container.exec(["shred", "-u", "/tmp/data"]);
            in_container(container, "execve", BUSYBOX, "shred -u /tmp/data")
        },
        benign: |s| {
            let container = s.container();
            container.write("/tmp/data", "made by a test\n");
            container.exec(["rm", "/tmp/data"]);
            Twin::Container(container)
        },
    },
];
