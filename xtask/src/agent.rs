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

fn build_as(mut cargo: Command, bin: &str) -> Result<PathBuf> {
    cargo.args(["--bin", bin]);
    // Cargo says where the executable is, whatever target directory or triple the person has configured.
    cargo.args(["--message-format", "json-render-diagnostics"]);
    if exec::is_ci() {
        cargo.arg("--locked");
    }
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start cargo")?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow!("cargo has no stdout"))?;
    let mut executable = None;
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message.context("read what cargo says")?
            && artifact.target.name == bin
            && let Some(path) = artifact.executable
        {
            executable = Some(path.into_std_path_buf());
        }
    }
    if !child.wait()?.success() {
        bail!("{bin} did not build; the messages above say why");
    }
    executable.ok_or_else(|| anyhow!("cargo built no {bin}"))
}

/// Variables that mean something to the agent and have to get through sudo.
pub fn environment() -> impl Iterator<Item = String> {
    env::vars().filter_map(|(name, value)| {
        let wanted = name.starts_with("VEDETTE_")
            || matches!(name.as_str(), "RUST_LOG" | "RUST_BACKTRACE" | "NO_COLOR");
        wanted.then(|| format!("{name}={value}"))
    })
}
