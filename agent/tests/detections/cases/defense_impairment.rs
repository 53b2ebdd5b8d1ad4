//! Cases for the policy `defense-impairment`.

use std::{fs, process::Command};

use super::{Case, act, detached, in_own_mounts, os, perl, perl_script};

/// Loads a program that does nothing into the kernel: type, instructions, license (`bpf(2)`).
const LOAD_BPF: &str = r#"
    my $code = pack("CCsl CCsl", 0xb7, 0, 0, 0, 0x95, 0, 0, 0); my $license = "GPL\0";
    my $attributes = pack("LLPPLLQLLZ16LL", 1, 2, $code, $license, 0, 0, 0, 0, 0, "vedette_test", 0, 0);
    my $fd = syscall(321, 5, $attributes, length($attributes)); die "$!" if $fd < 0"#;

/// Starts "$1", waits until it runs, and sends it a signal.
const KILL: &str = r#"
    cd "$2"; mkfifo in out; exec 3<> in
    "$1" --act tell-pid <&3 > out & read -r pid < out
    kill -KILL "$pid"; wait || true"#;

pub const CASES: &[Case] = &[
    Case {
        rule: "Log cleared",
        attacks: &[
            act("truncated", |s| {
                let place = s.place("/var/log/apt");
                fs::write(&place.path, "made by a test").unwrap();
                s.run(s.act(["truncate"]).arg(&place))
            }),
            act("removed", |s| {
                let place = s.place("/var/log/journal");
                fs::write(&place.path, "made by a test").unwrap();
                s.run(Command::new("rm").arg(&place))
            }),
        ],
        evasions: &[
            act("shortened", |s| {
                let place = s.place("/var/log/audit");
                fs::write(&place.path, "made by a test").unwrap();
                s.run(Command::new("truncate").args(["-s", "0"]).arg(&place))
            }),
            act("shortened_by_path", |s| {
                let place = s.place("/var/log/audit");
                fs::write(&place.path, "made by a test").unwrap();
                perl(s, "truncate($ARGV[0], 0) or die", &[&place])
            }),
            act("redirected", |s| {
                let place = s.place("/var/log/apt");
                fs::write(&place.path, "made by a test").unwrap();
                s.shell("cat /dev/null > \"$1\"", &[os(&place)])
            }),
            act("moved_away", |s| {
                let place = s.place("/var/log/apt");
                fs::write(&place.path, "made by a test").unwrap();
                s.run(Command::new("mv").arg(&place).arg(s.directory()))
            }),
            act("led_into_nothing", |s| {
                s.run(Command::new("ln").args(["-s", "/dev/null"]).arg(&s.place("/var/log/apt").path))
            }),
            act("logins_rewritten", |s| s.run(&mut s.act(["write", "/var/log/wtmp"]))),
        ],
        benign: &[
            act("appended_and_read", |s| {
                let place = s.place("/var/log/apt");
                s.acts(&[&[os("append"), os(&place)], &[os("append"), os(&place)], &[os("read"), os(&place)]])
            }),
            act("old_ones_removed", |s| {
                let place = s.place("/var/log/apt");
                let old = place.path.with_extension("gz");
                fs::write(&old, "made by a test").unwrap();
                s.run(Command::new("rm").arg(old))
            }),
        ],
    },
    Case {
        rule: "Journal or kernel log trimmed",
        attacks: &[act("vacuum", |s| {
            s.run(Command::new("journalctl").arg("--vacuum-time=1d").arg("--directory").arg(s.directory()))
        })],
        evasions: &[],
        benign: &[act("read", |s| {
            s.shell("journalctl --directory \"$1\" -n 1 || true", &[os(&s.directory())])
        })],
    },
    Case {
        rule: "Logging or protection reconfigured",
        attacks: &[
            act("syslog", |s| {
                s.run(
                    detached(s.helper().to_str().unwrap())
                        .args(["--act", "create"])
                        .arg(&s.place("/etc/rsyslog.d").path),
                )
            })
            .showing(&["T1685"]),
            act("audit", |s| {
                s.run(
                    detached(s.helper().to_str().unwrap())
                        .args(["--act", "create"])
                        .arg(&s.place("/etc/audit").path),
                )
            })
            .showing(&["T1685.004"]),
            act("scanner", |s| s.run(s.act(["create"]).arg(&s.place("/etc/clamav").path)))
                .showing(&["T1564.012"]),
            act("service_led_into_nothing", |s| {
                let place = s.place("/etc/systemd/system");
                let unit = format!("{}-auditd.service", place.path.display());
                s.shell("ln -s /dev/null \"$1\"; rm \"$1\"", &[os(&unit)])
            })
            .showing(&["T1685.004"]),
        ],
        evasions: &[
            act("moved_into_place", |s| {
                s.run(detached("mv").arg(s.file("audit.rules")).arg(&s.place("/etc/audit/rules.d").path))
            })
            .showing(&["T1685.004"]),
            act("linked_into_place", |s| {
                s.run(detached("ln").arg("-s").arg(s.file("empty.conf")).arg(&s.place("/etc/rsyslog.d").path))
            })
            .showing(&["T1685"]),
        ],
        benign: &[act("read", |s| {
            let place = s.place("/etc/rsyslog.d");
            fs::write(&place.path, "# made by a test\n").unwrap();
            s.run(Command::new("cat").arg(&place))
        })],
    },
    Case {
        rule: "Guard stopped",
        // Where no service manager runs, the command fails; it was meant, all the same.
        attacks: &[
            act("agent", |s| s.shell("systemctl stop vedette-test-falco.service || true", &[]))
                .showing(&["T1685"]),
            act("audit", |s| s.shell("systemctl mask vedette-test-auditd.service || true", &[]))
                .showing(&["T1685.004"]),
        ],
        evasions: &[act("by_name", |s| s.shell("pkill -URG -x osqueryd || :", &[]))],
        benign: &[act("state_and_other_service", |s| {
            s.shell(
                "systemctl status vedette-test-auditd.service || systemctl stop test-web.service || true",
                &[],
            )
        })],
    },
    Case {
        rule: "Guard killed",
        attacks: &[act("by_a_shell", |s| s.shell(KILL, &[os(&s.executable("falco")), os(&s.directory())]))],
        evasions: &[],
        benign: &[act("another_program", |s| {
            s.shell(KILL, &[os(&s.executable("worker")), os(&s.directory())])
        })],
    },
    Case {
        rule: "Kernel hardening switched",
        attacks: &[act("opened_to_write", |s| {
            s.run(&mut s.act(["write", "/proc/sys/kernel/randomize_va_space"]))
        })],
        evasions: &[
            act("by_a_shell", |s| s.shell(": >> /proc/sys/kernel/randomize_va_space", &[])),
            act("through_another_name", |s| {
                s.run(&mut s.act(["write", "/proc/self/root/proc/sys/fs/protected_symlinks"]))
            }),
        ],
        benign: &[act("read", |s| {
            s.shell("sysctl -n kernel.randomize_va_space; cat /proc/sys/kernel/kptr_restrict", &[])
        })],
    },
    Case {
        rule: "Kernel settings changed by hand",
        attacks: &[act("for_the_next_start", |s| {
            s.run(s.act(["create"]).arg(&s.place("/etc/sysctl.d").path))
        })],
        evasions: &[],
        benign: &[act("read", |s| s.shell("cat /etc/sysctl.conf || true", &[]))],
    },
    Case {
        rule: "Mandatory access control switched off",
        // In a name space of mounts in which a file stands for the switch.
        attacks: &[act("enforce", |s| {
            let script =
                "mount -t tmpfs none /sys/fs; mkdir /sys/fs/selinux; echo 0 > /sys/fs/selinux/enforce";
            in_own_mounts(s, script, &[])
        })],
        evasions: &[act("profile_disabled", |s| {
            s.run(
                Command::new("ln")
                    .arg("-s")
                    .arg(s.file("profile"))
                    .arg(&s.place("/etc/apparmor.d/disable").path),
            )
        })],
        benign: &[act("looked_at", |s| {
            s.shell("cat /sys/fs/selinux/enforce || true; cat /etc/selinux/config || true", &[])
        })],
    },
    Case {
        rule: "Firewall opened",
        // In a network of its own.
        attacks: &[act("rules_flushed", |s| {
            let nft = s.executable("nft");
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--"]).arg(nft).args(["--act", "flush-rules", "flush ruleset"]))
        })],
        evasions: &[],
        benign: &[act("listed", |s| s.run(&mut s.act_by(&s.executable("nft"), ["nothing", "list ruleset"])))],
    },
    Case {
        rule: "Firewall changed by a program of its own",
        attacks: &[act("rules_flushed", |s| {
            let (_made, program) = s.copy_of(s.helper().to_str().unwrap(), "/tmp", "program");
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--"]).arg(program).args(["--act", "flush-rules"]))
        })],
        evasions: &[],
        benign: &[act("program_elsewhere", |s| {
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--"]).arg(s.helper()).args(["--act", "flush-rules"]))
        })],
    },
    Case {
        rule: "Firewall settings changed",
        attacks: &[act("created", |s| s.run(s.act(["create"]).arg(&s.place("/etc/iptables").path)))],
        evasions: &[act("moved_into_place", |s| {
            s.run(detached("mv").arg(s.file("rules.v4")).arg(&s.place("/etc/iptables").path))
        })],
        benign: &[act("read", |s| {
            let place = s.place("/etc/iptables");
            fs::write(&place.path, "# made by a test\n").unwrap();
            s.run(Command::new("cat").arg(&place))
        })],
    },
    Case {
        rule: "Root certificate installed",
        attacks: &[act("copied", |s| {
            s.run(detached("cp").arg(s.file("ca.crt")).arg(&s.place("/usr/local/share/ca-certificates").path))
        })],
        evasions: &[act("linked", |s| {
            s.run(detached("ln").arg("-s").arg(s.file("ca.pem")).arg(&s.place("/etc/ssl/certs").path))
        })],
        benign: &[act("read", |s| {
            let place = s.place("/usr/local/share/ca-certificates");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("cat").arg(&place))
        })],
    },
    Case {
        rule: "Records of packages changed",
        attacks: &[act("checksums", |s| s.run(s.act(["create"]).arg(&s.place("/var/lib/dpkg/info").path)))],
        evasions: &[act("moved_into_place", |s| {
            s.run(Command::new("mv").arg(s.file("x.md5sums")).arg(&s.place("/var/lib/dpkg/info").path))
        })],
        benign: &[act("read", |s| s.run(Command::new("dpkg").args(["-s", "dpkg"])))],
    },
    Case {
        rule: "Permissions of a guarded file opened",
        attacks: &[act("writable_for_everybody", |s| {
            let place = s.place("/etc/cron.d");
            fs::write(&place.path, "# made by a test\n").unwrap();
            s.run(Command::new("chmod").arg("o+w").arg(&place))
        })],
        evasions: &[act("by_its_descriptor", |s| {
            let place = s.place("/etc/pam.d");
            fs::write(&place.path, "# made by a test\n").unwrap();
            perl(s, "open(F, '<', $ARGV[0]) or die; chmod(0666, *F) or die", &[&place])
        })],
        benign: &[act("for_its_owner", |s| {
            let place = s.place("/etc/cron.d");
            fs::write(&place.path, "# made by a test\n").unwrap();
            s.run(Command::new("chmod").arg("644").arg(&place))
        })],
    },
    Case {
        rule: "Permissions of system files opened",
        attacks: &[act("writable_for_everybody", |s| {
            let place = s.place("/usr/local/lib");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("chmod").arg("666").arg(&place))
        })],
        evasions: &[],
        benign: &[act("for_its_group", |s| {
            let place = s.place("/usr/local/lib");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("chmod").arg("664").arg(&place))
        })],
    },
    Case {
        rule: "Command history switched off",
        attacks: &[act("no_file", |s| {
            s.run(detached("bash").args(["-c", "true"]).env("HISTFILE", "/dev/null"))
        })],
        evasions: &[
            act("exported", |s| s.run(detached("bash").args(["-c", "export HISTFILE=/dev/null; /bin/true"]))),
            act("no_lines", |s| s.run(detached("bash").args(["-c", "true"]).env("HISTSIZE", "0"))),
        ],
        benign: &[act("another_file", |s| {
            s.run(
                detached("bash")
                    .args(["-c", "true"])
                    .env("HISTFILE", "/root/.history2")
                    .env("HISTSIZE", "1000"),
            )
        })],
    },
    Case {
        rule: "File made unchangeable by a script",
        // Where the file system knows no such mark, the command fails; it was meant, all the same.
        attacks: &[act("in_tmp", |s| {
            let place = s.place("/tmp");
            fs::write(&place.path, "made by a test").unwrap();
            let script = "chattr +i \"$1\" || :; chattr -i \"$1\" || :";
            s.run(detached("/bin/sh").args(["-euc", script, "sh"]).arg(&place))
        })],
        evasions: &[],
        benign: &[act("another_mark", |s| {
            let script = "lsattr \"$1\" || :; chattr +d \"$1\" || :";
            s.run(detached("/bin/sh").args(["-euc", script, "sh"]).arg(s.file("a")))
        })],
    },
    Case {
        rule: "BPF program loaded from an unusual place",
        attacks: &[act("perl", |s| perl(s, LOAD_BPF, &[""]))],
        evasions: &[],
        benign: &[act("installed_program", |s| perl_script(s, LOAD_BPF, &[""]))],
    },
    Case {
        rule: "BPF program detached by another program",
        // There is nothing to detach.
        attacks: &[act("perl", |s| {
            perl(s, "my $attributes = \"\\0\" x 64; syscall(321, 9, $attributes, 64)", &[""])
        })],
        evasions: &[],
        benign: &[act("asked", |s| {
            perl(s, "my $attributes = \"\\0\" x 64; syscall(321, 11, $attributes, 64)", &[""])
        })],
    },
];
