//! Cases for the policy `execution`.

use std::{os::unix::fs::PermissionsExt, process::Command};

use super::{Case, act, os};
use crate::container::{Exec, Options};

pub const CASES: &[Case] = &[
    Case {
        rule: "Shell started by a server",
        attacks: &[act("nginx", |s| {
            s.run(&mut s.act_by(&s.named("nginx"), ["run", "/bin/sh", "-c", "id -u"]))
        })],
        evasions: &[
            act("script_in_tmp_by_a_server_for_cgi", |s| {
                let place = s.place("/tmp");
                std::fs::write(&place.path, "#!/bin/sh\nid -u\n").unwrap();
                std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o755)).unwrap();
                s.run(&mut s.act_by(&s.named("apache2"), [os("run"), os(&place)]))
            }),
            act("behind_a_converter", |s| {
                s.run(&mut s.act_by(&s.named("nginx"), ["run", "/bin/sh", "-c", "convert --version; id -u"]))
            }),
        ],
        benign: &[
            act("server_without_shell_and_shell_without_server", |s| {
                let server = s.named("nginx");
                let runner = s.named("ci-runner");
                s.shell(
                    "\"$1\" --act run /bin/true; \"$2\" --act run /bin/sh -c 'id -u'",
                    &[os(&server), os(&runner)],
                )
            }),
            act("picture_made_smaller", |s| {
                let server = s.named("php-fpm8.2");
                s.run(
                    &mut s.act_by(
                        &server,
                        ["run", "/bin/sh", "-c", "nice -n 5 git --version > /dev/null 2>&1"],
                    ),
                )
            }),
            act("cgi_script", |s| {
                let script = s.file("date.cgi");
                std::fs::write(&script, "#!/bin/sh\necho Content-Type: text/plain; echo; date\n").unwrap();
                std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
                s.run(&mut s.act_by(&s.named("apache2"), [os("run"), os(&script)]))
            }),
        ],
    },
    Case {
        rule: "Program run from shared memory or a hidden place",
        attacks: &[act("dev_shm", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/dev/shm", "program");
            s.run(&mut Command::new(program))
        })],
        evasions: &[act("named_like_a_cache", |s| {
            let script = "d=$(mktemp -d /dev/shm/vedette-test-XXXXXX); mkdir $d/.cache; cp /bin/true $d/.cache/program; \
                $d/.cache/program; rm -r $d";
            s.shell(script, &[])
        })],
        benign: &[
            act("tmp", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/tmp", "program");
                s.run(&mut Command::new(program))
            }),
            // libtool keeps what it links there until it is installed.
            act("built_by_libtool", |s| {
                let script =
                    "d=$(mktemp -d); mkdir $d/.libs; cp /bin/true $d/.libs/tool; $d/.libs/tool; rm -r $d";
                s.shell(script, &[])
            }),
        ],
    },
    Case {
        rule: "Program run from a temporary directory",
        attacks: &[act("tmp", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/tmp", "program");
            s.run(&mut Command::new(program))
        })],
        evasions: &[act("below_var_tmp", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/var/tmp", "program");
            s.run(&mut Command::new(program))
        })],
        benign: &[act("elsewhere", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/var/lib", "program");
            s.run(&mut Command::new(program))
        })],
    },
    Case {
        rule: "Program run that is not of the container's image",
        attacks: &[act("copied_into_it", |s| {
            let script = "cp /bin/busybox /tmp/busybox; /tmp/busybox id -u";
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", script])))
        })],
        evasions: &[act("at_the_root", |s| {
            let script = "cp /bin/busybox /busybox; /busybox id -u";
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", script])))
        })],
        benign: &[act("of_the_image", |s| {
            let script = "id -u; echo 'echo text' > /tmp/script; sh /tmp/script";
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", script])))
        })],
    },
    Case {
        rule: "Installed program run that is not of the container's image",
        attacks: &[act("copied_into_it", |s| {
            let script = "mkdir -p /usr/bin; cp /bin/busybox /usr/bin/busybox; /usr/bin/busybox id -u";
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", script])))
        })],
        evasions: &[],
        benign: &[act("of_the_image", |s| {
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/id", "-u"])))
        })],
    },
    Case {
        rule: "Copied interpreter used",
        attacks: &[act("python", |s| {
            let (_made, program) = s.copy_of("/usr/bin/python3", "/var/lib", "updater");
            s.run(Command::new(program).args(["-c", "print(1)"]))
        })],
        evasions: &[act("perl", |s| {
            let (_made, program) = s.copy_of("/usr/bin/perl", "/var/lib", "updater");
            s.run(Command::new(program).args(["-MPOSIX", "-e", "print 1"]))
        })],
        benign: &[act("itself_and_in_an_environment", |s| {
            let (_made, program) = s.copy_of("/usr/bin/python3", "/var/lib", "python3");
            s.shell("/usr/bin/python3 -c 'print(1)'; \"$1\" -c 'print(1)'", &[os(&program)])
        })],
    },
    Case {
        rule: "Copied shell used",
        attacks: &[act("command", |s| {
            let (_made, program) = s.copy_of("/bin/sh", "/tmp", "updater");
            s.run(Command::new(program).args(["-c", "id -u; pwd"]))
        })],
        evasions: &[
            act("interactive", |s| {
                let (_made, program) = s.copy_of("/bin/bash", "/var/tmp", "updater");
                s.run(Command::new(program).arg("-i"))
            })
            .showing(&["T1036.003"]),
            act("script", |s| {
                let (_made, program) = s.copy_of("/bin/sh", "/tmp", "updater");
                let script = s.file("job.sh");
                std::fs::write(&script, "pwd").unwrap();
                s.run(Command::new(program).arg(script))
            }),
        ],
        benign: &[act("program_with_that_option", |s| {
            let (_made, program) = s.copy_of("/usr/bin/head", "/tmp", "first");
            s.run(Command::new(program).args(["-c", "5", "/etc/hostname"]))
        })],
    },
    Case {
        rule: "Program of a temporary directory run by a schedule",
        attacks: &[
            act("cron", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/tmp", "program");
                s.run(s.act_by(&s.named("cron"), ["run", "/bin/sh", "-c"]).arg(program))
            })
            .showing(&["T1053.003"]),
            act("at", |s| {
                let place = s.place("/var/tmp");
                std::fs::write(&place.path, "id -u").unwrap();
                s.run(s.act_by(&s.named("atd"), ["run", "/bin/sh"]).arg(&place))
            })
            .showing(&["T1053.002"]),
        ],
        evasions: &[],
        benign: &[act("installed_job", |s| {
            let job = s.file("job.sh");
            std::fs::write(&job, "mktemp -u; id -u").unwrap();
            s.run(s.act_by(&s.named("cron"), ["run", "/bin/sh"]).arg(job))
        })],
    },
    Case {
        rule: "Service manager asked by a server or for a passing task",
        // Whether a service manager runs here does not matter.
        attacks: &[
            act("timer", |s| s.shell("systemd-run --on-active=1h /bin/true || true", &[])),
            act("server", |s| {
                let mut server = s.act_by(&s.named("nginx"), ["run", "/bin/sh", "-c", "systemctl --version"]);
                s.run(&mut server)
            }),
        ],
        evasions: &[],
        benign: &[act("administrator", |s| s.shell("systemctl --version", &[]))],
    },
    Case {
        rule: "Container tool used",
        attacks: &[
            act("command_in_a_container", |s| {
                s.run(&mut s.act_by(&s.executable("kubectl"), ["nothing", "exec", "web-0", "--", "id"]))
            })
            .showing(&["T1059.013", "T1609"]),
            act("new_container", |s| {
                s.run(&mut s.act_by(&s.executable("docker"), ["nothing", "run", "alpine"]))
            })
            .showing(&["T1610", "T1059.013"]),
        ],
        evasions: &[],
        benign: &[act("asked_for_its_version", |s| {
            s.run(&mut s.act_by(&s.executable("docker"), ["nothing", "version"]))
        })],
    },
    Case {
        rule: "Container tool used from inside a container",
        attacks: &[act("kubectl", |s| {
            let script = "mkdir -p /opt/bin; cp /opt/helper /opt/bin/kubectl; /opt/bin/kubectl --act nothing";
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", script])))
        })],
        evasions: &[],
        benign: &[act("on_the_host", |s| {
            s.run(&mut s.act_by(&s.executable("kubectl"), ["nothing", "get", "pods"]))
        })],
    },
    Case {
        rule: "Interactive shell in a container",
        attacks: &[act("exec_with_a_terminal", |s| {
            let container = s.container(Options::default());
            s.run(&mut container.command(&Exec::new(["/bin/sh", "-c", "id -u"]).terminal()))
        })],
        evasions: &[],
        benign: &[act("command_without_a_terminal", |s| {
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", "id -u"])))
        })],
    },
    Case {
        rule: "Shell started by a Java application",
        attacks: &[act("java", |s| {
            let mut command = Command::new("setsid");
            s.run(command.arg("-w").arg(s.named("java")).args(["--act", "run", "/bin/sh", "-c", "id -u"]))
        })],
        evasions: &[],
        benign: &[act("no_shell", |s| s.run(&mut s.act_by(&s.named("java"), ["run", "/bin/true"])))],
    },
];
