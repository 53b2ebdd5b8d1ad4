//! The command line.

use clap::{Parser, Subcommand, ValueEnum};

use crate::{alerts, fields, policy, record, replay, status};

/// Write, check and test the policies of Vedette, and see what it finds.
///
/// A policy is a YAML file: Falco rules as they are, or native policies (`kind: SecurityPolicy`), side by side.
#[derive(Parser)]
#[command(name = "vedette", version, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  vedette policy check /etc/vedette/policies        is everything right in this directory?
  vedette policy explain 'Shell in container' DIR   what does this rule come down to?
  vedette policy test DIR                           run the tests beside the policies
  vedette fields --search path                      which field has the path?
  vedette record -o host.vrec --duration 5m         keep what the agent sees
  vedette replay host.vrec --policy DIR             what would these policies have raised?
  vedette alerts tail                               what does the controller hear now?
  vedette status                                    are controller, nodes and sinks well?

Exit codes: 0 good, 1 the input is bad (findings on standard error), 64 wrong usage, 69 the controller cannot be asked,
70 internal error.";

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    Policy(policy::Args),
    Fields(fields::Args),
    Record(record::Args),
    Replay(replay::Args),
    Alerts(alerts::Args),
    Status(status::Args),
}

/// Which rules are on, by what they say of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Those quiet enough to page someone.
    Default,
    /// Those, and what everyday work may explain.
    Strict,
    /// All: context for hunting.
    Audit,
}

impl From<Level> for vedette_policy::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Default => Self::Default,
            Level::Strict => Self::Strict,
            Level::Audit => Self::Audit,
        }
    }
}

/// The form of a command's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON value on standard output, and nothing else there.
    Json,
}
