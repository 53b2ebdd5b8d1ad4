//! `vedette policy check`.

use std::path::PathBuf;

use crate::console::Console;
use crate::exit::{self, Verdict};

/// Check policies: syntax, names, types, and what can never be true.
#[derive(clap::Args)]
pub struct Args {
    /// Files and directories.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let sources = vedette_policy::load::read_sources(&args.paths)?;
    let loaded = vedette_policy::PolicySet::load(sources);
    console.say(loaded.render(vedette_policy::Severity::Warning, console.err_colour()));
    Ok(Verdict::from_good(loaded.set.is_some()))
}
