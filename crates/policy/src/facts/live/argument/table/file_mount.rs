//! Calls that change what is mounted where.

use vedette_event::abi::Call;

use super::{Argument, Form, From, RES, number_of as n, string_of as s};

/// Flags of `mount` (`include/uapi/linux/mount.h`).
const MOUNT: &[(u64, &str)] = &[
    (1, "RDONLY"),
    (2, "NOSUID"),
    (4, "NODEV"),
    (8, "NOEXEC"),
    (16, "SYNCHRONOUS"),
    (32, "REMOUNT"),
    (64, "MANDLOCK"),
    (128, "DIRSYNC"),
    (256, "NOSYMFOLLOW"),
    (1024, "NOATIME"),
    (2048, "NODIRATIME"),
    (4096, "BIND"),
    (8192, "MOVE"),
    (16384, "REC"),
    (32768, "SILENT"),
    (1 << 16, "POSIXACL"),
    (1 << 17, "UNBINDABLE"),
    (1 << 18, "PRIVATE"),
    (1 << 19, "SLAVE"),
    (1 << 20, "SHARED"),
    (1 << 21, "RELATIME"),
    (1 << 22, "KERNMOUNT"),
    (1 << 23, "I_VERSION"),
    (1 << 24, "STRICTATIME"),
    (1 << 25, "LAZYTIME"),
];

/// Flags of `umount2` (`include/linux/fs.h`).
const UMOUNT: &[(u64, &str)] = &[(1, "FORCE"), (2, "DETACH"), (4, "EXPIRE"), (8, "NOFOLLOW")];

/// Flags of the newer calls (`include/uapi/linux/mount.h`, `fcntl.h`).
const AT: &[(u64, &str)] = &[
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x800, "AT_NO_AUTOMOUNT"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x8000, "AT_RECURSIVE"),
];
const OPEN_TREE: &[(u64, &str)] = &[
    (1, "OPEN_TREE_CLONE"),
    (0o2_000_000, "OPEN_TREE_CLOEXEC"),
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x800, "AT_NO_AUTOMOUNT"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x8000, "AT_RECURSIVE"),
];
const MOVE_MOUNT: &[(u64, &str)] = &[
    (0x01, "MOVE_MOUNT_F_SYMLINKS"),
    (0x02, "MOVE_MOUNT_F_AUTOMOUNTS"),
    (0x04, "MOVE_MOUNT_F_EMPTY_PATH"),
    (0x10, "MOVE_MOUNT_T_SYMLINKS"),
    (0x20, "MOVE_MOUNT_T_AUTOMOUNTS"),
    (0x40, "MOVE_MOUNT_T_EMPTY_PATH"),
    (0x100, "MOVE_MOUNT_SET_GROUP"),
    (0x200, "MOVE_MOUNT_BENEATH"),
];
const FSPICK: &[(u64, &str)] = &[
    (1, "FSPICK_CLOEXEC"),
    (2, "FSPICK_SYMLINK_NOFOLLOW"),
    (4, "FSPICK_NO_AUTOMOUNT"),
    (8, "FSPICK_EMPTY_PATH"),
];
const FSCONFIG: &[(u64, &str)] = &[
    (0, "FSCONFIG_SET_FLAG"),
    (1, "FSCONFIG_SET_STRING"),
    (2, "FSCONFIG_SET_BINARY"),
    (3, "FSCONFIG_SET_PATH"),
    (4, "FSCONFIG_SET_PATH_EMPTY"),
    (5, "FSCONFIG_SET_FD"),
    (6, "FSCONFIG_CMD_CREATE"),
    (7, "FSCONFIG_CMD_RECONFIGURE"),
    (8, "FSCONFIG_CMD_CREATE_EXCL"),
];
const ATTRIBUTES: &[(u64, &str)] = &[
    (0x01, "MOUNT_ATTR_RDONLY"),
    (0x02, "MOUNT_ATTR_NOSUID"),
    (0x04, "MOUNT_ATTR_NODEV"),
    (0x08, "MOUNT_ATTR_NOEXEC"),
    (0x10, "MOUNT_ATTR_NOATIME"),
    (0x20, "MOUNT_ATTR_STRICTATIME"),
    (0x80, "MOUNT_ATTR_NODIRATIME"),
    (0x10_0000, "MOUNT_ATTR_IDMAP"),
    (0x20_0000, "MOUNT_ATTR_NOSYMFOLLOW"),
];

const fn flags(i: usize, names: &'static [(u64, &'static str)]) -> Argument {
    n("flags", From::Arg(i), Form::Flags(names))
}

const fn fd(name: &'static str, i: usize) -> Argument {
    n(name, From::Arg(i), Form::Dir)
}

const PATH: Argument = s("path", Form::Path);
const DIRFD: Argument = fd("dirfd", 0);
const FD: Argument = fd("fd", 0);
/// The descriptor that the call returned.
const NEW_FD: Argument = n("fd", From::Ret, Form::Result);

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    Some(match call {
        // What is mounted need not be a path: it is told as passed.
        Call::Mount => {
            const { &[RES, s("dev", Form::Raw2), s("dir", Form::Path), s("type", Form::Data), flags(3, MOUNT)] }
        }
        Call::Umount2 => const { &[RES, s("name", Form::Path), flags(1, UMOUNT)] },
        Call::MoveMount => {
            const {
                &[
                    RES,
                    fd("from_dirfd", 0),
                    s("from_path", Form::Path2),
                    fd("to_dirfd", 2),
                    s("to_path", Form::Path),
                    flags(4, MOVE_MOUNT),
                ]
            }
        }
        Call::OpenTree => const { &[NEW_FD, DIRFD, PATH, flags(2, OPEN_TREE)] },
        Call::Fsopen => const { &[NEW_FD, s("type", Form::Data), flags(1, &[(1, "FSOPEN_CLOEXEC")])] },
        Call::Fsconfig => {
            const {
                &[
                    RES,
                    FD,
                    n("cmd", From::Arg(1), Form::Choice(FSCONFIG)),
                    s("key", Form::Raw2),
                    s("value_charbuf", Form::Data),
                    n("aux", From::Arg(4), Form::Int),
                ]
            }
        }
        Call::FsMount => {
            const {
                &[
                    NEW_FD,
                    fd("fs_fd", 0),
                    flags(1, &[(1, "FSMOUNT_CLOEXEC")]),
                    n("attr_flags", From::Arg(2), Form::Flags(ATTRIBUTES)),
                ]
            }
        }
        Call::Fspick => const { &[NEW_FD, DIRFD, PATH, flags(2, FSPICK)] },
        Call::MountSetattr => {
            const {
                &[
                    RES,
                    DIRFD,
                    PATH,
                    flags(2, AT),
                    n("attr_set", From::Word(0), Form::Flags(ATTRIBUTES)),
                    n("attr_clr", From::Word(1), Form::Flags(ATTRIBUTES)),
                    n("propagation", From::Word(2), Form::Flags(MOUNT)),
                ]
            }
        }
        Call::PivotRoot => const { &[RES, s("new_root", Form::Path), s("put_old", Form::Path2)] },
        _ => return None,
    })
}
