//! Rules about what containers and processes should not be able to do.

use std::fs;

use super::{BUSYBOX, Case, by_helper, in_container, lineage};
use crate::{
    container::{Container, HELPER, Options},
    deed::{By, Deed, Doer, Twin},
    scene::Scene,
};

/// The capabilities of a process in a container, as the kernel has them, by name.
fn effective(container: &Container, names: &[String]) -> Vec<String> {
    let status = container.exec(["cat", "/proc/self/status"]).stdout;
    let status = String::from_utf8(status).unwrap();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let bits = u64::from_str_radix(bits, 16).unwrap();
    assert_eq!(bits.count_ones() as usize, names.len(), "what was asked for was given");
    names.to_vec()
}

/// A traced process does something to its tracer's taste.
fn trace(scene: &Scene, act: &str) -> Deed {
    let pid = scene.stage.run(&mut scene.stage.act([act]));
    by_helper(scene, pid, "ptrace", act)
}

/// The helper loads what is no module, in a container with the right to load modules.
fn load(scene: &Scene, act: &str, event: &str) -> Deed {
    let container = scene.container_with(Options::default().with_capabilities(&["CAP_SYS_MODULE"]));
    let output = container.exec([HELPER, "--act", act, "/etc/hostname"]);
    let result = String::from_utf8(output.stdout).unwrap();
    let runc = fs::canonicalize(crate::container::program("runc")).unwrap();
    let arguments = format!("--act {act} /etc/hostname");
    in_container(container, event, HELPER, &format!("helper {arguments}"))
        .with("evt.res", result.trim())
        .with("proc.args", arguments)
        .with("proc.pexepath", runc.to_str())
        .with("proc.aexepath[2]", fs::canonicalize("/proc/self/exe").unwrap().to_str())
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Linux Kernel Module Injection Detected",
        variant: "finit_module",
        attack: |s| load(s, "load-module", "finit_module"),
        // Who may not load modules.
        benign: |s| {
            let container = s.container();
            container.exec([HELPER, "--act", "load-module", "/etc/hostname"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Linux Kernel Module Injection Detected",
        variant: "init_module",
        attack: |s| load(s, "load-module-image", "init_module"),
        // Who is no container.
        benign: |s| Twin::Process(s.stage.run(&mut s.stage.act(["load-module-image", "/etc/hostname"]))),
    },
    Case {
        rule: "Debugfs Launched in Privileged Container",
        variant: "",
        attack: |s| {
            let container = s.pod(true);
            container.exec(["/opt/debugfs", "--act", "nothing"]);
            let doer =
                Doer { name: "debugfs", exe_path: HELPER, parent: "runc", command: "debugfs --act nothing" };
            Deed::new(By::Container(container.id().to_owned()), "execve", &doer)
                .by_user("captain", 0)
                .with("proc.tty", 0)
                .holding(container)
        },
        // In a container that is not privileged, and something else in one that is.
        benign: |s| {
            let container = s.pod(false);
            container.exec(["/opt/debugfs", "--act", "nothing"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Detect release_agent File Container Escapes",
        variant: "",
        attack: |s| {
            let options = Options::default().with_capabilities(&["CAP_SYS_ADMIN"]);
            let names = options.capabilities.clone();
            let container = s.container_with(options);
            let effective = effective(&container, &names);
            container.exec(["sh", "-c", "echo /tmp/x > /tmp/release_agent"]);
            in_container(container, "openat", BUSYBOX, "sh -c echo /tmp/x > /tmp/release_agent")
                .with("fd.name", "/tmp/release_agent")
                .with_words("thread.cap_effective", effective)
        },
        benign: |s| {
            let container = s.container();
            container.exec(["sh", "-c", "echo /tmp/x > /tmp/release_agent; cat /tmp/release_agent"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "PTRACE attached to process",
        variant: "attach",
        attack: |s| trace(s, "trace-attach").with_part("proc.pcmdline", lineage()[0].as_str()),
        // A debugger that looks at a process that it has started.
        benign: |s| Twin::Process(s.stage.run(&mut s.stage.act(["trace-look"]))),
    },
    Case {
        rule: "PTRACE attached to process",
        variant: "seize",
        attack: |s| trace(s, "trace-seize"),
        benign: |s| Twin::Process(s.stage.run(&mut s.stage.act(["wait"]))),
    },
    Case {
        rule: "PTRACE attached to process",
        variant: "write",
        attack: |s| trace(s, "trace-write"),
        benign: |s| Twin::Process(s.stage.run(&mut s.stage.act(["be-traced"]))),
    },
    Case {
        rule: "PTRACE attached to process",
        variant: "registers_in_container",
        attack: |s| {
            let container = s.container();
            container.exec([HELPER, "--act", "trace-set-registers"]);
            in_container(container, "ptrace", HELPER, "helper --act trace-set-registers")
        },
        benign: |s| {
            let container = s.container();
            container.exec([HELPER, "--act", "trace-look"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "PTRACE anti-debug attempt",
        variant: "",
        attack: |s| trace(s, "be-traced").with_part("proc.pcmdline", lineage()[0].as_str()),
        benign: |s| Twin::Process(s.stage.run(&mut s.stage.act(["trace-attach"]))),
    },
    Case {
        rule: "PTRACE anti-debug attempt",
        variant: "in_container",
        attack: |s| {
            let container = s.container();
            container.exec([HELPER, "--act", "be-traced"]);
            in_container(container, "ptrace", HELPER, "helper --act be-traced")
        },
        benign: |s| {
            let container = s.container();
            container.exec([HELPER, "--act", "trace-seize"]);
            Twin::Container(container)
        },
    },
];
