//! Cases for the policy `collection`.

use std::{fs, path::PathBuf, process::Command};

use super::{
    Case, act,
    impact::{table, with_own_mounts},
    os,
};
use crate::stage::Stage;

/// A home with what programs keep there for their users.
fn home(stage: &Stage) -> PathBuf {
    let home = stage.directory();
    let secrets = [
        ".ssh/id_ed25519",
        ".ssh/known_hosts",
        ".aws/credentials",
        ".kube/config",
        ".docker/config.json",
        ".pgpass",
        ".git-credentials",
        ".vault-token",
    ];
    for secret in secrets {
        let path = home.join(secret);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "made by a test\n").unwrap();
    }
    home
}

/// A script in Perl.
fn perl(script: &str) -> Command {
    let mut command = Command::new("perl");
    command.args(["-e", script]);
    command
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Credentials packed with a directory",
        attacks: &[act("tar_of_etc", |s| {
            let archive = s.directory().join("etc.tar");
            s.run(Command::new("tar").arg("-cf").arg(archive).args(["-C", "/", "etc"]))
        })],
        evasions: &[],
        benign: &[act("tar_of_another_directory", |s| {
            let archive = s.directory().join("apt.tar");
            s.run(Command::new("tar").arg("-cf").arg(archive).args(["-C", "/etc", "apt"]))
        })],
    },
    Case {
        rule: "Many kinds of secrets read",
        attacks: &[act("one_after_the_other", |s| {
            let script = "cd \"$1\"; cat .ssh/id_ed25519 .aws/credentials .kube/config .docker/config.json .pgpass \
                .git-credentials > /dev/null";
            s.shell(script, &[os(&home(s))])
        })],
        evasions: &[
            act("by_a_command_for_each", |s| {
                s.run(Command::new("find").arg(home(s)).args(["-type", "f", "-exec", "base64", "{}", ";"]))
            }),
            act("by_the_shell_itself", |s| {
                let link = s.link_to(home(s).to_str().unwrap());
                let script =
                    "cd \"$1\"; for f in .ssh/id_ed25519 .aws/credentials .kube/config .pgpass .vault-token
                    do while read -r line; do :; done < \"$f\"; done";
                s.shell(script, &[os(&link)])
            }),
        ],
        benign: &[act("backed_up", |s| {
            let archive = s.directory().join("home.tar");
            s.run(Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(home(s)).arg("."))
        })],
    },
    Case {
        rule: "Secret copied into a shared directory",
        attacks: &[act("copied", |s| {
            let copy = s.place("/dev/shm");
            s.run(Command::new("cp").arg("/etc/shadow").arg(&copy))
        })],
        evasions: &[
            act("by_a_script", |s| {
                let script = "open I, '<', '/etc/shadow' or die; open O, '>', $ARGV[0] or die; print O <I>";
                let copy = s.place("/tmp");
                s.run(perl(script).arg(&copy))
            }),
            act("a_key_through_a_link", |s| {
                let key = home(s).join(".ssh/id_ed25519");
                let link = s.link_to(key.to_str().unwrap());
                s.run(
                    Command::new("dd")
                        .arg(format!("if={}", link.display()))
                        .arg(format!("of={}", s.place("/var/tmp").path.display())),
                )
            }),
        ],
        benign: &[
            act("another_file", |s| {
                let copy = s.place("/dev/shm");
                s.run(Command::new("cp").arg("/etc/passwd").arg(&copy))
            }),
            act("commit_signed", |s| {
                let (key, text) = (s.directory().join(".ssh/id_ed25519"), s.place("/tmp"));
                let script = "mkdir -p \"${1%/*}\"; ssh-keygen -q -t ed25519 -N '' -f \"$1\"; echo text > \"$2\"; \
                ssh-keygen -q -Y sign -n git -f \"$1\" \"$2\"; rm \"$2.sig\"";
                s.shell(script, &[os(&key), os(&text)])
            }),
        ],
    },
    Case {
        rule: "Secret written through a redirection into a shared directory",
        attacks: &[act("redirected", |s| s.shell("cat /etc/shadow > \"$1\"", &[os(&s.place("/dev/shm"))]))],
        evasions: &[act("packed_on_the_way", |s| {
            s.shell("gzip -c /etc/shadow > \"$1\"", &[os(&s.place("/tmp"))])
        })],
        benign: &[act("another_file", |s| s.shell("cat /etc/passwd > \"$1\"", &[os(&s.place("/dev/shm"))]))],
    },
    Case {
        rule: "Secrets packed by name",
        attacks: &[act("by_tar", |s| {
            s.shell("tar -czf \"$1\" -C \"$2\" .ssh/id_ed25519", &[os(&s.place("/tmp")), os(&home(s))])
        })],
        evasions: &[act("from_a_pipe", |s| {
            s.shell("tar -cf - /etc/shadow 2> /dev/null | cat > /dev/null", &[])
        })],
        benign: &[act("other_files", |s| {
            s.shell("tar -czf \"$1\" -C /etc hostname hosts", &[os(&s.place("/tmp"))])
        })],
    },
    Case {
        rule: "Archive with a password on the command line",
        attacks: &[act("by_openssl", |s| {
            let script = "openssl enc -aes-256-cbc -pbkdf2 -k made-by-a-test -in \"$1\" -out \"$1.enc\"";
            s.shell(script, &[os(&s.file("loot.tar"))])
        })],
        evasions: &[],
        benign: &[act("checksum", |s| s.shell("openssl dgst -sha256 \"$1\"", &[os(&s.file("loot.tar"))]))],
    },
    Case {
        rule: "Secrets packed by a script",
        attacks: &[
            act("by_a_library", |s| {
                let script = "open O, '|-:raw', 'cat > /dev/null'; open Z, '>', \"$ARGV[0].zip\" or die;
                    open I, '<', '/etc/shadow' or die; print Z \"PK\\3\\4\", <I>";
                s.run(perl(script).arg(s.directory().join("notes")))
            })
            .showing(&["T1560.002"]),
            act("in_a_way_of_its_own", |s| {
                let script = "open O, '>', \"$ARGV[0].bin\" or die; open I, '<', '/etc/shadow' or die;
                    print O map { chr(90 ^ ord) } split //, join '', <I>";
                s.run(perl(script).arg(s.directory().join("notes")))
            })
            .showing(&["T1560.003"]),
        ],
        evasions: &[],
        benign: &[act("other_files", |s| {
            let script =
                "open Z, '>', \"$ARGV[0].zip\" or die; open I, '<', '/etc/passwd' or die; print Z <I>";
            s.run(perl(script).arg(s.directory().join("notes")))
        })],
    },
    Case {
        rule: "Mailbox read by a general tool",
        attacks: &[act("another_users", |s| {
            let place = s.place("/var/mail");
            fs::write(&place.path, "From: test\n").unwrap();
            s.shell("cat \"$1\"", &[os(&place)])
        })],
        evasions: &[act("a_home_directory", |s| {
            let mail = s.file("Maildir/cur/1.test:2,S");
            s.shell("while read -r line; do :; done < \"$1\"", &[os(&mail)])
        })],
        benign: &[act("counted", |s| {
            let place = s.place("/var/mail");
            fs::write(&place.path, "From: test\n").unwrap();
            s.run(Command::new("grep").args(["-c", "^From"]).arg(&place))
        })],
    },
    Case {
        rule: "Database files read by a general tool",
        attacks: &[act("copied", |s| {
            let (_place, table) = table(s);
            s.run(Command::new("cp").arg(table).arg(os(&s.place("/tmp"))))
        })],
        evasions: &[act("by_the_shell_itself", |s| {
            let (_place, table) = table(s);
            s.shell("while read -r line; do :; done < \"$1\"", &[os(&table)])
        })],
        benign: &[act("by_the_server", |s| {
            let (_place, table) = table(s);
            s.run(s.act_by(&s.executable("mariadbd"), ["read"]).arg(table))
        })],
    },
    Case {
        rule: "Whole database dumped",
        attacks: &[act("by_its_tool", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "pg_dumpall");
            s.run(Command::new(tool).args(["--host", "127.0.0.1", "--file", "all.sql"]))
        })],
        evasions: &[],
        benign: &[act("asked_for_its_version", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "pg_dumpall");
            s.run(Command::new(tool).arg("--version"))
        })],
    },
    Case {
        rule: "Screen, camera or microphone opened",
        // Files stand for the devices, which hardly a server has.
        attacks: &[
            act("screen", |s| {
                with_own_mounts(s, "mount -t tmpfs none /dev; : > /dev/fb0; : < /dev/fb0", &[])
            })
            .showing(&["T1113"]),
            act("microphone", |s| {
                let script =
                    "mount -t tmpfs none /dev; mkdir /dev/snd; : > /dev/snd/pcmC0D0c; : < /dev/snd/pcmC0D0c";
                with_own_mounts(s, script, &[])
            })
            .showing(&["T1123"]),
            act("camera", |s| {
                with_own_mounts(s, "mount -t tmpfs none /dev; : > /dev/video0; : < /dev/video0", &[])
            })
            .showing(&["T1125"]),
        ],
        evasions: &[],
        benign: &[act("other_devices", |s| s.shell("head -c 1 /dev/zero > /dev/null; : < /dev/null", &[]))],
    },
    Case {
        rule: "Files taken from or to a removable disk",
        attacks: &[
            act("taken_from", |s| {
                let place = s.place("/media");
                fs::create_dir(&place.path).unwrap();
                (0..12).for_each(|n| {
                    fs::write(place.path.join(format!("plan-{n}")), "made by a test\n").unwrap()
                });
                s.shell("cat \"$1\"/*", &[os(&place)])
            })
            .showing(&["T1025"]),
            act("taken_to", |s| {
                let place = s.place("/run/media");
                fs::create_dir(&place.path).unwrap();
                s.shell(
                    "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do cp /etc/hostname \"$1/$n\"; done",
                    &[os(&place)],
                )
            })
            .showing(&["T1052.001"]),
        ],
        evasions: &[],
        benign: &[act("one_file", |s| {
            let place = s.place("/media");
            fs::write(&place.path, "made by a test\n").unwrap();
            s.run(Command::new("cat").arg(&place))
        })],
    },
];
