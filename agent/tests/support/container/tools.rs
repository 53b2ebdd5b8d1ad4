//! Where the programs are that containers are made with.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Directories of programs that are not in every `PATH`.
const SYSTEM: &[&str] = &["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Where `cargo xtask setup` unpacks packages that are not installed, below its cache.
const UNPACKED: &str = "debian";

/// The directories that are searched: `PATH`, the system's, and what `cargo xtask setup` has unpacked.
fn directories() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = env::split_paths(&path).chain(SYSTEM.iter().map(PathBuf::from)).collect();
    if let Some(cache) = cache() {
        all.extend(
            SYSTEM.iter().map(|directory| cache.join(UNPACKED).join(directory.trim_start_matches('/'))),
        );
    }
    all
}

/// The tool cache, as `xtask` has it.
fn cache() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("VEDETTE_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("vedette")))
        .or_else(|| Some(set("HOME")?.join(".cache/vedette")))
}

fn find(name: &str, good: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    directories().into_iter().map(|directory| directory.join(name)).find(|path| path.is_file() && good(path))
}

/// Where one of the container tools is.
///
/// # Panics
/// It is nowhere.
pub fn program(name: &str) -> PathBuf {
    find(name, |_| true).unwrap_or_else(|| panic!("there is no {name}: `cargo xtask setup`"))
}

/// One of the container tools, about to be started. It finds the others of them.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env("PATH", env::join_paths(directories()).unwrap());
    command
}

/// A busybox that needs no libraries.
pub fn busybox() -> Option<PathBuf> {
    find("busybox", |path| !asks_for_a_loader(path))
}

/// Whether an ELF executable names a program interpreter: the path of the loader stands in its first page.
fn asks_for_a_loader(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    let head = &bytes[..bytes.len().min(4096)];
    head.windows(7).any(|window| window == b"/ld-lin") || head.windows(8).any(|window| window == b"/ld-musl")
}

/// What is missing for containers, `None` if nothing is.
pub fn missing() -> Option<String> {
    let programs = ["runc", "containerd", "containerd-shim-runc-v2", "ctr"];
    let mut missing: Vec<&str> = programs.into_iter().filter(|name| find(name, |_| true).is_none()).collect();
    if busybox().is_none() {
        missing.push("a static busybox");
    }
    (!missing.is_empty()).then(|| format!("{} (see `cargo xtask setup`)", missing.join(", ")))
}
