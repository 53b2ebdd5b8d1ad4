//! Development commands of Vedette: `cargo xtask --help`.
//!
//! Each command is a file of its own; `docs/development.md` says when to use which.

mod agent;
mod bench;
mod build_ebpf;
mod capture;
mod codegen;
mod exec;
mod fuzz;
mod image;
mod noise;
mod run;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Build, run, test and measure Vedette.
///
/// Start with `cargo xtask run`. Every command sets up what it needs by itself, says what it installs,
/// and is quick the second time.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Test(test::Args),
    Tidy(tidy::Args),
    Bench(bench::Args),
    Setup(setup::Args),
    BuildEbpf(build_ebpf::Args),
    Codegen(codegen::Args),
    Capture(capture::Args),
    Fuzz(fuzz::Args),
    Noise(noise::Args),
    Image(image::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Run(args) => run::run(&workspace, &args),
        Command::Test(args) => test::run(&workspace, &args),
        Command::Tidy(args) => tidy::run(&workspace, &args),
        Command::Bench(args) => bench::run(&workspace, &args),
        Command::Setup(args) => setup::run(&workspace, &args),
        Command::BuildEbpf(args) => build_ebpf::run(&workspace, &args),
        Command::Codegen(args) => codegen::run(&workspace, &args),
        Command::Capture(args) => capture::run(&workspace, &args),
        Command::Fuzz(args) => fuzz::run(&workspace, &args),
        Command::Noise(args) => noise::run(&workspace, &args),
        Command::Image(args) => image::run(&workspace, &args),
    }
}
