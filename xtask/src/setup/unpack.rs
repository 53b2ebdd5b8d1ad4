//! Programs for tests from Debian's packages, unpacked into the tool cache, without installing them: that needs no root,
//! starts no daemon, and does not collide with what is installed. What is installed is used.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Consent, apt};
use crate::exec;

/// A program or library, the package that has it, and what else to ask of it.
pub struct Tool {
    /// Name of its file.
    pub program: &'static str,
    /// The package.
    pub package: &'static str,
    /// Whether a file of that name will do.
    pub good: fn(&Path) -> bool,
}

/// Directories of programs and libraries; not all of them are in everybody's `PATH`.
const SYSTEM: &[&str] = &[
    "usr/sbin",
    "sbin",
    "usr/bin",
    "bin",
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/rsyslog",
];

/// Where packages are unpacked, below the tool cache. The tests look there, too.
const UNPACKED: &str = "debian";

/// Makes sure that the programs are there. `purpose` says for what: `tests make containers with them`.
///
/// # Errors
/// When one is missing and cannot be had, with what to do about it.
pub fn ensure(cache: &Path, tools: &[Tool], purpose: &str, consent: Consent) -> Result<()> {
    let missing = missing_packages(cache, tools);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    if !apt::available() {
        bail!("{names} needed ({purpose}): install them with your package manager");
    }
    let target = cache.join(UNPACKED);
    consent.announce(&format!("unpacking {names} into {} (Debian packages; {purpose})", target.display()))?;
    let scratch = cache.join("debian.download");
    fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
    apt::download(&missing, &scratch)?;
    for entry in fs::read_dir(&scratch)? {
        exec::run(exec::command("dpkg-deb").arg("-x").arg(entry?.path()).arg(&target))?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    match missing_packages(cache, tools).as_slice() {
        [] => Ok(()),
        still => bail!("{} unpacked, but without the files they should have", still.join(", ")),
    }
}

/// The packages of the programs that are nowhere.
fn missing_packages(cache: &Path, tools: &[Tool]) -> Vec<&'static str> {
    let directories = directories(cache);
    let is_missing = |tool: &&Tool| !directories.iter().any(|place| (tool.good)(&place.join(tool.program)));
    let mut packages: Vec<_> = tools.iter().filter(is_missing).map(|tool| tool.package).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unpacked_is_found() {
        let cache = env::temp_dir().join(format!("vedette-xtask-unpacked-{}", std::process::id()));
        let place = cache.join(UNPACKED).join("usr/sbin");
        fs::create_dir_all(&place).unwrap();
        let tool = |program, package| Tool { program, package, good: Path::is_file };
        let tools = [tool("vedette-no-such-1", "one"), tool("vedette-no-such-2", "two")];
        assert_eq!(missing_packages(&cache, &tools), ["one", "two"]);
        fs::write(place.join("vedette-no-such-1"), b"a program").unwrap();
        assert_eq!(missing_packages(&cache, &tools), ["two"]);
        fs::remove_dir_all(cache).unwrap();
    }
}
