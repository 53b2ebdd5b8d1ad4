//! Where things are: the workspace, its build output and the tool cache.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::exec;

/// The checkout that the commands work on.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that this `xtask` belongs to, wherever it was called from.
    ///
    /// # Errors
    /// When the manifest directory has no parent, which would take a broken checkout.
    pub fn find() -> Result<Self> {
        // Cargo sets the variable for `cargo run`; the built-in value serves a binary that is called directly.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().ok_or_else(|| anyhow!("{} has no parent", manifest.display()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The directory of the root `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory of the BPF half. It is not affected by `CARGO_TARGET_DIR`, so that the
    /// object is where `agent/build.rs` looks for it.
    pub fn ebpf_target(&self) -> PathBuf {
        self.root.join("target/ebpf")
    }

    /// The BPF object that the agent embeds. `dev_log` selects the one that logs.
    pub fn ebpf_object(&self, dev_log: bool) -> PathBuf {
        self.ebpf_target().join(if dev_log { "vedette-ebpf-log.o" } else { "vedette-ebpf.o" })
    }

    /// The oldest compiler that the workspace accepts, as (major, minor), from `rust-version`.
    ///
    /// # Errors
    /// When the root manifest cannot be read or states none.
    pub fn rust_version(&self) -> Result<(u32, u32)> {
        let path = self.root.join("Cargo.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        text.lines()
            .find_map(|line| {
                let value = line.strip_prefix("rust-version")?.trim().strip_prefix('=')?.trim();
                parse_version(value.trim_matches('"'))
            })
            .ok_or_else(|| anyhow!("{} states no rust-version", path.display()))
    }

    /// A call of the cargo that started `xtask`, in the workspace.
    pub fn cargo(&self) -> Command {
        let mut command = exec::cargo();
        command.current_dir(&self.root);
        command
    }
}

/// The cache of tools that outlives `cargo clean` and is shared by all checkouts: `$VEDETTE_CACHE`, else
/// `$XDG_CACHE_HOME/vedette`, else `~/.cache/vedette`.
///
/// # Errors
/// When none of the variables is set.
pub fn tool_cache() -> Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("VEDETTE_CACHE")
        .or_else(|| absolute("XDG_CACHE_HOME").map(|path| path.join("vedette")))
        .or_else(|| absolute("HOME").map(|path| path.join(".cache/vedette")))
        .ok_or_else(|| {
            anyhow!("set HOME or VEDETTE_CACHE to an absolute path: the BPF tools are cached there")
        })
}

/// `1.95`, `1.95.0` or `1.97.0-nightly` as (1, 95).
pub fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_major_and_minor() {
        assert_eq!(parse_version("1.95"), Some((1, 95)));
        assert_eq!(parse_version("1.97.0-nightly"), Some((1, 97)));
        assert_eq!(parse_version("22.1.8"), Some((22, 1)));
        assert_eq!(parse_version("nightly"), None);
    }

    #[test]
    fn this_workspace_states_its_rust_version() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.rust_version().unwrap() >= (1, 95));
    }
}
