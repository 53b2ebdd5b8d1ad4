//! Cases for the policy `lateral-movement`.

use std::process::Command;

use super::{Case, act, os};
use crate::container::{Exec, Options};

pub const CASES: &[Case] = &[
    Case {
        rule: "SSH client started by a server",
        attacks: &[act("nginx", |s| s.run(&mut s.act_by(&s.named("nginx"), ["run", "ssh", "-V"])))],
        evasions: &[act("further_down_and_scp", |s| {
            let server = s.named("php-fpm8.2");
            let script = "busybox env scp -o BatchMode=yes -P 9 /etc/hostname 127.0.0.1:/tmp/ || true";
            s.run(&mut s.act_by(&server, ["run", "busybox", "sh", "-c", script]))
        })],
        benign: &[act("administrator", |s| s.shell("ssh -V", &[]))],
    },
    Case {
        rule: "SSH client started in a container",
        attacks: &[act("ssh", |s| {
            let script = "mkdir -p /opt/bin; cp /opt/helper /opt/bin/ssh; /opt/bin/ssh --act nothing";
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", script])))
        })],
        evasions: &[],
        benign: &[act("on_the_host", |s| s.shell("ssh -V", &[]))],
    },
    Case {
        rule: "SSH without a check of the far machine",
        // Nobody listens on the port.
        attacks: &[
            act("ssh", |s| {
                let script = "setsid -w ssh -o StrictHostKeyChecking=no -o BatchMode=yes -p 9 127.0.0.1 id || true";
                s.shell(script, &[])
            })
            .showing(&["T1021.004"]),
            act("scp", |s| {
                let script = "setsid -w scp -o UserKnownHostsFile=/dev/null -o BatchMode=yes -P 9 /bin/true 127.0.0.1: || true";
                s.shell(script, &[])
            })
            .showing(&["T1570"]),
        ],
        evasions: &[],
        benign: &[act("checked", |s| s.shell("setsid -w ssh -o BatchMode=yes -p 9 127.0.0.1 id || true", &[]))],
    },
    Case {
        rule: "Foreign program used an agent for SSH keys",
        attacks: &[act("program_in_tmp", |s| {
            let (_made, program) = s.copy_of(s.helper().to_str().unwrap(), "/tmp", "ssh");
            let script = "eval \"$(ssh-agent)\"; \"$1\" --act connect-unix \"$SSH_AUTH_SOCK\"; ssh-agent -k";
            s.shell(script, &[os(&program)])
        })],
        evasions: &[act("relay_through_a_link", |s| {
            let script = "eval \"$(ssh-agent)\"; ln -s \"$SSH_AUTH_SOCK\" \"$2\"; \
                /usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' \"$SSH_AUTH_SOCK\"; \
                ssh-agent -k";
            s.shell(script, &[os(&s.helper()), os(&s.directory().join("link"))])
        })],
        benign: &[act("its_own_client", |s| {
            s.shell("eval \"$(ssh-agent)\"; ssh-add -l || true; ssh-agent -k", &[])
        })],
    },
    Case {
        rule: "Unusual program used an agent for SSH keys",
        attacks: &[act("of_no_package", |s| {
            let script = "eval \"$(ssh-agent)\"; \"$1\" --act connect-unix \"$SSH_AUTH_SOCK\"; ssh-agent -k";
            s.shell(script, &[os(&s.helper())])
        })],
        evasions: &[],
        benign: &[act("its_own_client", |s| {
            s.shell("eval \"$(ssh-agent)\"; ssh-add -l || true; ssh-agent -k", &[])
        })],
    },
    Case {
        rule: "Root used somebody's agent for SSH keys",
        attacks: &[act("ssh_add", |s| {
            s.shell("eval \"$(ssh-agent)\"; ssh-add -l || true; ssh-agent -k", &[])
        })],
        evasions: &[],
        benign: &[act("no_agent", |s| {
            s.run(Command::new("/bin/sh").args(["-c", "ssh-add -l || true"]).env_remove("SSH_AUTH_SOCK"))
        })],
    },
    Case {
        rule: "Files sent to another machine by a script",
        attacks: &[act("scp", |s| {
            s.shell("scp -o BatchMode=yes -P 9 /bin/true 127.0.0.1:/tmp/ || true", &[])
        })],
        evasions: &[],
        benign: &[act("ssh", |s| s.shell("ssh -V", &[]))],
    },
];
