//! Cases for the policy `stealth`: programs that are taken for others.

use std::process::Command;

use super::super::{Case, act, os, perl};

pub const CASES: &[Case] = &[
    Case {
        rule: "Program disguised as a kernel thread",
        attacks: &[act("kworker", |s| s.run(&mut s.act(["exec-as", "[kworker/0:3]", "/bin/true"])))],
        evasions: &[
            act("renamed_while_it_runs", |s| perl(s, "$0 = '[kworker/u8:2-events]'", &[""])),
            act("without_brackets", |s| perl(s, "$0 = 'kworker/1:0'", &[""])),
        ],
        benign: &[act("test_in_brackets", |s| s.run(Command::new("/usr/bin/[").args(["1", "=", "1", "]"])))],
    },
    Case {
        rule: "Program disguised as a system service",
        attacks: &[act("sshd_in_tmp", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/tmp", "sshd");
            s.run(&mut Command::new(program))
        })],
        evasions: &[],
        benign: &[act("real_agetty", |s| s.run(Command::new("/sbin/agetty").arg("--version")))],
    },
    Case {
        rule: "Program hides what it is called",
        attacks: &[act("as_a_service", |s| perl(s, "$0 = 'sshd: root@pts/0'", &[""]))],
        evasions: &[act("as_the_file_of_a_service", |s| perl(s, "$0 = '/usr/sbin/cron -f'", &[""]))],
        benign: &[act("worker", |s| perl(s, "$0 = 'queue: worker 1'", &[""]))],
    },
    Case {
        rule: "Shell under another name",
        attacks: &[act("link", |s| s.run(Command::new(s.link_to("/bin/dash")).args(["-c", "true"])))],
        evasions: &[act("first_argument", |s| {
            s.run(&mut s.act(["exec-as", "/usr/sbin/cron", "/bin/dash", "-c", "true"]))
        })],
        benign: &[
            act("login_shell", |s| s.run(&mut s.act(["exec-as", "-bash", "/bin/bash", "-c", "true"]))),
            act("script", |s| {
                let script = s.file("backup");
                std::fs::write(&script, "#!/bin/sh\ntrue\n").unwrap();
                s.shell("chmod 755 \"$1\"; \"$1\"", &[os(&script)])
            }),
        ],
    },
    Case {
        rule: "Program with a deceptive file name",
        attacks: &[
            act("document", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/var/lib", "invoice.pdf");
                s.run(&mut Command::new(program))
            })
            .showing(&["T1036.008"]),
            act("blank", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/var/lib", "notes.txt ");
                s.run(&mut Command::new(program))
            })
            .showing(&["T1036.006"]),
            act("turned", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/var/lib", "photo_\u{202e}gpj.sh");
                s.run(&mut Command::new(program))
            })
            .showing(&["T1036.002"]),
        ],
        evasions: &[act("script", |s| {
            let script = s.file("picture.JPG");
            std::fs::write(&script, "#!/bin/sh\ntrue\n").unwrap();
            s.shell("chmod 755 \"$1\"; \"$1\"", &[os(&script)])
        })
        .showing(&["T1036.008"])],
        benign: &[act("plain_name", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/var/lib", "pdf-to-jpg.py");
            s.run(&mut Command::new(program))
        })],
    },
    Case {
        rule: "System tool copied under another name",
        attacks: &[act("decoder", |s| {
            s.run(Command::new("cp").arg("/usr/bin/base64").arg(&s.place("/tmp").path))
        })],
        evasions: &[act("dd", |s| {
            let place = s.place("/tmp");
            s.run(
                Command::new("dd")
                    .args(["if=/usr/bin/base64", "status=none"])
                    .arg(format!("of={}", place.path.display())),
            )
        })],
        benign: &[act("root_directory", |s| {
            let place = s.place("/tmp");
            s.shell("mkdir -p \"$1/bin\"; cp /usr/bin/base64 \"$1/bin/base64\"", &[os(&place)])
        })],
    },
];
