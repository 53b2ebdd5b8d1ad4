//! What programs that everybody uses read and run.

use std::process::Command;

use super::{
    super::{os, perl},
    Case, act, at_home, created, in_copy_of_etc, linked, moved, named, read_and_draft,
};

pub const CASES: &[Case] = &[
    Case {
        rule: "Shell profile changed",
        attacks: &[
            act("of_all", |s| created(s, "/etc/profile.d")).showing(&["T1546.004"]),
            act("of_a_user", |s| at_home(s, ".bashrc", "echo true >> \"$1\"")).showing(&["T1546.004"]),
            act("trap", |s| {
                at_home(s, ".bash_profile", "echo \"trap 'curl -s example.org' EXIT\" >> \"$1\"")
            })
            .showing(&["T1546.005"]),
            act("fish", |s| at_home(s, ".config/fish/config.fish", "echo true >> \"$1\""))
                .showing(&["T1546.004"]),
            act("csh", |s| at_home(s, ".tcshrc", "echo true >> \"$1\"")).showing(&["T1546.004"]),
            act("of_a_service", |s| {
                let home = s.place("/var/lib");
                std::fs::create_dir(&home.path).unwrap();
                s.shell("echo true >> \"$1/.zshenv\"", &[os(&home)])
            })
            .showing(&["T1546.004"]),
        ],
        evasions: &[
            act("edited_in_place", |s| at_home(s, ".zshrc", "echo true > \"$1.x\"; mv \"$1.x\" \"$1\"")),
            act("link", |s| linked(s, "/etc/profile.d")),
            act("moved_into_place", |s| moved(s, "/etc/profile.d")),
            act("for_those_to_come", |s| created(s, "/etc/skel")),
        ],
        benign: &[
            act("read_and_other_file", |s| {
                let (profile, other) = (s.file(".bashrc"), s.file(".config/tool.conf"));
                s.acts(&[
                    &[os("read"), os(&profile)],
                    &[os("read"), os("/etc/profile")],
                    &[os("write"), os(&other)],
                ])
            }),
            act("repository_of_settings", |s| {
                let copy = s.file("src/dotfiles/.bashrc");
                s.shell("echo true >> \"$1\"; cp \"$1\" \"$1.saved\"", &[os(&copy)])
            }),
        ],
    },
    Case {
        rule: "Shell profile changed at a terminal",
        attacks: &[act("appended", |s| {
            let home = s.place("/home");
            std::fs::create_dir(&home.path).unwrap();
            let script = format!("echo true >> '{}/.bashrc'", home.path.display());
            s.run(Command::new("script").args(["-q", "-e", "-c", &script, "/dev/null"]))
        })],
        evasions: &[],
        benign: &[act("read", |s| {
            s.run(Command::new("script").args(["-q", "-e", "-c", "cat /etc/skel/.bashrc", "/dev/null"]))
        })],
    },
    Case {
        rule: "Another kernel loaded",
        // With flags that no kernel takes, so nothing is loaded or unloaded.
        attacks: &[act("by_memory", |s| perl(s, "syscall(246, 0, 0, 0, 0xff00)", &[""]))],
        evasions: &[act("by_descriptors", |s| perl(s, "syscall(320, -1, -1, 0, 0, 0xff00)", &[""]))],
        benign: &[act("asked", |s| s.shell("cat /sys/kernel/kexec_loaded >/dev/null 2>&1 || :", &[]))],
    },
    Case {
        rule: "Library forced into every program",
        // Only files that end in .conf are read there.
        attacks: &[
            act("ld_so_conf_d", |s| created(s, "/etc/ld.so.conf.d")),
            act("preload", |s| in_copy_of_etc(s, ": >> /etc/ld.so.preload", &[])),
        ],
        evasions: &[
            act("moved_into_place", |s| in_copy_of_etc(s, ": > /etc/x; mv /etc/x /etc/ld.so.preload", &[])),
            act("link", |s| in_copy_of_etc(s, ": > /etc/x; ln -s x /etc/ld.so.preload", &[])),
            act("hard_link", |s| in_copy_of_etc(s, ": > /etc/x; ln /etc/x /etc/ld.so.preload", &[])),
            act("before_it_is_there", |s| {
                // A link that leads nowhere yet, and a write through it.
                in_copy_of_etc(s, "ln -s /etc/ld.so.preload /etc/x; : > /etc/x", &[])
            }),
            act("new_open", |s| {
                let script = "my $how = pack('QQQ', 0101, 0644, 0); \
                    my $name = '/etc/ld.so.preload'; \
                    exit(syscall(437, -100, $name, $how, 24) < 0)";
                in_copy_of_etc(s, "perl -e \"$1\"", &[os(script)])
            }),
        ],
        benign: &[act("ldconfig", |s| s.run(&mut Command::new("/sbin/ldconfig")))],
    },
    Case {
        rule: "Python start-up hook written",
        attacks: &[
            act("pth", |s| {
                let path = s.file("lib/python3/site-packages/readme").with_file_name("hook.pth");
                s.run(s.act(["create"]).arg(path))
            }),
            act("customize", |s| {
                let path = s.file("lib/python3.11/readme").with_file_name("usercustomize.py");
                s.run(s.act(["create"]).arg(path))
            }),
        ],
        evasions: &[
            act("moved_into_place", |s| {
                let draft = s.file("lib/python3/site-packages/readme");
                s.shell("mv \"$1\" \"${1%/*}/hook.pth\"", &[os(&draft)])
            }),
            act("named_like_an_installer", |s| {
                let path = s.file("lib/python3/site-packages/readme").with_file_name("hook.pth");
                s.run(s.act_by(&s.executable("pip3"), ["create"]).arg(path))
            }),
        ],
        benign: &[act("environment", |s| {
            let script = "command -v python3 >/dev/null || exit 0; python3 -m venv \"$1/venv\" || true; \
                mkdir -p \"$1/site-packages/model\"; echo nothing > \"$1/site-packages/model/weights.pth\"";
            s.shell(script, &[os(&s.directory())])
        })],
    },
    Case {
        rule: "Package manager hook written",
        // Names with other suffixes are passed over.
        attacks: &[
            act("apt", |s| {
                in_copy_of_etc(s, "mkdir -p /etc/apt/apt.conf.d; echo > /etc/apt/apt.conf.d/99x", &[])
            }),
            act("dpkg", |s| {
                in_copy_of_etc(s, "mkdir -p /etc/dpkg/dpkg.cfg.d; echo > /etc/dpkg/dpkg.cfg.d/x", &[])
            }),
            act("script_of_a_package", |s| {
                let mut place = s.place("/var/lib/dpkg/info");
                place.path.set_extension("postinst");
                s.run(s.act(["create"]).arg(&place))
            }),
        ],
        evasions: &[act("moved_into_place", |s| {
            in_copy_of_etc(
                s,
                "mkdir -p /etc/apt/apt.conf.d; : > /etc/x; mv /etc/x /etc/apt/apt.conf.d/99x",
                &[],
            )
        })],
        benign: &[act("options_of_one_call", |s| {
            let options = s.file("apt.conf");
            s.shell(
                "echo 'APT::Periodic::Enable \"0\";' > \"$1\"; APT_CONFIG=\"$1\" apt-config dump >/dev/null 2>&1 || true",
                &[os(&options)],
            )
        })],
    },
    Case {
        rule: "Editor extension dropped",
        attacks: &[act("written", |s| {
            at_home(s, ".vscode/extensions/x.y-1.0/extension.js", "echo '//' > \"$1\"")
        })],
        evasions: &[act("moved_into_place", |s| {
            at_home(
                s,
                ".vscode-server/extensions/x/package.json",
                "echo '{}' > /tmp/vedette-test-$$; mv /tmp/vedette-test-$$ \"$1\"",
            )
        })],
        benign: &[act("settings_of_a_project", |s| {
            let settings = s.file("project/.vscode/settings.json");
            s.shell("echo '{}' > \"$1\"", &[os(&settings)])
        })],
    },
    Case {
        rule: "Git hook written",
        attacks: &[act("post_checkout", |s| {
            let config = s.file("project/.git/hooks/post-checkout");
            s.shell("echo '#!/bin/sh' > \"$1\"; chmod 755 \"$1\"", &[os(&config)])
        })],
        evasions: &[act("renamed_sample", |s| {
            let sample = s.file("project/.git/hooks/pre-commit.sample");
            s.shell("mv \"$1\" \"${1%.sample}\"", &[os(&sample)])
        })],
        benign: &[act("repository_made", |s| {
            s.shell("command -v git >/dev/null || exit 0; cd \"$1\"; git init -q .", &[os(&s.directory())])
        })],
    },
    Case {
        rule: "Settings that can name commands changed",
        attacks: &[
            act("editor", |s| at_home(s, ".vimrc", "echo ':' >> \"$1\"")),
            act("proxy_command", |s| at_home(s, ".ssh/config", "echo 'ProxyCommand true' >> \"$1\"")),
            act("log_rotation", |s| {
                in_copy_of_etc(s, "mkdir -p /etc/logrotate.d; echo > /etc/logrotate.d/x", &[])
            }),
        ],
        evasions: &[act("moved_into_place", |s| {
            at_home(s, ".tmux.conf", "echo > \"$1.x\"; mv \"$1.x\" \"$1\"")
        })],
        benign: &[act("read_and_draft", |s| read_and_draft(s, "/etc/logrotate.conf"))],
    },
    Case {
        rule: "Power settings changed",
        attacks: &[act("never_asleep", |s| {
            in_copy_of_etc(
                s,
                "mkdir -p /etc/systemd/sleep.conf.d; echo '[Sleep]' > /etc/systemd/sleep.conf.d/x.conf",
                &[],
            )
        })],
        evasions: &[act("target_masked_by_hand", |s| {
            in_copy_of_etc(
                s,
                "mkdir -p /etc/systemd/system; ln -s /dev/null /etc/systemd/system/sleep.target",
                &[],
            )
        })],
        benign: &[act("read", |s| {
            s.shell("cat /etc/systemd/logind.conf /sys/power/state 2>/dev/null || true", &[])
        })],
    },
    Case {
        rule: "Mail delivery settings changed",
        attacks: &[
            act("alias", |s| in_copy_of_etc(s, "echo 'x: \"|true\"' >> /etc/aliases", &[])),
            act("transport", |s| {
                in_copy_of_etc(s, "mkdir -p /etc/postfix; echo >> /etc/postfix/master.cf", &[])
            }),
        ],
        evasions: &[act("moved_into_place", |s| {
            in_copy_of_etc(s, ": > /etc/x; mv /etc/x /etc/aliases", &[])
        })],
        benign: &[act("read_and_draft", |s| read_and_draft(s, "/etc/aliases"))],
    },
    Case {
        rule: "System command shadowed",
        attacks: &[
            act("put_before_the_systems", |s| named(s, "/usr/local/sbin", "systemctl")),
            act("found_first", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/tmp", "sudo");
                s.run(
                    Command::new("/bin/sh")
                        .args(["-euc", "PATH=\"${1%/*}:$PATH\"; sudo true", "sh"])
                        .arg(program),
                )
            }),
        ],
        evasions: &[act("script", |s| {
            let place = s.place("/tmp");
            std::fs::create_dir(&place.path).unwrap();
            let script =
                "printf '#!/bin/sh\\ntrue\\n' > \"$1/ls\"; chmod 755 \"$1/ls\"; PATH=\"$1:$PATH\"; ls";
            s.shell(script, &[os(&place)])
        })],
        benign: &[act("own_commands", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/usr/local/bin", "deploy-site");
            s.shell("\"$1\"; ls / >/dev/null; ps >/dev/null 2>&1 || true", &[os(&program)])
        })],
    },
];
