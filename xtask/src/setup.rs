//! `cargo xtask setup`: finds the tools that the BPF half needs, and installs what is missing.
//!
//! The user-space half needs the Rust that runs this command and nothing else. The BPF half needs a
//! compiler whose core library can be built from source, and a `bpf-linker` that reads what it writes.

mod apt;
mod compiler;
mod containers;
mod far_sides;
mod linker;
mod unpack;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use self::compiler::Compiler;
use self::linker::Llvm;
use crate::exec;
use crate::workspace::{self, Workspace};

/// Find the tools that the build needs, and install the missing ones.
///
/// A rustup nightly with the rust-src component is used where there is one, then the toolchain in use or
/// the system's Rust if they have those sources. If none has, Debian's rustc-web, cargo-web and rust-web-src
/// are installed, or without root the rust-src component of the toolchain in use. bpf-linker is
/// built once, with that compiler's LLVM library, and cached in $VEDETTE_CACHE, $XDG_CACHE_HOME/vedette or
/// ~/.cache/vedette.
///
/// Tests make real containers with runc, containerd and a static busybox, and send alerts to rsyslog, NATS and
/// Alertmanager; what is not installed of them is unpacked from Debian's packages into the same cache.
///
/// VEDETTE_BPF_TOOLCHAIN=NAME picks the compiler by hand: the name of a rustup toolchain, or `system`
/// for the one in /usr. VEDETTE_BPF_LINKER=PATH does the same for bpf-linker.
#[derive(clap::Args)]
pub struct Args {
    /// Install without asking.
    #[arg(long, short)]
    yes: bool,
}

/// The tools that build the BPF half.
pub struct BpfTools {
    /// Builds the programs and the core library for the BPF target.
    pub compiler: Compiler,
    /// The `bpf-linker` executable.
    pub linker: PathBuf,
}

/// How far a set-up goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What building and running takes.
    Build,
    /// That, and what formatting and linting both halves takes.
    Test,
}

/// Sets everything up and says with what.
///
/// # Errors
/// When a tool is missing and cannot be installed, with what to do about it.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let consent = if args.yes || !io::stdin().is_terminal() { Consent::Given } else { Consent::Ask };
    let tools = ensure_with(workspace, Need::Test, consent)?;
    println!("BPF compiler  {}", tools.compiler.describe());
    println!("BPF linker    bpf-linker {} in {}", linker::VERSION, tools.linker.display());
    let cache = workspace::tool_cache()?;
    containers::ensure(&cache, consent)?;
    far_sides::ensure(&cache, consent)?;
    println!("Everything that `cargo xtask run` and `cargo xtask test` need is here.");
    Ok(())
}

/// Makes sure that the tools are there, installing what is missing without a question.
///
/// # Errors
/// When a tool is missing and cannot be installed, with what to do about it.
pub fn ensure(workspace: &Workspace, need: Need) -> Result<BpfTools> {
    ensure_with(workspace, need, Consent::Given)
}

/// Makes sure that what tests make containers with is there, without a question.
///
/// # Errors
/// When it is missing and cannot be had, with what to do about it.
pub fn ensure_containers() -> Result<()> {
    containers::ensure(&workspace::tool_cache()?, Consent::Given)
}

/// Makes sure that the servers are there that tests send alerts to, without a question.
///
/// # Errors
/// When one is missing and cannot be had, with what to do about it.
pub fn ensure_far_sides() -> Result<()> {
    far_sides::ensure(&workspace::tool_cache()?, Consent::Given)
}

/// Whether the person has agreed to installations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Given,
    Ask,
}

impl Consent {
    /// Says what is going to happen and, if that was not agreed to yet, asks.
    fn announce(self, what: &str) -> Result<()> {
        eprintln!("setup: {what}");
        if self == Self::Given {
            return Ok(());
        }
        eprint!("       Go ahead? [Y/n] ");
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        match answer.trim() {
            "" | "y" | "Y" | "yes" => Ok(()),
            _ => bail!("nothing was installed"),
        }
    }
}

fn ensure_with(workspace: &Workspace, need: Need, consent: Consent) -> Result<BpfTools> {
    let cache = workspace::tool_cache()?;
    let minimum = workspace.rust_version()?;
    if need == Need::Test {
        ensure_user_space_components(workspace, consent)?;
    }
    let tools = match choose(compiler::find(minimum, &cache)?, &cache, consent)? {
        Ok(tools) => tools,
        Err(reasons) => {
            for reason in reasons {
                eprintln!("setup: not usable for BPF: {reason}");
            }
            compiler::install(minimum, consent)?;
            choose(compiler::find(minimum, &cache)?, &cache, consent)?
                .map_err(|reasons| anyhow!("the packages are installed, but {}", reasons.join("; ")))?
        }
    };
    if need == Need::Test {
        compiler::ensure_clippy(&tools.compiler, consent)?;
    }
    Ok(tools)
}

/// The first compiler for which there can be a linker, with that linker; else why none will do.
fn choose(
    search: compiler::Search,
    cache: &Path,
    consent: Consent,
) -> Result<std::result::Result<BpfTools, Vec<String>>> {
    let mut reasons = search.reasons;
    for compiler in search.usable {
        let llvm = match Llvm::of(&compiler) {
            Ok(llvm) => llvm,
            Err(reason) if search.chosen_by_hand => bail!("{}: {reason}", compiler.describe()),
            Err(reason) => {
                reasons.push(format!("{}: {reason}", compiler.describe()));
                continue;
            }
        };
        let linker = match linker::ready(cache, &llvm)? {
            Some(linker) => linker,
            None => linker::build(cache, &llvm, consent)?,
        };
        return Ok(Ok(BpfTools { compiler, linker }));
    }
    Ok(Err(reasons))
}

/// rustfmt and clippy of the toolchain that builds user space; rustup's minimal profile lacks them.
fn ensure_user_space_components(workspace: &Workspace, consent: Consent) -> Result<()> {
    // Looking beside cargo is quick; asking cargo also finds what is somewhere else in the path.
    let cargo = env::var_os("CARGO").map(PathBuf::from).unwrap_or_default();
    let is_there = |subcommand: &str| {
        cargo.with_file_name(format!("cargo-{subcommand}")).is_file()
            || exec::capture(workspace.cargo().args([subcommand, "--version"]))
                .is_ok_and(|output| output.status.success())
    };
    let missing: Vec<&str> = [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(subcommand, _)| !is_there(subcommand))
        .map(|(_, component)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if exec::find_in_path("rustup").is_none() {
        bail!("`cargo fmt` and `cargo clippy` are needed: install {} for your Rust", missing.join(" and "));
    }
    consent.announce(&format!("installing {} with `rustup component add`", missing.join(" and ")))?;
    exec::run(exec::command("rustup").args(["component", "add"]).args(missing))
}
