//! Cases for the policy `credential-access`: files with passwords and keys.

pub mod processes;
pub mod stores;

use std::{fs, process::Command};

use super::{Case, act, in_own_mounts, os, perl, perl_script};
use crate::container::{Exec, Options};

pub const CASES: &[Case] = &[
    Case {
        rule: "Password hashes read",
        // Through a link: the alert goes by what the kernel opened.
        attacks: &[
            act("through_a_link", |s| s.run(s.act(["read"]).arg(s.link_to("/etc/shadow")))),
            act("backup_copy", |s| s.run(Command::new("cat").arg("/etc/shadow-"))),
            act("groups", |s| s.run(Command::new("head").args(["-n", "1", "/etc/gshadow"]))),
            act("in_a_container", |s| {
                let container = s.container(Options::default());
                container.write("/etc/shadow", "made by a test");
                s.run(&mut container.command(&Exec::new(["/bin/cat", "/etc/shadow"])))
            }),
        ],
        evasions: &[
            act("builtin_of_a_shell", |s| s.shell("read -r line < /etc/shadow", &[])),
            act("builtin_of_bash", |s| {
                s.run(Command::new("bash").args(["-c", "mapfile -t all < /etc/shadow; x=$(</etc/shadow)"]))
            }),
            act("builtin_in_a_container", |s| {
                let container = s.container(Options::default());
                container.write("/etc/shadow", "made by a test");
                let script = "while read -r line; do :; done < /etc/shadow";
                s.run(&mut container.command(&Exec::new(["/bin/sh", "-c", script])))
            }),
            act("perl", |s| perl(s, "open(F, '<', '/etc/shadow') or die; my $x = <F>", &[""])),
            act("awk", |s| s.run(Command::new("awk").args(["NR == 1 { exit }", "/etc/shadow"]))),
            act("sed", |s| s.run(Command::new("sed").args(["-n", "1p", "/etc/shadow"]))),
            act("renamed_tool", |s| {
                let (_made, program) = s.copy_of("/bin/cat", "/var/lib", "sshd");
                s.run(Command::new(program).arg("/etc/shadow"))
            }),
            act("relative_path", |s| s.run(Command::new("cat").arg("shadow").current_dir("/etc"))),
            act("through_proc", |s| s.run(Command::new("cat").arg("/proc/self/root/etc/shadow"))),
            act("bind_mount", |s| {
                let file = s.file("harmless");
                in_own_mounts(s, "mount --bind /etc/shadow \"$1\"; cat \"$1\"", &[os(&file)])
            }),
            act("another_root", |s| s.run(Command::new("cat").arg(s.file("mnt/etc/shadow")))),
            act("io_uring", |s| s.run(s.act(["uring-read"]).arg("/etc/shadow"))),
        ],
        benign: &[
            act("tool_asks_for_state", |s| s.run(Command::new("passwd").args(["-S", "root"]))),
            act("names_are_looked_up", |s| s.run(Command::new("getent").args(["passwd", "root"]))),
            act("root_is_archived", |s| {
                let file = s.file("root/etc/shadow");
                let root = file.ancestors().nth(2).unwrap();
                s.run(Command::new("tar").arg("-cf").arg(s.file("archive.tar")).arg("-C").arg(root).arg("."))
            }),
        ],
    },
    Case {
        rule: "Password hashes listed by name service",
        attacks: &[act("one_user", |s| s.run(Command::new("getent").args(["shadow", "root"])))],
        evasions: &[],
        benign: &[act("passwd", |s| s.run(Command::new("getent").args(["passwd", "root"])))],
    },
    Case {
        rule: "Second name given to a secret",
        attacks: &[
            act("hard_link_to_hashes", |s| {
                s.run(Command::new("ln").arg("/etc/shadow").arg(&s.place("/etc").path))
            })
            .showing(&["T1003.008"]),
            act("hard_link_to_key", |s| {
                let (key, other) = (s.file(".ssh/id_rsa"), s.directory().join("notes"));
                s.run(Command::new("ln").args([key, other]))
            })
            .showing(&["T1552.004"]),
        ],
        evasions: &[act("symbolic_link", |s| {
            s.run(s.act(["symlinkat", "/etc/shadow"]).arg(s.directory().join("notes")))
        })
        .showing(&["T1003.008"])],
        benign: &[act("other_files", |s| {
            let (file, dir) = (s.file("file"), s.directory());
            s.shell("ln \"$1\" \"$2/hard\"; ln -s /etc/hosts \"$2/soft\"", &[os(&file), os(&dir)])
        })],
    },
    Case {
        rule: "SSH private key read",
        attacks: &[
            act("by_a_program_of_no_name", |s| s.run(s.act(["read"]).arg(s.file(".ssh/id_ed25519")))),
            act("of_the_host", |s| s.run(Command::new("cat").arg(s.file("etc/ssh/ssh_host_rsa_key")))),
        ],
        evasions: &[
            act("builtin_of_a_shell", |s| s.shell("read -r line < \"$1\"", &[os(&s.file(".ssh/id_rsa"))])),
            act("key_of_another_name", |s| s.run(Command::new("base64").arg(s.file(".ssh/production.pem")))),
            act("python_or_perl", |s| perl(s, "open(F, '<', $ARGV[0]) or die", &[&s.file(".ssh/id_ecdsa")])),
            act("packed_by_name", |s| {
                let key = s.file(".ssh/id_rsa");
                s.run(Command::new("tar").arg("-cf").arg(s.file("x.tar")).arg(key.parent().unwrap()))
            }),
        ],
        benign: &[
            act("ssh_itself", |s| {
                let (public, known) = (s.file(".ssh/id_ed25519.pub"), s.file(".ssh/known_hosts"));
                let key = s.file(".ssh/id_rsa");
                let ssh = s.executable("ssh");
                let pid = s.acts(&[
                    &[os("read"), os(&public)],
                    &[os("read"), os(&known)],
                    &[os("run"), os(&ssh), os("--act"), os("read"), os(&key)],
                ]);
                fs::remove_file(key).unwrap();
                pid
            }),
            act("key_is_copied_to_a_server", |s| {
                let key = s.file(".ssh/id_ed25519");
                fs::remove_file(&key).unwrap();
                let script = "HOME=${1%/.ssh/*}; export HOME; ssh-keygen -q -t ed25519 -N '' -f \"$1\"; ssh-copy-id -f -n -i \"$1\" root@127.0.0.1";
                s.shell(script, &[os(&key)])
            }),
        ],
    },
    Case {
        rule: "Private key of a server read by a general tool",
        attacks: &[
            act("cat", |s| {
                let place = s.place("/etc/ssl/private");
                fs::write(&place.path, "made by a test").unwrap();
                s.run(Command::new("cat").arg(&place))
            })
            .showing(&["T1552.004"]),
            act("with_its_certificate", |s| {
                let place = s.place("/etc/openvpn");
                fs::create_dir(&place.path).unwrap();
                let file = place.path.join("office.p12");
                fs::write(&file, "made by a test").unwrap();
                s.run(Command::new("base64").arg(file))
            })
            .showing(&["T1649"]),
        ],
        evasions: &[act("builtin_of_a_shell", |s| {
            let place = s.place("/etc/pki/tls/private");
            fs::write(&place.path, "made by a test\n").unwrap();
            s.shell("read -r line < \"$1\"", &[os(&place)])
        })
        .showing(&["T1552.004"])],
        benign: &[act("server_itself", |s| {
            let place = s.place("/etc/ssl/private");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(s.act_by(&s.executable("nginx"), ["read"]).arg(&place))
        })],
    },
    Case {
        rule: "Cloud or cluster credentials read",
        attacks: &[
            act("cat", |s| s.run(Command::new("cat").arg(s.file(".aws/credentials")))),
            act("of_a_registry", |s| s.run(Command::new("base64").arg(s.file(".docker/config.json")))),
            act("of_a_cluster", |s| s.run(Command::new("cat").arg(s.file(".kube/config")))),
            act("of_a_repository", |s| s.run(Command::new("cat").arg(s.file(".git-credentials")))),
            act("copied_away", |s| {
                let place = s.place("/tmp");
                s.run(Command::new("cp").arg(s.file(".aws/credentials")).arg(&place))
            }),
        ],
        evasions: &[
            act("builtin_of_a_shell", |s| s.shell("read -r line < \"$1\"", &[os(&s.file(".vault-token"))])),
            act("perl", |s| perl(s, "open(F, '<', $ARGV[0]) or die", &[&s.file(".netrc")])),
            act("awk", |s| s.run(Command::new("awk").arg("{ print }").arg(s.file(".pgpass")))),
            act("program_in_tmp", |s| {
                let (_made, program) = s.copy_of("/bin/cat", "/tmp", "report");
                s.run(Command::new(program).arg(s.file(".config/doctl/config.yaml")))
            }),
        ],
        benign: &[
            act("client_itself", |s| {
                let (secret, settings) = (s.file(".aws/credentials"), s.file(".aws/config"));
                s.shell(
                    "cat \"$2\"; \"$1\" --act read \"$3\"",
                    &[os(&s.executable("aws")), os(&settings), os(&secret)],
                )
            }),
            act("home_is_archived", |s| {
                let file = s.file("home/.aws/credentials");
                let home = file.ancestors().nth(2).unwrap();
                s.run(Command::new("tar").arg("-cf").arg(s.file("home.tar")).arg("-C").arg(home).arg("."))
            }),
        ],
    },
    Case {
        rule: "Application secrets read by a general tool",
        attacks: &[act("env_file", |s| s.run(Command::new("cat").arg(s.file("shop/.env"))))],
        evasions: &[],
        benign: &[act("application_itself", |s| {
            s.run(s.act_by(&s.executable("shop"), ["read"]).arg(s.file("shop/.env")))
        })],
    },
    Case {
        rule: "Many secrets opened by one program",
        attacks: &[act("stealer", |s| {
            let files =
                [".ssh/id_rsa", ".aws/credentials", "keyrings/login.keyring", ".netrc"].map(|f| s.file(f));
            let files: Vec<_> = files.iter().collect();
            perl_script(s, "for (@ARGV) { open(F, '<', $_) or die }", &files)
        })],
        evasions: &[],
        benign: &[
            act("one_again_and_again", |s| {
                let file = s.file(".aws/credentials");
                perl_script(
                    s,
                    "for (@ARGV) { open(F, '<', $_) or die }",
                    &[&file, &file, &file, &file, &file],
                )
            }),
            act("settings_of_an_application", |s| {
                let files =
                    [".env", ".env.local", ".env.production", "secrets.yml", ".npmrc"].map(|f| s.file(f));
                let files: Vec<_> = files.iter().collect();
                perl_script(s, "for (@ARGV) { open(F, '<', $_) or die }", &files)
            }),
        ],
    },
    Case {
        rule: "Search for credentials",
        attacks: &[
            act("words", |s| {
                fs::write(s.file("a"), "password").unwrap();
                let file = s.file("settings");
                fs::write(&file, "password = x").unwrap();
                s.run(Command::new("grep").args(["-ri", "password"]).arg(file.parent().unwrap()))
            })
            .showing(&["T1552.001"]),
            act("names", |s| s.run(Command::new("find").arg(s.directory()).args(["-name", "id_rsa*"])))
                .showing(&["T1552.004"]),
        ],
        evasions: &[],
        benign: &[act("other_words", |s| {
            let file = s.file("settings");
            s.run(Command::new("grep").args(["-r", "made"]).arg(file.parent().unwrap()))
        })],
    },
    Case {
        rule: "Credentials read while searching directories",
        attacks: &[act("home", |s| {
            let file = s.file("home/.ssh/id_rsa");
            s.run(Command::new("grep").args(["-r", "made"]).arg(file.ancestors().nth(2).unwrap()))
        })],
        evasions: &[],
        benign: &[act("nothing_there", |s| {
            let file = s.file("home/notes");
            s.run(Command::new("grep").args(["-r", "made"]).arg(file.parent().unwrap()))
        })],
    },
    Case {
        rule: "Kubernetes token read by a general tool",
        attacks: &[
            act("cat", |s| {
                let place = s.place("/run/secrets/kubernetes.io/serviceaccount");
                fs::create_dir(&place.path).unwrap();
                fs::write(place.path.join("token"), "made by a test").unwrap();
                s.run(Command::new("cat").arg(place.path.join("token")))
            })
            .showing(&["T1528"]),
            act("cat_in_a_container", |s| {
                let token = "/run/secrets/kubernetes.io/serviceaccount/token";
                let container = s.container(Options::default());
                container.write(token, "made by a test");
                s.run(&mut container.command(&Exec::new(["/bin/cat", token])))
            })
            .showing(&["T1528"]),
            act("secret_of_a_pod_on_the_node", |s| {
                let place = s.place("/var/lib/kubelet/pods");
                let volume = place.path.join("volumes/kubernetes.io~secret/database");
                fs::create_dir_all(&volume).unwrap();
                fs::write(volume.join("password"), "made by a test").unwrap();
                s.run(Command::new("cat").arg(volume.join("password")))
            })
            .showing(&["T1552.001"]),
        ],
        evasions: &[act("builtin_in_a_container", |s| {
            let token = "/run/secrets/kubernetes.io/serviceaccount/token";
            let container = s.container(Options::default());
            container.write(token, "made by a test");
            let script = "read -r token < /var/../run/secrets/kubernetes.io/serviceaccount/token || true";
            s.run(&mut container.command(&Exec::new(["/bin/sh", "-c", script])))
        })
        .showing(&["T1528"])],
        benign: &[act("client_itself", |s| {
            let place = s.place("/run/secrets/kubernetes.io/serviceaccount");
            fs::create_dir(&place.path).unwrap();
            fs::write(place.path.join("token"), "made by a test").unwrap();
            fs::write(place.path.join("namespace"), "default").unwrap();
            s.shell(
                "cat \"$2/namespace\"; \"$1\" --act read \"$2/token\"",
                &[os(&s.executable("controller")), os(&place)],
            )
        })],
    },
];
