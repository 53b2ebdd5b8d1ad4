//! Cases for the policy `impact`.

use std::{path::Path, process::Command};

use super::{Case, act, os};

pub const CASES: &[Case] = &[
    Case {
        rule: "Coin miner started",
        attacks: &[act("pool_address", |s| {
            s.run(&mut s.act(["nothing", "--url", "stratum+tcp://127.0.0.1:3333"]))
        })],
        evasions: &[],
        benign: &[act("search_for_the_word", |s| {
            let list = s.file("blocklist.txt");
            s.shell("! grep -c stratum+tcp:// \"$1\"", &[os(&list)])
        })],
    },
    Case {
        rule: "Kernel command key used",
        // Opened, and nothing written. Where the kernel is built without it, a file stands for it, in a name space
        // of mounts in which nothing else is below /proc.
        attacks: &[act("opened", |s| {
            if Path::new("/proc/sysrq-trigger").exists() {
                return s.run(&mut s.act(["write", "/proc/sysrq-trigger"]));
            }
            let script = "mount -t tmpfs none /proc; : > /proc/sysrq-trigger";
            s.run(Command::new("unshare").args(["-m", "--", "/bin/sh", "-euc", script]))
        })],
        evasions: &[],
        benign: &[act("setting_read", |s| s.run(Command::new("cat").arg("/proc/sys/kernel/panic")))],
    },
];
