//! What servers, containers and the boot are made of.

use std::process::Command;

use super::{super::os, Case, act, created, linked, moved};
use crate::scene::Scene;

/// A directory below one that a web server serves, and a script run in it below a program of this name.
fn below(s: &Scene, server: &str, script: &str) -> u32 {
    let place = s.place("/var/www");
    std::fs::create_dir_all(place.path.join("uploads")).unwrap();
    let program = s.executable(server);
    s.run(s.act_by(&program, ["run", "/bin/sh", "-euc", script, "sh"]).arg(&place))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Web shell written",
        attacks: &[
            act("by_a_command_of_the_server", |s| below(s, "nginx", "echo '<?php ?>' > \"$1/x.php\"")),
            act("as_the_servers_user", |s| {
                let place = s.place("/var/www");
                std::fs::create_dir_all(&place.path).unwrap();
                let script = "chown 33 \"$1\"; exec perl -e '$) = 33; $( = 33; $< = $> = 33; \
                    open(F, \">$ARGV[0]/x.jsp\") or die $!' \"$1\"";
                s.shell(script, &[os(&place)])
            }),
            act("uploaded", |s| {
                let place = s.place("/var/www");
                let uploads = place.path.join("uploads");
                std::fs::create_dir_all(&uploads).unwrap();
                s.run(s.act_by(&s.executable("php-fpm8.2"), ["create"]).arg(uploads.join("x.phtml")))
            }),
        ],
        evasions: &[
            act("renamed", |s| below(s, "apache2", "echo > \"$1/x.jpg\"; mv \"$1/x.jpg\" \"$1/x.PHP\"")),
            act("by_the_server_itself", |s| {
                let place = s.place("/srv");
                let root = place.path.join("htdocs");
                std::fs::create_dir_all(&root).unwrap();
                s.run(s.act_by(&s.executable("apache2"), ["create"]).arg(root.join("x.php")))
            }),
            act("by_the_database", |s| {
                let place = s.place("/var/www");
                std::fs::create_dir_all(&place.path).unwrap();
                s.run(s.act_by(&s.executable("mariadbd"), ["create"]).arg(place.path.join("x.php")))
            }),
            act("settings_of_a_directory", |s| below(s, "apache2", "echo > \"$1/uploads/.htaccess\"")),
        ],
        benign: &[
            act("upload_of_a_picture", |s| {
                let place = s.place("/var/www");
                std::fs::create_dir_all(place.path.join("uploads")).unwrap();
                let picture = place.path.join("uploads/picture.jpg");
                s.run(s.act_by(&s.executable("nginx"), ["create"]).arg(picture))
            }),
            act("deployment", |s| {
                let place = s.place("/var/www");
                std::fs::create_dir_all(&place.path).unwrap();
                s.shell(
                    "echo '<?php ?>' > \"$1/index.php\"; cp \"$1/index.php\" \"$1/about.php\"",
                    &[os(&place)],
                )
            }),
        ],
    },
    Case {
        rule: "Script written by a web server",
        attacks: &[act("plugin", |s| {
            let place = s.place("/var/www");
            let plugins = place.path.join("wp-content/plugins/x");
            std::fs::create_dir_all(&plugins).unwrap();
            s.run(s.act_by(&s.executable("apache2"), ["create"]).arg(plugins.join("x.php")))
        })],
        evasions: &[],
        benign: &[act("cache", |s| {
            let place = s.place("/var/www");
            std::fs::create_dir_all(place.path.join("var/cache")).unwrap();
            s.run(s.act_by(&s.executable("apache2"), ["create"]).arg(place.path.join("var/cache/x.php")))
        })],
    },
    Case {
        rule: "Library written by a database server",
        attacks: &[act("function", |s| {
            let library = s.file("plugin/x").with_file_name("udf.so");
            s.run(s.act_by(&s.executable("mysqld"), ["create"]).arg(library))
        })],
        evasions: &[act("renamed", |s| {
            let file = s.file("plugin/x.MYD");
            let postgres = s.executable("postgres");
            let library = file.with_file_name("x.so");
            s.run(
                s.act_by(
                    &postgres,
                    [os("run"), os("/bin/sh"), os("-c"), os("exec 0</dev/null; mv \"$0\" \"$1\"")],
                )
                .arg(&file)
                .arg(&library),
            );
            s.run(s.act_by(&postgres, ["create"]).arg(library.with_extension("so.1")))
        })],
        benign: &[act("tables", |s| {
            let table = s.file("data/base/x").with_file_name("16384");
            s.run(s.act_by(&s.executable("postgres"), ["create"]).arg(table))
        })],
    },
    Case {
        rule: "Static pod or container unit written",
        attacks: &[
            act("static_pod", |s| created(s, "/etc/kubernetes/manifests")),
            act("quadlet", |s| created(s, "/etc/containers/systemd")),
            act("hook_of_the_runtime", |s| created(s, "/etc/containers/oci/hooks.d")),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/etc/kubernetes/manifests")),
            act("link", |s| linked(s, "/etc/kubernetes/manifests")),
        ],
        benign: &[act("draft", |s| {
            let draft = s.file("manifests/web.yaml");
            s.shell(
                "echo 'kind: Pod' > \"$1\"; ls /etc/kubernetes /etc/containers >/dev/null 2>&1 || true",
                &[os(&draft)],
            )
        })],
    },
    Case {
        rule: "Image in the container store changed",
        attacks: &[act("layer", |s| created(s, "/var/lib/docker/overlay2/vedette-test/diff/usr/bin"))],
        evasions: &[act("moved_into_place", |s| {
            moved(s, "/var/lib/containerd/io.containerd.content.v1.content/blobs/vedette-test")
        })],
        benign: &[act("by_the_runtime", |s| {
            let place = s.place("/var/lib/docker/overlay2/vedette-quiet/diff");
            s.run(s.act_by(&s.executable("dockerd"), ["create"]).arg(&place))
        })],
    },
    Case {
        rule: "System program replaced",
        attacks: &[
            act("usr_bin", |s| created(s, "/usr/bin")),
            act("library", |s| {
                let mut place = s.place("/usr/lib");
                place.path.set_extension("so.1");
                s.run(s.act(["create"]).arg(&place))
            }),
            act("server", |s| created(s, "/usr/lib/openssh")),
        ],
        evasions: &[
            act("moved_into_place", |s| moved(s, "/usr/sbin")),
            act("link", |s| linked(s, "/usr/bin")),
            act("other_spelling", |s| moved(s, "/bin")),
        ],
        benign: &[act("usr_local_bin", |s| {
            let place = s.place("/usr/local/bin");
            s.acts(&[&[os("read"), os("/usr/bin/env")], &[os("create"), os(&place)]])
        })],
    },
    Case {
        rule: "Boot files changed",
        attacks: &[
            act("boot_loader", |s| created(s, "/boot/grub")).showing(&["T1542"]),
            act("system_partition", |s| created(s, "/boot/efi/EFI/BOOT")).showing(&["T1542.003"]),
        ],
        evasions: &[act("moved_into_place", |s| moved(s, "/boot/efi/EFI/BOOT")).showing(&["T1542.003"])],
        benign: &[act("read", |s| {
            s.shell("ls -lR /boot >/dev/null; sha256sum /boot/* >/dev/null 2>&1 || true", &[])
        })],
    },
    Case {
        rule: "Firmware written",
        attacks: &[act("of_a_device", |s| created(s, "/usr/lib/firmware/vedette-test"))],
        evasions: &[act("moved_into_place", |s| moved(s, "/usr/lib/firmware/vedette-test"))],
        benign: &[act("read", |s| {
            s.run(
                Command::new("/bin/sh")
                    .args(["-c", "ls -l /usr/lib/firmware /sys/firmware >/dev/null 2>&1; :"]),
            )
        })],
    },
];
