//! Cases for the policy `persistence`.

mod accounts;
mod hooks;
mod jobs;
mod servers;

use std::{ffi::OsStr, path::Path, process::Command};

use super::{Case, act, detached, os};
use crate::scene::Scene;

/// All of them, by what is changed.
pub const CASES: &[&[Case]] = &[accounts::CASES, hooks::CASES, jobs::CASES, servers::CASES];

/// Makes a file of a name that nobody reads in a directory of the host.
fn created(s: &Scene, directory: &str) -> u32 {
    let place = s.place(directory);
    s.run(s.act(["create"]).arg(&place))
}

/// Moves a file that was written elsewhere into a directory of the host.
fn moved(s: &Scene, directory: &str) -> u32 {
    let (place, draft) = (s.place(directory), s.file("draft"));
    s.shell("mv \"$1\" \"$2\"", &[os(&draft), os(&place)])
}

/// Lets a link in a directory of the host lead to a file elsewhere.
fn linked(s: &Scene, directory: &str) -> u32 {
    let (place, draft) = (s.place(directory), s.file("draft"));
    s.run(s.act([os("symlink"), os(&draft)]).arg(&place))
}

/// Makes a file of this name in a directory of the host's; where there is one already, only opens it for writing.
fn named(s: &Scene, directory: &str, name: &str) -> u32 {
    let path = Path::new(directory).join(name);
    if path.exists() {
        return s.run(s.act(["write"]).arg(path));
    }
    let mut place = s.place(directory);
    place.path.set_file_name(name);
    s.run(s.act(["create"]).arg(&place))
}

/// A home directory among the others, with a file in it, and what is done to that.
fn at_home(s: &Scene, file: &str, script: &str) -> u32 {
    let home = s.place("/home");
    let path = home.path.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    s.shell(script, &[os(&path)])
}

/// Covers `/etc` with a copy that nobody else sees, in a name space of mounts.
const COPY_OF_ETC: &str = "mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work; \
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc; ";

/// Runs a script where `/etc` is a copy that nobody else sees, and that goes with it, without a terminal.
fn in_copy_of_etc_detached(s: &Scene, script: &str) -> u32 {
    let script = [COPY_OF_ETC, script].concat();
    s.run(detached("unshare").args(["-m", "--", "/bin/sh", "-euc", &script]))
}

/// Runs a script where `/etc` is a copy that nobody else sees, and that goes with it.
fn in_copy_of_etc(s: &Scene, script: &str, args: &[&OsStr]) -> u32 {
    let script = [COPY_OF_ETC, script].concat();
    s.run(Command::new("unshare").args(["-m", "--", "/bin/sh", "-euc", &script, "sh"]).args(args))
}

/// Reads a file of the system, and writes another of the same name elsewhere.
fn read_and_draft(s: &Scene, file: &str) -> u32 {
    let draft = s.file(&format!("rootfs{file}"));
    let script = "cat \"$1\" >/dev/null 2>&1 || true; echo '# changed' >> \"$2\"; mv \"$2\" \"$2.new\"";
    s.shell(script, &[os(file), os(&draft)])
}
