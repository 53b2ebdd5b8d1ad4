//! The test programs of user space, run by `cargo test`.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Metadata, TargetKind};

use crate::workspace::Workspace;
use crate::{build_ebpf, exec};

/// Packages whose integration tests load BPF programs: all files in their `tests` directory.
const KERNEL_TEST_PACKAGES: &[&str] = &["vedette-agent", "vedette-e2e"];

/// Tells a test that it may load BPF programs into this host's kernel.
pub const KERNEL_TESTS_VARIABLE: &str = "VEDETTE_BPF_TESTS";

/// Runs the tests; those that load BPF programs only with `kernel`.
///
/// # Errors
/// When a test fails, or the filter matches none.
pub fn run(workspace: &Workspace, filter: Option<&str>, harness: &[String], kernel: bool) -> Result<()> {
    let mut passed = 0;
    for selection in selections(&metadata(workspace)?, kernel) {
        let mut cargo = workspace.cargo();
        cargo
            .args(["test", "--workspace", "--exclude", build_ebpf::PACKAGE, "--no-fail-fast"])
            .args(selection);
        if exec::is_ci() {
            cargo.arg("--locked");
        }
        cargo.args(filter).arg("--").args(harness);
        if io::stdout().is_terminal() {
            cargo.arg("--color=always");
        }
        if kernel {
            cargo.env(KERNEL_TESTS_VARIABLE, "1");
        } else {
            cargo.env_remove(KERNEL_TESTS_VARIABLE);
        }
        passed += run_counting(cargo)?;
    }
    match (passed, filter) {
        (0, Some(filter)) => bail!("no test has a name that contains `{filter}`"),
        (0, None) => bail!("cargo test ran no test"),
        (passed, _) => eprintln!("{passed} tests passed"),
    }
    Ok(())
}

/// The files of tests that load BPF programs, from the workspace root.
///
/// # Errors
/// When cargo cannot read the workspace.
pub fn kernel_tests(workspace: &Workspace) -> Result<Vec<String>> {
    let metadata = metadata(workspace)?;
    let root = &metadata.workspace_root;
    let targets = test_targets(&metadata).filter(|(package, _)| is_kernel_package(package));
    Ok(targets
        .map(|(_, target)| target.src_path.strip_prefix(root).unwrap_or(&target.src_path).to_string())
        .collect())
}

fn metadata(workspace: &Workspace) -> Result<Metadata> {
    let text = exec::output(workspace.cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    serde_json::from_str(&text).context("read the answer of cargo metadata")
}

fn is_kernel_package(package: &str) -> bool {
    KERNEL_TEST_PACKAGES.contains(&package)
}

fn test_targets(metadata: &Metadata) -> impl Iterator<Item = (&str, &cargo_metadata::Target)> {
    metadata.packages.iter().flat_map(|package| {
        let tests = package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Test));
        tests.map(|target| (package.name.as_str(), target))
    })
}

/// The target selections to call `cargo test` with, one after the other.
///
/// Without the kernel tests the others are named one by one, across the whole workspace: choosing by
/// package instead would build the dependencies again with other features.
fn selections(metadata: &Metadata, kernel: bool) -> Vec<Vec<String>> {
    if kernel {
        return vec![Vec::new()];
    }
    let mut named = vec!["--lib".to_owned(), "--bins".to_owned()];
    let others = test_targets(metadata).filter(|(package, _)| !is_kernel_package(package));
    named.extend(others.flat_map(|(_, target)| ["--test".to_owned(), target.name.clone()]));
    vec![named, vec!["--doc".to_owned()]]
}

/// Runs `cargo test`, passing on what it writes, and counts the tests that passed.
fn run_counting(mut cargo: Command) -> Result<u64> {
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start cargo test")?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow!("cargo test has no stdout"))?;
    let mut passed = 0;
    let mut out = io::stdout().lock();
    // Bytes, not strings: a test may print anything.
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("read what cargo test says")?;
        passed += passed_in(&String::from_utf8_lossy(&line)).unwrap_or(0);
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    if !child.wait()?.success() {
        bail!("cargo test failed: the messages above say where");
    }
    Ok(passed)
}

/// The number in a closing line `test result: ok. 35 passed; 0 failed; …`, coloured or not.
fn passed_in(line: &str) -> Option<u64> {
    let counts = line.strip_prefix("test result: ")?;
    let before = counts.split_once(" passed;")?.0;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let plain =
            "test result: ok. 35 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(passed_in(plain), Some(35));
        assert_eq!(passed_in("test result: \u{1b}[32mok\u{1b}[m. 7 passed; 0 failed;"), Some(7));
        assert_eq!(passed_in("test result: FAILED. 3 passed; 1 failed;"), Some(3));
        assert_eq!(passed_in("test tests::a ... ok"), None);
    }

    #[test]
    fn a_failing_run_is_an_error() {
        assert!(run_counting(Command::new("false")).is_err());
        assert_eq!(run_counting(Command::new("true")).unwrap(), 0);
    }

    #[test]
    fn without_the_kernel_only_other_tests_are_selected() {
        let workspace = Workspace::find().unwrap();
        let metadata = metadata(&workspace).unwrap();
        assert_eq!(selections(&metadata, true), [Vec::<String>::new()]);
        let named = selections(&metadata, false).concat();
        assert!(named.contains(&"--lib".to_owned()) && named.contains(&"--doc".to_owned()));
        let kernel: Vec<_> =
            test_targets(&metadata).filter(|(package, _)| is_kernel_package(package)).collect();
        assert!(kernel.iter().all(|(_, target)| !named.contains(&target.name)));
    }
}
