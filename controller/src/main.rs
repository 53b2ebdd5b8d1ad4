//! The controller's binary: the command line, and exit codes.

use std::process::ExitCode;

use clap::Parser;
use vedette_controller::{
    cli::{Cli, Command},
    run::{self, RunError},
};

/// Something is wrong with what was given: a policy, a setting, a file.
const BAD_INPUT: u8 = 1;
/// The command line is not valid (`EX_USAGE` of `<sysexits.h>`).
const USAGE: u8 = 64;
/// Something is wrong with us (`EX_SOFTWARE`).
const INTERNAL: u8 = 70;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap, and go to stdout; nothing to be done if that is closed.
            let _ = error.print();
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::RotateSigningKey(args) => run::rotate(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Input(text)) => {
            eprintln!("{}", text.trim_end());
            BAD_INPUT.into()
        }
        Err(RunError::Internal(text)) => {
            eprintln!("vedette-controller: internal error: {text}");
            INTERNAL.into()
        }
    }
}
