//! Where the published files are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use vedette_policy::Source;

/// The variable that names their directory.
const VARIABLE: &str = "FALCO_RULES_DIR";

/// The files.
#[derive(Clone, Debug)]
pub struct Files {
    /// `falco_rules.yaml`.
    pub stable: PathBuf,
    /// Those of less mature rules.
    others: [PathBuf; 2],
}

/// The files and one that enables every rule in them.
pub struct AllEnabled {
    files: Files,
    _directory: TempDir,
    switches: PathBuf,
}

/// The files; `None`, and a word about it, where they are not.
///
/// # Panics
/// Where they are not and `CI=true`.
pub fn files() -> Option<Files> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco-rules");
    let directory = env::var_os(VARIABLE).map_or(beside, PathBuf::from);
    let file = |name: &str| directory.join(name);
    let files = Files {
        stable: file("falco_rules.yaml"),
        others: [file("falco-incubating_rules.yaml"), file("falco-sandbox_rules.yaml")],
    };
    if files.paths().all(Path::is_file) {
        return Some(files);
    }
    let missing = format!(
        "published_rules: left out, because Falco's rule files are not in {} (set {VARIABLE})",
        directory.display()
    );
    assert!(env::var_os("CI").is_none_or(|value| value != "true"), "{missing}; in CI they must be there");
    eprintln!("{missing}");
    None
}

/// A file for the policy crate.
pub fn source(path: &Path) -> Source {
    Source::new(path.display().to_string(), fs::read_to_string(path).unwrap())
}

impl Files {
    /// All three.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.stable).chain(&self.others).map(PathBuf::as_path)
    }

    /// With a file that enables what they leave off.
    pub fn with_all_enabled(&self) -> AllEnabled {
        let loaded = vedette_policy::PolicySet::load(self.paths().map(source).collect::<Vec<_>>());
        let set = loaded.set.unwrap();
        let off = set.rules().iter().filter(|rule| !rule.is_active());
        let lines = off.map(|rule| {
            format!("- rule: {}\n  enabled: true\n  override: {{enabled: replace}}\n", rule.name)
        });
        let directory = tempfile::tempdir().unwrap();
        let switches = directory.path().join("enabled.yaml");
        fs::write(&switches, lines.collect::<String>()).unwrap();
        AllEnabled { files: self.clone(), _directory: directory, switches }
    }
}

impl AllEnabled {
    /// The files, in the order in which they have to be loaded.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.paths().chain([self.switches.as_path()])
    }
}
