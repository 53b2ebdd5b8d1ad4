//! A guide at a terminal.

use std::io;

use super::Entry;
use crate::console::Console;

/// Prints what is to be said of a rule.
pub fn print(entry: &Entry<'_>, console: &mut Console) -> io::Result<()> {
    let attack =
        if entry.attack.is_empty() { String::new() } else { format!(", {}", entry.attack.join(" ")) };
    console.line(format_args!("{}  ({}, {}{attack})", entry.rule, entry.level, entry.priority))?;
    for (what, text) in [("meaning", entry.meaning), ("why", entry.why), ("do now", entry.response)] {
        if !text.is_empty() {
            console.line(format_args!("  {what:<9}{text}"))?;
        }
    }
    for (number, benign) in entry.benign.iter().enumerate() {
        let what = if number == 0 { "benign" } else { "" };
        console.line(format_args!("  {what:<9}{}", benign.cause))?;
        for line in benign.exception.iter().flat_map(|yaml| yaml.lines()) {
            console.line(format_args!("             {line}"))?;
        }
    }
    console.line(format_args!("  {:<9}{}", "events", entry.data_sources.join(", ")))
}
