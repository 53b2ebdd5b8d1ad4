//! Cases for the policy `command-and-control`.

use std::process::Command;

use super::{Act, Case, act, os};
use crate::scene::Scene;

/// The interpreter of the system; another may come first in the path.
const PYTHON: &str = "/usr/bin/python3";

/// Runs a script in Python that lies in a file.
fn python(scene: &Scene, text: &str) -> u32 {
    let file = scene.file("script.py");
    std::fs::write(&file, text).unwrap();
    scene.run(Command::new(PYTHON).arg(file))
}

/// A shell script in a network of its own, in which nobody is.
fn alone(scene: &Scene, script: &str, args: &[&std::ffi::OsStr]) -> u32 {
    let mut command = Command::new("unshare");
    scene.run(command.args(["-n", "--", "/bin/sh", "-uc", &format!("{script}; true"), "sh"]).args(args))
}

/// A program of this name that does nothing but bear it.
fn tool(scene: &Scene, name: &str, argument: &str) -> u32 {
    scene.run(&mut scene.act_by(&scene.executable(name), ["nothing", argument]))
}

/// Sees what passes on the loopback device for a moment.
const SNIFFER: &str = "import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
wire.bind(('lo', 0)); wire.setblocking(False)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))
try: wire.recv(100)
except BlockingIOError: pass";

/// Carries a text in a ping.
const PING_WITH_TEXT: &str = "import socket, struct
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
wire.sendto(struct.pack('!BBHHH', 0, 0, 0xffff, 0, 0) + b'text', ('127.0.0.1', 0))";

/// The last instructions let every packet pass.
const FILTER: &str = "import ctypes, socket, struct, sys
def watch(wire):
    program = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0xffff))
    wire.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HL', 1, ctypes.addressof(program)))
";

const QUESTIONS: &str = "import socket
for number in range(320):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'question', ('127.0.0.1', 53))";

const CONNECTS: &str = "import socket
try: socket.create_connection(('192.0.2.1', 31337), 1)
except OSError: pass";

const BENIGN_PACKETS: &[Act] = &[
    act("network_tool", |s| s.run(&mut s.act_by(&s.executable("tcpdump"), ["packet-socket"]))),
    act("socket_as_usual", |s| {
        python(s, &format!("{FILTER}watch(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))"))
    }),
];

pub const CASES: &[Case] = &[
    Case {
        rule: "Raw packets by a program that has no business with them",
        attacks: &[
            act("sniffer", |s| python(s, SNIFFER)).showing(&["T1040"]),
            act("text_in_pings", |s| python(s, PING_WITH_TEXT)).showing(&["T1095"]),
        ],
        evasions: &[
            act("program_in_tmp", |s| {
                let (_made, program) = s.copy_of(s.helper().to_str().unwrap(), "/dev/shm", "tcpdump");
                s.run(&mut s.act_by(&program, ["packet-socket"]))
            })
            .showing(&["T1040"]),
            act("program_of_no_package", |s| s.run(&mut s.act(["packet-socket"]))).showing(&["T1040"]),
        ],
        benign: BENIGN_PACKETS,
    },
    Case {
        rule: "Filter put on a socket for raw packets",
        attacks: &[act("python", |s| {
            python(s, &format!("{FILTER}watch(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 8))"))
        })],
        evasions: &[act("on_an_ip_socket", |s| {
            python(
                s,
                &format!("{FILTER}watch(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP))"),
            )
        })],
        benign: BENIGN_PACKETS,
    },
    Case {
        rule: "Raw packets by an unusual program",
        attacks: &[act("of_no_package", |s| {
            s.run(&mut s.act_by(&s.executable("beacon"), ["packet-socket"]))
        })],
        evasions: &[],
        benign: BENIGN_PACKETS,
    },
    Case {
        rule: "Network tunnel device opened",
        attacks: &[act("python", |s| python(s, "open('/dev/net/tun', 'r+b', buffering=0)"))],
        evasions: &[act("through_a_link_by_a_vpn_in_tmp", |s| {
            let (_made, program) = s.copy_of(s.helper().to_str().unwrap(), "/tmp", "openvpn");
            s.run(s.act_by(&program, ["write"]).arg(s.link_to("/dev/net/tun")))
        })],
        benign: &[act("vpn", |s| s.run(&mut s.act_by(&s.executable("openvpn"), ["write", "/dev/net/tun"])))],
    },
    Case {
        rule: "Network tunnel device opened by an unusual program",
        attacks: &[act("helper", |s| s.run(&mut s.act(["write", "/dev/net/tun"])))],
        evasions: &[],
        benign: &[act("vpn", |s| s.run(&mut s.act_by(&s.executable("openvpn"), ["write", "/dev/net/tun"])))],
    },
    Case {
        rule: "SSH used as a tunnel",
        // Nobody listens on the port.
        attacks: &[act("back_to_this_machine", |s| {
            s.shell(
                "ssh -o BatchMode=yes -o ConnectTimeout=1 -p 9 -N -R 9000:localhost:22 127.0.0.1 || true",
                &[],
            )
        })],
        evasions: &[act("as_a_proxy_by_an_option", |s| {
            s.shell("ssh -o BatchMode=yes -p 9 -o DynamicForward=1080 -N 127.0.0.1 || true", &[])
        })],
        benign: &[act("command_with_such_options", |s| {
            s.shell("ssh -o BatchMode=yes -p 9 127.0.0.1 ls -R -l || true; ssh -V", &[])
        })],
    },
    Case {
        rule: "Tunnel or remote access tool started",
        attacks: &[
            act("tunnel", |s| tool(s, "chisel", "client")).showing(&["T1572"]),
            act("remote_desktop", |s| tool(s, "anydesk", "--service")).showing(&["T1219.002"]),
            act("editor", |s| tool(s, "code", "tunnel")).showing(&["T1219.001"]),
            act("anonymiser", |s| tool(s, "tor", "--quiet")).showing(&["T1090.003"]),
        ],
        evasions: &[],
        benign: &[act("editor_alone", |s| tool(s, "code", "--version"))],
    },
    Case {
        rule: "Server's child connected to the internet",
        attacks: &[act("curl", |s| {
            alone(s, "\"$1\" --act run curl -s -m 1 http://192.0.2.1/x", &[os(&s.named("nginx"))])
        })],
        evasions: &[act("python", |s| {
            let file = s.file("script.py");
            std::fs::write(&file, CONNECTS).unwrap();
            alone(s, "\"$1\" --act run \"$2\" \"$3\"", &[os(&s.named("php-fpm8.2")), os(PYTHON), os(&file)])
        })],
        benign: &[act("server_itself_and_client_elsewhere", |s| {
            alone(
                s,
                "\"$1\" --act connect 192.0.2.1:443; curl -s -m 1 http://192.0.2.1/x",
                &[os(&s.named("nginx"))],
            )
        })],
    },
    Case {
        rule: "Program of a temporary directory connected to the internet",
        attacks: &[act("unusual_port", |s| {
            let (_made, program) = s.copy_of(s.helper().to_str().unwrap(), "/tmp", "update");
            alone(s, "\"$1\" --act connect 192.0.2.1:31337", &[os(&program)])
        })],
        evasions: &[act("from_memory", |s| {
            let helper = s.helper();
            alone(s, "\"$1\" --act exec-memfd \"$1\" x --act connect 192.0.2.1:443", &[os(&helper)])
        })],
        benign: &[act("installed_or_near", |s| {
            let (_made, program) = s.copy_of(s.helper().to_str().unwrap(), "/tmp", "update");
            alone(
                s,
                "\"$1\" --act connect 127.0.0.1:9; \"$2\" --act connect 192.0.2.1:443",
                &[os(&program), os(&s.helper())],
            )
        })],
    },
    Case {
        rule: "Listener that is no service",
        attacks: &[act("python", |s| {
            let code = "import socket; far = socket.socket(); far.bind(('127.0.0.1', 0)); far.listen()";
            s.run(Command::new(PYTHON).args(["-c", code]))
        })],
        evasions: &[act("nc_of_busybox", |s| alone(s, "timeout -s INT 0.5 busybox nc -l -p 4444", &[]))],
        benign: &[act("script_in_a_file", |s| {
            python(s, "import socket; far = socket.socket(); far.bind(('127.0.0.1', 0)); far.listen()")
        })],
    },
    Case {
        rule: "Connection to a port of proxies or anonymisers",
        attacks: &[
            act("tor", |s| s.run(&mut s.act(["connect", "127.0.0.1:9050"]))).showing(&["T1090.003"]),
            act("socks", |s| s.run(&mut s.act(["connect", "127.0.0.1:1080"]))).showing(&["T1090.002"]),
        ],
        evasions: &[],
        benign: &[act("other_port", |s| s.run(&mut s.act(["connect", "127.0.0.1:9"])))],
    },
    Case {
        rule: "Tool connected to an unusual port on the internet",
        attacks: &[act("python", |s| {
            let file = s.file("script.py");
            std::fs::write(&file, CONNECTS.replace("31337", "31338")).unwrap();
            alone(s, "\"$1\" \"$2\"", &[os(PYTHON), os(&file)])
        })],
        evasions: &[],
        benign: &[act("usual_port", |s| alone(s, "curl -s -m 1 http://192.0.2.1/", &[]))],
    },
    Case {
        rule: "Many questions to name servers",
        attacks: &[act("one_process", |s| python(s, QUESTIONS))],
        evasions: &[],
        benign: &[act("a_few", |s| python(s, &QUESTIONS.replace("320", "20")))],
    },
];
