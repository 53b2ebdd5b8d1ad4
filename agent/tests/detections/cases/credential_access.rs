//! Cases for the policy `credential-access`.

use std::{fs, process::Command};

use super::{Case, os};

pub const CASES: &[Case] = &[
    Case {
        rule: "Password hashes read",
        // Through a link: the alert goes by what the kernel opened.
        attack: |s| s.run(s.act(["read"]).arg(s.link_to("/etc/shadow"))),
        benign: |s| s.run(Command::new("passwd").args(["-S", "root"])),
    },
    Case {
        rule: "SSH private key read",
        attack: |s| s.run(s.act(["read"]).arg(s.file(".ssh/id_ed25519"))),
        benign: |s| {
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
        },
    },
    Case {
        rule: "Cloud or cluster credentials read",
        attack: |s| s.run(Command::new("cat").arg(s.file(".aws/credentials"))),
        benign: |s| {
            let (secret, settings) = (s.file(".aws/credentials"), s.file(".aws/config"));
            s.shell(
                "cat \"$2\"; \"$1\" --act read \"$3\"",
                &[os(&s.executable("aws")), os(&settings), os(&secret)],
            )
        },
    },
    Case {
        rule: "Kubernetes token read by a general tool",
        attack: |s| {
            let place = s.place("/run/secrets/kubernetes.io/serviceaccount");
            fs::create_dir(&place.path).unwrap();
            fs::write(place.path.join("token"), "made by a test").unwrap();
            s.run(Command::new("cat").arg(place.path.join("token")))
        },
        benign: |s| {
            let place = s.place("/run/secrets/kubernetes.io/serviceaccount");
            fs::create_dir(&place.path).unwrap();
            fs::write(place.path.join("token"), "made by a test").unwrap();
            fs::write(place.path.join("namespace"), "default").unwrap();
            s.shell(
                "cat \"$2/namespace\"; \"$1\" --act read \"$2/token\"",
                &[os(&s.executable("controller")), os(&place)],
            )
        },
    },
    Case {
        rule: "Memory of another process opened",
        attack: |s| s.run(s.act(["read"]).arg(format!("/proc/{}/mem", std::process::id()))),
        benign: |s| {
            let maps = format!("/proc/{}/maps", std::process::id());
            s.acts(&[&[os("read"), os("/proc/self/mem")], &[os("read"), os(&maps)]])
        },
    },
    Case {
        rule: "Cloud metadata service reached",
        // In a network of its own, in which nobody is.
        attack: |s| {
            let server = s.named("nginx");
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--"]).arg(server).args(["--act", "connect", "169.254.169.254:80"]))
        },
        benign: |s| {
            let client = s.executable("sdk-client");
            let server = s.named("nginx");
            let script = "\"$0\" --act connect 169.254.169.254:80; \"$1\" --act connect 169.254.7.7:80";
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--", "/bin/sh", "-euc", script]).args([client, server]))
        },
    },
];
