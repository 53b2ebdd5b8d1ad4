//! `vedette policy guide`: what alerts mean, what to do about them, and what is covered.

mod coverage;
mod markdown;
mod text;

use std::path::PathBuf;

use serde::Serialize;
use vedette_policy::convert::exception_of;
use vedette_policy::{EventType, Level as RuleLevel, PolicySet, Priority, Rule};

use self::coverage::Coverage;
use super::explain::{select, split};
use super::input::load_good;
use crate::cli::Level;
use crate::console::Console;
use crate::exit::{self, Verdict};

/// Say what the alerts of a rule mean, why that is bad, what to do now, and how to except what is no attack.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The name of a rule or a part of it, if the first is no file; then files and directories.
    #[arg(required = true, value_name = "[RULE] PATH")]
    arguments: Vec<String>,
    /// The form; text at a terminal and JSON in a pipe, unless given.
    #[arg(long, value_enum)]
    output: Option<Output>,
    /// Only the rules of this level, and of those before it.
    #[arg(long, value_enum, default_value_t = Level::Audit)]
    level: Level,
    /// A YAML file that says which techniques are knowingly not covered, and why; for Markdown.
    #[arg(long, value_name = "FILE")]
    not_covered: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  vedette policy guide 'Password hashes read' DIR                what does this alert mean, and what do I do?
  vedette policy guide DIR --output markdown > detections.md     techniques, rules and levels as a document
  vedette policy guide DIR --output json | jq '.techniques[]'

An exception that the guide offers goes into a file of your own, after the policies: see docs/policies.md.";

/// The form of a guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people at a terminal.
    Text,
    /// For programs: one JSON value.
    Json,
    /// A document with the table of techniques.
    Markdown,
}

/// What is to be said of a rule.
#[derive(Serialize)]
struct Entry<'r> {
    rule: &'r str,
    policy: &'r str,
    level: RuleLevel,
    priority: Priority,
    attack: &'r [String],
    meaning: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    response: &'r str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    benign: Vec<Benign<'r>>,
    /// The events that it is decided by.
    data_sources: Vec<&'static str>,
    /// The part of the names of its tests that is its own.
    tests: String,
}

/// A known cause that is no attack.
#[derive(Serialize)]
struct Benign<'r> {
    cause: &'r str,
    /// The change to the rule that excepts it, as YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<String>,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'r> {
    rules: Vec<Entry<'r>>,
    techniques: Vec<&'r str>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let (rule, paths) = split(&args.arguments)?;
    let loaded = load_good(&paths, console)?;
    let Some(set) = &loaded.set else { return Ok(Verdict::Bad) };
    let mut wanted = select(set, rule)?;
    wanted.retain(|index| set.rules()[*index].level <= args.level.into());
    let entries: Vec<_> =
        wanted.into_iter().map(|index| Entry::of(set, index, &set.rules()[index])).collect();
    let output = args.output.unwrap_or(match console.format(None) {
        crate::cli::Format::Text => Output::Text,
        crate::cli::Format::Json => Output::Json,
    });
    match output {
        Output::Text => {
            for (number, entry) in entries.iter().enumerate() {
                if number > 0 {
                    console.line("")?;
                }
                text::print(entry, console)?;
            }
        }
        Output::Json => {
            let techniques = coverage::techniques(&entries);
            console.json(&Report { rules: entries, techniques })?;
        }
        Output::Markdown => {
            let coverage = Coverage::of(&entries, args.not_covered.as_deref())?;
            console.write(markdown::document(&entries, &coverage).as_bytes())?;
        }
    }
    Ok(Verdict::Good)
}

impl<'r> Entry<'r> {
    fn of(set: &PolicySet, index: usize, rule: &'r Rule) -> Self {
        let guide = rule.guide.as_ref();
        let benign = guide.map(|guide| guide.benign.as_slice()).unwrap_or_default();
        let types = set.event_types_of(index);
        Self {
            rule: &rule.name,
            policy: &rule.policy.name,
            level: rule.level,
            priority: rule.priority,
            attack: &rule.attack,
            meaning: &rule.desc,
            why: guide.map_or("", |guide| &guide.why),
            response: guide.map_or("", |guide| &guide.response),
            benign: benign
                .iter()
                .map(|benign| Benign {
                    cause: &benign.cause,
                    exception: benign.exception.as_ref().map(|e| change(&rule.name, e)),
                })
                .collect(),
            data_sources: EventType::ALL.iter().filter(|t| types.contains(**t)).map(|t| t.name()).collect(),
            tests: rule.slug(),
        }
    }
}

/// The item of a rule file that adds an exception to a rule.
fn change(rule: &str, exception: &vedette_policy::document::item::ExceptionItem) -> String {
    #[derive(Serialize)]
    struct Change<'a, E: Serialize> {
        rule: &'a str,
        exceptions: [E; 1],
        r#override: Override,
    }
    #[derive(Serialize)]
    struct Override {
        exceptions: &'static str,
    }
    let item = [Change {
        rule,
        exceptions: [exception_of(exception)],
        r#override: Override { exceptions: "append" },
    }];
    // It is made of words and lists only, which can always be written.
    serde_saphyr::to_string(&item).unwrap_or_default()
}
