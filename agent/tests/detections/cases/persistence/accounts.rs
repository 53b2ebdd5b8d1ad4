//! Who may log in, and as whom.

use std::process::Command;

use super::{
    super::os, Case, act, at_home, created, in_copy_of_etc, in_copy_of_etc_detached, linked, moved, named,
    read_and_draft,
};

pub const CASES: &[Case] = &[
    Case {
        rule: "SSH authorized keys changed",
        attacks: &[
            act("by_a_program", |s| {
                let file = s.file(".ssh/authorized_keys");
                s.shell("echo '# made by a test' >> \"$1\"", &[os(&file)])
            }),
            act("in_a_home", |s| at_home(s, ".ssh/authorized_keys", "echo '# made by a test' | tee -a \"$1\"")),
            act("commands_at_login", |s| at_home(s, ".ssh/rc", "echo true > \"$1\"")),
        ],
        evasions: &[
            act("moved_into_place", |s| {
                at_home(s, ".ssh/authorized_keys", "echo '# made by a test' > \"$1.x\"; mv \"$1.x\" \"$1\"")
            }),
            act("linked_to", |s| {
                at_home(s, ".ssh/authorized_keys", "echo '# made by a test' > \"$1.x\"; ln -s \"$1.x\" \"$1\"")
            }),
            act("whole_directory_moved", |s| {
                let script = "cd \"${1%/.ssh/*}\"; mv .ssh .x; echo '# made by a test' > .x/authorized_keys; mv .x .ssh";
                at_home(s, ".ssh/authorized_keys", script)
            }),
            act("through_a_link", |s| {
                let script = "cd \"$(dirname \"$1\")\"; ln -s \"$PWD\" ../elsewhere; echo '#' >> ../elsewhere/authorized_keys";
                at_home(s, ".ssh/authorized_keys", script)
            }),
            act("edited_in_place", |s| {
                at_home(s, ".ssh/authorized_keys", ": > \"$1.x\"; ln \"$1.x\" \"$1\"; sed -i '$a# made by a test' \"$1\"")
            }),
        ],
        benign: &[
            act("read_and_other_file", |s| {
                let (keys, known) = (s.file(".ssh/authorized_keys"), s.file(".ssh/known_hosts"));
                s.acts(&[&[os("read"), os(&keys)], &[os("append"), os(&known)]])
            }),
            act("backup_of_a_home", |s| {
                let keys = s.file(".ssh/authorized_keys");
                let home = keys.parent().and_then(|ssh| ssh.parent()).unwrap();
                s.shell("tar -C \"$1\" -cf \"$2/home.tar\" .; mkdir \"$2/restored\"; tar -C \"$2/restored\" -xf \"$2/home.tar\"", &[
                    os(home),
                    os(&s.directory()),
                ])
            }),
        ],
    },
    Case {
        rule: "SSH key installed over SSH",
        attacks: &[act("ssh_copy_id", |s| {
            let home = s.file(".ssh/id_ed25519.pub");
            let home = home.parent().and_then(|ssh| ssh.parent()).unwrap();
            let (_made, server) = s.copy_of("/bin/true", "/usr/lib/openssh", "sshd-session");
            std::fs::remove_file(&server).unwrap();
            std::fs::hard_link(s.helper(), &server).or_else(|_| std::fs::copy(s.helper(), &server).map(drop)).unwrap();
            let script = "cd \"$1\"; exec sh -c 'umask 077; mkdir -p .ssh; cat .ssh/id_ed25519.pub >> .ssh/authorized_keys || exit 1; \
                if type restorecon >/dev/null 2>&1; then restorecon -F .ssh .ssh/authorized_keys; fi'";
            s.run(s.act_by(&server, ["run", "/bin/sh", "-euc", script, "sh"]).arg(home))
        })],
        evasions: &[],
        benign: &[act("keys_listed", |s| {
            let keys = s.file(".ssh/authorized_keys");
            s.shell("wc -l \"$1\"; ssh-keygen -lf \"$1\" || true", &[os(&keys)])
        })],
    },
    Case {
        rule: "SSH server settings changed",
        attacks: &[
            act("drop_in", |s| created(s, "/etc/ssh/sshd_config.d")),
            act("main_file", |s| named(s, "/etc/ssh", "sshd_config")),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/ssh/sshd_config.d")),
            act("link", |s| linked(s, "/etc/ssh/sshd_config.d")),
        ],
        benign: &[act("another_servers", |s| read_and_draft(s, "/etc/ssh/sshd_config"))],
    },
    Case {
        rule: "Settings of services changed at a terminal",
        attacks: &[act("root_let_in", |s| {
            in_copy_of_etc(
                s,
                "mkdir -p /etc/ssh; echo '#' >> /etc/ssh/sshd_config; \
                    script -q -e -c \"sed -i '\\$a PermitRootLogin yes' /etc/ssh/sshd_config\" /dev/null",
                &[],
            )
        })],
        evasions: &[],
        benign: &[act("read", |s| {
            s.run(Command::new("script").args(["-q", "-e", "-c", "cat /etc/ssh/sshd_config || true", "/dev/null"]))
        })],
    },
    Case {
        rule: "Account database written directly",
        attacks: &[
            // Opened, and left as it is.
            act("passwd", |s| s.run(&mut s.act(["write", "/etc/passwd"]))).showing(&["T1098"]),
            act("second_root", |s| in_copy_of_etc(s, "echo 'toor:x:0:0::/root:/bin/sh' >> /etc/passwd", &[]))
                .showing(&["T1136.001", "T1098"]),
            act("member_of_a_group", |s| {
                in_copy_of_etc(s, "sed -i 's/^\\(root:x:0:\\).*/\\1nobody/' /etc/group", &[])
            })
            .showing(&["T1098.007"]),
        ],
        evasions: &[
            act("moved_into_place", |s| {
                let script = "cp /etc/passwd /etc/x; echo 'toor:x:0:0::/root:/bin/sh' >> /etc/x; mv /etc/x /etc/passwd";
                in_copy_of_etc(s, script, &[])
            }),
            act("exchanged", |s| {
                let script = "cp /etc/shadow /etc/x; \
                    perl -e 'my ($a, $b) = @ARGV; exit(syscall(316, -100, $a, -100, $b, 2) != 0)' /etc/x /etc/shadow";
                in_copy_of_etc(s, script, &[])
            }),
            act("over_a_bind_mount", |s| {
                let script = "mkdir /mnt/elsewhere; mount --bind /etc /mnt/elsewhere; echo '#' >> /mnt/elsewhere/passwd";
                in_copy_of_etc(s, script, &[])
            }),
            act("cut_off", |s| {
                in_copy_of_etc(s, "perl -e 'truncate(\"/etc/gshadow\", 0) or die $!'", &[])
            }),
        ],
        benign: &[
            act("read_and_of_an_image", |s| {
                let of_image = s.file("rootfs/etc/passwd");
                s.acts(&[
                    &[os("read"), os("/etc/passwd")],
                    &[os("read"), os("/etc/group")],
                    &[os("write"), os(&of_image)],
                ])
            }),
            act("useradd", |s| in_copy_of_etc(s, "useradd -M vedette-test; userdel vedette-test", &[])),
        ],
    },
    Case {
        rule: "Account made by a server, or with the id of root",
        attacks: &[act("uid_0", |s| in_copy_of_etc(s, "useradd -M -o -u 0 vedette-test", &[]))],
        evasions: &[
            act("options_joined", |s| in_copy_of_etc(s, "useradd -Mou0 vedette-test", &[])),
            act("changed_later", |s| {
                in_copy_of_etc(s, "useradd -M vedette-test; usermod --non-unique --uid 0 vedette-test", &[])
            }),
        ],
        benign: &[act("ordinary_account", |s| {
            in_copy_of_etc(s, "groupadd -g 60500 vedette-test; useradd -M -u 60500 -g 60500 vedette-test", &[])
        })],
    },
    Case {
        rule: "Account given the rights of an administrator by a script",
        attacks: &[act("group", |s| {
            in_copy_of_etc_detached(s, "useradd -M vedette-test; usermod -aG root vedette-test")
        })],
        evasions: &[
            act("member_of_several", |s| {
                in_copy_of_etc_detached(s, "useradd -M --groups users,root vedette-test")
            }),
            act("password", |s| in_copy_of_etc_detached(s, "useradd -M -p '$6$x$y' vedette-test")),
        ],
        benign: &[act("another_group", |s| {
            in_copy_of_etc_detached(s, "useradd -M vedette-test; usermod -aG users vedette-test")
        })],
    },
    Case {
        rule: "Account made or changed",
        attacks: &[
            act("account", |s| in_copy_of_etc(s, "useradd -M vedette-test", &[])).showing(&["T1136.001"]),
            act("password", |s| {
                in_copy_of_etc(s, "useradd -M vedette-test; echo vedette-test:one-two | chpasswd -c SHA512", &[])
            })
            .showing(&["T1136.001", "T1098"]),
            act("group", |s| in_copy_of_etc(s, "useradd -M vedette-test; usermod -aG root vedette-test", &[]))
                .showing(&["T1136.001", "T1098.007"]),
        ],
        evasions: &[],
        benign: &[act("looked_up", |s| s.shell("id root; getent passwd root; passwd -S root; chage -l root", &[]))],
    },
    Case {
        rule: "PAM changed",
        attacks: &[
            // A service of a name that no program uses.
            act("service", |s| created(s, "/etc/pam.d")),
            act("permissions", |s| created(s, "/etc/security")),
            act("module", |s| {
                let mut place = s.place("/usr/lib/x86_64-linux-gnu/security");
                place.path.set_file_name(format!("pam_vedette_test_{}.so", std::process::id()));
                s.run(s.act(["create"]).arg(&place))
            }),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/pam.d")),
            act("link", |s| linked(s, "/etc/pam.d")),
            act("whole_directory", |s| in_copy_of_etc(s, "cp -r /etc/pam.d /etc/x; mv /etc/pam.d /etc/y; mv /etc/x /etc/pam.d", &[])),
        ],
        benign: &[act("read_and_of_an_image", |s| read_and_draft(s, "/etc/pam.d/common-auth"))],
    },
    Case {
        rule: "Second factor changed",
        attacks: &[
            act("replaced", |s| at_home(s, ".google_authenticator", "echo ABCDEFGH > \"$1\"")),
            act("keys", |s| at_home(s, ".config/Yubico/u2f_keys", "echo root: >> \"$1\"")),
            act("removed", |s| s.run(Command::new("rm").arg(s.file(".google_authenticator")))),
        ],
        evasions: &[act("moved_away", |s| {
            at_home(s, ".google_authenticator", "mkdir \"$1.d\"; echo X > \"$1.d/x\"; mv \"$1.d/x\" \"$1\"; mv \"$1\" \"$1.d/x\"")
        })],
        benign: &[act("looked_at", |s| {
            let secret = s.file("home/.google_authenticator");
            s.shell("stat \"$1\"; ls -la \"${1%/*}\"; touch \"${1%/*}/.other\"", &[os(&secret)])
        })],
    },
    Case {
        rule: "Rules about administrators changed",
        attacks: &[
            // sudo passes over names with a dot.
            act("sudoers_d", |s| {
                let mut place = s.place("/etc/sudoers.d");
                place.path.set_extension("not-read");
                s.run(s.act(["create"]).arg(&place))
            }),
            act("main_file", |s| in_copy_of_etc(s, "echo '# made by a test' >> /etc/sudoers", &[])),
            act("polkit", |s| created(s, "/etc/polkit-1/rules.d")),
            act("ticket", |s| created(s, "/run/sudo/ts")),
        ],
        evasions: &[
            act("moved_into_place", |s| {
                let (mut place, draft) = (s.place("/etc/sudoers.d"), s.file("draft"));
                place.path.set_extension("not-read");
                s.shell("mv \"$1\" \"$2\"", &[os(&draft), os(&place)])
            }),
            act("root_of_a_process", |s| {
                in_copy_of_etc(s, "echo '# made by a test' >> /proc/self/root/etc/sudoers.d/README", &[])
            }),
        ],
        benign: &[act("visudo", |s| {
            s.shell("visudo -c >/dev/null 2>&1 || true; sudo -l >/dev/null 2>&1 || true; cat /etc/sudoers >/dev/null 2>&1 || true", &[])
        })],
    },
    Case {
        rule: "Hard link to a watched file made",
        attacks: &[
            act("keys", |s| {
                let script = "echo '# made by a test' > \"$1.x\"; mkdir \"$1.d\"; mv \"$1.x\" \"$1\"; ln \"$1\" \"$1.d/notes\"; \
                    echo '#' >> \"$1.d/notes\"";
                at_home(s, ".ssh/authorized_keys", script)
            })
            .showing(&["T1098.004"]),
            act("crontab", |s| {
                in_copy_of_etc(s, "echo '#' > /etc/crontab; ln /etc/crontab /etc/notes; echo '#' >> /etc/notes", &[])
            })
            .showing(&["T1053.003"]),
        ],
        evasions: &[],
        benign: &[act("other_files", |s| {
            let file = s.file("documents/letter");
            s.shell("ln \"$1\" \"$1.second\"; cp -al \"${1%/*}\" \"${1%/*}.copy\"", &[os(&file)])
        })],
    },
];
