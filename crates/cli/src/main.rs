//! `vedette`: the command line of the policy language and of the tools around it.
//!
//! Each command is a module with its arguments (`Args`) and a function `run`. A command writes through a
//! [`Console`](console::Console) and says how it went with an [`exit::Result`]; `main` alone makes an exit code of it.

mod alerts;
mod cli;
mod console;
mod exit;
mod fields;
mod policy;
mod record;
mod remote;
mod replay;
mod status;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::console::Console;
use crate::exit::{Failure, Verdict};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut console = Console::of_process();
    let result = dispatch(cli.command, &mut console).and_then(|verdict| {
        console.flush()?;
        Ok(verdict)
    });
    match result {
        Ok(Verdict::Good) => exit::good(),
        Ok(Verdict::Bad) => exit::bad_input(),
        // Whoever read the output has enough of it, as in `vedette fields | head`.
        Err(failure) if failure.is_closed_pipe() => exit::good(),
        Err(failure) => {
            console.error(&failure);
            failure.exit_code()
        }
    }
}

fn dispatch(command: Command, console: &mut Console) -> Result<Verdict, Failure> {
    match command {
        Command::Policy(args) => policy::run(args, console),
        Command::Fields(args) => fields::run(&args, console),
        Command::Record(args) => record::run(&args, console),
        Command::Replay(args) => replay::run(&args, console),
        Command::Alerts(args) => alerts::run(&args, console),
        Command::Status(args) => status::run(&args, console),
    }
}

/// Prints what clap has to say: help and version are good, anything else is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    // With standard error gone there is nobody left to tell.
    let _ = error.print();
    if error.use_stderr() { exit::usage() } else { exit::good() }
}
