//! Cases for the policy `impact`.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Case, act, os};
use crate::stage::{Made, Stage};

/// Endings of documents, as people have them.
const ENDINGS: &[&str] = &["pdf", "docx", "xlsx", "jpg", "txt", "csv", "odt", "png"];

/// A directory with documents in directories of their own.
fn documents(stage: &Stage, count: usize) -> PathBuf {
    let home = stage.directory();
    for number in 0..count {
        let directory = home.join(format!("project {}", number % 5));
        fs::create_dir_all(&directory).unwrap();
        let name = format!("report-{number}.{}", ENDINGS[number % ENDINGS.len()]);
        fs::write(directory.join(name), "made by a test\n").unwrap();
    }
    home
}

/// A script in a session without a terminal, as of a service.
pub fn detached(stage: &Stage, script: &str, args: &[&OsStr]) -> u32 {
    stage.run(Command::new("setsid").args(["-w", "/bin/sh", "-euc", script, "sh"]).args(args))
}

/// A script that sees mounts of its own.
pub fn with_own_mounts(stage: &Stage, script: &str, args: &[&OsStr]) -> u32 {
    stage.run(Command::new("unshare").args(["-m", "--", "/bin/sh", "-euc", script, "sh"]).args(args))
}

/// A directory of the host with so many files in it.
fn filled(stage: &Stage, directory: &str, count: usize) -> Made {
    let place = stage.place(directory);
    fs::create_dir(&place.path).unwrap();
    (0..count).for_each(|number| fs::write(place.path.join(format!("file-{number}")), "").unwrap());
    place
}

/// A data file of a database that is not there otherwise.
pub fn table(stage: &Stage) -> (Made, PathBuf) {
    let place = stage.place("/var/lib/mysql");
    fs::create_dir(&place.path).unwrap();
    let table = place.path.join("customers.ibd");
    fs::write(&table, "made by a test\n").unwrap();
    (place, table)
}

/// A disk that is a file.
struct Disk {
    node: PathBuf,
}

impl Disk {
    fn new(stage: &Stage) -> Self {
        let file = stage.directory().join("disk");
        fs::File::create(&file).unwrap().set_len(4 << 20).unwrap();
        let made = Command::new("losetup").args(["--find", "--show"]).arg(&file).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self { node: PathBuf::from(String::from_utf8(made.stdout).unwrap().trim()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.node).status();
    }
}

/// A kernel that nothing starts.
fn kernel(stage: &Stage) -> Made {
    let mut place = stage.place("/boot");
    let name = format!("vmlinuz-{}", place.path.file_name().unwrap().display());
    place.path = place.path.with_file_name(name);
    fs::write(&place.path, "made by a test\n").unwrap();
    place
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Many files given a second ending",
        attacks: &[
            act("renamed", |s| {
                let script = "for (glob(\"'$ARGV[0]'/*/*\")) { rename $_, \"$_.locked\" or die }";
                s.run(Command::new("perl").args(["-e", script]).arg(documents(s, 20)))
            }),
            act("encrypted_beside", |s| {
                let script = "for f in \"$1\"/*/*; do
                    openssl enc -aes-256-cbc -pbkdf2 -k made-by-a-test -in \"$f\" -out \"$f.crypted\"; rm \"$f\"
                done";
                s.shell(script, &[os(&documents(s, 20))])
            }),
        ],
        evasions: &[
            act("a_command_for_each", |s| {
                let home = documents(s, 20);
                s.run(Command::new("find").arg(home).args(["-type", "f", "-exec", "mv", "{}", "{}.k3y", ";"]))
            }),
            act("by_the_root_of_the_process", |s| {
                let script = "for (glob(\"'/proc/self/root$ARGV[0]'/*/*\")) { rename $_, \"$_.id-7F.[a\\@b.c]\" or die }";
                s.run(Command::new("perl").args(["-e", script]).arg(documents(s, 20)))
            }),
        ],
        benign: &[
            act("logs_rotated", |s| {
                let logs = filled(s, "/var/log", 20);
                s.shell(
                    "for f in \"$1\"/*; do mv \"$f\" \"$f.log\"; mv \"$f.log\" \"$f.log.1\"; gzip \"$f.log.1\"; done",
                    &[os(&logs)],
                )
            }),
            act("first_ending_and_temporary_names", |s| {
                let script =
                    "cd \"$1\"; for n in $(seq 20); do : > f$n; mv f$n f$n.jpg; mv f$n.jpg f$n.jpg.v2; done
                    for n in $(seq 20); do t=$(mktemp f$n.csv.XXXXXX4_); mv $t f$n.csv; done";
                s.shell(script, &[os(&s.directory())])
            }),
            act("archive_unpacked", |s| {
                let home = documents(s, 20);
                for file in glob(&home) {
                    fs::rename(&file, format!("{}.draft", file.display())).unwrap();
                }
                s.shell(
                    "cd \"$1\"; tar -cf ../all.tar .; mkdir to; tar -xf ../all.tar -C to; rm ../all.tar",
                    &[os(&home)],
                )
            }),
        ],
    },
    Case {
        rule: "Many documents overwritten",
        attacks: &[
            act("encrypted_in_place", |s| {
                let script =
                    "for (glob(\"'$ARGV[0]'/*/*\")) { open F, '+<', $_ or die; read F, $d, 9; seek F, 0, 0;
                    print F map { chr(255 ^ ord) } split //, $d; close F }";
                s.run(Command::new("perl").args(["-e", script]).arg(documents(s, 30)))
            })
            .showing(&["T1486"]),
            act("zeroed_by_inline_code", |s| {
                let script =
                    "for (glob(\"'$ARGV[0]'/*/*\")) { open F, '>', $_ or die; print F 'x'; close F }";
                s.run(Command::new("perl").args(["-e", script]).arg(documents(s, 30)))
            })
            .showing(&["T1485"]),
        ],
        evasions: &[act("a_command_for_each", |s| {
            let script =
                "find \"$1\" -type f -exec dd if=/dev/zero of={} bs=8 count=1 conv=notrunc status=none \\;";
            s.shell(script, &[os(&documents(s, 30))])
        })],
        benign: &[
            act("touched_and_copied_over", |s| {
                let home = documents(s, 30);
                s.shell(
                    "cp -r \"$1\" \"$1-copy\"; find \"$1\" -type f -exec touch {} +; cp -r \"$1/.\" \"$1-copy\"",
                    &[os(&home)],
                )
            }),
            act("reports_made_again", |s| {
                let (script, home) = (s.file("reports.pl"), documents(s, 30));
                fs::write(
                    &script,
                    "for (glob(\"'$ARGV[0]'/*/*\")) { open F, '>', $_ or die; print F 'x'; close F }",
                )
                .unwrap();
                s.shell(
                    "perl \"$1\" \"$2\"; for f in \"$2\"/*/*; do echo y > \"$f\"; done; for f in \"$2\"/*/*; do echo z >> \"$f\"; done",
                    &[os(&script), os(&home)],
                )
            }),
        ],
    },
    Case {
        rule: "Hundreds of documents written anew",
        attacks: &[act("emptied", |s| {
            s.shell("for f in \"$1\"/*/*; do : > \"$f\"; done", &[os(&documents(s, 120))])
        })
        .showing(&["T1485"])],
        evasions: &[act("by_a_script_in_a_file", |s| {
            let (script, home) = (s.file("work.pl"), documents(s, 120));
            fs::write(
                &script,
                "for (glob(\"'$ARGV[0]'/*/*\")) { open F, '>', $_ or die; print F 'x'; close F }",
            )
            .unwrap();
            s.run(Command::new("perl").arg(script).arg(home))
        })],
        benign: &[act("some_reports_made_again", |s| {
            // Written below a process of its own: the rule counts by the parent.
            let script = "sh -c 'for f in \"$1\"/*/*; do echo x > \"$f\"; done' sh \"$1\"; true";
            s.shell(script, &[os(&documents(s, 60))])
        })],
    },
    Case {
        rule: "Files overwritten and removed for good",
        attacks: &[act("shredded", |s| s.run(Command::new("shred").arg("-u").arg(s.file("evidence.log"))))],
        evasions: &[],
        benign: &[act("removed", |s| s.run(Command::new("rm").arg(s.file("evidence.log"))))],
    },
    Case {
        rule: "System files removed in bulk",
        attacks: &[act("a_directory_below_etc", |s| {
            let place = filled(s, "/etc", 40);
            s.run(Command::new("rm").arg("-rf").arg(&place))
        })],
        evasions: &[
            act("by_a_script", |s| {
                let place = filled(s, "/usr/lib", 40);
                s.run(Command::new("perl").args(["-e", "unlink glob(\"$ARGV[0]/*\")"]).arg(&place))
            }),
            act("a_command_for_each", |s| {
                let place = filled(s, "/etc", 40);
                s.run(Command::new("find").arg(&place).args(["-type", "f", "-exec", "rm", "{}", ";"]))
            }),
        ],
        benign: &[act("another_directory", |s| {
            let place = filled(s, "/var/lib", 40);
            s.run(Command::new("rm").arg("-rf").arg(&place))
        })],
    },
    Case {
        rule: "Database files changed by another program",
        attacks: &[
            act("removed", |s| {
                let (_place, table) = table(s);
                s.run(Command::new("rm").arg(table))
            })
            .showing(&["T1485"]),
            act("written", |s| {
                let (_place, table) = table(s);
                s.shell("printf x | dd of=\"$1\" bs=1 seek=2 conv=notrunc status=none", &[os(&table)])
            })
            .showing(&["T1565.001"]),
        ],
        evasions: &[act("through_a_link", |s| {
            let (_place, table) = table(s);
            let link = s.link_to(table.to_str().unwrap());
            s.run(s.act(["write"]).arg(link))
        })
        .showing(&["T1565.001"])],
        benign: &[act("by_the_server", |s| {
            let (_place, table) = table(s);
            s.run(s.act_by(&s.executable("mysqld"), ["write"]).arg(table))
        })],
    },
    Case {
        rule: "Boot files removed",
        attacks: &[act("kernel", |s| {
            let kernel = kernel(s);
            s.run(Command::new("rm").arg(&kernel))
        })],
        evasions: &[
            act("by_a_script", |s| {
                let kernel = kernel(s);
                s.run(Command::new("perl").args(["-e", "unlink @ARGV"]).arg(&kernel))
            }),
            act("emptied", |s| s.shell(": > \"$1\"", &[os(&kernel(s))])),
        ],
        benign: &[act("by_the_tool_for_it", |s| {
            let tool = s.file("update-initramfs");
            fs::write(&tool, "rm \"$1\"\n").unwrap();
            let kernel = kernel(s);
            s.run(Command::new("/bin/sh").arg(tool).arg(&kernel))
        })],
    },
    Case {
        rule: "Backups removed in bulk",
        attacks: &[act("all_of_them", |s| s.shell("rm -r \"$1\"", &[os(&filled(s, "/var/backups", 8))]))],
        evasions: &[],
        benign: &[act("one_of_them", |s| s.shell("rm -r \"$1\"", &[os(&filled(s, "/var/backups", 1))]))],
    },
    Case {
        rule: "Snapshot or backup deleted by its own tool",
        attacks: &[act("forgotten", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "restic");
            s.run(Command::new(tool).args(["-r", "/srv/repository", "forget", "--keep-last", "0", "--prune"]))
        })],
        evasions: &[],
        benign: &[act("listed", |s| {
            let (_place, tool) = s.copy_of("/bin/true", "/var/lib", "restic");
            s.run(Command::new(tool).args(["-r", "/srv/repository", "snapshots"]))
        })],
    },
    Case {
        rule: "Disk overwritten",
        attacks: &[
            act("content", |s| {
                let disk = Disk::new(s);
                detached(s, "dd if=/dev/zero of=\"$1\" bs=1M count=4 status=none", &[os(&disk.node)])
            })
            .showing(&["T1561.001"]),
            act("partition_table", |s| {
                let disk = Disk::new(s);
                detached(s, "head -c 512 /dev/zero > \"$1\"", &[os(&disk.node)])
            })
            .showing(&["T1561.002"]),
        ],
        evasions: &[
            act("by_another_node", |s| {
                let disk = Disk::new(s);
                let node = s.directory().join("image.bin");
                let script = "cp -a \"$1\" \"$2\"; \"$3\" --act write \"$2\"; rm \"$2\"";
                detached(s, script, &[os(&disk.node), os(&node), os(&s.helper())])
            }),
            act("by_a_script", |s| {
                let disk = Disk::new(s);
                let link = s.link_to(disk.node.to_str().unwrap());
                detached(s, "perl -e 'open F, \"+<\", $ARGV[0] or die' \"$1\"", &[os(&link)])
            }),
        ],
        benign: &[act("file_system_made", |s| {
            let disk = Disk::new(s);
            let file = s.file("image");
            detached(
                s,
                "mkfs.ext4 -q -F \"$1\"; dd if=\"$1\" of=\"$2\" bs=512 count=1 status=none",
                &[os(&disk.node), os(&file)],
            )
        })],
    },
    Case {
        rule: "Disk written by hand",
        attacks: &[act("at_a_terminal", |s| {
            let disk = Disk::new(s);
            let command = format!("dd if=/dev/zero of={} bs=512 count=1 status=none", disk.node.display());
            s.run(Command::new("script").args(["--quiet", "--return", "--command", &command, "/dev/null"]))
        })],
        evasions: &[],
        benign: &[act("file_system_made", |s| {
            let disk = Disk::new(s);
            let command = format!("mkfs.ext4 -q -F {}", disk.node.display());
            s.run(Command::new("script").args(["--quiet", "--return", "--command", &command, "/dev/null"]))
        })],
    },
    Case {
        rule: "Firmware or physical memory opened for writing",
        // A file stands for the variable, in a name space of mounts where nothing else is below /sys/firmware.
        attacks: &[act("variable_written", |s| {
            let script = "mount -t tmpfs none /sys/firmware; mkdir -p /sys/firmware/efi/efivars
                : > /sys/firmware/efi/efivars/Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c";
            with_own_mounts(s, script, &[])
        })],
        evasions: &[act("variables_removed", |s| {
            let script = "mount -t tmpfs none /sys/firmware; mkdir -p /sys/firmware/efi/efivars
                mkdir /sys/firmware/elsewhere; : > /sys/firmware/elsewhere/BootOrder
                mv /sys/firmware/elsewhere /sys/firmware/efi/efivars/x; rm -rf /sys/firmware/efi/efivars/x";
            with_own_mounts(s, script, &[])
        })],
        benign: &[act("listed", |s| s.shell("ls -R /sys/firmware > /dev/null", &[]))],
    },
    Case {
        rule: "Pages of a web server replaced",
        attacks: &[act("by_a_shell_below_it", |s| {
            let place = s.place("/var/www/html");
            fs::create_dir(&place.path).unwrap();
            let server = s.named("nginx");
            let page = place.path.join("index.html");
            let act = [os("run"), os("/bin/sh"), os("-euc"), os("echo owned > \"$1\""), os("sh"), os(&page)];
            s.run(&mut s.act_by(&server, act))
        })],
        evasions: &[act("from_a_script_of_the_server", |s| {
            let place = s.place("/var/www/html");
            fs::create_dir(&place.path).unwrap();
            let server = s.named("php-fpm8.2");
            let page = place.path.join("index.php");
            let script = "echo owned | tee \"$1\" > /dev/null";
            let act = [os("run"), os("/bin/sh"), os("-euc"), os(script), os("sh"), os(&page)];
            s.run(&mut s.act_by(&server, act))
        })],
        benign: &[act("deployed", |s| {
            let place = s.place("/var/www/html");
            fs::create_dir(&place.path).unwrap();
            s.shell("echo welcome > \"$1/index.html\"", &[os(&place)])
        })],
    },
    Case {
        rule: "Login message changed",
        attacks: &[act("written", |s| {
            with_own_mounts(s, "mount -t tmpfs none /etc; echo pay > /etc/motd", &[])
        })],
        evasions: &[],
        benign: &[act("read", |s| s.shell("cat /etc/motd /etc/issue 2> /dev/null || :", &[]))],
    },
    Case {
        rule: "Names of hosts redirected",
        attacks: &[act("appended", |s| {
            with_own_mounts(
                s,
                "mount -t tmpfs none /etc; echo 127.0.0.1 updates.example.com >> /etc/hosts",
                &[],
            )
        })],
        evasions: &[act("moved_into_place", |s| {
            with_own_mounts(s, "mount -t tmpfs none /etc; : > /etc/new; mv /etc/new /etc/resolv.conf", &[])
        })],
        benign: &[act("read", |s| s.shell("cat /etc/hosts /etc/resolv.conf", &[]))],
    },
];

/// The files two levels below a directory.
fn glob(home: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries(home).flat_map(|directory| entries(&directory).collect::<Vec<_>>()).collect()
}
