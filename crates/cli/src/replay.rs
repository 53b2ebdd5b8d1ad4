//! `vedette replay`.

mod summary;

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::ValueEnum;
use vedette_event::alert;
use vedette_event::recording::Ending;
use vedette_policy::{PolicySet, Severity, load, replay::replay};

use self::summary::Summary;
use crate::cli::Level;
use crate::console::Console;
use crate::exit::{self, Failure, Verdict};

/// Hold recorded events against policies: the alerts that they would have raised, and what Enforce would have done.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The recording.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A policy file or directory, as for the agent. Can be given several times.
    #[arg(long = "policy", value_name = "PATH", required = true)]
    policies: Vec<PathBuf>,
    /// Which rules are on, as for the agent.
    #[arg(long, value_enum, default_value_t = Level::Default)]
    level: Level,
    /// How alerts look [default: text on a terminal, else json].
    #[arg(long, value_enum)]
    output: Option<Output>,
    /// Which of several rules that match an event fire.
    #[arg(long, value_enum, value_name = "MODE", default_value_t = RuleMatching::All)]
    rule_matching: RuleMatching,
    /// Leave out the summary.
    #[arg(short, long)]
    quiet: bool,
}

const AFTER_HELP: &str = "\
Examples:
  vedette replay host.vrec --policy deploy/policies
  vedette replay host.vrec --policy falco_rules.yaml --output json | jq -r .rule | sort | uniq -c
  vedette replay yesterday.vrec --policy new.yaml > after.json      in CI: what would this change have raised?

Alerts go to standard output, the summary to standard error. The same recording and policies give the same alerts.
The exit code is 1 if a policy is wrong or the recording is damaged; one that was cut reads up to the cut.";

/// How alerts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
    /// One OCSF Detection Finding (class 2004) a line.
    Ocsf,
}

/// Which of several matching rules fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RuleMatching {
    /// Every rule that matches.
    All,
    /// The first in file order.
    First,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let loaded = PolicySet::load_at(load::read_sources(&args.policies)?, args.level.into());
    let Some(policies) = loaded.set.clone() else {
        console.say(loaded.render(Severity::Error, console.err_colour()).trim_end());
        return Ok(Verdict::Bad);
    };
    let named = |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", args.file.display()));
    let file = File::open(&args.file).map_err(|error| named(&error))?;
    let format = match args.output {
        Some(Output::Text) => console.alert_text(),
        Some(Output::Json) => alert::Format::Json,
        Some(Output::Ocsf) => alert::Format::Ocsf,
        None if console.out_is_terminal() => console.alert_text(),
        None => alert::Format::Json,
    };
    let matching = match args.rule_matching {
        RuleMatching::All => vedette_policy::RuleMatching::All,
        RuleMatching::First => vedette_policy::RuleMatching::First,
    };
    let mut summary = Summary::default();
    let mut written = Ok(());
    let mut line = Vec::new();
    let (stats, ending) = replay(BufReader::new(file), &policies, matching, |raised| {
        summary.note(&raised);
        // The replay goes on to its end, which is soon enough for a reader that has gone.
        if written.is_ok() {
            line.clear();
            written = format.write_line(&raised.alert, &mut line).and_then(|()| console.write(&line));
        }
    });
    written?;
    console.flush()?;
    if !args.quiet {
        console.say(summary.text(&stats, &policies).trim_end());
    }
    match ending {
        Ok(Ending::Complete) => Ok(Verdict::Good),
        Ok(Ending::Unfinished) if stats.segments == 0 => Err(named(&"the recording is empty")),
        Ok(Ending::Unfinished) => {
            console.say("the recording has no end mark: its recorder was stopped in the middle");
            Ok(Verdict::Good)
        }
        Ok(Ending::Cut(at)) => {
            console.say(format_args!("the recording is cut: what is whole ends at byte {at}"));
            Ok(Verdict::Good)
        }
        Err(error) => Err(named(&error)),
    }
}
