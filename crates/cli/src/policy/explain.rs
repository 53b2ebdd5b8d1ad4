//! `vedette policy explain`.

mod layout;
mod report;
mod text;

use std::path::{Path, PathBuf};

use serde::Serialize;
use vedette_policy::diagnostic::nearest;
use vedette_policy::{Loaded, PolicySet};

use self::report::RuleReport;
use super::input::load_good;
use crate::cli::{Format, Level};
use crate::console::Console;
use crate::exit::{self, Failure, Verdict};

/// Explain what a rule comes down to, and what of it the kernel decides.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The name of a rule or a part of it, if the first is no file; then files and directories.
    #[arg(required = true, value_name = "[RULE] PATH")]
    arguments: Vec<String>,
    /// The form of the explanation; text at a terminal and JSON in a pipe, unless given.
    #[arg(long, value_enum)]
    output: Option<Format>,
    /// Only the rules of this level, and of those before it.
    #[arg(long, value_enum, default_value_t = Level::Audit)]
    level: Level,
    /// Show all branches, and long lists whole.
    #[arg(short, long)]
    verbose: bool,
}

const AFTER_HELP: &str = "\
Examples:
  vedette policy explain policies/                     every rule
  vedette policy explain 'Read sensitive file' DIR     the rules whose names contain this
  vedette policy explain RULE DIR --output json | jq '.rules[0].fields'

A condition is put into branches: it holds if every comparison of one branch does. For each comparison the kernel can
  decide it    it knows the facts itself and drops every event for which the comparison is false
  mask it      user space works out, once for each process, whether it can be true, and the kernel drops events by that
  neither      the event goes to user space, which decides
A rule of which the kernel decides every comparison is exact: only such a rule may have `action: Deny`.";

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    rules: Vec<RuleReport<'a>>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let (rule, paths) = split(&args.arguments)?;
    let loaded = load_good(&paths, console)?;
    let Some(set) = &loaded.set else { return Ok(Verdict::Bad) };
    let mut wanted = select(set, rule)?;
    wanted.retain(|index| set.rules()[*index].level <= args.level.into());
    let rules: Vec<_> = wanted.into_iter().filter_map(|index| report(set, index, &loaded)).collect();
    match console.format(args.output) {
        Format::Json => console.json(&Report { rules })?,
        Format::Text => {
            for (index, rule) in rules.iter().enumerate() {
                if index > 0 {
                    console.line("")?;
                }
                text::print(rule, args.verbose, console)?;
            }
        }
    }
    Ok(Verdict::Good)
}

fn report<'s>(set: &'s PolicySet, index: usize, loaded: &Loaded) -> Option<RuleReport<'s>> {
    let explanation = vedette_policy::explain::explain(set, index)?;
    Some(RuleReport::new(set.rules().get(index)?, explanation, &loaded.sources))
}

/// The first argument is the name of a rule unless it is a file or directory.
pub(super) fn split(arguments: &[String]) -> Result<(Option<&str>, Vec<PathBuf>), Failure> {
    let paths = |from: &[String]| from.iter().map(PathBuf::from).collect::<Vec<_>>();
    match arguments {
        [first, rest @ ..] if !Path::new(first).exists() => {
            if rest.is_empty() {
                let message =
                    format!("{first}: no such file; for one rule give its name and then the files it is in");
                return Err(Failure::Input(message));
            }
            Ok((Some(first), paths(rest)))
        }
        all => Ok((None, paths(all))),
    }
}

/// The positions of the rules meant: the one of that name, else all whose names contain it.
pub(super) fn select(set: &PolicySet, name: Option<&str>) -> Result<Vec<usize>, Failure> {
    let rules = set.rules();
    let Some(name) = name else { return Ok((0..rules.len()).collect()) };
    if let Some(index) = rules.iter().position(|r| r.name == name) {
        return Ok(vec![index]);
    }
    let part = name.to_lowercase();
    let found: Vec<_> = (0..rules.len()).filter(|i| rules[*i].name.to_lowercase().contains(&part)).collect();
    if found.is_empty() {
        let hint = match nearest(name, rules.iter().map(|r| r.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`vedette policy explain PATH` explains all".to_owned(),
        };
        return Err(Failure::Input(format!("there is neither a rule nor a file `{name}`; {hint}")));
    }
    Ok(found)
}
