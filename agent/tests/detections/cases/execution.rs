//! Cases for the policy `execution`.

use std::process::Command;

use super::{Case, act, os};

pub const CASES: &[Case] = &[
    Case {
        rule: "Shell started by a server",
        attacks: &[act("nginx", |s| {
            s.run(&mut s.act_by(&s.named("nginx"), ["run", "/bin/sh", "-c", "id -u"]))
        })],
        evasions: &[],
        benign: &[act("server_without_shell_and_shell_without_server", |s| {
            let server = s.named("nginx");
            let runner = s.named("ci-runner");
            s.shell(
                "\"$1\" --act run /bin/true; \"$2\" --act run /bin/sh -c 'id -u'",
                &[os(&server), os(&runner)],
            )
        })],
    },
    Case {
        rule: "Program run from shared memory or a hidden place",
        attacks: &[act("dev_shm", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/dev/shm", "program");
            s.run(&mut Command::new(program))
        })],
        evasions: &[],
        benign: &[act("tmp", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/tmp", "program");
            s.run(&mut Command::new(program))
        })],
    },
    Case {
        rule: "Shell opened a network connection",
        // To an address for documentation (RFC 5737), in a network of its own, in which nobody is.
        attacks: &[act("dev_tcp", |s| {
            let script = ": <> /dev/tcp/192.0.2.1/443; true";
            s.run(Command::new("unshare").args(["-n", "--", "bash", "-c", script]))
        })],
        evasions: &[],
        benign: &[act("loopback_and_client", |s| {
            let client = s.executable("client");
            let script = ": <> /dev/tcp/127.0.0.1/443; \"$0\" --act connect 192.0.2.1:443";
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--", "bash", "-c", script]).arg(os(&client)))
        })],
    },
];
