//! `cargo xtask fuzz`: runs the fuzz targets.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::exec;
use crate::workspace::Workspace;

/// Where the fuzz targets are, one file each.
const TARGETS: &str = "fuzz/fuzz_targets";

/// Run the fuzz targets, or one of them. Needs rustup's nightly and cargo-fuzz.
///
/// A finding ends the run and is kept in `fuzz/artifacts`; the corpus in `fuzz/corpus` grows from run to run.
#[derive(clap::Args)]
pub struct Args {
    /// The target; all of them, one after the other, if left out.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

/// Runs the targets.
///
/// # Errors
/// When there is no such target, when the tools are missing, or when a target finds something.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let known = targets(workspace.root())?;
    let wanted = match &args.target {
        Some(name) if !known.contains(name) => {
            bail!("there is no fuzz target `{name}`; there are {}", known.join(", "))
        }
        Some(name) => vec![name.clone()],
        None => known,
    };
    let installed = exec::capture(nightly(workspace).args(["fuzz", "--version"]));
    if !installed.is_ok_and(|output| output.status.success()) {
        bail!(
            "cargo-fuzz is missing: `rustup toolchain install nightly` and `cargo install --locked cargo-fuzz`"
        );
    }
    for target in wanted {
        println!("fuzz {target}: {} seconds", args.seconds);
        let corpus = format!("fuzz/corpus/{target}");
        std::fs::create_dir_all(workspace.root().join(&corpus))
            .with_context(|| format!("create {corpus}"))?;
        let mut cargo = nightly(workspace);
        // The code has no unsafe part, so a sanitizer would only make it slower; panics and hangs are what counts.
        cargo.args(["fuzz", "run", "--sanitizer", "none", &target, &corpus]);
        let seeds = format!("fuzz/seeds/{target}");
        if workspace.root().join(&seeds).is_dir() {
            cargo.arg(seeds);
        }
        let limit = format!("-max_total_time={}", args.seconds);
        exec::run(cargo.args(["--", &limit, "-timeout=10", "-rss_limit_mb=2048"]))?;
    }
    Ok(())
}

/// Nightly's cargo: the fuzzer's instrumentation is unstable.
fn nightly(workspace: &Workspace) -> Command {
    let mut command = exec::command("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(workspace.root());
    command
}

fn targets(root: &Path) -> Result<Vec<String>> {
    let directory = root.join(TARGETS);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "rs") {
            names.extend(path.file_stem().map(|s| s.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
