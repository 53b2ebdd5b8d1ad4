//! Cases for the policy `stealth`: programs, libraries and the kernel.

pub mod hiding;
pub mod names;

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
        rule: "Library injected by environment",
        attacks: &[act("library_in_tmp", |s| {
            s.run(Command::new("/bin/true").env("LD_PRELOAD", "/tmp/vedette-test-none.so"))
        })],
        evasions: &[act("hidden_library", |s| {
            s.run(Command::new("/bin/true").env("LD_PRELOAD", "/var/lib/.vedette-test-none.so"))
        })],
        benign: &[
            act("system_library", |s| {
                s.run(Command::new("/bin/true").env("LD_PRELOAD", "libm.so.6").env("TMPDIR", "/tmp/"))
            }),
            act("test_of_a_build_in_tmp", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/tmp", "program");
                s.run(Command::new(program).env("LD_PRELOAD", "/tmp/vedette-test-none.so"))
            }),
        ],
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
    Case {
        rule: "Program started by the dynamic linker",
        attacks: &[act("program_in_tmp", |s| {
            let (_made, program) = s.copy_of("/bin/true", "/tmp", "report.txt");
            s.run(Command::new("/lib64/ld-linux-x86-64.so.2").arg(program))
        })],
        evasions: &[act("by_its_directory", |s| {
            let (made, _program) = s.copy_of("/bin/true", "/tmp", "report.txt");
            s.run(Command::new("/lib64/ld-linux-x86-64.so.2").arg("./report.txt").current_dir(&made.path))
        })],
        benign: &[act("libraries_are_listed", |s| {
            s.run(Command::new("/lib64/ld-linux-x86-64.so.2").args(["--list", "/bin/true"]).current_dir("/"))
        })],
    },
    Case {
        rule: "Secret opened through io_uring",
        attacks: &[act("hashes", |s| s.run(s.act(["uring-read"]).arg("/etc/shadow")))],
        evasions: &[],
        benign: &[act("other_file", |s| s.run(s.act(["uring-read"]).arg("/etc/hosts")))],
    },
    Case {
        rule: "io_uring set up by a general tool",
        attacks: &[act("program_in_tmp", |s| {
            let (_made, program) = s.copy_of(s.helper().to_str().unwrap(), "/tmp", "program");
            s.run(s.act_by(&program, ["uring-read"]).arg("/etc/hosts"))
        })],
        evasions: &[],
        benign: &[act("program_elsewhere", |s| s.run(s.act(["uring-read"]).arg("/etc/hosts")))],
    },
    Case {
        rule: "Program from a temporary directory detached itself",
        attacks: &[
            act("session", |s| {
                let (_made, program) = s.copy_of("/usr/bin/setsid", "/tmp", "worker");
                s.run(Command::new(program).args(["--fork", "/bin/true"]))
            })
            .showing(&["T1036.009"]),
            act("no_hangup", |s| {
                let (_made, program) = s.copy_of("/bin/true", "/tmp", "worker");
                s.run(Command::new("nohup").arg(program))
            })
            .showing(&["T1564.011"]),
        ],
        evasions: &[],
        benign: &[act("installed_program", |s| {
            s.run(Command::new("setsid").args(["--wait", "nohup", "/bin/true"]).current_dir("/"))
        })],
    },
];
