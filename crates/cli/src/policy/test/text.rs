//! The outcome of a test for people.

use std::io;

use serde_json::Value as Json;
use vedette_policy::explain::AtomTrace;

use super::run::{Alert, Missing, Outcome};
use super::why::{Attempt, Why};
use crate::console::{Console, Style};

/// How many comparisons are named as reasons.
const REASONS: usize = 12;
/// How many characters of a comparison are shown.
const WIDTH: usize = 70;

/// Prints the outcome of a test.
pub fn print(outcome: &Outcome, console: &mut Console) -> io::Result<()> {
    let word = match outcome.passed {
        true => console.paint(Style::Good, "pass"),
        false => console.paint(Style::Bad, "FAIL"),
    };
    let word = word.to_string();
    console.line(format_args!("{word}  {}:{}: {}", outcome.file, outcome.line, outcome.test))?;
    for missing in &outcome.missing {
        print_missing(missing, console)?;
    }
    for alert in &outcome.unexpected {
        let sign = console.paint(Style::Bad, "+ not expected").to_string();
        console.line(format_args!("  {sign}  {} {}", alert.rule, by_event(alert)))?;
        console.line(format_args!("      {}", alert.output))?;
    }
    // With a failure it helps to see what went right.
    for alert in outcome.expected.iter().filter(|_| !outcome.passed) {
        let sign = console.paint(Style::Good, "  as expected ").to_string();
        console.line(format_args!("  {sign}  {} {}", alert.rule, by_event(alert)))?;
    }
    Ok(())
}

fn by_event(alert: &Alert) -> String {
    match alert.event {
        Some(event) => format!("(event {event})"),
        None => "(summary at the end)".to_owned(),
    }
}

fn print_missing(missing: &Missing, console: &mut Console) -> io::Result<()> {
    let sign = console.paint(Style::Bad, "- missing     ").to_string();
    let event = missing.event.map(|e| format!(" (event {e})")).unwrap_or_default();
    let output = missing.output.as_ref().map(|o| format!(", with `{o}` in its output")).unwrap_or_default();
    console.line(format_args!("  {sign}  {}{event}{output}", missing.rule))?;
    match &missing.why {
        Why::Off => console.line("      the rule is off: `enabled: false`, or its policy is Disabled"),
        Why::Shadowed => console
            .line("      its condition holds, but an earlier rule matched the event (rule_matching: first)"),
        Why::Different { got } => {
            console.line("      raised, but not like this or not so often:")?;
            for alert in got {
                console.line(format_args!("        {} {}", by_event(alert), alert.output))?;
            }
            Ok(())
        }
        Why::Correlation { needs, held } => {
            console.line(format_args!("      it needs {needs}"))?;
            for (step, events) in held.iter().enumerate() {
                let what =
                    if held.len() > 1 { format!("step {}", step + 1) } else { "the condition".to_owned() };
                let events: Vec<_> = events.iter().map(ToString::to_string).collect();
                console.line(format_args!("      {what} holds for event {}", events.join(", ")))?;
            }
            Ok(())
        }
        Why::Conditions { conditions } => {
            conditions.iter().try_for_each(|attempt| print_attempt(attempt, console))
        }
    }
}

fn print_attempt(attempt: &Attempt, console: &mut Console) -> io::Result<()> {
    let what = match &attempt.step {
        Some(step) => format!("the step `{step}`"),
        None => "the condition".to_owned(),
    };
    let Some(nearest) = &attempt.nearest else {
        let events: Vec<_> = attempt.held.iter().map(ToString::to_string).collect();
        return match events.is_empty() {
            true => console.line(format_args!("      {what} holds for no event: there is none")),
            false => console.line(format_args!("      {what} holds for event {}", events.join(", "))),
        };
    };
    console.line(format_args!(
        "      {what} does not hold for event {} ({}):",
        nearest.event, nearest.event_type
    ))?;
    for atom in nearest.because.iter().take(REASONS) {
        let verdict = if atom.holds { "true" } else { "false" };
        let verdict = console.paint(Style::Unsure, verdict).to_string();
        console.line(format_args!("        {verdict}: {}", reason(atom)))?;
    }
    if nearest.because.len() > REASONS {
        console.line(format_args!("        and {} more", nearest.because.len() - REASONS))?;
    }
    Ok(())
}

/// `proc.name in (sh, bash)    it is "zsh"`
fn reason(atom: &AtomTrace) -> String {
    let mut text: String = atom.text.chars().take(WIDTH).collect();
    if atom.text.chars().count() > WIDTH {
        text.push('…');
    }
    let value = match &atom.value {
        Json::Null => "it has no value".to_owned(),
        Json::Object(fields) => {
            let values = fields.iter().map(|(name, value)| match value {
                Json::Null => format!("{name} has no value"),
                value => format!("{name} is {value}"),
            });
            values.collect::<Vec<_>>().join(", ")
        }
        value => format!("it is {value}"),
    };
    format!("{text}    ({value})")
}
