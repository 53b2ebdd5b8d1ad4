//! `bpf-linker`, built once per version and LLVM.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::{Consent, apt};
use crate::exec;
use crate::workspace::{Workspace, parse_version};

/// The release of bpf-linker that is built.
pub const VERSION: &str = "0.13.0";

/// The LLVM majors that this release can be linked with.
const LLVM_MAJORS: [u32; 3] = [21, 22, 23];

/// The `bpf-linker` that reads what a compiler with this LLVM writes; built if it is not in the cache.
///
/// # Errors
/// When no fitting LLVM can be found or installed, or the build fails.
pub fn ensure(workspace: &Workspace, cache: &Path, llvm: u32, consent: Consent) -> Result<PathBuf> {
    if let Some(chosen) = env::var_os("VEDETTE_BPF_LINKER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(chosen);
        return if works(&path) {
            Ok(path)
        } else {
            bail!("VEDETTE_BPF_LINKER={}: does not run", path.display())
        };
    }
    if let Some(path) = cached(cache, llvm) {
        return Ok(path);
    }
    fs::create_dir_all(cache).with_context(|| format!("create {}", cache.display()))?;
    // Two checkouts may get here at once: the second waits, and finds the work done.
    let lock = cache.join("bpf-linker.lock");
    let file = File::create(&lock).with_context(|| format!("create {}", lock.display()))?;
    file.lock().with_context(|| format!("lock {}", lock.display()))?;
    if let Some(path) = cached(cache, llvm) {
        return Ok(path);
    }
    let found = find_llvm(llvm)?;
    let found = match found {
        Some(found) => found,
        None => install_llvm(llvm, consent)?,
    };
    build(workspace, cache, &found, consent)
}

/// An LLVM with its development files.
struct Llvm {
    major: u32,
    /// The directory above `bin/llvm-config`.
    prefix: PathBuf,
}

/// A newer LLVM reads the bitcode of an older one, not the other way round.
fn fitting_majors(llvm: u32) -> impl Iterator<Item = u32> {
    LLVM_MAJORS.into_iter().filter(move |major| *major >= llvm)
}

fn home(cache: &Path, major: u32) -> PathBuf {
    cache.join(format!("bpf-linker-{VERSION}-llvm{major}"))
}

fn cached(cache: &Path, llvm: u32) -> Option<PathBuf> {
    fitting_majors(llvm).map(|major| home(cache, major).join("bin/bpf-linker")).find(|path| works(path))
}

/// Runs it: a linker whose libLLVM was uninstalled is there, but does not start.
fn works(linker: &Path) -> bool {
    linker.is_file()
        && exec::capture(exec::command(linker).arg("--version")).is_ok_and(|output| output.status.success())
}

fn find_llvm(llvm: u32) -> Result<Option<Llvm>> {
    if fitting_majors(llvm).next().is_none() {
        bail!(
            "the BPF compiler uses LLVM {llvm}, and bpf-linker {VERSION} knows {LLVM_MAJORS:?} only; choose \
             an older toolchain with VEDETTE_BPF_TOOLCHAIN"
        );
    }
    for major in fitting_majors(llvm) {
        let names = [format!("/usr/lib/llvm-{major}/bin/llvm-config"), format!("llvm-config-{major}")];
        let places = names.iter().map(String::as_str).chain(["llvm-config"]);
        for config in places {
            let ask = |flag: &str| exec::output(exec::command(config).arg(flag)).ok();
            let Some(version) = ask("--version").and_then(|text| parse_version(text.trim())) else {
                continue;
            };
            let Some(prefix) = ask("--prefix") else { continue };
            let prefix = PathBuf::from(prefix.trim());
            // The runtime package alone has llvm-config in some distributions, but no headers.
            if version.0 == major && prefix.join("include/llvm-c/Core.h").exists() {
                return Ok(Some(Llvm { major, prefix }));
            }
        }
    }
    Ok(None)
}

fn install_llvm(llvm: u32, consent: Consent) -> Result<Llvm> {
    let majors: Vec<String> = fitting_majors(llvm).map(|major| major.to_string()).collect();
    let wanted = majors.join(" or ");
    if !apt::available() {
        bail!(
            "bpf-linker needs the development files of LLVM {wanted}: install them (headers and llvm-config)"
        );
    }
    for major in fitting_majors(llvm) {
        let package = format!("llvm-{major}-dev");
        if apt::candidate(&package, (major, 0))?.is_some() {
            apt::install(&[&package], "to build bpf-linker", consent)?;
            return find_llvm(llvm)?.ok_or_else(|| anyhow!("{package} is installed, but has no llvm-config"));
        }
    }
    bail!("bpf-linker needs the development files of LLVM {wanted}, and apt knows no llvm-N-dev of these")
}

fn build(workspace: &Workspace, cache: &Path, llvm: &Llvm, consent: Consent) -> Result<PathBuf> {
    let target = home(cache, llvm.major);
    consent.announce(&format!(
        "building bpf-linker {VERSION} with LLVM {} into {} (about a minute, once)",
        llvm.major,
        target.display()
    ))?;
    let scratch = cache.join("bpf-linker.build");
    let mut path = vec![llvm.prefix.join("bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut cargo = workspace.cargo();
    cargo
        // Away from the workspace, whose cargo configuration is not meant for this.
        .current_dir(cache)
        .args(["install", "bpf-linker", "--version", &format!("={VERSION}"), "--locked", "--force"])
        .args(["--no-default-features", "--features", &format!("llvm-{}", llvm.major)])
        .arg("--root")
        .arg(scratch.join("root"))
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .env("LLVM_PREFIX", &llvm.prefix)
        .env("PATH", env::join_paths(path)?);
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    exec::run(&mut cargo).context("bpf-linker did not build; the messages above say why")?;
    let built = scratch.join("root/bin/bpf-linker");
    if !works(&built) {
        bail!("bpf-linker was built but does not run: try `{} --version`", built.display());
    }
    let bin = target.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    fs::rename(&built, bin.join("bpf-linker")).context("move bpf-linker into the cache")?;
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    Ok(bin.join("bpf-linker"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_llvm_is_never_chosen() {
        assert_eq!(fitting_majors(22).collect::<Vec<_>>(), [22, 23]);
        assert_eq!(fitting_majors(19).collect::<Vec<_>>(), [21, 22, 23]);
        assert_eq!(fitting_majors(24).count(), 0);
    }

    #[test]
    fn a_linker_that_does_not_run_does_not_count() {
        assert!(!works(Path::new("/nonexistent/bpf-linker")));
        assert!(!works(Path::new("/bin/false")));
        assert!(works(Path::new("/bin/true")));
    }
}
