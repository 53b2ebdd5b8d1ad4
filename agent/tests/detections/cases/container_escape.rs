//! Cases for the policy `container-escape`.

use std::{fs, os::unix::net::UnixListener, path::PathBuf, process::Stdio};

use nix::libc::{SYS_bpf, SYS_name_to_handle_at, SYS_open_by_handle_at};

use super::{Case, act, impact::with_own_mounts, os};
use crate::{
    container::{Container, Exec, HELPER, Options},
    scene::Scene,
    stage::{Made, Stage},
};

/// A socket of a container runtime that this host does not have, with somebody who listens.
fn runtime_socket(stage: &Stage) -> (Made, UnixListener) {
    for path in ["/run/crio/crio.sock", "/run/podman/podman.sock", "/run/cri-dockerd.sock"].map(PathBuf::from)
    {
        if path.exists() {
            continue;
        }
        let mut place = stage.place(path.parent().and_then(|p| p.to_str()).unwrap());
        place.path = path;
        // Another test may have been quicker.
        if let Ok(listener) = UnixListener::bind(&place.path) {
            return (place, listener);
        }
        std::mem::take(&mut place.path);
    }
    panic!("this host has every container runtime");
}

/// A file of control groups in the host's hierarchy, else a file of that name.
fn control_file(stage: &Stage, name: &str) -> PathBuf {
    let groups = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let real = groups.map(|group| group.path().join(name)).find(|path| path.exists());
    real.unwrap_or_else(|| stage.file(&format!("cgroup/{name}")))
}

fn privileged() -> Options {
    Options { privileged: true, ..Options::default() }
}

/// With the host's programs, of which Perl is one.
fn with_programs(options: Options) -> Options {
    options.with_mount("/usr", "/usr")
}

/// A script in a container of its own.
fn inside(scene: &Scene, options: Options, script: &str) -> u32 {
    let container = scene.container(options);
    script_in(scene, &container, script)
}

fn script_in(scene: &Scene, container: &Container, script: &str) -> u32 {
    scene.run(&mut container.command(&Exec::new(["sh", "-euc", script])))
}

/// Calls that no program of the image makes, in a container, whatever comes of them.
fn calls(scene: &Scene, options: Options, script: &str) -> u32 {
    let container = scene.container(with_programs(options));
    scene.run(&mut container.command(&Exec::new(["/usr/bin/perl", "-e", script])))
}

/// A directory that holds a file of the host's, to be mounted in a container, and the name of the file.
fn mounted(scene: &Scene, directory: &str) -> (Made, Options, String) {
    let place = scene.place(directory);
    let name = place.path.file_name().unwrap().to_str().unwrap().to_owned();
    (place, Options::default().with_mount(directory, "/host"), name)
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Container runtime socket used",
        attacks: &[act("by_a_program", |s| {
            let (place, _listener) = runtime_socket(s);
            s.run(s.act(["connect-unix"]).arg(&place))
        })],
        evasions: &[act("from_a_container", |s| {
            let (place, _listener) = runtime_socket(s);
            let container = s.container(Options::default().with_mount(&place.path, "/mnt/docker.sock"));
            s.run(&mut container.command(&Exec::new([HELPER, "--act", "connect-unix", "/mnt/docker.sock"])))
        })],
        benign: &[act("crictl", |s| {
            let (place, _listener) = runtime_socket(s);
            s.run(s.act_by(&s.executable("crictl"), ["connect-unix"]).arg(&place))
        })],
    },
    Case {
        rule: "Kernel helper program changed",
        // Opened, and nothing written.
        attacks: &[act("core_pattern", |s| s.run(&mut s.act(["write", "/proc/sys/kernel/core_pattern"])))],
        evasions: &[
            act("through_another_mount", |s| {
                let script = "mkdir /tmp/p; mount -t proc none /tmp/p; : >> /tmp/p/sys/kernel/core_pattern";
                inside(s, privileged(), script)
            }),
            act("through_links", |s| {
                let script = "ln -s /proc/self/root/proc/sys /tmp/s; cd /tmp/s/kernel; : >> core_pattern";
                inside(s, privileged(), script)
            }),
        ],
        benign: &[act("read_and_other_setting", |s| {
            s.acts(&[
                &[os("read"), os("/proc/sys/kernel/core_pattern")],
                &[os("write"), os("/proc/sys/kernel/printk")],
            ])
        })],
    },
    Case {
        rule: "Cgroup release agent written",
        attacks: &[act("opened", |s| s.run(s.act(["write"]).arg(control_file(s, "release_agent"))))],
        evasions: &[],
        benign: &[act("read_and_other_file", |s| {
            let other = s.file("cgroup/notify_on_release");
            s.acts(&[&[os("read"), os(&control_file(s, "release_agent"))], &[os("write"), os(&other)]])
        })],
    },
    Case {
        rule: "Device rules of a container loosened",
        attacks: &[act("opened", |s| s.run(s.act(["write"]).arg(control_file(s, "devices/devices.allow"))))],
        evasions: &[],
        benign: &[act("listed", |s| s.run(s.act(["read"]).arg(control_file(s, "devices/devices.list"))))],
    },
    Case {
        rule: "Disk opened in a container",
        attacks: &[act("by_a_node_made_there", |s| {
            inside(s, privileged(), "mknod /tmp/x b 7 0; dd if=/tmp/x of=/dev/null count=1 2> /dev/null")
        })],
        evasions: &[act("node_made_only", |s| inside(s, Options::default(), "cd /tmp; mknod x b 7 0"))],
        benign: &[act("another_device", |s| inside(s, privileged(), "mknod /tmp/x c 1 3; cat /tmp/x"))],
    },
    Case {
        rule: "File system of the machine mounted in a container",
        attacks: &[act("of_the_kernel", |s| {
            inside(
                s,
                privileged(),
                "mkdir /tmp/x; mount -t debugfs none /tmp/x || mount -t tracefs none /tmp/x",
            )
        })],
        evasions: &[act("by_a_copy_of_the_program", |s| {
            let script = "cp /bin/busybox /tmp/busybox-old; mkdir /tmp/x; cd /tmp
                ./busybox-old mount -t debugfs none x || ./busybox-old mount -t tracefs none x";
            inside(s, privileged(), script)
        })],
        benign: &[act("memory", |s| inside(s, privileged(), "mkdir /tmp/x; mount -t tmpfs none /tmp/x"))],
    },
    Case {
        rule: "Root of another process used in a container",
        attacks: &[act("file", |s| inside(s, privileged(), "cat /proc/1/root/etc/passwd"))],
        evasions: &[
            act("changed_into", |s| inside(s, privileged(), "chroot /proc/1/root /bin/true")),
            act("written", |s| inside(s, privileged(), ": > /proc/1/root/tmp/x")),
            act("program", |s| inside(s, privileged(), "/proc/1/root/bin/true")),
            act("working_directory", |s| inside(s, privileged(), "cd /proc/1/cwd; cat etc/passwd")),
        ],
        benign: &[act("own_root", |s| inside(s, privileged(), "cat /proc/self/root/etc/passwd"))],
    },
    Case {
        rule: "Namespace entered from a container",
        attacks: &[act("of_the_first_process", |s| inside(s, privileged(), "nsenter -t 1 -m -p /bin/true"))],
        evasions: &[act("by_a_copy_of_the_program", |s| {
            inside(
                s,
                privileged(),
                "cp /bin/busybox /tmp/busybox-old; /tmp/busybox-old nsenter -t 1 -m /bin/true",
            )
        })],
        benign: &[act("looked_at", |s| inside(s, privileged(), "readlink /proc/1/ns/mnt"))],
    },
    Case {
        rule: "Namespaces made by hand in a container",
        attacks: &[act("of_mounts", |s| inside(s, privileged(), "unshare -m /bin/true"))],
        evasions: &[act("by_a_copy_of_the_program", |s| {
            inside(s, privileged(), "cp /bin/busybox /tmp/busybox-old; /tmp/busybox-old unshare -m /bin/true")
        })],
        benign: &[act("of_names", |s| inside(s, privileged(), "unshare -u /bin/true"))],
    },
    Case {
        rule: "Container runtime overwritten",
        // In a directory that only this process sees.
        attacks: &[act("in_place", |s| {
            with_own_mounts(s, "mount -t tmpfs none /usr/local/sbin; echo x > /usr/local/sbin/runc", &[])
        })],
        evasions: &[act("through_a_descriptor", |s| {
            let script = "exec 9< \"$1\"; : >> /proc/self/fd/9";
            let runtime = s.file("runc");
            s.shell(script, &[os(&runtime)])
        })],
        benign: &[act("built", |s| s.shell("echo x > \"$1/runc\"", &[os(&s.directory())]))],
    },
    Case {
        rule: "Working directory outside of the container",
        attacks: &[act("a_descriptor_of_the_runtime", |s| {
            let container = s.container(Options::default());
            let mut command = container.command(&Exec::new(["true"]).cwd("/proc/self/fd/7"));
            let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            // A runtime without the hole refuses.
            child.wait().unwrap();
            child.id()
        })],
        evasions: &[],
        benign: &[act("inside", |s| {
            let container = s.container(Options::default());
            s.run(&mut container.command(&Exec::new(["true"]).cwd("/tmp")))
        })],
    },
    Case {
        rule: "Kernel module loaded from a container",
        // Neither is a module.
        attacks: &[act("a_file", |s| {
            let container = s.container(Options::default());
            s.run(&mut container.command(&Exec::new([HELPER, "--act", "load-module", HELPER])))
        })],
        evasions: &[act("an_image_in_memory", |s| {
            let container = s.container(privileged());
            s.run(&mut container.command(&Exec::new([HELPER, "--act", "load-module-image", "/etc/passwd"])))
        })],
        benign: &[act("listed", |s| inside(s, privileged(), "ls /sys/module"))],
    },
    Case {
        rule: "Kernel program loaded from a container",
        attacks: &[act("a_filter", |s| {
            let script = format!(
                "$code = pack 'Q2', 0xb7, 0x95; $licence = \"GPL\\0\"; $p = sub {{ unpack 'Q', pack 'P', $_[0] }};
                syscall({SYS_bpf}, 5, pack('LLQQx104', 1, 2, $p->($code), $p->($licence)), 128)"
            );
            calls(s, Options::default(), &script)
        })],
        evasions: &[],
        benign: &[act("asked_whether_it_may", |s| {
            inside(s, privileged(), "cat /proc/sys/kernel/unprivileged_bpf_disabled")
        })],
    },
    Case {
        rule: "File opened by its number from a container",
        attacks: &[act("accounts", |s| {
            let script = format!(
                "open F, '<', '/host' or die; $path = '/host/passwd'; $handle = pack 'L2x120', 120;
                $mount = pack 'L', 0; syscall({SYS_name_to_handle_at}, -100, $path, $handle, $mount, 0) == 0 or die;
                syscall({SYS_open_by_handle_at}, fileno F, $handle, 0)"
            );
            calls(s, privileged().with_mount("/etc", "/host"), &script)
        })],
        evasions: &[],
        benign: &[act("by_its_name", |s| inside(s, Options::default(), "ls /; cat /etc/passwd"))],
    },
    Case {
        rule: "Start-up file of the machine written from a container",
        attacks: &[act("job", |s| {
            let (_place, options, name) = mounted(s, "/etc/cron.d");
            inside(s, options, &format!(": > /host/{name}"))
        })],
        evasions: &[act("through_a_directory_above", |s| {
            let place = s.place("/etc/systemd/system");
            let name = place.path.file_name().unwrap().to_str().unwrap();
            let script = format!("ln -s /host/systemd /tmp/s; cd /tmp/s/system; : > {name}");
            inside(s, Options::default().with_mount("/etc", "/host"), &script)
        })],
        benign: &[act("another_directory", |s| {
            let (_place, options, name) = mounted(s, "/var/lib");
            inside(s, options, &format!(": > /host/{name}"))
        })],
    },
    Case {
        rule: "Secrets of the machine read from a container",
        attacks: &[act("password_hashes", |s| {
            inside(s, Options::default().with_mount("/etc", "/host"), "cat /host/shadow")
        })],
        evasions: &[act("through_a_link", |s| {
            let script = "ln -s /host/etc /tmp/e; read -r line < /tmp/e/shadow";
            inside(s, Options::default().with_mount("/", "/host"), script)
        })],
        benign: &[act("another_file", |s| {
            inside(s, Options::default().with_mount("/etc", "/host"), "cat /host/hostname")
        })],
    },
    Case {
        rule: "Kernel memory or log opened in a container",
        attacks: &[act("kernel_log", |s| {
            inside(s, privileged().with_mount("/dev", "/hostdev"), ": >> /hostdev/kmsg")
        })],
        evasions: &[],
        benign: &[act("processors", |s| inside(s, privileged(), "head -n 1 /proc/cpuinfo"))],
    },
    Case {
        rule: "Node's interfaces reached from a container",
        attacks: &[act("kubelet", |s| {
            inside(s, Options::default(), "nc -w 1 127.0.0.1 10250 < /dev/null || :")
        })],
        evasions: &[act("etcd_by_a_copy_of_the_program", |s| {
            let script =
                "cp /bin/busybox /tmp/busybox-old; /tmp/busybox-old nc -w 1 127.0.0.1 2379 < /dev/null || :";
            inside(s, Options::default(), script)
        })],
        benign: &[act("another_port", |s| {
            inside(s, Options::default(), "nc -w 1 127.0.0.1 8080 < /dev/null || :")
        })],
    },
];
