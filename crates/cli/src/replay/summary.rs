//! What a replay found, for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use vedette_event::abi::Kind;
use vedette_event::alert::RequestedAction;
use vedette_policy::PolicySet;
use vedette_policy::pipeline::Raised;
use vedette_policy::replay::ReplayStats;

/// Most processes that are listed for a rule.
const PROCESSES: usize = 5;

/// Matches by rule, in the order of the rules.
#[derive(Debug, Default)]
pub struct Summary {
    rules: BTreeMap<usize, Matches>,
}

#[derive(Debug, Default)]
struct Matches {
    name: String,
    count: u64,
    action: Option<RequestedAction>,
    /// Programs and how often each.
    programs: BTreeMap<String, u64>,
}

impl Summary {
    /// Takes note of an alert.
    pub fn note(&mut self, raised: &Raised<'_>) {
        let alert = &raised.alert;
        let matches = self.rules.entry(raised.rule_index).or_default();
        if matches.name.is_empty() {
            matches.name = raised.rule.name.clone();
            matches.action = match alert.action.requested {
                RequestedAction::Alert => None,
                action => Some(action),
            };
        }
        if raised.is_summary {
            // Of those held back, no more is known than their number.
            matches.count += alert.correlation.as_ref().map_or(0, |c| c.count);
            return;
        }
        matches.count += 1;
        if matches.action.is_some() {
            let process = &alert.process;
            let program = if process.exe_path.is_empty() { &process.name } else { &process.exe_path };
            *matches.programs.entry(program.clone()).or_default() += 1;
        }
    }

    /// The summary.
    pub fn text(&self, stats: &ReplayStats, policies: &PolicySet) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out, stats, policies);
        out
    }

    fn write(&self, out: &mut String, stats: &ReplayStats, policies: &PolicySet) -> std::fmt::Result {
        let seconds = stats.span.map_or(0.0, |(from, to)| to.saturating_sub(from) as f64 / 1e9);
        writeln!(out, "{} events over {seconds:.1} s", stats.total())?;
        for kind in Kind::ALL.iter().filter(|kind| stats.of_kind(**kind) > 0) {
            writeln!(out, "  {:>9}  {}", stats.of_kind(*kind), kind.name())?;
        }
        for (count, what) in [
            (stats.gap_lost, "were lost in the kernel"),
            (stats.lost, "were lost by the recorder"),
            (stats.undecodable, "could not be decoded"),
        ] {
            if count > 0 {
                writeln!(out, "  {count:>9}  {what}")?;
            }
        }
        if stats.unknown_frames > 0 {
            writeln!(out, "  {:>9}  entries of a later version were passed over", stats.unknown_frames)?;
        }
        let total: u64 = self.rules.values().map(|m| m.count).sum();
        writeln!(out, "{total} matches of {} rules", self.rules.len())?;
        for matches in self.rules.values() {
            writeln!(out, "  {:>9}  {}", matches.count, matches.name)?;
        }
        self.write_enforcement(out)?;
        write_unseen(out, stats, policies)
    }

    fn write_enforcement(&self, out: &mut String) -> std::fmt::Result {
        let acting: Vec<&Matches> = self.rules.values().filter(|m| m.action.is_some()).collect();
        if acting.is_empty() {
            return Ok(());
        }
        writeln!(out, "Enforce would have acted:")?;
        for matches in acting {
            let verb = if matches.action == Some(RequestedAction::Deny) { "denied" } else { "killed" };
            writeln!(out, "  {:>9}  {verb}: {}", matches.count, matches.name)?;
            let mut programs: Vec<_> = matches.programs.iter().collect();
            programs.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (program, count) in programs.iter().take(PROCESSES) {
                writeln!(out, "             {count:>7} × {program}")?;
            }
            if programs.len() > PROCESSES {
                writeln!(out, "             and {} other programs", programs.len() - PROCESSES)?;
            }
        }
        Ok(())
    }
}

/// Rules that could not match, because there is no event of a kind they are about.
fn write_unseen(out: &mut String, stats: &ReplayStats, policies: &PolicySet) -> std::fmt::Result {
    let unseen = |index: &usize| {
        let types = policies.event_types_of(*index);
        let mut types = types.iter().peekable();
        types.peek().is_some() && types.all(|t| !stats.event_types.contains(t))
    };
    let active = policies.rules().iter().enumerate().filter(|(_, r)| r.is_active()).map(|(i, _)| i);
    let count = active.filter(unseen).count();
    if count > 0 {
        writeln!(out, "{count} rules are about kinds of events that are not in the recording")?;
    }
    Ok(())
}
