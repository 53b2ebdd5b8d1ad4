//! Cases for the policy `persistence`.

use std::process::Command;

use super::{Case, act, os};

pub const CASES: &[Case] = &[
    Case {
        rule: "SSH authorized keys changed",
        attacks: &[act("by_a_program", |s| {
            let file = s.file(".ssh/authorized_keys");
            s.shell("echo '# made by a test' >> \"$1\"", &[os(&file)])
        })],
        evasions: &[],
        benign: &[act("read_and_other_file", |s| {
            let (keys, known) = (s.file(".ssh/authorized_keys"), s.file(".ssh/known_hosts"));
            s.acts(&[&[os("read"), os(&keys)], &[os("append"), os(&known)]])
        })],
    },
    Case {
        rule: "Shell profile changed",
        attacks: &[act("by_a_program", |s| s.run(s.act(["create"]).arg(&s.place("/etc/profile.d").path)))],
        evasions: &[],
        benign: &[act("read_and_other_file", |s| {
            let (profile, other) = (s.file(".bashrc"), s.file(".config/tool.conf"));
            s.acts(&[
                &[os("read"), os(&profile)],
                &[os("read"), os("/etc/profile")],
                &[os("write"), os(&other)],
            ])
        })],
    },
    Case {
        rule: "Scheduled job written",
        // A comment, in a file that cron passes over.
        attacks: &[act("cron_d", |s| {
            let place = s.place("/etc/cron.d");
            s.run(s.act(["create"]).arg(&place))
        })],
        evasions: &[],
        benign: &[act("read_and_other_file", |s| {
            let (draft, table) = (s.file("cron.d/job"), "/etc/crontab");
            s.shell(
                "ls /etc/cron.*; if [ -e \"$3\" ]; then cat \"$3\"; fi; \"$1\" --act write \"$2\"",
                &[os(&s.helper()), os(&draft), os(table)],
            )
        })],
    },
    Case {
        rule: "Service or boot script written",
        // Without a suffix systemd takes no notice of it.
        attacks: &[act("unit", |s| {
            let place = s.place("/etc/systemd/system");
            s.run(s.act(["create"]).arg(&place))
        })],
        evasions: &[],
        benign: &[act("read_and_other_file", |s| {
            let unit = s.file("share/app.service");
            let script = "cat /usr/lib/systemd/system/*.service || true; \"$1\" --act write \"$2\"";
            s.shell(script, &[os(&s.helper()), os(&unit)])
        })],
    },
    Case {
        rule: "Library forced into every program",
        // Only files that end in .conf are read there.
        attacks: &[act("ld_so_conf_d", |s| {
            let place = s.place("/etc/ld.so.conf.d");
            s.run(s.act(["create"]).arg(&place))
        })],
        evasions: &[],
        benign: &[act("ldconfig", |s| s.run(&mut Command::new("/sbin/ldconfig")))],
    },
    Case {
        rule: "Python start-up hook written",
        attacks: &[act("pth", |s| {
            let path = s.file("lib/python3/site-packages/readme").with_file_name("hook.pth");
            s.run(s.act(["create"]).arg(path))
        })],
        evasions: &[],
        benign: &[act("pip", |s| {
            let path = s.file("lib/python3/site-packages/readme").with_file_name("package.pth");
            s.run(s.act_by(&s.named("pip3"), ["create"]).arg(path))
        })],
    },
    Case {
        rule: "Account database written directly",
        // Opened, and left as it is.
        attacks: &[act("passwd", |s| s.run(&mut s.act(["write", "/etc/passwd"])))],
        evasions: &[],
        benign: &[act("read_and_of_an_image", |s| {
            let of_image = s.file("rootfs/etc/passwd");
            s.acts(&[
                &[os("read"), os("/etc/passwd")],
                &[os("read"), os("/etc/group")],
                &[os("write"), os(&of_image)],
            ])
        })],
    },
    Case {
        rule: "Rules of authentication changed",
        attacks: &[
            // A service of a name that no program uses.
            act("pam_d", |s| {
                let place = s.place("/etc/pam.d");
                s.run(s.act(["create"]).arg(&place))
            })
            .showing(&["T1556.003"]),
            // sudo passes over names with a dot.
            act("sudoers_d", |s| {
                let mut place = s.place("/etc/sudoers.d");
                place.path.set_extension("not-read");
                s.run(s.act(["create"]).arg(&place))
            })
            .showing(&["T1548.003"]),
        ],
        evasions: &[],
        benign: &[act("read_and_of_an_image", |s| {
            let of_image = s.file("rootfs/etc/pam.d/login");
            s.acts(&[&[os("read"), os("/etc/pam.d/common-auth")], &[os("write"), os(&of_image)]])
        })],
    },
    Case {
        rule: "System program replaced",
        attacks: &[act("usr_bin", |s| {
            let place = s.place("/usr/bin");
            s.run(s.act(["create"]).arg(&place))
        })],
        evasions: &[],
        benign: &[act("usr_local_bin", |s| {
            let place = s.place("/usr/local/bin");
            s.acts(&[&[os("read"), os("/usr/bin/env")], &[os("create"), os(&place)]])
        })],
    },
];
