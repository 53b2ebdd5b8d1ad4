//! `cargo xtask tidy`: what neither the compiler nor clippy checks.
//!
//! Every check is a function from text (or from parsed metadata) to findings, so that its tests need no
//! repository.

mod architecture;
mod dependencies;
mod generated;
mod licences;
mod metadata;
mod sources;
mod tokens;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// Check the repository's own rules: who may import whom, file sizes, words that must not be in
/// committed code, where unsafe code may be, generated files, ARCHITECTURE.md, licences, Cargo.lock.
///
/// Each finding names the place and what to do. It needs neither root nor the BPF toolchain.
#[derive(clap::Args)]
pub struct Args {}

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path from the workspace root.
    path: String,
    /// 1-based; 0 for the file as a whole.
    line: usize,
    message: String,
    /// What to do about it.
    remedy: String,
    severity: Severity,
}

/// Whether a finding fails the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It is only shown.
    Warning,
}

impl Finding {
    fn error(
        path: impl Into<String>,
        line: usize,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let severity = Severity::Error;
        Self { path: path.into(), line, message: message.into(), remedy: remedy.into(), severity }
    }

    fn warning(
        path: impl Into<String>,
        line: usize,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, line, message, remedy) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}", self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {severity}: {}\n    {}", self.message, self.remedy)
    }
}

/// A text file of the repository.
struct SourceFile {
    /// Path from the workspace root, with `/`.
    path: String,
    text: String,
}

/// Runs every check and prints what it finds.
///
/// # Errors
/// When there is an error among the findings, or a check could not be made.
pub fn run(workspace: &Workspace, _args: &Args) -> Result<()> {
    let findings = check(workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match errors {
        0 => println!("tidy: all checks passed"),
        1 => bail!("tidy found 1 error"),
        _ => bail!("tidy found {errors} errors"),
    }
    Ok(())
}

fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in rust_files(workspace.root())? {
        findings.extend(sources::check(&file));
    }
    let metadata = match metadata::read(workspace)? {
        metadata::Answer::Metadata(metadata) => metadata,
        metadata::Answer::StaleLock(finding) => {
            findings.push(finding);
            return Ok(findings);
        }
    };
    let crates = metadata::own_crates(&metadata);
    findings.extend(dependencies::check(&crates));
    findings.extend(dependencies::check_kept_out(workspace, &crates)?);
    let architecture = fs::read_to_string(workspace.root().join("ARCHITECTURE.md")).ok();
    findings.extend(architecture::check(architecture.as_deref(), &crates));
    findings.extend(generated::check(workspace)?);
    let deny = workspace.root().join("deny.toml");
    let deny = fs::read_to_string(&deny).with_context(|| format!("read {}", deny.display()))?;
    findings.extend(licences::check(&deny, &metadata::foreign_packages(&metadata)));
    Ok(findings)
}

/// Every Rust file of the workspace, in a stable order.
fn rust_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            // Build output, and what begins with a dot, is not ours.
            if kind.is_dir() && name != "target" && !name.starts_with('.') {
                directories.push(entry.path());
            } else if kind.is_file() && name.ends_with(".rs") {
                files.push(read_source(root, entry.path())?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_source(root: &Path, path: PathBuf) -> Result<SourceFile> {
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let relative = path.strip_prefix(root).unwrap_or(&path);
    Ok(SourceFile { path: relative.to_string_lossy().into_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_place_and_remedy() {
        let finding = Finding::error("agent/src/main.rs", 12, "too long", "split it");
        assert_eq!(finding.to_string(), "agent/src/main.rs:12: error: too long\n    split it");
        let whole = Finding::warning("Cargo.lock", 0, "old", "update it");
        assert_eq!(whole.to_string(), "Cargo.lock: warning: old\n    update it");
    }
}
