//! Cases for the policy `credential-access`.

use std::{fs, process::Command};

use super::{Case, act, os};
use crate::container::{Exec, Options};

pub const CASES: &[Case] = &[
    Case {
        rule: "Password hashes read",
        // Through a link: the alert goes by what the kernel opened.
        attacks: &[act("through_a_link", |s| s.run(s.act(["read"]).arg(s.link_to("/etc/shadow"))))],
        evasions: &[],
        benign: &[act("tool_asks_for_state", |s| s.run(Command::new("passwd").args(["-S", "root"])))],
    },
    Case {
        rule: "SSH private key read",
        attacks: &[act("by_a_program_of_no_name", |s| s.run(s.act(["read"]).arg(s.file(".ssh/id_ed25519"))))],
        evasions: &[],
        benign: &[act("ssh_itself", |s| {
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
        })],
    },
    Case {
        rule: "Cloud or cluster credentials read",
        attacks: &[act("cat", |s| s.run(Command::new("cat").arg(s.file(".aws/credentials"))))],
        evasions: &[],
        benign: &[act("client_itself", |s| {
            let (secret, settings) = (s.file(".aws/credentials"), s.file(".aws/config"));
            s.shell(
                "cat \"$2\"; \"$1\" --act read \"$3\"",
                &[os(&s.executable("aws")), os(&settings), os(&secret)],
            )
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
            }),
            act("cat_in_a_container", |s| {
                let token = "/run/secrets/kubernetes.io/serviceaccount/token";
                let container = s.container(Options::default());
                container.write(token, "made by a test");
                s.run(&mut container.command(&Exec::new(["/bin/cat", token])))
            }),
        ],
        evasions: &[],
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
    Case {
        rule: "Memory of another process opened",
        attacks: &[act("of_the_test", |s| {
            s.run(s.act(["read"]).arg(format!("/proc/{}/mem", std::process::id())))
        })],
        evasions: &[],
        benign: &[act("own_memory_and_maps", |s| {
            let maps = format!("/proc/{}/maps", std::process::id());
            s.acts(&[&[os("read"), os("/proc/self/mem")], &[os("read"), os(&maps)]])
        })],
    },
    Case {
        rule: "Cloud metadata service reached",
        // In a network of its own, in which nobody is.
        attacks: &[act("web_server", |s| {
            let server = s.named("nginx");
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--"]).arg(server).args(["--act", "connect", "169.254.169.254:80"]))
        })],
        evasions: &[],
        benign: &[act("client_and_other_address", |s| {
            let client = s.executable("sdk-client");
            let server = s.named("nginx");
            let script = "\"$0\" --act connect 169.254.169.254:80; \"$1\" --act connect 169.254.7.7:80";
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--", "/bin/sh", "-euc", script]).args([client, server]))
        })],
    },
];
