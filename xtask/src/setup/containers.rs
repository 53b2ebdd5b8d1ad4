//! What tests make real containers with: runc, containerd, and a busybox that needs no libraries.
//!
//! What is installed is used. What is not is unpacked from Debian's packages into the tool cache, without installing
//! it: that needs no root, starts no daemon, and does not collide with a busybox of another kind.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Consent, apt};
use crate::exec;

/// A program, the package that has it, and what else to ask of it.
struct Tool {
    program: &'static str,
    package: &'static str,
    good: fn(&Path) -> bool,
}

const TOOLS: &[Tool] = &[
    Tool { program: "runc", package: "runc", good: Path::is_file },
    Tool { program: "containerd", package: "containerd", good: Path::is_file },
    Tool { program: "containerd-shim-runc-v2", package: "containerd", good: Path::is_file },
    Tool { program: "ctr", package: "containerd", good: Path::is_file },
    Tool { program: "busybox", package: "busybox-static", good: is_static },
];

/// Directories of programs; not all of them are in everybody's `PATH`.
const SYSTEM: &[&str] = &["usr/sbin", "sbin", "usr/bin", "bin"];

/// Where packages are unpacked, below the tool cache. The tests look there, too.
const UNPACKED: &str = "debian";

/// Makes sure that the programs are there.
///
/// # Errors
/// When one is missing and cannot be had, with what to do about it.
pub fn ensure(cache: &Path, consent: Consent) -> Result<()> {
    let missing = missing_packages(cache);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    if !apt::available() {
        bail!("tests with containers need {names}: install them with your package manager");
    }
    let target = cache.join(UNPACKED);
    consent.announce(&format!(
        "unpacking {names} into {} (Debian packages; tests make containers with them)",
        target.display()
    ))?;
    let scratch = cache.join("debian.download");
    fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
    apt::download(&missing, &scratch)?;
    for entry in fs::read_dir(&scratch)? {
        exec::run(exec::command("dpkg-deb").arg("-x").arg(entry?.path()).arg(&target))?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    match missing_packages(cache).as_slice() {
        [] => Ok(()),
        still => bail!("{} unpacked, but without the programs they should have", still.join(", ")),
    }
}

/// The packages of the programs that are nowhere.
fn missing_packages(cache: &Path) -> Vec<&'static str> {
    let directories = directories(cache);
    let is_missing = |tool: &&Tool| !directories.iter().any(|place| (tool.good)(&place.join(tool.program)));
    let mut packages: Vec<_> = TOOLS.iter().filter(is_missing).map(|tool| tool.package).collect();
    packages.dedup();
    packages
}

/// Where programs are looked for.
fn directories(cache: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    for root in [Path::new("/"), &cache.join(UNPACKED)] {
        all.extend(SYSTEM.iter().map(|directory| root.join(directory)));
    }
    all
}

/// Whether an executable asks for no program interpreter: the path of a dynamic loader stands in its first page.
fn is_static(path: &Path) -> bool {
    let Some(bytes) = fs::read(path).ok().filter(|_| path.is_file()) else { return false };
    let head = &bytes[..bytes.len().min(4096)];
    !["/ld-linux", "/ld-musl"]
        .iter()
        .any(|loader| head.windows(loader.len()).any(|window| window == loader.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        assert!(!is_static(Path::new("/bin/sh")), "every distribution's shell is linked dynamically");
        assert!(!is_static(Path::new("/nonexistent")) && !is_static(Path::new("/dev/null")));
        let file = env::temp_dir().join(format!("vedette-xtask-static-{}", std::process::id()));
        fs::write(&file, b"\x7fELF and no loader").unwrap();
        assert!(is_static(&file));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn what_was_unpacked_is_found() {
        let cache = env::temp_dir().join(format!("vedette-xtask-unpacked-{}", std::process::id()));
        let place = cache.join(UNPACKED).join("usr/sbin");
        fs::create_dir_all(&place).unwrap();
        for tool in TOOLS {
            fs::write(place.join(tool.program), b"a program").unwrap();
        }
        assert_eq!(missing_packages(&cache), [""; 0]);
        fs::remove_dir_all(cache).unwrap();
    }
}
