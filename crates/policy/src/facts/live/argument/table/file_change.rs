//! Calls that change a directory tree, or what a file's inode says.

use vedette_event::abi::Call;

use super::{Argument, Form, From, RES, number_of as n, string_of as s};

/// Bits of a mode (`<sys/stat.h>`).
const MODE: &[(u64, &str)] = &[
    (0o0001, "S_IXOTH"),
    (0o0002, "S_IWOTH"),
    (0o0004, "S_IROTH"),
    (0o0010, "S_IXGRP"),
    (0o0020, "S_IWGRP"),
    (0o0040, "S_IRGRP"),
    (0o0100, "S_IXUSR"),
    (0o0200, "S_IWUSR"),
    (0o0400, "S_IRUSR"),
    (0o1000, "S_ISVTX"),
    (0o2000, "S_ISGID"),
    (0o4000, "S_ISUID"),
];

/// Flags of the `*at` calls (`include/uapi/linux/fcntl.h`).
const AT_SYMLINK_NOFOLLOW: (u64, &str) = (0x100, "AT_SYMLINK_NOFOLLOW");
const AT_REMOVEDIR: (u64, &str) = (0x200, "AT_REMOVEDIR");
const AT_SYMLINK_FOLLOW: (u64, &str) = (0x400, "AT_SYMLINK_FOLLOW");
const AT_EMPTY_PATH: (u64, &str) = (0x1000, "AT_EMPTY_PATH");

/// Flags of `renameat2` (`include/uapi/linux/fs.h`).
const RENAME: &[(u64, &str)] = &[(1, "RENAME_NOREPLACE"), (2, "RENAME_EXCHANGE"), (4, "RENAME_WHITEOUT")];

/// Flags of `setxattr` (`include/uapi/linux/xattr.h`).
const XATTR: &[(u64, &str)] = &[(1, "XATTR_CREATE"), (2, "XATTR_REPLACE")];

const fn fd(name: &'static str, i: usize) -> Argument {
    n(name, From::Arg(i), Form::Dir)
}

const fn mode(i: usize) -> Argument {
    n("mode", From::Arg(i), Form::Flags(MODE))
}

/// The mode of what is made; the kernel looks at no more than its low bits.
const fn permissions(i: usize) -> Argument {
    n("mode", From::Arg(i), Form::Oct)
}

const fn id(name: &'static str, i: usize) -> Argument {
    n(name, From::Arg(i), Form::Id)
}

const fn flags(i: usize, names: &'static [(u64, &'static str)]) -> Argument {
    n("flags", From::Arg(i), Form::Flags(names))
}

const OLD: Argument = s("oldpath", Form::Path);
const NEW: Argument = s("newpath", Form::Path2);
const PATH: Argument = s("path", Form::Path);
const FILENAME: Argument = s("filename", Form::Path);
const FD: Argument = fd("fd", 0);
const DIRFD: Argument = fd("dirfd", 0);
/// Name of an extended attribute.
const ATTRIBUTE: Argument = s("name", Form::Raw2);
/// `struct timespec times[2]`
const TIMES: [Argument; 2] = [n("atime", From::Word(0), Form::Dec), n("mtime", From::Word(2), Form::Dec)];

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    Some(match call {
        Call::Rename | Call::Link => const { &[RES, OLD, NEW] },
        Call::Renameat => const { &[RES, fd("olddirfd", 0), OLD, fd("newdirfd", 2), NEW] },
        Call::Renameat2 => const { &[RES, fd("olddirfd", 0), OLD, fd("newdirfd", 2), NEW, flags(4, RENAME)] },
        Call::Linkat => {
            const {
                &[
                    RES,
                    fd("olddir", 0),
                    OLD,
                    fd("newdir", 2),
                    NEW,
                    flags(4, &[AT_SYMLINK_FOLLOW, AT_EMPTY_PATH]),
                ]
            }
        }
        // What a link holds is no path until it is followed.
        Call::Symlink => const { &[RES, s("target", Form::Raw), s("linkpath", Form::Path2)] },
        Call::Symlinkat => {
            const { &[RES, s("target", Form::Raw), fd("linkdirfd", 1), s("linkpath", Form::Path2)] }
        }
        Call::Unlink | Call::Rmdir => const { &[RES, PATH] },
        Call::Unlinkat => const { &[RES, DIRFD, s("name", Form::Path), flags(2, &[AT_REMOVEDIR])] },
        Call::Mkdir => const { &[RES, PATH, permissions(1)] },
        Call::Mkdirat => const { &[RES, DIRFD, PATH, permissions(2)] },
        Call::Mknod => const { &[RES, PATH, permissions(1), n("dev", From::Arg(2), Form::Hex)] },
        Call::Mknodat => const { &[RES, DIRFD, PATH, permissions(2), n("dev", From::Arg(3), Form::Hex)] },
        Call::Chmod => const { &[RES, FILENAME, mode(1)] },
        Call::Fchmod => const { &[RES, FD, mode(1)] },
        Call::Fchmodat => const { &[RES, DIRFD, FILENAME, mode(2)] },
        Call::Fchmodat2 => {
            const { &[RES, DIRFD, FILENAME, mode(2), flags(3, &[AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH])] }
        }
        Call::Chown | Call::Lchown => const { &[RES, PATH, id("uid", 1), id("gid", 2)] },
        Call::Fchown => const { &[RES, FD, id("uid", 1), id("gid", 2)] },
        Call::Fchownat => {
            const {
                &[
                    RES,
                    DIRFD,
                    s("pathname", Form::Path),
                    id("uid", 2),
                    id("gid", 3),
                    flags(4, &[AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH]),
                ]
            }
        }
        Call::Truncate => const { &[RES, PATH, n("length", From::Arg(1), Form::Dec)] },
        Call::Ftruncate => const { &[RES, FD, n("length", From::Arg(1), Form::Dec)] },
        Call::Setxattr | Call::Lsetxattr => {
            const { &[RES, PATH, ATTRIBUTE, n("size", From::Arg(3), Form::Dec), flags(4, XATTR)] }
        }
        Call::Fsetxattr => {
            const { &[RES, FD, ATTRIBUTE, n("size", From::Arg(3), Form::Dec), flags(4, XATTR)] }
        }
        Call::Removexattr | Call::Lremovexattr => const { &[RES, PATH, ATTRIBUTE] },
        Call::Fremovexattr => const { &[RES, FD, ATTRIBUTE] },
        Call::Utime => const { &[RES, PATH, TIMES[0], n("mtime", From::Word(1), Form::Dec)] },
        Call::Utimes => const { &[RES, PATH, TIMES[0], TIMES[1]] },
        Call::Futimesat => const { &[RES, DIRFD, PATH, TIMES[0], TIMES[1]] },
        Call::Utimensat => {
            const { &[RES, DIRFD, PATH, TIMES[0], TIMES[1], flags(3, &[AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH])] }
        }
        _ => return None,
    })
}
