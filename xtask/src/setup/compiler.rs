//! The Rust compiler of the BPF half: one that has the sources of its core library.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::{Consent, apt};
use crate::codegen::write_if_changed;
use crate::exec;
use crate::workspace::parse_version;

/// Debian's Rust for building browsers, which follows the releases, and its sources.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// A compiler that can build its own core library for the BPF target.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Where it came from, for messages: `rustup nightly` or `system`.
    origin: String,
    /// The directory above `bin/rustc`.
    prefix: PathBuf,
    /// Its release, as rustc says it.
    release: String,
    /// The major version of its LLVM.
    pub llvm: u32,
    /// The shared library of its LLVM; `None` if that is inside the compiler.
    pub llvm_library: Option<PathBuf>,
}

/// What `rustc -vV` says, kept so that it need not be asked each time.
#[derive(Clone, Serialize, Deserialize)]
struct Identity {
    rustc: PathBuf,
    /// Size and modification time of the executable: a new compiler is asked again.
    stamp: (u64, u64),
    release: String,
    llvm: u32,
    llvm_library: Option<PathBuf>,
}

impl Compiler {
    /// A compiler that is nowhere, for tests.
    #[cfg(test)]
    pub fn with_llvm(llvm: u32, llvm_library: Option<PathBuf>) -> Self {
        let (origin, release) = ("test".to_owned(), "1.95.0".to_owned());
        Self { origin, prefix: PathBuf::from("/nonexistent"), release, llvm, llvm_library }
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        format!("{} rustc {} (LLVM {}) in {}", self.origin, self.release, self.llvm, self.prefix.display())
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.prefix.join("bin").join(name)
    }

    /// This compiler's cargo, free of what the environment says about another one.
    pub fn cargo(&self) -> Command {
        self.prepare(exec::command(self.bin("cargo")))
    }

    /// This compiler's clippy, taking the arguments of `cargo clippy`.
    pub fn clippy(&self) -> Command {
        let mut command = self.prepare(exec::command(self.bin("cargo-clippy")));
        command.env("CARGO", self.bin("cargo")).arg("clippy");
        command
    }

    fn prepare(&self, mut command: Command) -> Command {
        // What is set for the user-space half must not leak into the BPF half.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let build = text.starts_with("CARGO_BUILD_") || text.starts_with("CARGO_PROFILE_");
            if build
                || matches!(
                    &*text,
                    "RUSTFLAGS"
                        | "CARGO_ENCODED_RUSTFLAGS"
                        | "RUSTC_WRAPPER"
                        | "RUSTC_WORKSPACE_WRAPPER"
                        | "RUSTUP_TOOLCHAIN"
                        | "RUSTDOC"
                        | "CARGO"
                        | "CARGO_TARGET_DIR"
                )
            {
                command.env_remove(&name);
            }
        }
        // Building core is an unstable feature of cargo. A nightly takes it anyway; a release needs this.
        command.env("RUSTC", self.bin("rustc")).env("RUSTC_BOOTSTRAP", "1");
        command
    }
}

/// What is on this machine.
pub struct Search {
    /// The compilers that can build BPF programs, the preferred one first.
    pub usable: Vec<Compiler>,
    /// Why the others cannot.
    pub reasons: Vec<String>,
    /// Whether `VEDETTE_BPF_TOOLCHAIN` leaves no choice.
    pub chosen_by_hand: bool,
}

/// Looks for compilers that can build BPF programs.
///
/// # Errors
/// When the one named by `VEDETTE_BPF_TOOLCHAIN` cannot.
pub fn find(minimum: (u32, u32), cache: &Path) -> Result<Search> {
    let rustup = rustup_home();
    if let Some(name) = env::var("VEDETTE_BPF_TOOLCHAIN").ok().filter(|name| !name.is_empty()) {
        let (origin, prefix) = named(&name, rustup.as_deref())?;
        let compiler = examine(&origin, &prefix, minimum, cache)
            .map_err(|reason| anyhow!("VEDETTE_BPF_TOOLCHAIN={name}: {reason}"))?;
        return Ok(Search { usable: vec![compiler], reasons: Vec::new(), chosen_by_hand: true });
    }
    let mut search = Search { usable: Vec::new(), reasons: Vec::new(), chosen_by_hand: false };
    for (origin, prefix) in candidates(rustup.as_deref()) {
        match examine(&origin, &prefix, minimum, cache) {
            Ok(compiler) => search.usable.push(compiler),
            Err(reason) => search.reasons.push(format!("{origin}: {reason}")),
        }
    }
    Ok(search)
}

/// Installs what makes a compiler usable: Debian's Rust and its sources, else the sources of the rustup
/// toolchain in use, which takes no root.
///
/// # Errors
/// When neither is possible, or the installation fails.
pub fn install(minimum: (u32, u32), consent: Consent) -> Result<()> {
    let apt = if apt::available() { apt::obstacle() } else { Some("this system has no apt-get".to_owned()) };
    let obstacle = match apt {
        Some(obstacle) => obstacle,
        None if apt::candidate(PACKAGES[0], minimum)?.is_some_and(|version| version >= minimum) => {
            return apt::install(
                &PACKAGES,
                "a Rust that comes with the sources of its core library",
                consent,
            );
        }
        None => format!("there is no package {} of {}.{} or later", PACKAGES[0], minimum.0, minimum.1),
    };
    let toolchain = env::var("RUSTUP_TOOLCHAIN").ok();
    let Some(toolchain) = toolchain.filter(|_| exec::find_in_path("rustup").is_some()) else {
        bail!(
            "the BPF half needs a Rust with the sources of its core library, and {obstacle}. Install one: \
             `apt-get install {}`, or `rustup toolchain install nightly --component rust-src`",
            PACKAGES.join(" ")
        );
    };
    consent.announce(&format!("installing rust-src for {toolchain} with rustup ({obstacle})"))?;
    exec::run(exec::command("rustup").args(["component", "add", "rust-src", "--toolchain", &toolchain]))
}

/// Adds clippy to the BPF compiler if it has none.
///
/// # Errors
/// When it cannot be installed.
pub fn ensure_clippy(compiler: &Compiler, consent: Consent) -> Result<()> {
    let is_there = || compiler.bin("cargo-clippy").is_file() && compiler.bin("clippy-driver").is_file();
    if is_there() {
        return Ok(());
    }
    if compiler.prefix == Path::new("/usr") {
        if !apt::available() {
            bail!("the system's Rust has no clippy: install it with your package manager");
        }
        apt::install(&["rust-web-clippy"], "the linter of the Rust that builds the BPF half", consent)?;
    } else {
        let name = compiler.prefix.file_name().unwrap_or_default();
        consent.announce(&format!("installing clippy for {} with rustup", compiler.origin))?;
        let mut rustup = exec::command("rustup");
        exec::run(rustup.args(["component", "add", "clippy", "--toolchain"]).arg(name))?;
    }
    if is_there() { Ok(()) } else { bail!("{} still has no clippy", compiler.describe()) }
}

/// Where to look, the preferred ones first: rustup's nightlies from the newest, the toolchain in use, the
/// system's.
fn candidates(rustup: Option<&Path>) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    if let Some(toolchains) = rustup.map(|home| home.join("toolchains")) {
        let names = fs::read_dir(&toolchains).into_iter().flatten().flatten();
        let mut nightlies: Vec<String> = names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("nightly"))
            .collect();
        nightlies.sort_by(|a, b| nightly_rank(b).cmp(&nightly_rank(a)));
        if let Ok(active) = env::var("RUSTUP_TOOLCHAIN")
            && !nightlies.contains(&active)
        {
            nightlies.push(active);
        }
        found.extend(nightlies.into_iter().map(|name| (format!("rustup {name}"), toolchains.join(&name))));
    }
    found.push(("system".to_owned(), PathBuf::from("/usr")));
    found
}

/// Orders nightlies: the undated one first, then by date.
fn nightly_rank(name: &str) -> (bool, &str) {
    let dated = name.as_bytes().get(8).is_some_and(u8::is_ascii_digit);
    (!dated, name)
}

fn named(name: &str, rustup: Option<&Path>) -> Result<(String, PathBuf)> {
    if name == "system" {
        return Ok(("system".to_owned(), PathBuf::from("/usr")));
    }
    let toolchains = rustup.map(|home| home.join("toolchains")).unwrap_or_default();
    let exact = toolchains.join(name);
    if exact.is_dir() {
        return Ok((format!("rustup {name}"), exact));
    }
    let prefix = format!("{name}-");
    fs::read_dir(&toolchains)
        .into_iter()
        .flatten()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| (format!("rustup {name}"), entry.path()))
        .ok_or_else(|| anyhow!("VEDETTE_BPF_TOOLCHAIN={name}: there is no such toolchain in rustup"))
}

fn rustup_home() -> Option<PathBuf> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".rustup")))
}

/// Looks whether the compiler under `prefix` can build BPF programs. The error says in half a sentence
/// why not.
fn examine(
    origin: &str,
    prefix: &Path,
    minimum: (u32, u32),
    cache: &Path,
) -> std::result::Result<Compiler, String> {
    let rustc = prefix.join("bin/rustc");
    if !rustc.is_file() || !prefix.join("bin/cargo").is_file() {
        return Err(format!("there is no Rust in {}", prefix.display()));
    }
    // The lock file is what cargo reads first when it builds core.
    if !prefix.join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
        return Err("it lacks the sources of the core library (rust-src)".to_owned());
    }
    let identity = identify(&rustc, cache).map_err(|error| format!("{error:#}"))?;
    let (major, minor) = minimum;
    if parse_version(&identity.release).is_none_or(|version| version < minimum) {
        return Err(format!("it is Rust {}, and {major}.{minor} is needed", identity.release));
    }
    Ok(Compiler {
        origin: origin.to_owned(),
        prefix: prefix.to_owned(),
        release: identity.release,
        llvm: identity.llvm,
        llvm_library: identity.llvm_library,
    })
}

/// Asks the compiler who it is, or remembers it.
fn identify(rustc: &Path, cache: &Path) -> Result<Identity> {
    let metadata = fs::metadata(rustc).with_context(|| format!("read {}", rustc.display()))?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let stamp = (metadata.len(), modified);
    let memory = cache.join("bpf-compilers.json");
    let text = fs::read(&memory).unwrap_or_default();
    let mut known: Vec<Identity> = serde_json::from_slice(&text).unwrap_or_default();
    let holds = |known: &Identity| {
        let library_is_there = known.llvm_library.as_ref().is_none_or(|library| library.exists());
        known.rustc == rustc && known.stamp == stamp && library_is_there
    };
    if let Some(at) = known.iter().position(holds) {
        return Ok(known.swap_remove(at));
    }
    known.retain(|known| known.rustc != rustc);
    let answer = exec::output(exec::command(rustc).arg("-vV"))?;
    let (release, llvm) = parse_verbose_version(&answer)
        .ok_or_else(|| anyhow!("{} -vV names no LLVM version", rustc.display()))?;
    // The dynamic loader knows best. Without it, or for a static executable, the LLVM counts as built in.
    let libraries = exec::output(exec::command("ldd").arg(rustc)).unwrap_or_default();
    let llvm_library = parse_llvm_library(&libraries);
    let identity = Identity { rustc: rustc.to_owned(), stamp, release, llvm, llvm_library };
    known.push(identity.clone());
    write_if_changed(&memory, &serde_json::to_vec_pretty(&known)?)?;
    Ok(identity)
}

/// The release and the LLVM major version from `rustc -vV`.
fn parse_verbose_version(text: &str) -> Option<(String, u32)> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let (llvm, _minor) = parse_version(value("LLVM version:")?)?;
    Some((value("release:")?.to_owned(), llvm))
}

/// The LLVM library in what ldd prints: `\tlibLLVM.so.22.1 => /usr/lib/libLLVM.so.22.1 (0x0000…)`.
fn parse_llvm_library(ldd: &str) -> Option<PathBuf> {
    let line = ldd.lines().map(str::trim).find(|line| line.starts_with("libLLVM"))?;
    let (_name, rest) = line.split_once("=> ")?;
    let path = Path::new(rest.rsplit_once(" (").map_or(rest, |(path, _address)| path));
    // Without `bin/../lib/..`; the last part stays, because the loader looks for that very name.
    let directory = fs::canonicalize(path.parent()?).ok()?;
    Some(directory.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_version_is_read_from_rustc() {
        let text =
            "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(parse_verbose_version(text), Some(("1.96.0".to_owned(), 22)));
        assert_eq!(parse_verbose_version("rustc 1.96.0\nrelease: 1.96.0\n"), None);
    }

    #[test]
    fn the_llvm_library_is_read_from_ldd() {
        let ldd =
            "\tlinux-vdso.so.1 (0x1)\n\tlibLLVM.so.22.1-rust => /usr/bin/../lib/libLLVM.so.22.1-rust (0x2)\n";
        let library = parse_llvm_library(ldd).unwrap();
        assert!(library.ends_with("lib/libLLVM.so.22.1-rust"), "{}", library.display());
        assert!(!library.to_string_lossy().contains(".."), "{}", library.display());
        assert_eq!(parse_llvm_library("\tlibc.so.6 => /lib/libc.so.6 (0x2)\n"), None);
        assert_eq!(parse_llvm_library("\tlibLLVM.so.22.1 => not found\n"), None);
    }

    #[test]
    fn the_undated_nightly_is_preferred_then_the_newest() {
        let mut names = ["nightly-2026-01-02-x86_64", "nightly-x86_64", "nightly-2026-05-19-x86_64"];
        names.sort_by(|a, b| nightly_rank(b).cmp(&nightly_rank(a)));
        assert_eq!(names, ["nightly-x86_64", "nightly-2026-05-19-x86_64", "nightly-2026-01-02-x86_64"]);
    }

    #[test]
    fn a_prefix_without_rust_is_refused_with_a_reason() {
        let error =
            examine("test", Path::new("/nonexistent"), (1, 95), Path::new("/nonexistent")).unwrap_err();
        assert!(error.contains("no Rust in /nonexistent"), "{error}");
    }
}
