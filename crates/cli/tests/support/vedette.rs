//! Running the program.

#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value as Json;

/// Runs `vedette` in the directory of test data.
pub fn vedette(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette"));
    command.args(arguments).current_dir(data()).env_remove("NO_COLOR").output().expect("it starts")
}

/// The directory of test data.
pub fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it is UTF-8")
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("it is UTF-8")
}

/// Standard output as one JSON value, with nothing besides.
pub fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).expect("it is one JSON value")
}

/// The three published rule files of Falco, in their order: from `$FALCO_RULES_DIR`, else beside the workspace. They are
/// no part of the project, so a test that needs them says that it was left out; in CI that is a failure.
pub fn published_rules() -> Option<[String; 3]> {
    let beside = workspace().join("../shared/falco-rules");
    let directory = std::env::var_os("FALCO_RULES_DIR").map_or(beside, PathBuf::from);
    if !directory.is_dir() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no published rules in {}",
            directory.display()
        );
        eprintln!("left out: no published rules in {}", directory.display());
        return None;
    }
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    Some(names.map(|name| directory.join(name).display().to_string()))
}

/// A directory that is removed at the end of the test.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh directory, named after the test.
    pub fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("the directory can be made");
        Self(path)
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the file can be written");
        path.display().to_string()
    }

    /// The path of the directory.
    pub fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
