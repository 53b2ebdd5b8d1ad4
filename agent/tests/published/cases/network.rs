//! Rules about connections and sockets.

use std::process::Command;

use super::{BUSYBOX, Case, in_container, on_host};
use crate::{
    container::{Container, Exec, HELPER, Options, busybox},
    deed::Twin,
    scene::{API_SERVER, Scene},
};

/// An address of somebody far away (documentation, RFC 5737).
const FAR: &str = "203.0.113.7";

/// A container that is on its own at an address.
fn container_at(scene: &Scene, address: &str) -> Container {
    let container = scene.container_with(Options::default().with_capabilities(&["CAP_NET_ADMIN"]));
    container.exec(["ip", "address", "add", &format!("{address}/32"), "dev", "lo"]);
    container
}

/// A program in a container connects to the container's own address, and says between what ends.
fn connect(container: &Container, program: &str, to: &str) -> String {
    let output = container.exec([program, "--act", "connect-own", to]);
    String::from_utf8(output.stdout).unwrap()
}

/// The same on the host, in a network of its own.
fn connect_on_host(scene: &Scene, program: &str, address: &str, port: u16) -> u32 {
    let script = "\"$0\" ip link set lo up; \"$0\" ip address add \"$2/32\" dev lo; \
                  exec \"$1\" --act connect-own \"$2:$3\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "/bin/sh", "-euc", script]).arg(busybox().unwrap());
    scene.stage.run(command.arg(scene.stage.named(program)).args([address, &port.to_string()]))
}

/// A process in a container that connects streams to a socket, or something else.
fn redirect(container: &Container, act: &[&str]) -> String {
    let output = container.exec([HELPER, "--act"].iter().chain(act));
    String::from_utf8(output.stdout).unwrap()
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Contact K8S API Server From Container",
        variant: "",
        attack: |s| {
            let container = container_at(s, API_SERVER);
            let to = format!("{API_SERVER}:6443");
            let ends = connect(&container, HELPER, &to);
            in_container(container, "connect", HELPER, &format!("helper --act connect-own {to}"))
                .with_connection(&ends)
        },
        benign: |s| {
            let container = container_at(s, "10.96.0.2");
            connect(&container, HELPER, "10.96.0.2:6443");
            Twin::Container(container)
        },
    },
    Case {
        rule: "Contact K8S API Server From Container",
        variant: "refused",
        attack: |s| {
            let container = s.container();
            let to = format!("{API_SERVER}:443");
            container.exec([HELPER, "--act", "connect", &to]);
            in_container(container, "connect", HELPER, &format!("helper --act connect {to}"))
                .with("fd.rport", 443)
                .with("fd.type", "ipv4")
        },
        // Who is no container may.
        benign: |s| Twin::Process(connect_on_host(s, "kubelet", API_SERVER, 443)),
    },
    Case {
        rule: "Netcat Remote Code Execution in Container",
        variant: "",
        attack: |s| {
            let container = s.container();
            // Nobody answers.
            container.try_exec(&Exec::new(["nc", "127.0.0.1", "4444", "-e", "/bin/sh"]));
            in_container(container, "execve", BUSYBOX, "nc 127.0.0.1 4444 -e /bin/sh")
        },
        benign: |s| {
            let container = s.container();
            container.try_exec(&Exec::new(["nc", "-z", "127.0.0.1", "4444"]));
            Twin::Container(container)
        },
    },
    Case {
        rule: "Netcat Remote Code Execution in Container",
        variant: "ncat",
        attack: |s| {
            let container = s.container();
            container.exec(["/opt/ncat", "--act", "nothing", "--sh-exec", "/bin/sh"]);
            in_container(container, "execve", HELPER, "ncat --act nothing --sh-exec /bin/sh")
        },
        // On the host it is another rule's business.
        benign: |s| {
            let nc = s.stage.named("nc");
            Twin::Process(s.stage.run(&mut s.stage.act_by(&nc, ["nothing", "-e", "/bin/sh"])))
        },
    },
    Case {
        rule: "Packet socket created in container",
        variant: "",
        attack: |s| {
            let container = s.container();
            container.exec([HELPER, "--act", "packet-socket"]);
            in_container(container, "socket", HELPER, "helper --act packet-socket")
                .with_part("evt.args", "AF_PACKET")
        },
        benign: |s| {
            let container = s.container();
            container.exec([HELPER, "--act", "udp-socket"]);
            s.stage.run(&mut s.stage.act(["packet-socket"]));
            Twin::Container(container)
        },
    },
    Case {
        rule: "Redirect STDOUT/STDIN to Network Connection in Container",
        variant: "",
        attack: |s| {
            let container = s.container();
            let ends = redirect(&container, &["redirect", "127.0.0.1:4444", "0", "1", "2"]);
            in_container(container, "dup2", HELPER, "helper --act redirect 127.0.0.1:4444 0 1 2")
                .with_connection(&ends)
                .with("fd.sip", "127.0.0.1")
        },
        benign: |s| {
            let container = s.container();
            redirect(&container, &["redirect-file", "/etc/hostname", "0", "1", "2"]);
            redirect(&container, &["duplicate", "127.0.0.1:4444"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Redirect STDOUT/STDIN to Network Connection in Container",
        variant: "ipv6",
        attack: |s| {
            let container = s.container();
            let ends = redirect(&container, &["redirect", "[::1]:4444", "1"]);
            in_container(container, "dup2", HELPER, "helper --act redirect [::1]:4444 1")
                .with_connection(&ends)
                .with("fd.sip", "::1")
        },
        benign: |s| Twin::Process(s.stage.run(&mut s.stage.act(["redirect", "127.0.0.1:0", "1"]))),
    },
    Case {
        rule: "Disallowed SSH Connection Non Standard Port",
        variant: "in_container",
        attack: |s| {
            let container = container_at(s, FAR);
            let to = format!("{FAR}:443");
            let ends = connect(&container, "/opt/ssh", &to);
            in_container(container, "connect", HELPER, &format!("ssh --act connect-own {to}"))
                .with_connection(&ends)
        },
        // The usual port; another program.
        benign: |s| {
            let container = container_at(s, FAR);
            connect(&container, "/opt/ssh", &format!("{FAR}:22"));
            connect(&container, "/opt/scp", &format!("{FAR}:443"));
            Twin::Container(container)
        },
    },
    Case {
        rule: "Disallowed SSH Connection Non Standard Port",
        variant: "on_the_host",
        attack: |s| {
            let pid = connect_on_host(s, "ssh", FAR, 8080);
            let command = format!("ssh --act connect-own {FAR}:8080");
            on_host(pid, "connect", ("ssh", &s.stage.helper(), &command))
                .with("fd.rport", 8080)
                .with("fd.l4proto", "tcp")
        },
        // Somebody near.
        benign: |s| Twin::Process(connect_on_host(s, "ssh", "192.168.7.7", 8080)),
    },
];
