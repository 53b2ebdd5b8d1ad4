//! Cases for the policy `persistence`.

use std::process::Command;

use super::{Case, os};

pub const CASES: &[Case] = &[
    Case {
        rule: "SSH authorized keys changed",
        attack: |s| {
            let file = s.file(".ssh/authorized_keys");
            s.shell("echo '# made by a test' >> \"$1\"", &[os(&file)])
        },
        benign: |s| {
            let (keys, known) = (s.file(".ssh/authorized_keys"), s.file(".ssh/known_hosts"));
            s.acts(&[&[os("read"), os(&keys)], &[os("append"), os(&known)]])
        },
    },
    Case {
        rule: "Shell profile changed",
        attack: |s| s.run(s.act(["create"]).arg(&s.place("/etc/profile.d").path)),
        benign: |s| {
            let (profile, other) = (s.file(".bashrc"), s.file(".config/tool.conf"));
            s.acts(&[
                &[os("read"), os(&profile)],
                &[os("read"), os("/etc/profile")],
                &[os("write"), os(&other)],
            ])
        },
    },
    Case {
        rule: "Scheduled job written",
        // A comment, in a file that cron passes over.
        attack: |s| {
            let place = s.place("/etc/cron.d");
            s.run(s.act(["create"]).arg(&place))
        },
        benign: |s| {
            let (draft, table) = (s.file("cron.d/job"), "/etc/crontab");
            s.shell(
                "ls /etc/cron.*; if [ -e \"$3\" ]; then cat \"$3\"; fi; \"$1\" --act write \"$2\"",
                &[os(&s.helper()), os(&draft), os(table)],
            )
        },
    },
    Case {
        rule: "Service or boot script written",
        // Without a suffix systemd takes no notice of it.
        attack: |s| {
            let place = s.place("/etc/systemd/system");
            s.run(s.act(["create"]).arg(&place))
        },
        benign: |s| {
            let unit = s.file("share/app.service");
            let script = "cat /usr/lib/systemd/system/*.service || true; \"$1\" --act write \"$2\"";
            s.shell(script, &[os(&s.helper()), os(&unit)])
        },
    },
    Case {
        rule: "Library forced into every program",
        // Only files that end in .conf are read there.
        attack: |s| {
            let place = s.place("/etc/ld.so.conf.d");
            s.run(s.act(["create"]).arg(&place))
        },
        benign: |s| s.run(&mut Command::new("/sbin/ldconfig")),
    },
    Case {
        rule: "Python start-up hook written",
        attack: |s| {
            let path = s.file("lib/python3/site-packages/readme").with_file_name("hook.pth");
            s.run(s.act(["create"]).arg(path))
        },
        benign: |s| {
            let path = s.file("lib/python3/site-packages/readme").with_file_name("package.pth");
            s.run(s.act_by(&s.named("pip3"), ["create"]).arg(path))
        },
    },
    Case {
        rule: "Account database written directly",
        // Opened, and left as it is.
        attack: |s| s.run(&mut s.act(["write", "/etc/passwd"])),
        benign: |s| {
            let of_image = s.file("rootfs/etc/passwd");
            s.acts(&[
                &[os("read"), os("/etc/passwd")],
                &[os("read"), os("/etc/group")],
                &[os("write"), os(&of_image)],
            ])
        },
    },
    Case {
        rule: "Rules of authentication changed",
        // A service of a name that no program uses.
        attack: |s| {
            let place = s.place("/etc/pam.d");
            s.run(s.act(["create"]).arg(&place))
        },
        benign: |s| {
            let of_image = s.file("rootfs/etc/pam.d/login");
            s.acts(&[&[os("read"), os("/etc/pam.d/common-auth")], &[os("write"), os(&of_image)]])
        },
    },
    Case {
        rule: "System program replaced",
        attack: |s| {
            let place = s.place("/usr/bin");
            s.run(s.act(["create"]).arg(&place))
        },
        benign: |s| {
            let place = s.place("/usr/local/bin");
            s.acts(&[&[os("read"), os("/usr/bin/env")], &[os("create"), os(&place)]])
        },
    },
];
