//! Cases for the policy `container-administration`.

use std::process::Command;

use super::{Case, act};
use crate::{
    container::{Exec, Options},
    stage::Stage,
};

/// A client of containers, told to do this. It is none: what counts is what it is told.
fn client(stage: &Stage, name: &str, args: &[&str]) -> u32 {
    let (_place, tool) = stage.copy_of("/bin/true", "/var/lib", name);
    stage.run(Command::new(tool).args(args))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Privileged container started",
        attacks: &[act("by_runc", |s| s.container(Options { privileged: true, ..Options::default() }).pid())],
        evasions: &[],
        benign: &[act("another_container", |s| s.container(Options::default()).pid())],
    },
    Case {
        rule: "Container ordered with the machine in it",
        attacks: &[
            act("all_rights", |s| client(s, "docker", &["run", "--rm", "--privileged", "debian"])),
            act("root_directory", |s| client(s, "podman", &["run", "-v", "/:/host", "debian"])),
        ],
        evasions: &[],
        benign: &[act("as_usual", |s| {
            client(s, "docker", &["run", "--rm", "-v", "/srv/www:/srv:ro", "nginx"])
        })],
    },
    Case {
        rule: "Command run in a container from outside",
        attacks: &[act("entered", |s| {
            let container = s.container(Options::default());
            s.run(&mut container.command(&Exec::new(["true"])))
        })],
        evasions: &[],
        benign: &[act("its_own_children", |s| {
            let args = ["/bin/sh", "-c", "/bin/true; /bin/cat"].map(String::from).to_vec();
            s.container(Options { args, ..Options::default() }).pid()
        })],
    },
    Case {
        rule: "Shell with a terminal in a container",
        attacks: &[act("entered", |s| {
            let container = s.container(Options::default());
            s.run(&mut container.command(&Exec::new(["sh", "-c", "true"]).terminal()))
        })],
        evasions: &[],
        benign: &[act("without_a_terminal", |s| {
            let container = s.container(Options::default());
            s.run(&mut container.command(&Exec::new(["sh", "-c", "true"])))
        })],
    },
    Case {
        rule: "Image built on this machine",
        attacks: &[act("built", |s| client(s, "docker", &["build", "-t", "x", "."]))],
        evasions: &[act("made_of_a_container", |s| client(s, "podman", &["commit", "web", "x"]))],
        benign: &[act("listed", |s| client(s, "docker", &["image", "ls"]))],
    },
    Case {
        rule: "Image put in place by hand",
        attacks: &[act("imported", |s| client(s, "ctr", &["-n", "k8s.io", "images", "import", "x.tar"]))],
        evasions: &[act("pushed", |s| client(s, "docker", &["push", "registry.example.com/base:latest"]))],
        benign: &[act("pulled", |s| client(s, "docker", &["pull", "debian"]))],
    },
];
