//! `vedette alerts`: what the controller's log has, and what arrives.

mod filter;
mod query;
mod render;
mod tail;

use clap::Subcommand;

use crate::console::Console;
use crate::exit;

/// See the alerts that the controller has, and those that arrive.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Tail(tail::Args),
    Query(query::Args),
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    match &args.command {
        Command::Tail(args) => tail::run(args, console),
        Command::Query(args) => query::run(args, console),
    }
}
