//! What runs at a time, at boot, at a login or at an event.

use crate::container::{Exec, Options};

use super::{super::os, Case, act, at_home, created, in_copy_of_etc, linked, moved, named, read_and_draft};

pub const CASES: &[Case] = &[
    Case {
        rule: "Scheduled job written",
        // A comment, in a file that cron passes over.
        attacks: &[
            act("cron_d", |s| created(s, "/etc/cron.d")).showing(&["T1053.003"]),
            act("cron_hourly", |s| created(s, "/etc/cron.hourly")).showing(&["T1053.003"]),
            act("incron", |s| created(s, "/var/spool/incron")).showing(&["T1053"]),
            act("spool", |s| created(s, "/var/spool/cron/crontabs")),
            act("anacron", |s| in_copy_of_etc(s, "echo '# made by a test' >> /etc/anacrontab", &[])),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/cron.d")),
            act("link", |s| linked(s, "/etc/cron.daily")),
            act("hard_link", |s| {
                in_copy_of_etc(s, "echo '#' > /etc/notes; ln /etc/notes /etc/cron.d/notes", &[])
            }),
            act("through_a_link", |s| {
                in_copy_of_etc(
                    s,
                    "ln -s /etc/cron.d /etc/x; cd /etc/x; perl -e 'open(F, \">notes\") or die'",
                    &[],
                )
            }),
            act("without_a_name", |s| {
                // O_TMPFILE, then a name by linkat(2).
                let script = r#"use Fcntl; sysopen(my $f, "/etc/cron.d", 020200000 | O_RDWR, 0644) or die "$!";
                    my $from = "/proc/self/fd/" . fileno($f); my $to = "/etc/cron.d/notes";
                    exit(syscall(265, -100, $from, -100, $to, 0x400) != 0)"#;
                in_copy_of_etc(s, "mount -t tmpfs none /etc/cron.d; perl -e \"$1\"", &[os(script)])
            }),
            act("from_a_container", |s| {
                let place = s.place("/etc/cron.d");
                let container = s.container(Options::default().with_mount("/etc", "/host-etc"));
                let name = place.path.file_name().and_then(|name| name.to_str()).unwrap();
                s.run(&mut container.command(&Exec::new([
                    "sh",
                    "-c",
                    &format!("echo '#' > /host-etc/cron.d/{name}"),
                ])))
            }),
        ],
        benign: &[act("read_and_other_file", |s| {
            let (draft, table) = (s.file("cron.d/job"), "/etc/crontab");
            s.shell(
                "ls /etc/cron.*; if [ -e \"$3\" ]; then cat \"$3\"; fi; \"$1\" --act write \"$2\"",
                &[os(&s.helper()), os(&draft), os(table)],
            )
        })],
    },
    Case {
        rule: "Job of at written",
        attacks: &[
            act("spool", |s| created(s, "/var/spool/cron/atjobs")),
            act("other_spool", |s| created(s, "/var/spool/at")),
        ],
        evasions: &[act("moved_into_place", |s| moved(s, "/var/spool/cron/atjobs"))],
        benign: &[act("elsewhere", |s| {
            let draft = s.file("spool/at/job");
            s.acts(&[&[os("write"), os(&draft)]])
        })],
    },
    Case {
        rule: "Job scheduled by a server or a dropped program",
        attacks: &[
            act("crontab_below_a_server", |s| {
                let (_made, crontab) = s.copy_of("/bin/true", "/usr/lib", "crontab");
                let server = s.executable("nginx");
                s.run(
                    s.act_by(&server, ["run", "/bin/sh", "-c", "echo '* * * * * true' | \"$0\" -"])
                        .arg(crontab),
                )
            })
            .showing(&["T1053.003"]),
            act("timer_by_a_dropped_program", |s| {
                let (_made, run) = s.copy_of("/bin/true", "/usr/lib", "systemd-run");
                let (_also, shell) = s.copy_of("/bin/dash", "/tmp", "update");
                s.run(
                    std::process::Command::new(shell)
                        .args(["-c", "\"$0\" --on-calendar=hourly true; :"])
                        .arg(run),
                )
            })
            .showing(&["T1053.006"]),
        ],
        evasions: &[],
        benign: &[act("by_an_administrator", |s| {
            let (_made, crontab) = s.copy_of("/bin/true", "/usr/lib", "crontab");
            s.shell("\"$1\" -l", &[os(&crontab)])
        })],
    },
    Case {
        rule: "Job scheduled by a command",
        attacks: &[
            act("crontab", |s| {
                let (_made, crontab) = s.copy_of("/bin/true", "/usr/lib", "crontab");
                s.shell("(\"$1\" -l; echo '* * * * * true') | \"$1\" -", &[os(&crontab)])
            })
            .showing(&["T1053.003"]),
            act("transient_timer", |s| {
                let (_made, run) = s.copy_of("/bin/true", "/usr/lib", "systemd-run");
                s.shell("\"$1\" --on-active=1h true", &[os(&run)])
            })
            .showing(&["T1053.006"]),
        ],
        evasions: &[],
        benign: &[act("listed", |s| {
            let (_made, crontab) = s.copy_of("/bin/true", "/usr/lib", "crontab");
            s.shell("\"$1\" -l; \"$1\" -u root -l", &[os(&crontab)])
        })],
    },
    Case {
        rule: "Systemd unit written",
        // Without a suffix systemd takes no notice of it.
        attacks: &[
            act("unit", |s| created(s, "/etc/systemd/system")),
            act("drop_in", |s| created(s, "/etc/systemd/system/vedette-test.service.d")),
            act("generator", |s| created(s, "/etc/systemd/system-generators")),
            act("until_reboot", |s| created(s, "/run/systemd/system")),
            act("of_a_user", |s| {
                at_home(s, ".config/systemd/user/vedette-test.service", "echo '[Service]' > \"$1\"")
            }),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/systemd/system")),
            act("enabled_by_hand", |s| linked(s, "/etc/systemd/system/multi-user.target.wants")),
            act("enabled_from_elsewhere", |s| {
                // systemctl is told to link to a unit that lies where anybody may write.
                let (_made, systemctl) = s.copy_of("/bin/true", "/usr/lib", "systemctl");
                std::fs::remove_file(&systemctl).unwrap();
                std::fs::copy(s.helper(), &systemctl).unwrap();
                let place = s.place("/etc/systemd/system");
                s.run(s.act_by(&systemctl, ["symlink", "/tmp/vedette-test.service"]).arg(&place))
            }),
        ],
        benign: &[act("read_and_other_file", |s| {
            let unit = s.file("share/app.service");
            let script = "cat /usr/lib/systemd/system/*.service || true; \"$1\" --act write \"$2\"";
            s.shell(script, &[os(&s.helper()), os(&unit)])
        })],
    },
    Case {
        rule: "Systemd timer written",
        attacks: &[
            act("timer", |s| {
                let mut place = s.place("/etc/systemd/system");
                place.path.set_extension("timer");
                s.run(s.act(["create"]).arg(&place))
            }),
            act("of_a_user", |s| {
                at_home(s, ".config/systemd/user/vedette-test.timer", "echo '[Timer]' > \"$1\"")
            }),
            act("drop_in", |s| created(s, "/etc/systemd/system/vedette-test.timer.d")),
        ],
        evasions: &[act("enabled_by_hand", |s| linked(s, "/etc/systemd/system/timers.target.wants"))],
        benign: &[act("draft", |s| read_and_draft(s, "/usr/lib/systemd/system/apt-daily.timer"))],
    },
    Case {
        rule: "Boot script written",
        attacks: &[
            act("init_d", |s| created(s, "/etc/init.d")).showing(&["T1037.004"]),
            act("rc_local", |s| in_copy_of_etc(s, "echo true >> /etc/rc.local", &[])).showing(&["T1037.004"]),
            act("openrc", |s| {
                in_copy_of_etc(s, "mkdir -p /etc/local.d; echo true > /etc/local.d/x.start", &[])
            })
            .showing(&["T1037.004"]),
            act("supervised", |s| in_copy_of_etc(s, "mkdir -p /etc/sv/x; echo true > /etc/sv/x/run", &[]))
                .showing(&["T1543"]),
            act("initial_file_system", |s| created(s, "/etc/initramfs-tools/hooks")).showing(&["T1547"]),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/init.d")),
            act("run_level", |s| linked(s, "/etc/rc2.d")),
        ],
        benign: &[act("draft", |s| read_and_draft(s, "/etc/init.d/cron"))],
    },
    Case {
        rule: "Login script written",
        // A name with a dot is passed over.
        attacks: &[act("message_of_the_day", |s| named(s, "/etc/update-motd.d", "vedette.test"))],
        evasions: &[act("link", |s| linked(s, "/etc/update-motd.d"))],
        benign: &[act("message_itself", |s| {
            in_copy_of_etc(s, "cat /etc/motd >/dev/null 2>&1 || true; echo 'Welcome.' > /etc/motd", &[])
        })],
    },
    Case {
        rule: "Event script written",
        attacks: &[
            act("network", |s| created(s, "/etc/NetworkManager/dispatcher.d")),
            act("interface", |s| named(s, "/etc/network/if-up.d", "vedette.test")),
            act("lease", |s| {
                in_copy_of_etc(
                    s,
                    "mkdir -p /etc/dhcp/dhclient-exit-hooks.d; : > /etc/dhcp/dhclient-exit-hooks.d/x",
                    &[],
                )
            }),
            act("kernel_installed", |s| named(s, "/etc/kernel/postinst.d", "vedette.test")),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/NetworkManager/dispatcher.d")),
            act("link", |s| linked(s, "/etc/NetworkManager/dispatcher.d")),
        ],
        benign: &[act("read_and_draft", |s| read_and_draft(s, "/etc/network/if-up.d/script"))],
    },
    Case {
        rule: "Udev rule written",
        // Only names that end in .rules are read.
        attacks: &[
            act("rule", |s| created(s, "/etc/udev/rules.d")),
            act("until_reboot", |s| created(s, "/run/udev/rules.d")),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/udev/rules.d")),
            act("link", |s| linked(s, "/etc/udev/rules.d")),
        ],
        benign: &[act("draft", |s| read_and_draft(s, "/usr/lib/udev/rules.d/60-block.rules"))],
    },
    Case {
        rule: "Desktop autostart entry written",
        attacks: &[
            act("of_a_user", |s| {
                at_home(s, ".config/autostart/vedette-test.desktop", "echo '[Desktop Entry]' > \"$1\"")
            }),
            act("of_all", |s| created(s, "/etc/xdg/autostart")),
        ],
        evasions: &[act("moved_into_place", |s| {
            at_home(
                s,
                ".config/autostart/x.desktop",
                "echo '[Desktop Entry]' > \"${1%/*}/../x\"; mv \"${1%/*}/../x\" \"$1\"",
            )
        })],
        benign: &[act("by_the_application", |s| {
            // An application adds itself.
            let (_made, program) = s.copy_of("/bin/true", "/opt", "messenger");
            std::fs::remove_file(&program).unwrap();
            std::fs::copy(s.helper(), &program).unwrap();
            let entry = s.file(".config/autostart/x").with_file_name("messenger.desktop");
            s.run(s.act_by(&program, ["create"]).arg(entry))
        })],
    },
    Case {
        rule: "Kernel module made to load at boot",
        // Only names that end in .conf are read.
        attacks: &[
            act("modules_load", |s| created(s, "/etc/modules-load.d")),
            act("install_line", |s| created(s, "/etc/modprobe.d")),
            act("module", |s| created(s, "/usr/lib/modules/vedette-test/updates")),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/modules-load.d")),
            act("link", |s| linked(s, "/etc/modprobe.d")),
        ],
        benign: &[act("draft", |s| read_and_draft(s, "/etc/modules"))],
    },
    Case {
        rule: "Kernel module loaded from an unusual place",
        // What is loaded is no module, so the kernel refuses it.
        attacks: &[
            act("from_a_file", |s| s.run(s.act(["load-module"]).arg(s.file("driver.ko")))),
            act("from_memory", |s| s.run(s.act(["load-module-image"]).arg(s.file("driver.ko")))),
        ],
        evasions: &[],
        benign: &[act("listed", |s| {
            s.shell("cat /proc/modules >/dev/null 2>&1 || true; ls /sys/module >/dev/null", &[])
        })],
    },
];
