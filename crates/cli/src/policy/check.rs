//! `vedette policy check`.

use std::path::PathBuf;

use serde::Serialize;
use vedette_policy::diagnostic::DiagnosticRecord;
use vedette_policy::{Code, Level, Loaded, Severity};

use super::input::{count, load};
use crate::cli::Format;
use crate::console::Console;
use crate::exit::{self, Verdict};

/// Check policies: syntax, names and types, what can never be true, what the kernel cannot decide.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Files and directories, in the order in which later ones may change earlier ones.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The form of the findings.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Fail for warnings as well.
    #[arg(long)]
    warnings_as_errors: bool,
    /// Show notes too: unused lists and macros, fields that the sensor does not fill yet.
    #[arg(short, long)]
    verbose: bool,
}

const AFTER_HELP: &str = "\
Examples:
  vedette policy check falco_rules.yaml
  vedette policy check falco_rules.yaml my_changes.yaml     my_changes may append to the rules before it
  vedette policy check --output json DIR | jq '.diagnostics[]'

Findings go to standard error, the summary to standard output; with --output json everything is one JSON value on
standard output. The exit code is 1 if there is an error.";

/// What was found, for programs.
#[derive(Serialize)]
struct Report {
    rules: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    diagnostics: Vec<DiagnosticRecord>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let loaded = load(&args.paths)?;
    let found = |severity| loaded.diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings, notes) = (found(Severity::Error), found(Severity::Warning), found(Severity::Note));
    match args.output {
        Format::Json => {
            let diagnostics = loaded.diagnostics.iter().map(|d| d.to_record(&loaded.sources)).collect();
            console.json(&Report { rules: loaded.rule_count, errors, warnings, notes, diagnostics })?;
        }
        Format::Text => {
            let at_least = if args.verbose { Severity::Note } else { Severity::Warning };
            let findings = loaded.render(at_least, console.err_colour());
            if !findings.is_empty() {
                console.say(findings.trim_end_matches('\n'));
                console.say("");
            }
            if !args.verbose {
                for line in notes_in_short(&loaded) {
                    console.say(line);
                }
            }
            let rules = count(loaded.rule_count, "rule") + &levels(&loaded);
            console.line([rules, count(errors, "error"), count(warnings, "warning")].join(", "))?;
        }
    }
    Ok(Verdict::from_good(errors == 0 && !(args.warnings_as_errors && warnings > 0)))
}

/// How many rules there are of each level, where there are several: ` (12 default, 4 strict)`.
fn levels(loaded: &Loaded) -> String {
    let rules = loaded.set.as_ref().map(|set| set.rules()).unwrap_or_default();
    let of = |level: Level| rules.iter().filter(|rule| rule.level == level).count();
    let counts = Level::ALL.map(|level| (of(level), level));
    let told: Vec<_> = counts.iter().filter(|c| c.0 > 0).map(|(n, level)| format!("{n} {level}")).collect();
    if counts[0].0 == rules.len() { String::new() } else { format!(" ({})", told.join(", ")) }
}

/// The notes, a line for each rule and one for all that is unused.
fn notes_in_short(loaded: &Loaded) -> Vec<String> {
    let mut lines = Vec::new();
    let rules =
        loaded.set.iter().flat_map(|set| set.rules().iter().enumerate().map(move |(i, rule)| (set, i, rule)));
    for (set, index, rule) in rules {
        let types = set.event_types_of(index);
        if rule.is_active() && !types.is_empty() && !types.iter().any(|t| t.is_reported()) {
            let names: Vec<&str> = types.iter().map(|t| t.name()).collect();
            lines.push(format!("note: {}: the sensor does not report {} yet", rule.name, names.join(", ")));
        }
        let mut fields: Vec<String> = rule
            .condition_fields()
            .into_iter()
            .filter(|field| !field.id.info().filled)
            .map(ToString::to_string)
            .collect();
        fields.dedup();
        if !fields.is_empty() {
            let fields = fields.join(", ");
            lines.push(format!("note: {}: the sensor does not fill {fields} yet", rule.name));
        }
    }
    match loaded.diagnostics.iter().filter(|d| d.code == Code::Unused).count() {
        0 => {}
        1 => lines.push("note: 1 list or macro is not used; --verbose shows it".to_owned()),
        unused => lines.push(format!("note: {unused} lists and macros are not used; --verbose shows them")),
    }
    lines
}
