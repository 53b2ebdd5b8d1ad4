//! `bpf-linker`, built once per version and LLVM.
//!
//! The linker must read the bitcode that the compiler writes, so it is linked with the very LLVM library
//! of that compiler. That needs neither headers nor an LLVM package, and fits a nightly whose LLVM no
//! distribution carries yet.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Consent;
use super::compiler::Compiler;
use crate::exec;
use crate::workspace::parse_version;

/// The release of bpf-linker that is built.
pub const VERSION: &str = "0.13.0";

/// The LLVM majors whose C interface this release knows.
const LLVM_MAJORS: [u32; 3] = [21, 22, 23];

/// An LLVM that a linker can be linked with.
#[derive(Debug, PartialEq, Eq)]
pub struct Llvm {
    major: u32,
    /// The shared library.
    library: PathBuf,
}

impl Llvm {
    /// The LLVM for this compiler's output, or in half a sentence why there is none.
    pub fn of(compiler: &Compiler) -> std::result::Result<Self, String> {
        let major = compiler.llvm;
        if !LLVM_MAJORS.contains(&major) {
            return Err(format!("its LLVM is {major}, and bpf-linker {VERSION} knows {LLVM_MAJORS:?} only"));
        }
        match &compiler.llvm_library {
            Some(library) => Ok(Self { major, library: library.clone() }),
            // Some builds of Rust have LLVM inside; then any other LLVM that is as new will do.
            None => find_llvm(major).ok_or_else(|| {
                format!(
                    "it has no LLVM library of its own, and there is no llvm-config of LLVM {major} or later"
                )
            }),
        }
    }

    /// The name under which the loader looks for the library.
    fn file_name(&self) -> String {
        self.library.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn home(&self, cache: &Path) -> PathBuf {
        cache.join(format!("bpf-linker-{VERSION}-{}", self.file_name()))
    }

    /// Makes a directory where a linker finds the library: under its general name to be linked with, and
    /// under its own to be loaded. An update of the toolchain may have moved the library.
    fn link_library(&self, home: &Path) -> Result<()> {
        let directory = home.join("lib");
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        for name in ["libLLVM.so".to_owned(), self.file_name()] {
            let link = directory.join(name);
            if fs::read_link(&link).is_ok_and(|target| target == self.library) {
                continue;
            }
            // Nothing to remove the first time.
            let _ = fs::remove_file(&link);
            symlink(&self.library, &link).with_context(|| format!("create {}", link.display()))?;
        }
        Ok(())
    }
}

/// The linker for this LLVM, if it is there already.
///
/// # Errors
/// When the one named by `VEDETTE_BPF_LINKER` does not run, or the cache cannot be written.
pub fn ready(cache: &Path, llvm: &Llvm) -> Result<Option<PathBuf>> {
    if let Some(chosen) = env::var_os("VEDETTE_BPF_LINKER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(chosen);
        return if works(&path) {
            Ok(Some(path))
        } else {
            bail!("VEDETTE_BPF_LINKER={}: does not run", path.display())
        };
    }
    let home = llvm.home(cache);
    let path = home.join("bin/bpf-linker");
    if !path.is_file() {
        return Ok(None);
    }
    llvm.link_library(&home)?;
    Ok(works(&path).then_some(path))
}

/// Builds the linker for this LLVM.
///
/// # Errors
/// When it does not build, or does not run once built.
pub fn build(cache: &Path, llvm: &Llvm, consent: Consent) -> Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("create {}", cache.display()))?;
    // Two checkouts may get here at once: the second waits, and finds the work done.
    let lock = cache.join("bpf-linker.lock");
    let file = File::create(&lock).with_context(|| format!("create {}", lock.display()))?;
    file.lock().with_context(|| format!("lock {}", lock.display()))?;
    if let Some(path) = ready(cache, llvm)? {
        return Ok(path);
    }
    let home = llvm.home(cache);
    consent.announce(&format!(
        "building bpf-linker {VERSION} with LLVM {} into {} (about a minute, once)",
        llvm.major,
        home.display()
    ))?;
    llvm.link_library(&home)?;
    let scratch = cache.join("bpf-linker.build");
    let mut cargo = exec::cargo();
    cargo
        // Away from the workspace, whose cargo configuration is not meant for this.
        .current_dir(cache)
        .args(["install", "bpf-linker", "--version", &format!("={VERSION}"), "--locked", "--force"])
        .args(["--no-default-features", "--features", &format!("llvm-{}", llvm.major)])
        .arg("--root")
        .arg(scratch.join("root"))
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        // Its build script links with PREFIX/lib/libLLVM.so, and has it loaded from there.
        .env("LLVM_PREFIX", &home)
        // Nobody debugs it here, and it builds quicker.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    exec::run(&mut cargo).context("bpf-linker did not build; the messages above say why")?;
    let built = scratch.join("root/bin/bpf-linker");
    if !works(&built) {
        bail!("bpf-linker was built but does not run: try `{} --version`", built.display());
    }
    let bin = home.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    fs::rename(&built, bin.join("bpf-linker")).context("move bpf-linker into the cache")?;
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    Ok(bin.join("bpf-linker"))
}

/// Runs it: a linker whose libLLVM was uninstalled is there, but does not start.
fn works(linker: &Path) -> bool {
    linker.is_file()
        && exec::capture(exec::command(linker).arg("--version")).is_ok_and(|output| output.status.success())
}

/// An installed LLVM with a shared library that reads the bitcode of this major: a newer one reads what
/// an older one wrote, not the other way round.
fn find_llvm(oldest: u32) -> Option<Llvm> {
    let majors = LLVM_MAJORS.into_iter().filter(|major| *major >= oldest);
    majors.into_iter().find_map(|major| {
        let names = [format!("/usr/lib/llvm-{major}/bin/llvm-config"), format!("llvm-config-{major}")];
        let mut places = names.iter().map(String::as_str).chain(["llvm-config"]);
        places.find_map(|config| {
            let ask = |flag: &str| exec::output(exec::command(config).arg(flag)).ok();
            let (found, _minor) = parse_version(ask("--version")?.trim())?;
            let library = fs::canonicalize(Path::new(ask("--libdir")?.trim()).join("libLLVM.so")).ok()?;
            (found == major).then_some(Llvm { major, library })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_that_does_not_run_does_not_count() {
        assert!(!works(Path::new("/nonexistent/bpf-linker")));
        assert!(!works(Path::new("/bin/false")));
        assert!(works(Path::new("/bin/true")));
    }

    #[test]
    fn an_unknown_llvm_is_refused_with_a_reason() {
        let compiler = Compiler::with_llvm(99, Some(PathBuf::from("/usr/lib/libLLVM.so.99")));
        let reason = Llvm::of(&compiler).unwrap_err();
        assert!(reason.contains("its LLVM is 99"), "{reason}");
    }

    #[test]
    fn the_library_is_found_under_both_names_and_follows_an_update() {
        let home = env::temp_dir().join(format!("vedette-xtask-{}", std::process::id()));
        let llvm = |library: &str| Llvm { major: 22, library: PathBuf::from(library) };
        for library in ["/old/libLLVM.so.22.1", "/new/libLLVM.so.22.1"] {
            llvm(library).link_library(&home).unwrap();
            for name in ["libLLVM.so", "libLLVM.so.22.1"] {
                assert_eq!(fs::read_link(home.join("lib").join(name)).unwrap(), Path::new(library));
            }
        }
        fs::remove_dir_all(&home).unwrap();
    }
}
