//! Cases for the policy `privilege-escalation`.

use std::{ffi::OsStr, path::PathBuf, process::Command};

use super::{Case, act, os};
use crate::{scene::Scene, stage::Made};

/// A user who is nobody in particular.
const USER: &str = "60999";

/// Runs a script of perl, whose `syscall` passes what it is given.
fn perl(s: &Scene, script: &str, args: &[&OsStr]) -> u32 {
    s.run(Command::new("/usr/bin/perl").args(["-e", script]).args(args))
}

/// Runs a program as somebody who is not root.
fn as_user(s: &Scene, args: &[&OsStr]) -> u32 {
    s.run(s.act([os("exec-user"), os(USER)]).args(args))
}

/// A copy of a program in a place that everybody can reach, and its path.
fn dropped(s: &Scene, program: &str, name: &str) -> (Made, PathBuf) {
    s.copy_of(program, "/var/lib", name)
}

/// A copy that has been made set-uid.
fn set_uid(s: &Scene, program: &str, name: &str) -> (Made, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let (made, path) = dropped(s, program, name);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4755)).unwrap();
    (made, path)
}

/// Gives a file CAP_SETUID, permitted and effective: `struct vfs_cap_data` of `include/uapi/linux/capability.h`.
const GIVE: &str = "my $c = pack('VVVVV', 0x02000001, 1 << 7, 0, 0, 0); my $n = 'security.capability'; \
    exit(syscall(188, $ARGV[0], $n, $c, 20, 0) != 0)";

pub const CASES: &[Case] = &[
    Case {
        rule: "Login as an account of a service",
        attacks: &[act("su", |s| s.shell("su -s /bin/sh - daemon -c id", &[]))],
        evasions: &[],
        benign: &[act("as_a_user", |s| s.shell("su -s /bin/sh nobody -c id; su -c id", &[]))],
    },
    Case {
        rule: "Set-uid program started with a hostile environment",
        attacks: &[act("glibc_tunables", |s| {
            s.run(Command::new("/usr/bin/su").arg("--version").env("GLIBC_TUNABLES", "glibc.malloc.check=0"))
        })],
        evasions: &[
            act("another_program", |s| {
                let (_made, program) = set_uid(s, "/bin/true", "helper");
                s.run(s.act([os("exec-user"), os(USER), os(&program)]).env("GCONV_PATH", "/tmp"))
            }),
            act("preload", |s| {
                let preload = "/tmp/vedette-test-none.so";
                s.run(s.act(["exec-user", USER, "/usr/bin/su", "--version"]).env("LD_PRELOAD", preload))
            }),
        ],
        benign: &[act("without_it", |s| {
            s.shell("/usr/bin/su --version; GLIBC_TUNABLES=glibc.malloc.check=0 /bin/true", &[])
        })],
    },
    Case {
        rule: "Root without leave",
        // No fault of the kernel is at hand. A thread that stayed root when its process did not looks the same: what
        // the process's first thread is says that it may not be root, and no set-uid program was run.
        attacks: &[act("credentials_overwritten", |s| {
            let script = "my $go :shared = 0; my $thread = threads->create(sub { \
                    { lock($go); cond_wait($go) until $go } system('/bin/true') }); \
                syscall(117, 60999, 60999, 60999) == 0 or die; { lock($go); $go = 1; cond_signal($go) } $thread->join";
            s.run(Command::new("/usr/bin/perl").args(["-Mthreads", "-Mthreads::shared", "-e", script]))
        })],
        evasions: &[],
        benign: &[
            act("su_and_back", |s| {
                let script = "su -s /bin/sh nobody -c 'id; /usr/bin/su --version >/dev/null'; id; \
                    command -v sudo >/dev/null && sudo -n -u nobody id || true";
                s.shell(script, &[])
            }),
            act("root_for_a_while", |s| {
                perl(s, "$> = 60999; system('/bin/true'); $> = 0; system('/bin/true')", &[])
            }),
        ],
    },
    Case {
        rule: "Root by a capability",
        attacks: &[act("interpreter", |s| {
            let (_made, program) = dropped(s, "/usr/bin/perl", "p");
            perl(s, GIVE, &[os(&program)]);
            as_user(s, &[os(&program), os("-e"), os("exit(syscall(105, 0) != 0 || $< != 0)")])
        })],
        evasions: &[act("all_ids_at_once", |s| {
            let (_made, program) = dropped(s, "/usr/bin/perl", "p");
            perl(s, GIVE, &[os(&program)]);
            as_user(s, &[os(&program), os("-e"), os("exit(syscall(117, 0, 0, 0) != 0 || $< != 0)")])
        })],
        benign: &[act("user_namespace", |s| {
            // Root there is nobody here.
            s.run(&mut s.act([
                "exec-user",
                USER,
                "/bin/sh",
                "-c",
                "unshare -Ur perl -e 'syscall(105, 0)' || true",
            ]))
        })],
    },
    Case {
        rule: "Set-uid program outside of the system's directories",
        attacks: &[act("copy", |s| {
            let (_made, program) = set_uid(s, "/bin/true", "program");
            as_user(s, &[os(&program)])
        })],
        evasions: &[act("through_a_link", |s| {
            let (made, program) = set_uid(s, "/bin/true", "program");
            let link = made.path.join("su");
            std::os::unix::fs::symlink(&program, &link).unwrap();
            as_user(s, &[os(&link)])
        })],
        benign: &[
            act("by_root_and_without", |s| {
                let (_made, program) = set_uid(s, "/bin/true", "program");
                let (_also, plain) = dropped(s, "/bin/true", "plain");
                s.shell(
                    "\"$1\"; \"$2\" --act exec-user 60999 \"$3\"",
                    &[os(&program), os(&s.helper()), os(&plain)],
                )
            }),
            act("of_the_system", |s| as_user(s, &[os("/usr/bin/su"), os("--version")])),
        ],
    },
    Case {
        rule: "Shell with set-uid rights",
        attacks: &[act("copy_of_a_shell", |s| {
            let (_made, shell) = set_uid(s, "/bin/dash", "sh");
            as_user(s, &[os(&shell), os("-p"), os("-c"), os("id")])
        })],
        evasions: &[act("below_a_set_uid_program", |s| {
            // What a set-uid program that is talked into starting something starts.
            let (_made, program) = set_uid(s, "/usr/bin/env", "report");
            as_user(s, &[os(&program), os("/bin/sh"), os("-p"), os("-c"), os("id")])
        })],
        benign: &[act("su", |s| s.shell("su -s /bin/sh nobody -c 'sh -c id'; su -c 'sh -c id'", &[]))],
    },
    Case {
        rule: "Set-uid bit given",
        attacks: &[
            act("chmod", |s| {
                let (_made, program) = dropped(s, "/bin/true", "program");
                s.shell("chmod u+s \"$1\"", &[os(&program)])
            }),
            act("install", |s| s.shell("install -m 4755 /bin/true \"$1/program\"", &[os(&s.directory())])),
        ],
        evasions: &[
            act("fchmodat2", |s| {
                let (_made, program) = dropped(s, "/bin/true", "program");
                perl(s, "exit(syscall(452, -100, $ARGV[0], 04755, 0) != 0)", &[os(&program)])
            }),
            act("fchmod", |s| {
                let (_made, program) = dropped(s, "/bin/true", "program");
                perl(s, "open(my $f, '<', $ARGV[0]); chmod(04755, $f) or die", &[os(&program)])
            }),
            act("fchmodat", |s| {
                let (_made, program) = dropped(s, "/bin/true", "program");
                perl(s, "exit(syscall(268, -100, $ARGV[0], 06711) != 0)", &[os(&program)])
            }),
            act("made_with_it", |s| {
                perl(
                    s,
                    "use Fcntl; sysopen(my $f, \"$ARGV[0]/program\", O_CREAT | O_WRONLY, 04755) or die",
                    &[os(&s.directory())],
                )
            }),
            act("copied_with_it", |s| {
                let (_made, program) = set_uid(s, "/bin/true", "program");
                s.shell("cp -p \"$1\" \"$1.copy\"", &[os(&program)])
            }),
            act("without_a_name", |s| {
                let script = "use Fcntl; sysopen(my $f, $ARGV[0], 020200000 | O_RDWR, 0600) or die \"$!\"; \
                    chmod(04755, $f) or die";
                perl(s, script, &[os(&s.directory())])
            }),
        ],
        benign: &[act("other_modes", |s| {
            let (_made, program) = dropped(s, "/bin/true", "program");
            s.shell(
                "chmod 755 \"$1\"; chmod u-s,g-s \"$1\"; install -m 755 /bin/true \"$1.x\"; mkdir -m 1777 \"$1.d\"; \
                    chmod 2775 \"$1.d\"; tar -C / -cf \"$1.tar\" usr/bin/su; tar -C \"$1.d\" -xf \"$1.tar\"",
                &[os(&program)],
            )
        })],
    },
    Case {
        rule: "Set-gid bit, or set-uid bit of a user given",
        attacks: &[act("chmod", |s| {
            let (_made, program) = dropped(s, "/bin/true", "program");
            s.shell("chmod 2755 \"$1\"", &[os(&program)])
        })],
        evasions: &[],
        benign: &[act("other_modes", |s| {
            s.shell("chmod 755 \"$1\"; mkdir -m 700 \"$1/d\"", &[os(&s.directory())])
        })],
    },
    Case {
        rule: "Capabilities given to a file",
        attacks: &[act("setxattr", |s| {
            let (_made, program) = dropped(s, "/bin/true", "program");
            perl(s, GIVE, &[os(&program)])
        })],
        evasions: &[act("through_a_descriptor", |s| {
            let (_made, program) = dropped(s, "/bin/true", "program");
            let script = "my $c = pack('VVVVV', 0x02000001, 1 << 7, 0, 0, 0); my $n = 'security.capability'; \
                open(my $f, '<', $ARGV[0]); exit(syscall(190, fileno($f), $n, $c, 20, 0) != 0)";
            perl(s, script, &[os(&program)])
        })],
        benign: &[act("other_attributes", |s| {
            let (_made, program) = dropped(s, "/bin/true", "program");
            let script = "my ($n, $v) = ('user.comment', 'x'); syscall(188, $ARGV[0], $n, $v, 1, 0)";
            perl(s, script, &[os(&program)])
        })],
    },
    Case {
        rule: "Dropped program with capabilities",
        attacks: &[act("interpreter", |s| {
            let (_made, program) = dropped(s, "/usr/bin/perl", "p");
            perl(s, GIVE, &[os(&program)]);
            as_user(s, &[os(&program), os("-e"), os("1")])
        })],
        evasions: &[],
        benign: &[act("without_any", |s| {
            let (_made, program) = dropped(s, "/usr/bin/perl", "p");
            as_user(s, &[os(&program), os("-e"), os("1")])
        })],
    },
    Case {
        rule: "sudo called as exploits do",
        // A program of that name, which is not sudo.
        attacks: &[
            act("user_minus_one", |s| {
                let (_made, sudo) = s.copy_of("/bin/true", "/usr/lib", "sudo");
                s.run(Command::new(sudo).args(["-u#-1", "id"]))
            }),
            act("backslash", |s| {
                let (_made, sudo) = s.copy_of("/bin/true", "/usr/lib", "sudoedit");
                s.run(Command::new(sudo).args(["-s", "AAAA\\"]))
            }),
            act("own_root_directory", |s| {
                let (_made, sudo) = s.copy_of("/bin/true", "/usr/lib", "sudo");
                s.run(Command::new(sudo).args(["-R", "woot", "woot"]))
            }),
        ],
        evasions: &[act("editor", |s| {
            let (_made, sudo) = s.copy_of("/bin/true", "/usr/lib", "sudoedit");
            s.run(Command::new(sudo).arg("/etc/motd").env("SUDO_EDITOR", "vi -- /etc/sudoers"))
        })],
        benign: &[act("as_usual", |s| {
            let (_made, sudo) = s.copy_of("/bin/true", "/usr/lib", "sudo");
            s.shell(
                "\"$1\" -u '#1000' id; \"$1\" -s; \"$1\" -H -u root sh -c 'echo \\\\'; EDITOR='vim -f' \"$1\" -e /etc/motd",
                &[os(&sudo)],
            )
        })],
    },
    Case {
        rule: "Kernel's network or mounts reached through a user namespace",
        attacks: &[act("mounts", |s| {
            let (_made, program) = dropped(s, "/usr/bin/unshare", "program");
            as_user(s, &[os(&program), os("-Urm"), os("/bin/true")])
        })],
        evasions: &[act("packet_filter", |s| {
            let (_made, program) = dropped(s, "/usr/bin/perl", "program");
            as_user(s, &[os(&program), os("-e"), os("exit(syscall(41, 16, 3, 12) < 0)")])
        })],
        benign: &[act("installed_tools", |s| {
            as_user(s, &[os("/bin/sh"), os("-c"), os("unshare -Urm /bin/true || true")])
        })],
    },
    Case {
        rule: "Another process changed by ptrace",
        attacks: &[
            act("memory", |s| s.run(&mut s.act(["trace-write"]))).showing(&["T1055.008"]),
            act("registers", |s| s.run(&mut s.act(["trace-set-registers"]))).showing(&["T1055.008"]),
            act("code_of_the_kernel", |s| s.run(&mut s.act(["trace-write-vdso"]))).showing(&["T1055.014"]),
        ],
        evasions: &[act("named_like_a_debugger", |s| s.run(&mut s.act_by(&s.named("gdb"), ["trace-write"])))],
        benign: &[act("looked_at", |s| s.run(&mut s.act(["trace-look"])))],
    },
    Case {
        rule: "Debugger made to run code in a process",
        attacks: &[act("call", |s| {
            s.shell(
                "sleep 30 & gdb --batch -p $! -ex 'call (int)getpid()' >/dev/null 2>&1 || :; kill $!",
                &[],
            )
        })],
        evasions: &[act("library", |s| {
            let script = "sleep 30 & gdb --batch -ex \"attach $!\" -ex 'print (long)dlopen(\"/x\", 2)' >/dev/null 2>&1 || :
                kill $!";
            s.shell(script, &[])
        })],
        benign: &[act("looked_at", |s| {
            s.shell("sleep 30 & gdb --batch -p $! -ex 'info registers' >/dev/null 2>&1 || :; kill $!", &[])
        })],
    },
    Case {
        rule: "Memory of a process written through its file",
        attacks: &[act("of_the_parent", |s| s.shell("\"$1\" --act write /proc/$$/mem", &[os(&s.helper())]))],
        evasions: &[
            act("by_the_shell_itself", |s| s.shell("exec 7<>/proc/self/mem", &[])),
            act("of_a_thread", |s| s.shell("\"$1\" --act write /proc/$$/task/$$/mem", &[os(&s.helper())])),
        ],
        benign: &[act("maps_read", |s| s.shell("cat /proc/$$/maps /proc/$$/status >/dev/null", &[]))],
    },
    Case {
        rule: "Memory of another process written directly",
        attacks: &[act("of_the_parent", |s| {
            let script = "my $b = 'x'; my $own = pack('PQ', $b, 1); my $far = $own; \
                if (!fork) { exit(syscall(311, getppid, $own, 1, $far, 1, 0) != 1) } wait; exit($? >> 8)";
            perl(s, script, &[])
        })],
        evasions: &[],
        benign: &[act("own_memory", |s| {
            let script = "my $b = 'x'; my $own = pack('PQ', $b, 1); my $far = $own; \
                exit(syscall(311, $$ + 0, $own, 1, $far, 1, 0) != 1)";
            perl(s, script, &[])
        })],
    },
    Case {
        rule: "Interpreter made to load foreign code",
        attacks: &[act("bash_env", |s| {
            s.run(Command::new("/bin/bash").args(["-c", ":"]).env("BASH_ENV", "/tmp/vedette-test-none"))
        })],
        evasions: &[act("perl", |s| {
            s.run(
                Command::new("/usr/bin/perl")
                    .args(["-e", "1"])
                    .env("PERL5OPT", "-Mstrict")
                    .env("PERL5LIB", "/tmp/vedette-test-none")
                    // Whoever sets one variable can set another.
                    .env("CI", "true"),
            )
        })],
        benign: &[act("own_settings", |s| {
            s.run(
                Command::new("/bin/bash")
                    .args(["-c", ":"])
                    .env("BASH_ENV", "/etc/profile.d/none")
                    .env("PERL5LIB", "/tmp"),
            )
        })],
    },
];
