//! The status for people.

use std::io;

use jiff::Timestamp;
use vedette_event::alert::Escaped;

use super::report::{Node, NodeState, Report, Sink};
use crate::console::{Console, Style};

/// Most nodes that are well and listed all the same; of more, only those that are not well are.
const NODES: usize = 50;
/// Most characters of a reason in a table.
const REASON: usize = 100;

/// Prints it. `whole` says that single nodes were asked for, and everything of them is told.
pub fn print(report: &Report, whole: bool, console: &mut Console) -> io::Result<()> {
    head(report, console)?;
    policies(report, console)?;
    nodes(report, whole, console)?;
    sinks(report, console)?;
    if report.is_well() {
        let well = console.paint(Style::Good, "all is well").to_string();
        return console.line(format_args!("\n{well}"));
    }
    heading("problems", console)?;
    for problem in &report.problems {
        let mark = console.paint(Style::Bad, "✗").to_string();
        console.line(format_args!("  {mark} {}", Escaped(problem)))?;
    }
    Ok(())
}

fn heading(text: &str, console: &mut Console) -> io::Result<()> {
    let heading = console.paint(Style::Heading, text).to_string();
    console.line(format_args!("\n{heading}"))
}

fn head(report: &Report, console: &mut Console) -> io::Result<()> {
    let controller = &report.controller;
    let name = console.paint(Style::Heading, "controller").to_string();
    let kind = if controller.standalone { "standalone" } else { "cluster" };
    let up =
        controller.started.map(|started| format!(", up {}", since(started, report.now))).unwrap_or_default();
    let version = Escaped(&controller.version);
    console.line(format_args!("{name}  {}  {version}, {kind}{up}", controller.url))?;
    let log = &report.alert_log;
    let name = console.paint(Style::Heading, "alert log ").to_string();
    let alerts = if log.last == 0 { 0 } else { log.last - log.first + 1 };
    let (used, limit) = (bytes(log.bytes), bytes(log.limit));
    console.line(format_args!("{name}  {}, {alerts} alerts, {used} of {limit}", Escaped(&log.kind)))
}

fn policies(report: &Report, console: &mut Console) -> io::Result<()> {
    heading("policies", console)?;
    if report.policies.is_empty() {
        console.line("  none but the agents' own")?;
    }
    let mut table = Table::new(&["NAME", "RULES", "NODES", "STATE"]);
    for policy in &report.policies {
        let state = match (policy.diagnostics.is_empty(), policy.accepted) {
            (true, _) => (Style::Good, "good"),
            (false, true) => (Style::Bad, "refused; the one before runs"),
            (false, false) => (Style::Bad, "refused"),
        };
        let nodes = policy.nodes.map_or_else(|| "all".into(), |nodes| nodes.to_string());
        table.row([plain(&policy.name), plain(policy.rules), plain(nodes), (Some(state.0), state.1.into())]);
    }
    table.print(console)?;
    for policy in &report.policies {
        for line in &policy.diagnostics {
            console.line(format_args!("    {}: {}", Escaped(&policy.name), Escaped(line)))?;
        }
    }
    for line in report.policies_refused.lines() {
        console.line(format_args!("    {}", Escaped(line)))?;
    }
    Ok(())
}

fn nodes(report: &Report, whole: bool, console: &mut Console) -> io::Result<()> {
    let all = report.nodes.len();
    let there = report.nodes.iter().filter(|node| node.state != NodeState::Gone).count();
    heading(&format!("nodes  {there} of {all} connected"), console)?;
    let is_listed = |node: &&Node| whole || all <= NODES || node.state != NodeState::Ready;
    let listed: Vec<&Node> = report.nodes.iter().filter(is_listed).collect();
    let mut table = Table::new(&["NAME", "STATE", "AGENT", "KERNEL", "RULES", "WAITING", "LOST", "SEEN"]);
    for node in listed.iter().take(10 * NODES) {
        let style = match node.state {
            NodeState::Ready => Style::Good,
            NodeState::Degraded | NodeState::Updating => Style::Unsure,
            NodeState::Refused | NodeState::Gone => Style::Bad,
        };
        let lost: u64 = node.lost.values().sum();
        let lost_style = (lost > 0).then_some(Style::Bad);
        let seen = node.seen.map(|seen| format!("{} ago", since(seen, report.now))).unwrap_or_default();
        table.row([
            plain(&node.name),
            (Some(style), node.state.as_str().into()),
            plain(&node.version),
            plain(&node.kernel),
            plain(rules(node)),
            plain(node.spooled),
            (lost_style, lost.to_string()),
            plain(seen),
        ]);
    }
    table.print(console)?;
    if listed.len() < all {
        console.line(format_args!("  and {} that are ready", all - listed.len()))?;
    }
    for node in listed {
        details(node, whole, console)?;
    }
    Ok(())
}

/// `63 active, 2 degraded`.
fn rules(node: &Node) -> String {
    let order = ["active", "disabled", "degraded", "failed"];
    let counts = order.iter().filter_map(|state| {
        let count = node.rules.get(state).copied().filter(|count| *count > 0)?;
        Some(format!("{count} {state}"))
    });
    let text: Vec<String> = counts.collect();
    if text.is_empty() { "–".into() } else { text.join(", ") }
}

fn details(node: &Node, whole: bool, console: &mut Console) -> io::Result<()> {
    let name = Escaped(&node.name);
    for line in node.refused.lines().take(if whole { usize::MAX } else { 5 }) {
        console.line(format_args!("  {name}: {}", Escaped(line)))?;
    }
    let most = if whole { usize::MAX } else { 3 };
    for (capability, why) in node.missing.iter().take(most) {
        let why = cut(why, whole);
        console.line(format_args!("  {name}: missing {}: {}", Escaped(capability), Escaped(&why)))?;
    }
    more(node.missing.len(), most, "missing", &node.name, console)?;
    let told: Vec<_> = node.inactive.iter().filter(|rule| whole || rule.state != "disabled").collect();
    for rule in told.iter().take(most) {
        let why = if rule.message.is_empty() { &rule.reason } else { &rule.message };
        let why = cut(why, whole);
        let (rule, state) = (Escaped(&rule.rule), rule.state);
        console.line(format_args!("  {name}: rule {rule} is {state}: {}", Escaped(&why)))?;
    }
    more(told.len(), most, "rules", &node.name, console)?;
    for (what, count) in &node.lost {
        console.line(format_args!("  {name}: lost {count} ({})", Escaped(what)))?;
    }
    Ok(())
}

fn more(all: usize, most: usize, what: &str, node: &str, console: &mut Console) -> io::Result<()> {
    if all <= most {
        return Ok(());
    }
    let node = Escaped(node);
    console.line(format_args!("  {node}: and {} more {what}: vedette status --node {node}", all - most))
}

fn sinks(report: &Report, console: &mut Console) -> io::Result<()> {
    heading("sinks", console)?;
    if report.sinks.is_empty() {
        return console.line("  none: alerts stay in the log (docs/sinks.md)");
    }
    let mut table = Table::new(&["NAME", "KIND", "STATE", "BEHIND", "DELIVERED", "REFUSED", "LAST ERROR"]);
    for sink in &report.sinks {
        let style = match sink.state {
            "ok" => Style::Good,
            "retrying" | "stopped" => Style::Bad,
            _ => Style::Unsure,
        };
        let state = match sink.since {
            Some(from) => format!("{} for {}", sink.state, since(from, report.now)),
            None => sink.state.to_owned(),
        };
        table.row([
            plain(&sink.name),
            plain(&sink.kind),
            (Some(style), state),
            plain(sink.lag),
            plain(sink.delivered),
            plain(sink.refused),
            plain(last_error(sink, report.now)),
        ]);
    }
    table.print(console)
}

fn last_error(sink: &Sink, now: Timestamp) -> String {
    match sink.last_error_time {
        Some(at) => format!("{} ago: {}", since(at, now), cut(&sink.last_error, false)),
        None => "–".into(),
    }
}

fn cut(text: &str, whole: bool) -> String {
    match text.char_indices().nth(REASON) {
        Some((at, _)) if !whole => format!("{}…", &text[..at]),
        _ => text.to_owned(),
    }
}

/// How long ago, in its two largest units.
fn since(then: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn bytes(number: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value.fract() == 0.0 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// A cell: how it looks, and its text.
type Cell = (Option<Style>, String);

fn plain(text: impl ToString) -> Cell {
    (None, text.to_string())
}

/// Rows in columns as wide as their widest cell.
struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        // Names and errors are others' words, and this is a terminal.
        self.rows.push(cells.into_iter().map(|(style, text)| (style, Escaped(&text).to_string())).collect());
    }

    fn print(&self, console: &mut Console) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let width = |column: usize| {
            let cells =
                self.rows.iter().filter_map(|row| row.get(column)).map(|(_, text)| text.chars().count());
            cells.chain([self.heads[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let heads = self.heads.iter().map(|head| (Some(Style::Faint), (*head).to_owned())).collect();
        for row in [&heads].into_iter().chain(&self.rows) {
            let mut line = String::from("  ");
            for (index, ((style, text), width)) in row.iter().zip(&widths).enumerate() {
                let painted = match style {
                    Some(style) => console.paint(*style, text).to_string(),
                    None => text.clone(),
                };
                line += &painted;
                if index + 1 < row.len() {
                    line += &" ".repeat(width - text.chars().count() + 2);
                }
            }
            console.line(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let shown: Vec<_> = [5, 65, 3_725, 93_600, -5].map(|s| since(at(0), at(s))).into();
        assert_eq!(shown, ["5s", "1m5s", "1h2m", "1d2h", "0s"]);
        assert_eq!([0, 1023, 1536, 10 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "10 GiB"]);
        assert_eq!(cut(&"ä".repeat(101), false).chars().count(), 101);
    }
}
