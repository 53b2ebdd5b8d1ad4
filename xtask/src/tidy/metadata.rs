//! What `cargo metadata` says, cut down to what the checks look at.

use anyhow::{Context, Result, bail};
use cargo_metadata::Metadata;

use super::Finding;
use crate::exec;
use crate::workspace::Workspace;

/// A crate of this workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCrate {
    /// The package name.
    pub name: String,
    /// Directory from the workspace root.
    pub directory: String,
    /// Packages named in its manifest, of every kind of dependency.
    pub dependencies: Vec<Dependency>,
    /// The text of its manifest.
    pub manifest: String,
}

/// A dependency as the manifest states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package name.
    pub name: String,
    /// Whether it is a crate of this workspace.
    pub own: bool,
}

/// A package from somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPackage {
    /// The package name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SPDX expression of its manifest.
    pub licence: Option<String>,
}

/// What cargo answered.
pub enum Answer {
    /// The metadata, boxed because it is large.
    Metadata(Box<Metadata>),
    /// `Cargo.lock` does not fit the manifests, so there is no reliable metadata.
    StaleLock(Finding),
}

/// Asks cargo, without letting it change `Cargo.lock`.
///
/// # Errors
/// When cargo fails for another reason than a stale lock file.
pub fn read(workspace: &Workspace) -> Result<Answer> {
    let mut cargo = workspace.cargo();
    cargo.args(["metadata", "--format-version", "1", "--locked", "--all-features"]);
    let output = exec::capture(&mut cargo)?;
    if output.status.success() {
        let metadata = serde_json::from_slice(&output.stdout).context("read the answer of cargo metadata")?;
        return Ok(Answer::Metadata(Box::new(metadata)));
    }
    let message = String::from_utf8_lossy(&output.stderr);
    if message.contains("--locked") || message.contains("lock file") {
        let remedy = "run `cargo metadata --format-version 1 >/dev/null` and commit Cargo.lock";
        let finding = Finding::error("Cargo.lock", 0, "it does not fit the manifests", remedy);
        return Ok(Answer::StaleLock(finding));
    }
    bail!("cargo metadata: {}", message.trim());
}

/// The crates of this workspace.
pub fn own_crates(metadata: &Metadata) -> Vec<OwnCrate> {
    let root = &metadata.workspace_root;
    let packages = metadata.workspace_packages();
    let crates = packages.iter().map(|package| {
        let directory = package.manifest_path.parent().unwrap_or(root);
        let dependencies = package
            .dependencies
            .iter()
            .map(|dependency| Dependency { name: dependency.name.clone(), own: dependency.path.is_some() });
        OwnCrate {
            name: package.name.to_string(),
            directory: directory.strip_prefix(root).unwrap_or(directory).to_string(),
            dependencies: dependencies.collect(),
            manifest: std::fs::read_to_string(&package.manifest_path).unwrap_or_default(),
        }
    });
    crates.collect()
}

/// Everything that is not ours.
pub fn foreign_packages(metadata: &Metadata) -> Vec<ForeignPackage> {
    let foreign = metadata.packages.iter().filter(|package| package.source.is_some());
    foreign
        .map(|package| ForeignPackage {
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: package.license.clone(),
        })
        .collect()
}
