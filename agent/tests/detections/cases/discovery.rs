//! Cases for the policy `discovery`.

use std::process::Command;

use super::{Case, act, os};
use crate::{
    container::{Exec, Options},
    scene::Scene,
};

/// The interpreter of the system; another may come first in the path.
const PYTHON: &str = "/usr/bin/python3";

/// Runs a script in Python that lies in a file.
fn python(scene: &Scene, text: &str) -> u32 {
    let file = scene.file("script.py");
    std::fs::write(&file, text).unwrap();
    scene.run(Command::new(PYTHON).arg(file))
}

/// A tool that may not be installed, looking at what it looks at.
fn stand_in(scene: &Scene, name: &str, act: &str, at: &str) -> u32 {
    scene.run(&mut scene.act_by(&scene.executable(name), [act, at]))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Port scan",
        // Nothing has to listen.
        attacks: &[act("one_process", |s| s.run(&mut s.act(["connect-ports", "400", "440"])))],
        evasions: &[
            act("shell_alone", |s| {
                let script =
                    "for port in {450..490}; do (: <> /dev/tcp/127.0.0.1/$port) 2>/dev/null; done; true";
                s.run(Command::new("bash").args(["-c", script]))
            }),
            act("a_process_for_each", |s| {
                s.shell(
                    "for port in $(seq 500 540); do busybox nc -w 1 127.0.0.1 $port </dev/null || true; done",
                    &[],
                )
            }),
        ],
        benign: &[act("many_ports_of_own_tests", |s| s.run(&mut s.act(["connect-ports", "40000", "40030"])))],
    },
    Case {
        rule: "Scan of all ports",
        attacks: &[act("one_process", |s| s.run(&mut s.act(["connect-ports", "41000", "41150"])))],
        evasions: &[],
        benign: &[act("some", |s| s.run(&mut s.act(["connect-ports", "42000", "42030"])))],
    },
    Case {
        rule: "Sweep over many machines",
        // In a network of its own, in which nobody is.
        attacks: &[act("ssh", |s| {
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--"]).arg(s.helper()).args(["--act", "connect-hosts", "10.255.255."]))
        })],
        evasions: &[],
        benign: &[act("one_machine", |s| s.run(&mut s.act(["connect", "127.0.0.1:22"])))],
    },
    Case {
        rule: "Server's shell looks around",
        attacks: &[act("nginx", |s| {
            // A session of its own, for that is what is counted by.
            let mut server = Command::new("setsid");
            server.arg("--wait").arg(s.named("nginx")).args(["--act", "run", "/bin/sh", "-c"]);
            s.run(server.arg("id; uname -a; hostname; ip addr; true"))
        })],
        evasions: &[act("without_a_shell", |s| {
            let server = s.named("nginx");
            let script = "\"$1\" --act run whoami; \"$1\" --act run uname -a; \"$1\" --act run ps aux; \"$1\" --act run id";
            s.run(Command::new("setsid").args(["--wait", "/bin/sh", "-euc", script, "sh"]).arg(&server))
        })],
        benign: &[act("administrator", |s| s.shell("id; uname -a; hostname; ps aux", &[]))],
    },
    Case {
        rule: "Burst of looking around",
        attacks: &[act("script", |s| {
            s.shell("id; whoami; uname -a; hostname; ps aux; ip addr; ss -tan; mount; df; who; true", &[])
        })],
        evasions: &[],
        benign: &[act("some", |s| s.shell("id; uname -a; df; true", &[]))],
    },
    Case {
        rule: "Burst of reading about the machine",
        attacks: &[act("python", |s| {
            let text =
                "for name in '/etc/passwd /etc/group /etc/os-release /etc/hosts /proc/version /proc/cpuinfo \
                /proc/mounts /proc/net/tcp /etc/fstab'.split():
    try: open(name).read()
    except OSError: pass";
            python(s, text)
        })],
        evasions: &[act("shell_alone", |s| {
            let script = "for name in /etc/passwd /etc/group /etc/os-release /etc/hosts /proc/version /proc/cpuinfo \
                /proc/mounts /proc/meminfo; do read -r line < $name; done; true";
            s.run(Command::new("bash").args(["-c", script]))
        })],
        benign: &[act("some", |s| python(s, "open('/etc/passwd').read(); open('/etc/os-release').read()"))],
    },
    Case {
        rule: "All processes looked through",
        attacks: &[act("python", |s| {
            let text = "import glob
for name in glob.glob('/proc/[0-9]*/cmdline'):
    try: open(name).read()
    except OSError: pass";
            python(s, text)
        })],
        // Kernel threads have no environment, so there are enough others.
        evasions: &[act("cat", |s| {
            let many =
                "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 60 & pids=\"$pids $!\"; done";
            let look = "cat /proc/[0-9]*/environ > /dev/null || true; kill $pids";
            s.shell(&format!("pids=; {many}; {look}"), &[])
        })],
        benign: &[act("ps", |s| s.shell("ps aux; ps -ef", &[]))],
    },
    Case {
        rule: "Search for set-uid programs or writable places",
        attacks: &[act("find", |s| {
            s.run(Command::new("find").arg(s.directory()).args(["-perm", "-4000", "-type", "f"]))
        })],
        evasions: &[],
        benign: &[act("find_by_name", |s| {
            s.run(Command::new("find").arg(s.directory()).args(["-name", "*.log"]))
        })],
    },
    Case {
        rule: "Process guards against debuggers",
        attacks: &[
            act("traced_by_nobody", |s| s.run(&mut s.act(["be-traced"]))),
            act("looks_for_one", |s| s.shell("grep TracerPid /proc/self/status", &[])),
        ],
        evasions: &[],
        benign: &[act("debugger", |s| s.run(&mut s.act_by(&s.executable("gdb"), ["trace-look"])))],
    },
    Case {
        rule: "Look for a virtual machine",
        // Not every machine has such firmware: files stand for it, in a name space of mounts.
        attacks: &[act("cat", |s| {
            let script = "mount -t tmpfs none /sys; mkdir -p /sys/class/dmi/id; echo maker > /sys/class/dmi/id/sys_vendor; \
                cat /sys/class/dmi/id/sys_vendor";
            s.run(Command::new("unshare").args(["-m", "--", "/bin/sh", "-euc", script]))
        })],
        evasions: &[act("shell_alone", |s| {
            let script = "mount -t tmpfs none /sys; mkdir -p /sys/hypervisor; echo xen > /sys/hypervisor/type; \
                read -r kind < /sys/hypervisor/type";
            s.run(Command::new("unshare").args(["-m", "--", "/bin/sh", "-euc", script]))
        })],
        benign: &[act("other_facts", |s| {
            s.shell("cat /sys/kernel/mm/transparent_hugepage/enabled; nproc", &[])
        })],
    },
    Case {
        rule: "Kubernetes API asked by a tool in a container",
        attacks: &[act("with_the_token", |s| {
            let token = "/run/secrets/kubernetes.io/serviceaccount/token";
            let container = s.container(Options::default());
            container.write(token, "made by a test");
            let script = format!(
                "echo \"GET /api/v1/pods HTTP/1.1
Authorization: Bearer $(cat {token})
\" | \
                 nc -w 1 10.96.0.1 443 || true"
            );
            s.run(&mut container.command(&Exec::new(["/bin/sh", "-c", &script])))
        })],
        evasions: &[],
        benign: &[act("other_port", |s| {
            let script = "nc -w 1 10.96.0.1 8000 </dev/null || true";
            s.run(&mut s.container(Options::default()).command(&Exec::new(["/bin/sh", "-c", script])))
        })],
    },
    Case {
        rule: "Containers and clusters listed",
        attacks: &[act("kubectl", |s| {
            s.run(&mut s.act_by(&s.executable("kubectl"), ["nothing", "get", "pods"]))
        })],
        evasions: &[],
        benign: &[act("version", |s| s.run(&mut s.act_by(&s.executable("kubectl"), ["nothing", "version"])))],
    },
    Case {
        rule: "Accounts listed",
        attacks: &[
            act("accounts", |s| s.shell("getent passwd", &[])).showing(&["T1087.001"]),
            act("users", |s| s.shell("whoami", &[])).showing(&["T1033"]),
            act("groups", |s| s.shell("cat /etc/group", &[])).showing(&["T1069.001"]),
        ],
        evasions: &[],
        benign: &[act("something_else", |s| s.shell("cat /etc/hostname", &[]))],
    },
    Case {
        rule: "Network settings and connections listed",
        attacks: &[
            act("addresses", |s| s.shell("ip addr", &[])).showing(&["T1016"]),
            act("connections", |s| s.shell("ss -tan", &[])).showing(&["T1049"]),
        ],
        evasions: &[],
        benign: &[act("something_else", |s| s.shell("cat /etc/hostname", &[]))],
    },
    Case {
        rule: "System, disks, devices or services listed",
        attacks: &[
            act("system", |s| s.shell("uname -a", &[])).showing(&["T1082"]),
            act("disks", |s| s.shell("lsblk || true; df", &[])).showing(&["T1680"]),
            act("modules", |s| {
                let place = s.directory();
                s.shell("ln -s \"$(command -v busybox)\" $1/lsmod; $1/lsmod || true", &[os(&place)])
            })
            .showing(&["T1652"]),
            act("devices", |s| {
                let program = s.executable("lspci");
                s.shell(
                    "ls /sys/bus/pci/devices /sys/bus/usb/devices || true; \"$1\" --act read /proc/devices",
                    &[os(&program)],
                )
            })
            .showing(&["T1120"]),
            act("services", |s| s.shell("service --status-all || true", &[])).showing(&["T1007"]),
            act("time", |s| s.shell("date; timedatectl || true", &[])).showing(&["T1124"]),
            act("language", |s| s.shell("locale", &[])).showing(&["T1614.001"]),
            act("processes", |s| s.shell("ps aux", &[])).showing(&["T1057"]),
        ],
        evasions: &[],
        benign: &[act("something_else", |s| s.shell("cat /etc/hostname; date +%s", &[]))],
    },
    Case {
        rule: "Security software looked for",
        attacks: &[act("in_the_process_list", |s| s.shell("ps aux | grep -i falco || true", &[]))],
        evasions: &[],
        benign: &[act("something_else", |s| s.shell("ps aux | grep nginx || true", &[]))],
    },
    Case {
        rule: "Installed software listed",
        attacks: &[act("dpkg", |s| s.shell("dpkg -l || true", &[]))],
        evasions: &[],
        benign: &[act("something_else", |s| s.shell("dpkg --version || true", &[]))],
    },
    Case {
        rule: "Logs or password rules read",
        attacks: &[
            act("journal", |s| s.shell("journalctl -n 1 || true", &[])).showing(&["T1654"]),
            act("password_rules", |s| s.shell("grep PASS_MAX_DAYS /etc/login.defs", &[])).showing(&["T1201"]),
        ],
        evasions: &[],
        benign: &[act("something_else", |s| s.shell("cat /etc/hostname", &[]))],
    },
    Case {
        rule: "Shares of other machines looked for",
        // Nobody listens on the ports.
        attacks: &[
            act("shares", |s| stand_in(s, "smbclient", "connect", "127.0.0.1:445"))
                .showing(&["T1135", "T1018"]),
            act("directory", |s| stand_in(s, "ldapsearch", "connect", "127.0.0.1:389"))
                .showing(&["T1087.002", "T1069.002"]),
        ],
        evasions: &[],
        benign: &[act("something_else", |s| s.run(&mut s.act(["connect", "127.0.0.1:445"])))],
    },
];
