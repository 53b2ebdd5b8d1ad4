//! Rules about where a program comes from.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{Case, in_container, on_host};
use crate::{
    container::{Exec, HELPER},
    deed::{By, Deed, Doer, Twin},
};

/// Nanoseconds since 1970 of the last change of a file's inode and of its content.
fn changes(path: &Path) -> (u64, u64) {
    let meta = fs::metadata(path).unwrap();
    let nanoseconds = |seconds: i64, rest: i64| u64::try_from(seconds * 1_000_000_000 + rest).unwrap();
    (nanoseconds(meta.ctime(), meta.ctime_nsec()), nanoseconds(meta.mtime(), meta.mtime_nsec()))
}

/// Nanoseconds of a minute: longer than from making a file to running it.
const MINUTE: u64 = 60_000_000_000;

pub const CASES: &[Case] = &[
    Case {
        rule: "Execution from /dev/shm",
        variant: "",
        attack: |s| {
            let (_place, program) = s.stage.copy_of("/bin/true", "/dev/shm", "tool");
            let pid = s.stage.run(Command::new(&program).arg("x").current_dir("/"));
            on_host(pid, "execve", ("tool", &program, "tool x"))
                .with("evt.res", "SUCCESS")
                .with("proc.cwd", "/")
                .with("group.gid", 0)
                .with("group.name", "root")
        },
        benign: |s| {
            let (place, _program) = s.stage.copy_of("/bin/true", "/dev/shm", "tool");
            Twin::Process(s.stage.shell("cat \"$1\"/tool > /dev/null; cd /dev/shm; true", &[place.as_ref()]))
        },
    },
    Case {
        rule: "Execution from /dev/shm",
        variant: "script",
        attack: |s| {
            let place = s.stage.place("/dev/shm");
            fs::write(&place.path, ":\n").unwrap();
            let script = place.path.display().to_string();
            let pid = s.stage.run(Command::new("/bin/sh").arg(&script));
            let shell = fs::canonicalize("/bin/sh").unwrap();
            on_host(pid, "execve", ("sh", &shell, &format!("sh {script}"))).with("evt.res", "SUCCESS")
        },
        benign: |s| {
            let script = s.stage.file("script");
            fs::write(&script, ":\n").unwrap();
            Twin::Process(s.stage.run(Command::new("/bin/sh").arg(script).arg("/dev/shm")))
        },
    },
    Case {
        rule: "Execution from /dev/shm",
        variant: "relative_in_container",
        attack: |s| {
            let container = s.container();
            container.exec(["sh", "-c", "mkdir /dev/shm/d; cp /bin/busybox /dev/shm/d/true"]);
            container.exec_with(&Exec::new(["./true", "x"]).cwd("/dev/shm/d"));
            in_container(container, "execve", "/dev/shm/d/true", "true x")
                .with("proc.cwd", "/dev/shm/d/")
                .with("evt.res", "SUCCESS")
                .with("group.name", "bridge")
        },
        benign: |s| {
            let container = s.container();
            container.exec_with(&Exec::new(["./true", "x"]).cwd("/bin"));
            container.exec_with(&Exec::new(["/bin/true", "x"]).cwd("/dev/shm"));
            Twin::Container(container)
        },
    },
    Case {
        rule: "Execution from /dev/shm",
        variant: "right_there",
        attack: |s| {
            let (_place, program) = s.stage.copy_of("/bin/true", "/dev/shm", "tool");
            let name = format!(
                "./{}",
                program.strip_prefix("/dev/shm").unwrap().display().to_string().trim_start_matches('/')
            );
            let mut command = Command::new("/bin/sh");
            let pid = s.stage.run(command.args(["-c", &format!("exec {name} x")]).current_dir("/dev/shm"));
            on_host(pid, "execve", ("tool", &program, "tool x")).with("proc.cwd", "/dev/shm/")
        },
        // In a directory that is only called alike.
        benign: |s| {
            let (place, program) = s.stage.copy_of("/bin/true", "/dev", "shm-tool");
            let name = format!("./{}", program.file_name().unwrap().to_str().unwrap());
            Twin::Process(s.stage.run(
                Command::new("/bin/sh").args(["-c", &format!("exec {name} x")]).current_dir(&place.path),
            ))
        },
    },
    Case {
        rule: "Drop and execute new binary in container",
        variant: "",
        attack: |s| {
            let container = s.container();
            container.exec(["cp", "/bin/busybox", "/tmp/true"]);
            let (ctime, mtime) = changes(&container.path("/tmp/true"));
            container.exec(["/tmp/true", "x"]);
            in_container(container, "execve", "/tmp/true", "true x")
                .with("proc.exe", "/tmp/true")
                .with("proc.cwd", "/")
                // runc gives it a session of its own.
                .with("proc.sname", "true")
                .with("proc.exe_ino.ctime", ctime)
                .with("proc.exe_ino.mtime", mtime)
                .with_between("proc.exe_ino.ctime_duration_proc_start", 1, MINUTE)
                .with_part("evt.arg.flags", "EXE_UPPER_LAYER")
        },
        benign: |s| {
            let container = s.container();
            container.exec(["cp", "/bin/busybox", "/tmp/true"]);
            container.exec(["/bin/true", "x"]);
            container.exec([HELPER, "--act", "nothing"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Drop and execute new binary in container",
        variant: "by_containerd",
        attack: |s| {
            let container = s.container_of_containerd();
            container.write("/tmp/script", "#!/tmp/sh\ntrue\n");
            container.exec(["cp", "/bin/busybox", "/tmp/sh"]);
            container.exec(["chmod", "+x", "/tmp/script"]);
            let (ctime, mtime) = changes(&container.path("/tmp/sh"));
            container.exec(["/tmp/script"]);
            Deed::new(
                By::Container(container.id().to_owned()),
                "execve",
                // The interpreter is the executable.
                &Doer { name: "script", exe_path: "/tmp/sh", parent: "runc", command: "script /tmp/script" },
            )
            .by_user("captain", 0)
            .with("proc.exe_ino.ctime", ctime)
            .with("proc.exe_ino.mtime", mtime)
            .holding(container)
        },
        // A script is no executable: the shell of the image is.
        benign: |s| {
            let container = s.container_of_containerd();
            container.write("/tmp/script", "#!/bin/sh\ntrue\n");
            container.exec(["sh", "/tmp/script"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Fileless execution via memfd_create",
        variant: "",
        attack: |s| {
            // What the kernel calls such a task has changed over time; it says so itself. And it makes an execve of
            // every execveat that succeeds.
            let mut command = s.stage.act(["exec-memfd", "/bin/cat", "/proc/self/comm"]);
            let child = command.stdout(Stdio::piped()).spawn().unwrap();
            let pid = child.id();
            let name = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            let name = name.trim();
            on_host(pid, "execve", (name, "memfd:vedette-test".as_ref(), &format!("{name} /proc/self/comm")))
                .with("evt.res", "SUCCESS")
                .with("evt.arg.flags", "EXE_WRITABLE|EXE_FROM_MEMFD")
        },
        benign: |s| Twin::Process(s.stage.run(&mut s.stage.act(["exec-fd", "/bin/true"]))),
    },
    Case {
        rule: "Fileless execution via memfd_create",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            let output = container.exec([
                "/bin/sh",
                "-c",
                "/opt/helper --act exec-memfd /bin/busybox cat /proc/self/comm; :",
            ]);
            let name = String::from_utf8(output.stdout).unwrap();
            let name = name.trim();
            let doer = Doer {
                name,
                exe_path: "memfd:vedette-test",
                parent: "sh",
                command: &format!("{name} cat /proc/self/comm"),
            };
            Deed::new(By::Container(container.id().to_owned()), "execve", &doer)
                .by_user("captain", 0)
                .with("proc.cwd", "/")
                .holding(container)
        },
        // What was deleted is not what never was.
        benign: |s| {
            let container = s.container();
            container.exec(["cp", "/bin/busybox", "/tmp/true"]);
            container.exec([HELPER, "--act", "exec-deleted", "/tmp/true"]);
            Twin::Container(container)
        },
    },
];
