//! `cargo xtask test`: everything that can be tested on this host.

mod report;
pub mod suite;

use anyhow::{Result, bail};

use self::report::Report;
use crate::setup::{self, Need};
use crate::tidy;
use crate::workspace::Workspace;
use crate::{agent, build_ebpf, exec, noise};

/// Run everything that can be tested on this host: formatting, clippy, tidy and all tests.
///
/// Formatting, tidy, clippy with warnings denied for the BPF half and the user-space half, then unit,
/// property and doc tests, and as root the tests that load BPF programs into this host's kernel. It goes
/// on after a failure, and lists at the end what failed.
///
/// Without root or BTF it says which tests it leaves out; with CI=true leaving one out is a failure.
/// With a FILTER only the tests run whose name contains it, and no other check.
#[derive(clap::Args)]
pub struct Args {
    /// Run only the tests whose name contains this.
    filter: Option<String>,

    /// Arguments for the test programs, for example `-- --nocapture`.
    #[arg(last = true, value_name = "TEST ARGS")]
    harness: Vec<String>,
}

/// Runs the checks and the tests.
///
/// # Errors
/// When one of them failed, or something was left out in CI.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut report = Report::default();
    let everything = args.filter.is_none();
    let tools =
        report.step("setup", || setup::ensure(workspace, if everything { Need::Test } else { Need::Build }));
    if everything {
        report.step("formatting", || format(workspace));
        report.step("tidy", || tidy::run(workspace, &tidy::Args {}));
    }
    let object = match &tools {
        Some(tools) => report.step("build of the BPF half", || build_ebpf::build(workspace, tools, false)),
        None => report.not_run("build of the BPF half", "there is no toolchain for it"),
    };
    if everything {
        match &tools {
            Some(tools) => report.step("clippy, BPF half", || build_ebpf::clippy(workspace, tools)),
            None => report.not_run("clippy, BPF half", "there is no toolchain for it"),
        };
    }
    // The agent embeds the object, so nothing of user space builds as a whole without it.
    if object.is_none() {
        report.not_run::<()>(
            "clippy and tests, user-space half",
            "there is no BPF object to build the agent with",
        );
        return report.finish();
    }
    if everything {
        report.step("clippy, user-space half", || clippy(workspace));
    }
    let obstacle = agent::obstacle("test");
    if obstacle.is_none() {
        report.step("tools for containers", setup::ensure_containers);
    }
    report.step("servers to send alerts to", setup::ensure_far_sides);
    report.step("tests", || suite::run(workspace, args.filter.as_deref(), &args.harness, obstacle.is_none()));
    if everything && obstacle.is_none() {
        report.step("noise of everyday work, in short", || noise::quick(workspace));
    }
    if let Some(obstacle) = obstacle {
        report.left_out(&suite::kernel_tests(workspace)?, &obstacle);
    }
    report.finish()
}

fn format(workspace: &Workspace) -> Result<()> {
    let status = workspace.cargo().args(["fmt", "--all", "--", "--check"]).status()?;
    if !status.success() {
        bail!("run `cargo fmt --all`");
    }
    Ok(())
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    // One crate's warnings must not hide those of the others.
    cargo.args(["clippy", "--workspace", "--exclude", build_ebpf::PACKAGE, "--all-targets", "--keep-going"]);
    if exec::is_ci() {
        cargo.arg("--locked");
    }
    exec::run(cargo.args(["--", "-D", "warnings"]))
}
