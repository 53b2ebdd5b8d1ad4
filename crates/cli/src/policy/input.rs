//! Policies named on the command line.

use std::path::{Path, PathBuf};

use vedette_policy::load::read_sources;
use vedette_policy::{Level, Loaded, PolicySet, Severity};

use crate::console::Console;
use crate::exit::Failure;

/// Reads and checks the policies at `paths`, in this order.
///
/// # Errors
/// A path that cannot be read, or none of them holding a policy file: a check of nothing must not look good.
pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Loaded, Failure> {
    load_at(paths, Level::Audit)
}

/// The same with the rules of a level on; [`load`] has all on.
///
/// # Errors
/// As [`load`].
pub fn load_at<P: AsRef<Path>>(paths: &[P], level: Level) -> Result<Loaded, Failure> {
    let sources = read_sources(paths)?;
    if sources.is_empty() {
        let named: Vec<_> = paths.iter().map(|p| p.as_ref().display().to_string()).collect();
        let message = format!(
            "no policy in {}: a directory is searched for *.yaml and *.yml files, but neither in its directories nor \
             for tests (*.test.yaml)",
            named.join(", ")
        );
        return Err(Failure::Input(message));
    }
    Ok(PolicySet::load_at(sources, level))
}

/// The same for commands that need all policies to be good: findings go to standard error.
///
/// # Errors
/// As [`load`], and a policy with an error.
pub fn load_good(paths: &[PathBuf], console: &mut Console) -> Result<Loaded, Failure> {
    let loaded = load(paths)?;
    if loaded.set.is_none() {
        let text = loaded.render(Severity::Error, console.err_colour());
        console.say(text.trim_end());
        return Err(Failure::Input("the policies have errors; they must load first".to_owned()));
    }
    Ok(loaded)
}

/// `1 rule`, `2 rules`.
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
