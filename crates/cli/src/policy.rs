//! `vedette policy`: everything one does with policies before they run.

mod check;
mod convert;
mod explain;
mod guide;
mod input;
mod schema;
mod test;

use clap::Subcommand;

use crate::console::Console;
use crate::exit;

/// Check, explain, test and convert policies.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Explain(explain::Args),
    Guide(guide::Args),
    Test(test::Args),
    Convert(convert::Args),
    Schema(schema::Args),
}

/// Runs the command.
pub fn run(args: Args, console: &mut Console) -> exit::Result {
    match args.command {
        Command::Check(args) => check::run(&args, console),
        Command::Explain(args) => explain::run(&args, console),
        Command::Guide(args) => guide::run(&args, console),
        Command::Test(args) => test::run(&args, console),
        Command::Convert(args) => convert::run(&args, console),
        Command::Schema(args) => schema::run(&args, console),
    }
}
