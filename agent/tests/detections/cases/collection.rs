//! Cases for the policy `collection`.

use std::process::Command;

use super::{Case, act};

pub const CASES: &[Case] = &[Case {
    rule: "Credentials packed with a directory",
    attacks: &[act("tar_of_etc", |s| {
        let archive = s.directory().join("etc.tar");
        s.run(Command::new("tar").arg("-cf").arg(archive).args(["-C", "/", "etc"]))
    })],
    evasions: &[],
    benign: &[act("tar_of_another_directory", |s| {
        let archive = s.directory().join("apt.tar");
        s.run(Command::new("tar").arg("-cf").arg(archive).args(["-C", "/etc", "apt"]))
    })],
}];
