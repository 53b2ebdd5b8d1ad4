//! Cases for the policy `privilege-escalation`.

use std::process::Command;

use super::{Case, act};

pub const CASES: &[Case] = &[Case {
    rule: "Set-uid program started with a hostile environment",
    attacks: &[act("glibc_tunables", |s| {
        s.run(Command::new("/usr/bin/su").arg("--version").env("GLIBC_TUNABLES", "glibc.malloc.check=0"))
    })],
    evasions: &[],
    benign: &[act("without_it", |s| {
        s.shell("/usr/bin/su --version; GLIBC_TUNABLES=glibc.malloc.check=0 /bin/true", &[])
    })],
}];
