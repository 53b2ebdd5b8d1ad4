//! The node agent: what it needs of this host, and building it.

use std::env;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::Message;

use crate::exec;
use crate::workspace::Workspace;

/// The package and the binary.
pub const NAME: &str = "vedette-agent";

/// Where the kernel describes its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why the agent cannot run on this host, in one sentence with the remedy; `None` if it can.
///
/// `command` is what the person typed, for the sentence.
pub fn obstacle(command: &str) -> Option<String> {
    if !Path::new(BTF).exists() {
        return Some(format!(
            "this kernel has no {BTF}, from which Vedette learns the kernel's types: boot a kernel with \
             CONFIG_DEBUG_INFO_BTF=y (6.1 or later; every current distribution has it)"
        ));
    }
    if !exec::is_root() {
        return Some(format!(
            "loading BPF programs needs root: sudo -E env PATH=\"$PATH\" cargo xtask {command}"
        ));
    }
    None
}

/// Builds the release agent around the BPF object and returns its path.
///
/// # Errors
/// When it does not build.
pub fn build(workspace: &Workspace, bpf_object: Option<&Path>) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", NAME]);
    if let Some(object) = bpf_object {
        // Another object than the built-in one is the one with the development log.
        cargo.env("VEDETTE_BPF_OBJECT", object).args(["--features", "bpf-log"]);
    }
    build_with(cargo, NAME)
}

/// Builds the agent without optimising it, as the tests do, and returns its path.
///
/// # Errors
/// When it does not build.
pub fn build_dev(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", NAME]);
    build_as(cargo, NAME)
}

/// Builds the release version of another of our binaries and returns its path.
///
/// # Errors
/// When it does not build.
pub fn build_bin(workspace: &Workspace, package: &str, bin: &str) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", package]);
    build_with(cargo, bin)
}

/// The same without optimising.
///
/// # Errors
/// When it does not build.
pub fn build_bin_dev(workspace: &Workspace, package: &str, bin: &str) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", package]);
    build_as(cargo, bin)
}

/// Finishes a call of `cargo build` with a package, runs it, and returns the path of the binary.
fn build_with(mut cargo: Command, bin: &str) -> Result<PathBuf> {
    cargo.arg("--release");
    build_as(cargo, bin)
}

/// Builds the release versions of several binaries, each of its package, at once: so their libraries are built once, with
/// the features that all of them need. Returns the paths in the same order.
///
/// # Errors
/// When they do not build.
pub fn build_bins(workspace: &Workspace, bins: &[(&str, &str)]) -> Result<Vec<PathBuf>> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release"]);
    for (package, _) in bins {
        cargo.args(["--package", package]);
    }
    let names: Vec<&str> = bins.iter().map(|(_, bin)| *bin).collect();
    build_all(cargo, &names)
}

fn build_as(cargo: Command, bin: &str) -> Result<PathBuf> {
    build_all(cargo, &[bin])?.pop().ok_or_else(|| anyhow!("cargo built no {bin}"))
}

fn build_all(mut cargo: Command, bins: &[&str]) -> Result<Vec<PathBuf>> {
    for bin in bins {
        cargo.args(["--bin", bin]);
    }
    // Cargo says where the executable is, whatever target directory or triple the person has configured.
    cargo.args(["--message-format", "json-render-diagnostics"]);
    if exec::is_ci() {
        cargo.arg("--locked");
    }
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start cargo")?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow!("cargo has no stdout"))?;
    let mut executables = vec![None; bins.len()];
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message.context("read what cargo says")?
            && let Some(index) = bins.iter().position(|bin| *bin == artifact.target.name)
            && let Some(path) = artifact.executable
        {
            executables[index] = Some(path.into_std_path_buf());
        }
    }
    if !child.wait()?.success() {
        bail!("{} did not build; the messages above say why", bins.join(" and "));
    }
    let all: Option<Vec<PathBuf>> = executables.into_iter().collect();
    all.ok_or_else(|| anyhow!("cargo built no {}", bins.join(" and ")))
}

/// Variables that mean something to the agent and have to get through sudo.
pub fn environment() -> impl Iterator<Item = String> {
    env::vars().filter_map(|(name, value)| {
        let wanted = name.starts_with("VEDETTE_")
            || matches!(name.as_str(), "RUST_LOG" | "RUST_BACKTRACE" | "NO_COLOR");
        wanted.then(|| format!("{name}={value}"))
    })
}
