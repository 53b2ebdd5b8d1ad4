//! Rules about shells, and commands by people.

use std::{fs, path::Path, process::Command};

use super::{BUSYBOX, Case, in_container, lineage, on_host, terminal};
use crate::{
    container::Exec,
    deed::{By, Deed, Doer, Twin},
};

/// The shell that `/bin/sh` is.
fn shell() -> String {
    fs::canonicalize("/bin/sh").unwrap().display().to_string()
}

/// The first pseudo terminal of a container, in the encoding of `/proc/PID/stat`: major 136, minor 0.
const FIRST_PTS: u64 = 136 << 8;

/// The name of a system account, and its number, as this host has them.
fn system_user() -> (String, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let entry = passwd.lines().find(|line| line.starts_with("daemon:")).unwrap();
    let mut fields = entry.split(':');
    (fields.next().unwrap().into(), fields.nth(1).unwrap().parse().unwrap())
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Run shell untrusted",
        variant: "",
        attack: |s| {
            let nginx = s.stage.named("nginx");
            let pid = s.stage.run(&mut s.stage.act_by(&nginx, ["run", "/bin/sh", "-c", ":"]));
            let shell = shell();
            let doer = Doer { name: "sh", exe_path: &shell, parent: "nginx", command: "sh -c :" };
            Deed::new(By::Process(pid), "execve", &doer)
                .by_user("root", 0)
                .with("proc.tty", terminal())
                .with("proc.pexe", nginx.to_str())
                .with("proc.pexepath", s.stage.helper().to_str())
                .with("proc.pcmdline", "nginx --act run /bin/sh -c :")
                .with_ancestors(&lineage()[..lineage().len().min(6)])
                .with_part("evt.arg.flags", "EXE_WRITABLE")
        },
        // A command line that is known, and a shell below what need not be protected.
        benign: |s| {
            let (nginx, tool) = (s.stage.named("nginx"), s.stage.named("tool"));
            s.stage.run(&mut s.stage.act_by(&tool, ["run", "/bin/sh", "-c", ":"]));
            Twin::Process(s.stage.run(&mut s.stage.act_by(&nginx, ["run", "/bin/sh", "-c", "whoami"])))
        },
    },
    Case {
        rule: "Run shell untrusted",
        variant: "indirectly",
        attack: |s| {
            let (redis, tool) = (s.stage.named("redis-server"), s.stage.named("tool"));
            let mut command = s.stage.act_by(&redis, ["run"]);
            let pid = s.stage.run(command.arg(&tool).args(["--act", "run", "/bin/sh", "-c", ":"]));
            let shell = shell();
            let doer = Doer { name: "sh", exe_path: &shell, parent: "tool", command: "sh -c :" };
            let mut ancestors = vec!["redis-server".to_owned()];
            ancestors.extend(lineage().into_iter().take(4));
            Deed::new(By::Process(pid), "execve", &doer).by_user("root", 0).with_ancestors(&ancestors)
        },
        // A shell that a shell starts has been told already.
        benign: |s| {
            let tool = s.stage.named("tool");
            Twin::Process(
                s.stage.run(&mut s.stage.act_by(&tool, ["run", "/bin/sh", "-c", "/bin/sh -c :; :"])),
            )
        },
    },
    Case {
        rule: "System user interactive",
        variant: "",
        attack: |s| {
            let (name, uid) = system_user();
            let sshd = s.stage.named("sshd");
            let mut command = s.stage.act_by(&sshd, ["run"]);
            command.arg(s.stage.helper()).args(["--act", "exec-user", &uid.to_string(), "/bin/true", "x"]);
            let pid = s.stage.run(&mut command);
            let exe_path = fs::canonicalize("/bin/true").unwrap().display().to_string();
            let doer = Doer { name: "true", exe_path: &exe_path, parent: "sshd", command: "true x" };
            Deed::new(By::Process(pid), "execve", &doer).by_user(&name, uid).with("proc.tty", terminal())
        },
        // Somebody else who has logged in.
        benign: |s| {
            let sshd = s.stage.named("sshd");
            let mut command = s.stage.act_by(&sshd, ["run"]);
            Twin::Process(s.stage.run(command.arg(s.stage.helper()).args([
                "--act",
                "exec-user",
                "12345",
                "/bin/true",
            ])))
        },
    },
    Case {
        rule: "System user interactive",
        variant: "by_login",
        attack: |s| {
            let (name, uid) = system_user();
            let login = s.stage.executable("login");
            let mut command = s.stage.act(["exec-user", &uid.to_string()]);
            // Where everybody may look.
            let (_place, program) = s.stage.copy_of(login.to_str().unwrap(), "/tmp", "login");
            open_to_all(program.parent().unwrap());
            let pid = s.stage.run(command.arg(&program).args(["--act", "nothing"]));
            on_host(pid, "execve", ("login", &program, "login --act nothing")).by_user(&name, uid)
        },
        // A job of the same account.
        benign: |s| {
            let (_, uid) = system_user();
            Twin::Process(s.stage.run(&mut s.stage.act(["exec-user", &uid.to_string(), "/bin/true"])))
        },
    },
    Case {
        rule: "Terminal shell in container",
        variant: "",
        attack: |s| {
            let container = s.container();
            container.exec_with(&Exec::new(["sh", "-c", ":"]).terminal());
            // `script` and its shell stand between this test and runc.
            in_container(container, "execve", BUSYBOX, "sh -c :")
                .with("proc.tty", FIRST_PTS)
                .with_ancestors(&["script".to_owned()])
        },
        benign: |s| {
            let container = s.container();
            container.exec(["sh", "-c", ":"]);
            container.exec_with(&Exec::new(["true"]).terminal());
            Twin::Container(container)
        },
    },
    Case {
        rule: "Terminal shell in container",
        variant: "of_containerd",
        attack: |s| {
            let container = s.container_of_containerd();
            container.exec_with(&Exec::new(["sh", "-c", ":"]).terminal().user(1000));
            let doer = Doer { name: "sh", exe_path: BUSYBOX, parent: "runc", command: "sh -c :" };
            Deed::new(By::Container(container.id().to_owned()), "execve", &doer)
                .by_user("cook", 1000)
                .with("proc.tty", FIRST_PTS)
                .holding(container)
        },
        // A shell that a program in the container starts, in its terminal.
        benign: |s| {
            let container = s.container_of_containerd();
            container.exec_with(&Exec::new(["/bin/env", "/bin/timeout", "9", "/bin/sh", "-c", ":"]));
            Twin::Container(container)
        },
    },
];

/// Lets everybody into a directory.
fn open_to_all(directory: &Path) {
    Command::new("chmod").arg("a+rx").arg(directory).status().unwrap();
}
