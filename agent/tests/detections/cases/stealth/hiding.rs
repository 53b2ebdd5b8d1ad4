//! Cases for the policy `stealth`: traces removed, files and processes hidden.

use std::{fs, process::Command};

use super::super::{Case, act, in_own_mounts, os, perl};

/// Sets an extended attribute (`setxattr(2)`): file, name, size of the value.
const SET_ATTRIBUTE: &str = r#"
    my ($file, $name, $size) = @ARGV; my $value = "A" x $size;
    exit(syscall(188, $file, $name, $value, $size + 0, 0) == 0 ? 0 : 1)"#;

/// Sets the clock to what it is (`clock_gettime(2)`, `clock_settime(2)`).
const SET_CLOCK: &str = r#"
    my $now = pack("qq", 0, 0); syscall(228, 0, $now); exit(syscall(227, 0, $now) == 0 ? 0 : 1)"#;

pub const CASES: &[Case] = &[
    Case {
        rule: "Command history cleared",
        attacks: &[
            act("truncated", |s| s.run(s.act(["truncate"]).arg(s.file(".bash_history")))),
            act("redirected", |s| s.shell(": > \"$1\"", &[os(&s.file(".bash_history"))])),
            act("redirected_by_bash", |s| {
                s.run(
                    Command::new("bash").args(["-c", "cat /dev/null > \"$0\""]).arg(s.file(".bash_history")),
                )
            }),
            act("removed", |s| s.run(Command::new("rm").arg("-f").arg(s.file(".bash_history")))),
            act("led_into_nothing", |s| {
                let history = s.file(".bash_history");
                s.run(Command::new("ln").args(["-sf", "/dev/null"]).arg(history))
            }),
        ],
        evasions: &[
            act("shortened", |s| {
                s.run(Command::new("truncate").args(["-s", "0"]).arg(s.file(".zsh_history")))
            }),
            act("shortened_by_path", |s| {
                perl(s, "truncate($ARGV[0], 0) or die", &[&s.file(".bash_history")])
            }),
            act("edited", |s| s.run(Command::new("sed").args(["-i", "1d"]).arg(s.file(".bash_history")))),
            act("moved_away", |s| s.run(Command::new("mv").arg(s.file(".bash_history")).arg(s.directory()))),
            act("overwritten", |s| s.run(Command::new("shred").arg("-u").arg(s.file(".bash_history")))),
            act("removed_by_perl", |s| perl(s, "unlink($ARGV[0]) or die", &[&s.file(".bash_history")])),
        ],
        benign: &[
            act("shell_itself", |s| {
                let history = s.file(".bash_history");
                let script = "HISTFILE=$0; set -o history; history -s command; history -w; history -c";
                s.run(Command::new("bash").args(["-c", script]).arg(history))
            }),
            act("home_is_removed", |s| {
                let file = s.file("home/.bash_history");
                s.run(Command::new("rm").arg("-r").arg(file.parent().unwrap()))
            }),
        ],
    },
    Case {
        rule: "Program deletes its own file",
        attacks: &[act("while_it_runs", |s| {
            let (_made, program) = s.copy_of("/bin/rm", "/tmp", "update");
            s.run(Command::new(&program).arg(&program))
        })],
        evasions: &[act("by_a_relative_path", |s| {
            let (made, program) = s.copy_of("/bin/rm", "/var/lib", "update");
            s.run(Command::new(program).arg("./update").current_dir(&made.path))
        })],
        benign: &[act("another_file", |s| {
            let (_made, program) = s.copy_of("/bin/rm", "/var/lib", "cleanup");
            s.run(Command::new(program).arg(s.file("old")))
        })],
    },
    Case {
        rule: "Program moves its own file",
        attacks: &[act("while_it_runs", |s| {
            let (made, program) = s.copy_of("/bin/mv", "/var/lib", "update");
            s.run(Command::new(&program).arg(&program).arg(made.path.join("daemon")))
        })],
        evasions: &[],
        benign: &[act("another_file", |s| {
            let (made, program) = s.copy_of("/bin/mv", "/var/lib", "archive");
            s.run(Command::new(program).arg(s.file("old")).arg(made.path.join("older")))
        })],
    },
    Case {
        rule: "Time of a file falsified",
        attacks: &[act("date", |s| {
            let place = s.place("/usr/local/bin");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("touch").args(["-d", "2019-03-01 12:00"]).arg(&place))
        })],
        evasions: &[
            act("as_another_file", |s| {
                let place = s.place("/usr/local/sbin");
                fs::write(&place.path, "made by a test").unwrap();
                s.run(Command::new("touch").args(["-r", "/bin/true"]).arg(&place))
            }),
            act("perl", |s| {
                let place = s.place("/etc/profile.d");
                fs::write(&place.path, "").unwrap();
                perl(s, "utime(1500000000, 1500000000, $ARGV[0]) or die", &[&place])
            }),
        ],
        benign: &[act("now_and_copied", |s| {
            let (one, two) = (s.place("/usr/local/bin"), s.place("/usr/local/bin"));
            s.shell("touch \"$1\"; cp -p /bin/true \"$2\"", &[os(&one), os(&two)])
        })],
    },
    Case {
        rule: "Time of a file taken from a program of the system",
        attacks: &[act("in_tmp", |s| {
            let place = s.place("/tmp");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("touch").args(["-r", "/bin/true"]).arg(&place))
        })],
        evasions: &[act("options_joined", |s| {
            let file = s.file("tool");
            s.run(Command::new("touch").args(["-acmr", "/usr/bin/env"]).arg(file))
        })],
        benign: &[act("of_another_file", |s| {
            let (one, two) = (s.file("one"), s.file("two"));
            s.run(Command::new("touch").arg("-r").arg(one).arg(two))
        })],
    },
    Case {
        rule: "Time of a program falsified",
        attacks: &[act("in_tmp", |s| {
            let place = s.place("/tmp");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("touch").args(["-r", "/bin/true"]).arg(&place))
        })],
        evasions: &[],
        benign: &[act("now", |s| {
            let place = s.place("/tmp");
            s.run(Command::new("touch").arg(&place))
        })],
    },
    Case {
        rule: "Clock set by hand",
        attacks: &[act("perl", |s| perl(s, SET_CLOCK, &[""]))],
        evasions: &[],
        benign: &[act("read", |s| s.run(&mut Command::new("date")))],
    },
    Case {
        rule: "Hidden place made",
        attacks: &[
            act("three_dots", |s| s.run(Command::new("mkdir").arg(s.directory().join("...")))),
            act("among_devices", |s| {
                in_own_mounts(s, "mount -t tmpfs none /dev; mkdir /dev/.lib; echo x > /dev/.lib/x", &[])
            }),
        ],
        evasions: &[
            act("dots_and_blank", |s| s.run(Command::new("mkdir").arg(s.directory().join(".. ")))),
            act("file_of_a_blank", |s| s.shell("echo x > \"$1/ \"", &[os(&s.directory())])),
            act("renamed", |s| s.run(Command::new("mv").arg(s.file("x")).arg(s.directory().join(" .")))),
        ],
        benign: &[act("ordinary_hidden_directory", |s| {
            s.run(Command::new("mkdir").args([s.directory().join(".config"), s.directory().join("a b...c")]))
        })],
    },
    Case {
        rule: "Process hidden by a mount",
        attacks: &[act("bind", |s| in_own_mounts(s, "mount --bind \"$1\" /proc/$$", &[os(&s.directory())]))],
        evasions: &[act("file_system_in_memory", |s| in_own_mounts(s, "mount -t tmpfs none /proc/1", &[]))],
        benign: &[act("elsewhere", |s| {
            in_own_mounts(s, "mount --bind \"$1\" \"$1\"", &[os(&s.directory())])
        })],
    },
    Case {
        rule: "System files covered by a mount",
        attacks: &[act("bind", |s| {
            in_own_mounts(s, "mount --bind \"$1\" /etc/hosts", &[os(&s.file("hosts"))])
        })],
        evasions: &[],
        benign: &[act("elsewhere", |s| {
            in_own_mounts(s, "mount --bind \"$1\" \"$1\"", &[os(&s.directory())])
        })],
    },
    Case {
        rule: "File system in a hidden place",
        attacks: &[act("in_memory", |s| {
            let hidden = s.directory().join(".cache");
            fs::create_dir(&hidden).unwrap();
            in_own_mounts(s, "mount -t tmpfs none \"$1\"", &[os(&hidden)])
        })],
        evasions: &[],
        benign: &[act("elsewhere", |s| {
            in_own_mounts(s, "mount -t tmpfs none \"$1\"", &[os(&s.directory())])
        })],
    },
    Case {
        rule: "User hidden from the login screen",
        attacks: &[act("settings_of_a_user", |s| {
            s.run(s.act(["create"]).arg(&s.place("/var/lib/AccountsService/users").path))
        })],
        evasions: &[act("moved_into_place", |s| {
            s.run(Command::new("mv").arg(s.file("ada")).arg(&s.place("/var/lib/AccountsService/users").path))
        })],
        benign: &[act("read", |s| s.shell("ls /var/lib/AccountsService/users || true", &[]))],
    },
    Case {
        rule: "Data hidden in extended attributes",
        attacks: &[act("payload", |s| {
            perl(s, SET_ATTRIBUTE, &[os(&s.file("picture")), os("user.preview"), os("200")])
        })],
        evasions: &[],
        benign: &[act("mark", |s| {
            perl(s, SET_ATTRIBUTE, &[os(&s.file("picture")), os("user.author"), os("8")])
        })],
    },
    Case {
        rule: "Traces of an attack removed",
        attacks: &[
            act("job", |s| {
                let place = s.place("/etc/cron.d");
                fs::write(&place.path, "# made by a test\n").unwrap();
                s.run(Command::new("rm").arg(&place))
            })
            .showing(&["T1070.009"]),
            act("known_hosts", |s| s.run(Command::new("rm").arg(s.file(".ssh/known_hosts"))))
                .showing(&["T1070.007"]),
            act("mail", |s| {
                let place = s.place("/var/mail");
                fs::write(&place.path, "made by a test").unwrap();
                s.shell(": > \"$1\"", &[os(&place)])
            })
            .showing(&["T1070.008"]),
        ],
        evasions: &[],
        benign: &[act("other_files", |s| {
            s.run(Command::new("rm").arg(s.file("notes")).arg(s.file(".ssh/config")))
        })],
    },
];
