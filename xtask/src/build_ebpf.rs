//! `cargo xtask build-ebpf`: the BPF programs, as the object file that the agent embeds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::codegen::write_if_changed;
use crate::exec;
use crate::setup::{self, BpfTools, Need};
use crate::workspace::Workspace;

/// Build the BPF programs into target/ebpf/vedette-ebpf.o.
///
/// The agent embeds that file; `cargo xtask run` and `cargo xtask test` call this command by
/// themselves, a plain `cargo build` of the agent does not.
#[derive(clap::Args)]
pub struct Args {
    /// Build the programs with their development log, into target/ebpf/vedette-ebpf-log.o.
    ///
    /// A probe that logs is slow: this object is never part of a release. Embed it with
    /// VEDETTE_BPF_OBJECT=target/ebpf/vedette-ebpf-log.o.
    #[arg(long, visible_alias = "bpf-log")]
    dev_log: bool,
}

/// The package of the BPF half: a plain cargo command for the workspace has to leave it out.
pub const PACKAGE: &str = "agent-ebpf";
const BINARY: &str = "vedette-ebpf";
const TARGET: &str = "bpfel-unknown-none";

/// ELF's machine number of BPF.
const EM_BPF: u16 = 247;

/// Builds the programs and says where they are.
///
/// # Errors
/// When a tool is missing or the build fails.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let object = build(workspace, &setup::ensure(workspace, Need::Build)?, args.dev_log)?;
    println!("{}", object.strip_prefix(workspace.root()).unwrap_or(&object).display());
    Ok(())
}

/// Builds the programs; the object file is touched only if its content changed.
///
/// # Errors
/// When the build fails, or what it made is no BPF object with BTF.
pub fn build(workspace: &Workspace, tools: &BpfTools, dev_log: bool) -> Result<PathBuf> {
    let mut cargo = tools.compiler.cargo();
    configure(cargo.arg("build"), workspace, tools, dev_log);
    exec::run(&mut cargo).context("the BPF programs did not build; the messages above say why")?;
    let built = workspace.ebpf_target().join(TARGET).join("release").join(BINARY);
    let content = fs::read(&built).with_context(|| format!("read {}", built.display()))?;
    check(&content).with_context(|| format!("{} is not usable", built.display()))?;
    if logs(&content) != dev_log {
        bail!(
            "{} {} the development log: feature `bpf-log` is out of step",
            built.display(),
            if dev_log { "lacks" } else { "has" }
        );
    }
    let object = workspace.ebpf_object(dev_log);
    write_if_changed(&object, &content)?;
    Ok(object)
}

/// Lints the programs, every warning being an error.
///
/// # Errors
/// When clippy finds something.
pub fn clippy(workspace: &Workspace, tools: &BpfTools) -> Result<()> {
    for dev_log in [false, true] {
        let mut clippy = tools.compiler.clippy();
        configure(&mut clippy, workspace, tools, dev_log);
        clippy.args(["--", "-D", "warnings"]);
        exec::run(&mut clippy).context("clippy has something to say about the BPF programs")?;
    }
    Ok(())
}

/// What every cargo command for the BPF target has in common.
fn configure(cargo: &mut Command, workspace: &Workspace, tools: &BpfTools, dev_log: bool) {
    // \x1f separates the flags, so that a path may hold spaces. The debug information becomes the BTF
    // without which the kernel takes neither typed loads nor function signatures.
    let flags =
        ["-C", &format!("linker={}", tools.linker.display()), "-C", "debuginfo=2", "-C", "link-arg=--btf"]
            .join("\x1f");
    cargo
        .current_dir(workspace.root())
        .args(["--package", PACKAGE, "--release", "-Zbuild-std=core", "--target", TARGET])
        .arg("--target-dir")
        .arg(workspace.ebpf_target())
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    if dev_log {
        cargo.args(["--features", "bpf-log"]);
    }
    if exec::is_ci() {
        cargo.arg("--locked");
    }
}

/// Whether the object has the map through which aya-log logs. A release object never has.
fn logs(object: &[u8]) -> bool {
    const MAP: &[u8] = b"AYA_LOGS";
    object.windows(MAP.len()).any(|window| window == MAP)
}

/// Looks whether this is a BPF object with type information.
fn check(object: &[u8]) -> Result<()> {
    // e_ident, e_type, e_machine: <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>
    let machine = match object {
        [0x7f, b'E', b'L', b'F', ..] => {
            object.get(18..20).map(|field| u16::from_le_bytes([field[0], field[1]]))
        }
        _ => bail!("it is not an ELF file"),
    };
    if machine != Some(EM_BPF) {
        bail!("it is not for BPF, but for machine {machine:?}");
    }
    for section in [".BTF", ".BTF.ext"] {
        // Only the end is delimited: linkers share the tail of `.rel.BTF` in the string table.
        let name = [section.as_bytes(), b"\0"].concat();
        if !object.windows(name.len()).any(|window| window == name) {
            bail!("it has no {section} section: was it linked by bpf-linker with --btf?");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(machine: u16, names: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(b"\x7fELF");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes.extend(names);
        bytes
    }

    #[test]
    fn only_a_bpf_object_with_types_is_accepted() {
        check(&object(EM_BPF, b"\0.BTF\0.BTF.ext\0")).unwrap();
        let no_types = check(&object(EM_BPF, b"\0.text\0")).unwrap_err();
        assert!(no_types.to_string().contains("no .BTF section"), "{no_types}");
        let host = check(&object(62, b"\0.BTF\0.BTF.ext\0")).unwrap_err();
        assert!(host.to_string().contains("not for BPF"), "{host}");
        assert!(check(b"#!/bin/sh").is_err());
        assert!(check(b"").is_err());
    }
}
