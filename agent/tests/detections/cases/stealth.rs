//! Cases for the policy `stealth`.

use std::{fs, process::Command};

use super::{Case, act};

/// A file through which the bytes of memory or of a disk can be read, of those that this host lets root open.
fn raw_bytes() -> Option<String> {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let disks = disks.filter_map(|d| Some(format!("/dev/{}", d.file_name().to_str()?)));
    let named =
        |path: &String| ["/dev/vd", "/dev/sd", "/dev/nvme", "/dev/xvd"].iter().any(|p| path.starts_with(p));
    let all = disks.filter(named).chain(["/proc/kcore".to_owned(), "/dev/mem".to_owned()]);
    all.into_iter().find(|path| fs::File::open(path).is_ok())
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Program run from memory",
        attacks: &[act("memfd", |s| s.run(&mut s.act(["exec-memfd", "/bin/true", "marker"])))],
        evasions: &[],
        // A container runtime runs a copy of itself, so that the container cannot write to its file.
        benign: &[act("container_runtime", |s| {
            let helper = s.helper();
            let mut runtime = s.act_by(&s.executable("runc"), ["run"]);
            s.run(runtime.arg(helper).args(["--act", "exec-memfd", "/bin/true", "init"]))
        })],
    },
    Case {
        rule: "Program run through a descriptor",
        attacks: &[act("deleted", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/var/lib", "program");
            s.run(s.act(["exec-deleted"]).arg(program))
        })],
        evasions: &[],
        benign: &[act("system_program", |s| s.run(&mut s.act(["exec-fd", "/bin/true"])))],
    },
    Case {
        rule: "Program disguised as a kernel thread",
        attacks: &[act("kworker", |s| s.run(&mut s.act(["exec-as", "[kworker/0:3]", "/bin/true"])))],
        evasions: &[],
        benign: &[act("test_in_brackets", |s| s.run(Command::new("/usr/bin/[").args(["1", "=", "1", "]"])))],
    },
    Case {
        rule: "Program disguised as a system service",
        attacks: &[act("sshd_in_tmp", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/tmp", "sshd");
            s.run(&mut Command::new(program))
        })],
        evasions: &[],
        benign: &[act("real_agetty", |s| s.run(Command::new("/sbin/agetty").arg("--version")))],
    },
    Case {
        rule: "Library injected by environment",
        attacks: &[act("library_in_tmp", |s| {
            s.run(Command::new("/bin/true").env("LD_PRELOAD", "/tmp/vedette-test-none.so"))
        })],
        evasions: &[],
        benign: &[act("system_library", |s| {
            s.run(Command::new("/bin/true").env("LD_PRELOAD", "libm.so.6").env("TMPDIR", "/tmp/"))
        })],
    },
    Case {
        rule: "Command history cleared",
        attacks: &[act("truncated", |s| s.run(s.act(["truncate"]).arg(s.file(".bash_history"))))],
        evasions: &[],
        benign: &[act("shell_itself", |s| {
            let history = s.file(".bash_history");
            let script = "HISTFILE=$0; set -o history; history -s command; history -w; history -c";
            s.run(Command::new("bash").args(["-c", script]).arg(history))
        })],
    },
    Case {
        rule: "Raw disk or kernel memory opened",
        // Where nobody may open such a thing, a file stands for it, in a name space of mounts in which nothing else is
        // below /dev.
        attacks: &[act("read", |s| {
            if let Some(path) = raw_bytes() {
                return s.run(Command::new("head").args(["-c", "1"]).arg(path));
            }
            let script = "mount -t tmpfs none /dev; : > /dev/mem; cat /dev/mem";
            s.run(Command::new("unshare").args(["-m", "--", "/bin/sh", "-euc", script]))
        })],
        evasions: &[],
        benign: &[act("listed", |s| {
            s.shell("blkid >/dev/null || true; cat /proc/partitions /proc/iomem", &[])
        })],
    },
];
