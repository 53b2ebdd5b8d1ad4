//! Cases for the policy `availability`.

use std::{path::Path, process::Command};

use super::{
    Case, act,
    impact::{detached, with_own_mounts},
};
use crate::{
    container::{Exec, Options},
    stage::Stage,
};

/// A script in a session without a terminal, with four more accounts, in a copy of /etc that nobody else sees.
fn on_other_accounts(stage: &Stage, script: &str) -> u32 {
    let script = format!(
        "cp -a /etc/. \"$1\"; mount --bind \"$1\" /etc
        for name in vedette1 vedette2 vedette3 vedette4; do useradd -M -N $name; done
        {script}"
    );
    let copy = stage.directory();
    let wait = ["-w", "unshare", "-m", "--", "/bin/sh", "-euc", &script, "sh"];
    stage.run(Command::new("setsid").args(wait).arg(copy))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Several services stopped",
        attacks: &[act("one_after_the_other", |s| {
            let script = "for service in mysql postgresql clamav-daemon; do systemctl stop made-by-a-test-$service || :; done";
            detached(s, script, &[])
        })],
        evasions: &[act("by_their_names", |s| {
            let script = "for name in mysqld-test veeamservice-test falcon-sensor-test; do pkill -9 -x $name || :; done";
            detached(s, script, &[])
        })],
        benign: &[act("one_of_them_and_a_look", |s| {
            let script = "systemctl stop made-by-a-test-mysql || :; systemctl status postgresql redis || :";
            detached(s, script, &[])
        })],
    },
    Case {
        rule: "Several accounts locked or removed",
        attacks: &[act("by_the_tools", |s| {
            on_other_accounts(
                s,
                "for name in vedette1 vedette2 vedette3 vedette4; do passwd -q -l $name; done",
            )
        })],
        evasions: &[act("removed", |s| {
            on_other_accounts(s, "for name in vedette1 vedette2 vedette3 vedette4; do userdel $name; done")
        })],
        benign: &[act("one_that_leaves", |s| {
            let script = "passwd -q -l vedette1; usermod -L vedette1; chage -E 0 vedette1; userdel vedette1";
            on_other_accounts(s, script)
        })],
    },
    Case {
        rule: "Account locked or removed",
        attacks: &[act("locked", |s| on_other_accounts(s, "usermod -L vedette1"))],
        evasions: &[],
        benign: &[act("changed", |s| on_other_accounts(s, "usermod -c test vedette1; passwd -S vedette1"))],
    },
    Case {
        rule: "Kernel command key used",
        // Opened, and nothing written. Where the kernel is built without it, a file stands for it, in a name space
        // of mounts in which nothing else is below /proc.
        attacks: &[act("opened", |s| {
            if Path::new("/proc/sysrq-trigger").exists() {
                return s.run(&mut s.act(["write", "/proc/sysrq-trigger"]));
            }
            with_own_mounts(s, "mount -t tmpfs none /proc; : > /proc/sysrq-trigger", &[])
        })],
        evasions: &[],
        benign: &[act("setting_read", |s| s.run(Command::new("cat").arg("/proc/sys/kernel/panic")))],
    },
    Case {
        rule: "Machine ordered to go down",
        // A container may not, and has but its own first process to lose.
        attacks: &[act("in_a_container", |s| {
            let container = s.container(Options::default());
            s.run(&mut container.command(&Exec::new(["sh", "-c", "reboot -f || :"])))
        })],
        evasions: &[],
        benign: &[act("asked_for_its_state", |s| s.shell("systemctl is-system-running || :", &[]))],
    },
];
