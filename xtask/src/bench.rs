//! `cargo xtask bench`: the figures that Vedette promises, measured on this host.
//!
//! One file per benchmark, a subcommand each; `report` holds what they measure against what is allowed.

mod controller;
pub mod daemon;
mod detections;
mod policy;
mod procfs;
mod report;
mod soak;
mod start;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::Workspace;

/// Measure what Vedette promises; exit 1 when a limit is broken.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    Start(start::Args),
    Policy(policy::Args),
    Soak(soak::Args),
    Detections(detections::Args),
    Controller(controller::Args),
    #[command(hide = true)]
    Work(detections::work::Args),
}

/// Runs one benchmark.
///
/// # Errors
/// When it cannot be run, or a limit is broken.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    match &args.benchmark {
        Benchmark::Start(args) => start::run(workspace, args),
        Benchmark::Policy(args) => policy::run(workspace, args),
        Benchmark::Soak(args) => soak::run(workspace, args),
        Benchmark::Detections(args) => detections::run(workspace, args),
        Benchmark::Controller(args) => controller::run(workspace, args),
        Benchmark::Work(args) => detections::work::run(args),
    }
}
