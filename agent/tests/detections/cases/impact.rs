use std::process::Command;

use super::{Case, os};

pub const CASES: &[Case] = &[
    Case {
        rule: "Coin miner started",
        attack: |s| s.run(&mut s.act(["nothing", "--url", "stratum+tcp://127.0.0.1:3333"])),
        benign: |s| {
            let list = s.file("blocklist.txt");
            s.shell("! grep -c stratum+tcp:// \"$1\"", &[os(&list)])
        },
    },
    Case {
        rule: "Kernel command key used",
        // Opened, and nothing written.
        attack: |s| s.run(&mut s.act(["write", "/proc/sysrq-trigger"])),
        benign: |s| s.run(Command::new("cat").arg("/proc/sys/kernel/sysrq")),
    },
];
