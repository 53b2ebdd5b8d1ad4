//! What several test files use.

#![allow(dead_code)]

use std::path::PathBuf;

use vedette_policy::{Loaded, PolicySet, Source};

/// The directory with Falco's published rule files: `$FALCO_RULES_DIR`, else beside the workspace. Not part of the
/// project, so a test that needs them says that it was left out; in CI that is a failure.
pub fn published_rules() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/falco-rules");
    let directory = std::env::var_os("FALCO_RULES_DIR").map_or(beside, PathBuf::from);
    if directory.is_dir() {
        return Some(directory);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no published rules in {}", directory.display());
    eprintln!("left out: no published rules in {}", directory.display());
    None
}

/// Loads one file.
pub fn load(text: &str) -> Loaded {
    PolicySet::load([Source::new("policy.yaml", text)])
}
