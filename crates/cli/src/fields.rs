//! `vedette fields`.

use crate::console::Console;
use crate::exit::{self, Verdict};

/// List the fields that conditions and outputs can use.
#[derive(clap::Args)]
pub struct Args {
    /// A field.
    name: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    for field in
        vedette_policy::field::FIELDS.iter().filter(|f| args.name.as_deref().is_none_or(|n| n == f.name))
    {
        console.line(format_args!("{} {}", field.name, field.doc))?;
    }
    Ok(Verdict::Good)
}
