//! Cases for the policy `credential-access`: what is taken from processes, devices, interfaces and by guessing.

use std::process::Command;

use super::super::{Case, act, detached, in_own_mounts, os, perl, perl_script};
use crate::container::{Exec, Options};

/// Reads eight bytes of another process, by `process_vm_readv(2)`.
const READ_MEMORY: &str = r#"
    my $buffer = "x" x 8;
    open(my $maps, "<", "/proc/self/maps") or die; my ($address) = map { hex } <$maps> =~ /^([0-9a-f]+)-/;
    pipe(my $end, my $keep); my $child = fork();
    if (!$child) { close($keep); sysread($end, my $byte, 1); exit(0) }
    my $local = pack("PQ", $buffer, 8); my $remote = pack("QQ", $address, 8);
    my $got = syscall(310, $child, $local, 1, $remote, 1, 0); close($keep); waitpid($child, 0);
    exit($got == 8 ? 0 : 1)"#;

/// Puts a key into the keyring of the process, and reads it (`add_key(2)`, `keyctl(2)`).
const READ_KEY: &str = r#"
    my ($type, $name, $value, $buffer) = ("user", "vedette-test", "made by a test", "x" x 64);
    my $key = syscall(248, $type, $name, $value, length($value), -2); die "$!" if $key < 0;
    exit(syscall(250, 11, $key, $buffer, 64) == length($value) ? 0 : 1)"#;

/// Starts "$1", waits until it runs, and looks into it.
const ATTACH: &str = r#"
    cd "$2"; mkfifo in out; exec 3<> in
    "$1" --act tell-pid <&3 > out & read -r pid < out
    case $3 in
        strace) strace -o /dev/null -p "$pid" & tracer=$!
            until grep -q "TracerPid:.*[1-9]" "/proc/$pid/status"; do :; done; kill -INT "$tracer" ;;
        gdb) gdb -batch -nx -ex "x/8xb \$sp" -p "$pid" ;;
    esac
    kill "$pid"; wait || true"#;

/// A socket for ARP, and an answer nobody asked for (`packet(7)`).
const ANSWER_ARP: &str = r#"
    socket(my $s, 17, 2, 0x0608) or die "$!";
    my $answer = pack("nnCCn", 1, 0x0800, 6, 4, 2) . "\2" x 6 . "\12\0\0\1" . "\2" x 6 . "\12\0\0\2";
    send($s, $answer, 0, pack("SnlSCCa8", 17, 0x0806, 1, 0, 0, 6, "\377" x 6)) or 1"#;

/// Wrong passwords from a file, by a user who has to give one.
const GUESS: &str = r#"for i in $1; do su root -c true < "$2" & done; wait"#;

pub const CASES: &[Case] = &[
    Case {
        rule: "Memory of another process opened",
        attacks: &[act("of_the_test", |s| {
            s.run(s.act(["read"]).arg(format!("/proc/{}/mem", std::process::id())))
        })],
        evasions: &[
            act("around_its_own_directory", |s| {
                s.run(s.act(["read"]).arg(format!("/proc/self/../{}/mem", std::process::id())))
            }),
            act("dd", |s| {
                let file = format!("if=/proc/{}/mem", std::process::id());
                s.run(Command::new("dd").args([&file, "count=0", "status=none"]))
            }),
        ],
        benign: &[act("own_memory_and_maps", |s| {
            let maps = format!("/proc/{}/maps", std::process::id());
            s.acts(&[&[os("read"), os("/proc/self/mem")], &[os("read"), os(&maps)]])
        })],
    },
    Case {
        rule: "Memory of another process read by system call",
        attacks: &[act("of_a_child", |s| perl(s, READ_MEMORY, &[""]))],
        evasions: &[],
        benign: &[act("installed_program", |s| perl_script(s, READ_MEMORY, &[""]))],
    },
    Case {
        rule: "Keeper of secrets traced",
        attacks: &[
            act("by_strace", |s| {
                s.shell(ATTACH, &[os(&s.executable("sshd")), os(&s.directory()), os("strace")])
            })
            .showing(&["T1056"]),
            act("by_gdb", |s| {
                s.shell(ATTACH, &[os(&s.executable("ssh-agent")), os(&s.directory()), os("gdb")])
            })
            .showing(&["T1555.002"]),
        ],
        evasions: &[],
        benign: &[act("another_program", |s| {
            s.shell(ATTACH, &[os(&s.executable("worker")), os(&s.directory()), os("strace")])
        })],
    },
    Case {
        rule: "Memory of a process dumped by a script",
        attacks: &[act("gdb", |s| {
            let dump = format!("dump memory {} $sp $sp+16", s.file("dump").display());
            let script = "sleep 30 & gdb --batch -p $! -ex \"$1\" >/dev/null 2>&1 || :; kill $!";
            s.run(detached("/bin/sh").args(["-euc", script, "sh"]).arg(dump))
        })],
        evasions: &[act("of_another_option", |s| {
            let script = "sleep 30 & gdb --batch --pid=$! -ex \"$1\" >/dev/null 2>&1 || :; kill $!";
            let dump = format!("generate-core-file {}", s.file("dump").display());
            s.run(detached("/bin/sh").args(["-euc", script, "sh"]).arg(dump))
        })],
        benign: &[act("looked_at", |s| {
            let script = "sleep 30 & gdb --batch -p $! -ex 'info registers' >/dev/null 2>&1 || :; kill $!";
            s.run(detached("/bin/sh").args(["-euc", script]))
        })],
    },
    Case {
        rule: "Memory of a process dumped by a debugger",
        attacks: &[act("gdb", |s| {
            let dump = format!("dump memory {} $sp $sp+16", s.file("dump").display());
            s.run(Command::new("gdb").args([
                "-batch",
                "-ex",
                "starti",
                "-ex",
                &dump,
                "-ex",
                "kill",
                "/bin/true",
            ]))
        })],
        evasions: &[],
        benign: &[act("looked_at", |s| {
            s.run(Command::new("gdb").args(["-batch", "-ex", "info line", "/bin/true"]))
        })],
    },
    Case {
        rule: "Environment of another process read",
        attacks: &[act("of_the_test", |s| {
            s.run(Command::new("cat").arg(format!("/proc/{}/environ", std::process::id())))
        })],
        evasions: &[act("builtin_of_a_shell", |s| {
            s.shell("read -r x < \"/proc/$1/environ\" || true", &[os(&std::process::id().to_string())])
        })],
        benign: &[act("own", |s| s.run(Command::new("cat").arg("/proc/self/environ")))],
    },
    Case {
        rule: "Environments of many processes read",
        attacks: &[act("all", |s| {
            let script = "for f in /proc/[0-9]*/environ; do cat $f || true; done";
            s.run(detached("sh").args(["-c", script]))
        })],
        evasions: &[],
        benign: &[act("one", |s| {
            let environ = format!("/proc/{}/environ", std::process::id());
            s.run(detached("cat").args([&environ, &environ]))
        })],
    },
    Case {
        rule: "Cloud metadata service reached",
        // In a network of its own, in which nobody is.
        attacks: &[act("web_server", |s| {
            let server = s.named("nginx");
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--"]).arg(server).args(["--act", "connect", "169.254.169.254:80"]))
        })],
        evasions: &[
            act("by_its_ipv6_address", |s| {
                let server = s.named("nginx");
                let mut command = Command::new("unshare");
                s.run(command.args(["-n", "--"]).arg(server).args(["--act", "connect", "[fd00:ec2::254]:80"]))
            }),
            act("mapped_address", |s| {
                let server = s.named("nginx");
                let mut command = Command::new("unshare");
                s.run(command.args(["-n", "--"]).arg(server).args([
                    "--act",
                    "connect",
                    "[::ffff:169.254.169.254]:80",
                ]))
            }),
            act("perl", |s| {
                let code = "use IO::Socket::INET; IO::Socket::INET->new(PeerAddr => '100.100.100.200:80', Timeout => 1)";
                s.run(Command::new("unshare").args(["-n", "--", "/usr/bin/perl", "-e", code]))
            }),
        ],
        benign: &[act("client_and_other_address", |s| {
            let client = s.executable("sdk-client");
            let server = s.named("nginx");
            let script = "\"$0\" --act connect 169.254.169.254:80; \"$1\" --act connect 169.254.7.7:80";
            let mut command = Command::new("unshare");
            s.run(command.args(["-n", "--", "/bin/sh", "-euc", script]).args([client, server]))
        })],
    },
    Case {
        rule: "Cluster or container API asked by a general tool",
        attacks: &[act("api_server", |s| {
            let container = s.container(Options::default());
            let script = "nc -w 1 10.96.0.1 6443 < /dev/null || true";
            s.run(&mut container.command(&Exec::new(["/bin/sh", "-c", script])))
        })],
        evasions: &[],
        benign: &[act("other_port", |s| {
            let container = s.container(Options::default());
            let script = "nc -w 1 10.96.0.1 8080 < /dev/null || true";
            s.run(&mut container.command(&Exec::new(["/bin/sh", "-c", script])))
        })],
    },
    Case {
        rule: "Key of the kernel read",
        attacks: &[act("perl", |s| perl(s, READ_KEY, &[""]))],
        evasions: &[],
        benign: &[act("installed_program", |s| perl_script(s, READ_KEY, &[""]))],
    },
    Case {
        rule: "Keyboard read",
        // In a name space of mounts in which a file stands for the device.
        attacks: &[act("event_device", |s| {
            let script =
                "mount -t tmpfs none /dev; mkdir /dev/input; : > /dev/input/event0; cat /dev/input/event0";
            in_own_mounts(s, script, &[])
        })],
        evasions: &[],
        benign: &[act("list_of_devices", |s| s.shell("cat /proc/bus/input/devices || true", &[]))],
    },
    Case {
        rule: "Address packets by an unusual program",
        attacks: &[act("false_answer", |s| {
            s.run(Command::new("unshare").args(["-n", "--", "/usr/bin/perl", "-e", ANSWER_ARP]))
        })],
        evasions: &[],
        benign: &[act("another_socket", |s| s.run(&mut s.act(["udp-socket"])))],
    },
    Case {
        rule: "Passwords guessed with su",
        attacks: &[act("five_at_once", |s| {
            let guess = s.file("guess");
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                "/bin/sh",
                "-c",
                GUESS,
                "sh",
                "1 2 3 4 5 6",
            ]);
            open_to_all(&guess);
            s.run(command.arg(guess))
        })],
        evasions: &[],
        benign: &[act("mistyped_once", |s| {
            let guess = s.file("guess");
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                "/bin/sh",
                "-c",
                GUESS,
                "sh",
                "1",
            ]);
            open_to_all(&guess);
            s.run(command.arg(guess))
        })],
    },
];

/// Lets anybody get to a file of the stage and read it.
fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    for directory in path.ancestors().skip(1).take(2) {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
