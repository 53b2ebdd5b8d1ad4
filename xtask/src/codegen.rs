//! `cargo xtask codegen`: rewrites the files that are generated from code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::exec;
use crate::workspace::Workspace;

/// Rewrite the files that are generated from code; `tidy` checks that they are in date.
#[derive(clap::Args)]
pub struct Args {}

/// A file of the repository that a program writes.
pub struct Generated {
    /// Path from the workspace root.
    pub path: &'static str,
    /// Makes the content that the file should have.
    pub generate: fn(&Workspace) -> Result<String>,
}

/// Every generated file of the repository.
pub const GENERATED: &[Generated] = &[
    Generated { path: "docs/fields.md", generate: |w| vedette(w, &["fields", "--output", "markdown"]) },
    Generated { path: "docs/detections.md", generate: |w| vedette(w, DETECTIONS) },
    Generated { path: "deploy/schema/policy.schema.json", generate: |w| vedette(w, &["policy", "schema"]) },
    Generated { path: "deploy/crds/alertsinks.yaml", generate: |w| crd(w, "alertsinks") },
    Generated { path: "deploy/crds/securitypolicies.yaml", generate: |w| crd(w, "securitypolicies") },
    Generated {
        path: "deploy/crds/clustersecuritypolicies.yaml",
        generate: |w| crd(w, "clustersecuritypolicies"),
    },
];

/// The built-in rules as a document.
const DETECTIONS: &[&str] =
    &["policy", "guide", "deploy/policies", "--output", "markdown", "--not-covered", "docs/not-covered.yaml"];

/// What `vedette` prints. It is run rather than linked, so that xtask itself stays quick to build.
fn vedette(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--locked", "--quiet", "--package", "vedette-cli", "--bin", "vedette", "--"]);
    exec::output(cargo.args(arguments))
}

/// The definition of a custom resource.
fn crd(workspace: &Workspace, plural: &str) -> Result<String> {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--locked", "--quiet", "--package", "vedette-controller", "--example", "crds", "--"]);
    exec::output(cargo.arg(format!("{plural}.vedette.dev")))
}

/// Writes each generated file whose content has changed.
///
/// # Errors
/// When a generator fails or a file cannot be written.
pub fn run(workspace: &Workspace, _args: &Args) -> Result<()> {
    for file in GENERATED {
        let path = workspace.root().join(file.path);
        let wanted = (file.generate)(workspace).with_context(|| format!("generate {}", file.path))?;
        if write_if_changed(&path, wanted.as_bytes())? {
            println!("wrote {}", file.path);
        }
    }
    Ok(())
}

/// Writes the file only when that changes it, so that cargo sees no new time stamp. Says whether it did.
///
/// # Errors
/// When the file cannot be written.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    }
    // A rename leaves either the old or the new file, never half of one.
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    fs::write(&temporary, content).with_context(|| format!("write {}", Path::new(&temporary).display()))?;
    fs::rename(&temporary, path).with_context(|| format!("replace {}", path.display()))?;
    Ok(true)
}
