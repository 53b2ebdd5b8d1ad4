//! The ways to a file. `$1` is the stage, `$2` an empty directory, `$3` the name of the file in `$1/secret`.

/// In which mount namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The host's.
    Host,
    /// A fresh one.
    OwnMounts,
}

/// A way to a file.
pub struct Trick {
    /// What it is.
    pub name: &'static str,
    /// Where it takes place.
    pub place: Where,
    /// The call that opens the file at last.
    pub call: &'static str,
    /// What is done.
    pub script: &'static str,
}

const fn on_host(name: &'static str, script: &'static str) -> Trick {
    Trick { name, place: Where::Host, call: "openat", script }
}

const fn apart(name: &'static str, script: &'static str) -> Trick {
    Trick { name, place: Where::OwnMounts, call: "openat", script }
}

/// All of them. Numbers of calls: `arch/x86/entry/syscalls/syscall_64.tbl`.
pub const TRICKS: &[Trick] = &[
    on_host("plain", r#"cat "$1/secret/$3""#),
    on_host("relative", r#"cd "$1/secret"; cat "$3""#),
    on_host("symlink_to_file", r#"ln -s "$1/secret/$3" "$2/l"; cat "$2/l""#),
    on_host("symlink_to_directory", r#"ln -s "$1/secret" "$2/l"; cat "$2/l/$3""#),
    on_host("dots", r#"cat "$2/..//secret/./../secret/$3""#),
    on_host("proc_self_root", r#"cat "/proc/self/root$1/secret/$3""#),
    on_host("proc_of_another_root", r#"cat "/proc/$$/root$1/secret/$3""#),
    on_host("proc_self_cwd", r#"cd "$1/secret"; cat "/proc/self/cwd/$3""#),
    on_host("dev_fd", r#"exec 9< "$1/secret"; cat "/dev/fd/9/$3""#),
    on_host(
        "directory_descriptor",
        r#"perl -e 'opendir(D, $ARGV[0]); syscall(257, fileno(D), $ARGV[1], 0) >= 0 or die' "$1/secret" "$3""#,
    ),
    on_host(
        "directory_descriptor_and_dots",
        r#"perl -e 'opendir(D, $ARGV[0]); $p = "../secret/$ARGV[1]"; syscall(257, fileno(D), $p, 0) >= 0 or die' "$1/secret" "$3""#,
    ),
    on_host(
        "chroot",
        r#"perl -e 'chroot($ARGV[0]) or die; $p = "/$ARGV[1]"; syscall(257, -100, $p, 0) >= 0 or die' "$1/secret" "$3""#,
    ),
    on_host(
        "bind_file",
        r#"touch "$2/x"; mount --bind "$1/secret/$3" "$2/x"; trap 'umount "$2/x"' EXIT; cat "$2/x""#,
    ),
    on_host(
        "bind_directory",
        r#"mkdir "$2/e"; mount --bind "$1/secret" "$2/e"; trap 'umount "$2/e"' EXIT; cat "$2/e/$3""#,
    ),
    on_host(
        "bind_root",
        r#"mkdir "$2/r"; mount --bind / "$2/r"; trap 'umount "$2/r"' EXIT; cat "$2/r$1/secret/$3""#,
    ),
    apart("bind_file_in_own_namespace", r#"touch "$2/x"; mount --bind "$1/secret/$3" "$2/x"; cat "$2/x""#),
    apart(
        "bind_directory_in_own_namespace",
        r#"mkdir "$2/e"; mount --bind "$1/secret" "$2/e"; cat "$2/e/$3""#,
    ),
    apart("rbind_root_in_own_namespace", r#"mkdir "$2/r"; mount --rbind / "$2/r"; cat "$2/r$1/secret/$3""#),
    apart(
        "bind_of_a_bind",
        r#"mkdir "$2/e" "$2/f"; mount --bind "$1/secret" "$2/e"; mount --bind "$2/e" "$2/f"; umount "$2/e"; cat "$2/f/$3""#,
    ),
    apart("plain_in_own_namespace", r#"cat "$1/secret/$3""#),
    apart(
        "directory_as_root",
        r#"mkdir "$2/e"; mount --bind "$1/secret" "$2/e"; mkdir -p "$2/e/put"; perl -e 'chdir($ARGV[0]); $d = "."; $p = "put"; syscall(155, $d, $p) == 0 or die; chdir("/"); $f = "/$ARGV[1]"; syscall(257, -100, $f, 0) >= 0 or die' "$2/e" "$3""#,
    ),
    apart(
        "chroot_into_bind_of_root",
        r#"mkdir "$2/r"; mount --rbind / "$2/r"; chroot "$2/r" cat "$1/secret/$3""#,
    ),
    apart(
        "moved_away",
        r#"mkdir "$2/e" "$2/f"; mount --bind "$1" "$2/e"; mount --move "$2/e" "$2/f"; cat "$2/f/secret/$3""#,
    ),
    // open_tree(AT_FDCWD, directory, OPEN_TREE_CLONE)
    on_host(
        "detached_mount",
        r#"perl -e '$t = syscall(428, -100, $ARGV[0], 1); $t >= 0 or die; syscall(257, $t, $ARGV[1], 0) >= 0 or die' "$1/secret" "$3""#,
    ),
    // name_to_handle_at, open_by_handle_at
    Trick {
        name: "file_handle",
        place: Where::Host,
        call: "open_by_handle_at",
        script: r#"perl -e '$h = pack("Ll", 128, 0) . "\0" x 128; $m = pack("L", 0); syscall(303, -100, $ARGV[0], $h, $m, 0) == 0 or die "name"; opendir(D, "/"); syscall(304, fileno(D), $h, 0) >= 0 or die "open: $!"' "$1/secret/$3""#,
    },
    // openat2 with struct open_how
    Trick {
        name: "openat2_in_root",
        place: Where::Host,
        call: "openat2",
        script: r#"perl -e 'opendir(D, $ARGV[0]); $how = pack("QQQ", 0, 0, 0x10); $p = "/../$ARGV[1]"; syscall(437, fileno(D), $p, $how, 24) >= 0 or die' "$1/secret" "$3""#,
    },
    Trick {
        name: "old_open",
        place: Where::Host,
        call: "open",
        script: r#"ln -s "$1/secret" "$2/l"; perl -e '$p = "$ARGV[0]"; syscall(2, $p, 0) >= 0 or die' "$2/l/$3""#,
    },
];
