//! The explanation of a rule for people.

use std::io;

use vedette_policy::explain::{BranchExplanation, ConditionExplanation, Decision, LiteralExplanation};
use vedette_policy::field::Dimension;
use vedette_policy::rule::PolicyKind;
use vedette_policy::{Action, EventType, Level, Mode};

use super::layout::lay_out;
use super::report::{CorrelationReport, Interval, RuleReport};
use crate::console::{Console, Style};
use crate::policy::input::count;

/// The width of the text.
const WIDTH: usize = 110;
/// How many branches are shown unless all are wanted.
const BRANCHES: usize = 8;
/// How many characters of a comparison are shown unless all are wanted.
const LITERAL: usize = 88;

/// Prints the explanation.
pub fn print(rule: &RuleReport<'_>, verbose: bool, console: &mut Console) -> io::Result<()> {
    let name = console.paint(Style::Heading, rule.rule).to_string();
    let level = if rule.level == Level::Default { String::new() } else { format!("{}, ", rule.level) };
    console.line(format_args!("{name}  ({level}{}, {}:{})", rule.priority, rule.file, rule.line))?;
    for line in wrapped(rule.desc, WIDTH - 2) {
        console.line(format_args!("  {line}"))?;
    }
    console.line("")?;
    for (key, value) in facts(rule) {
        row(key, &value, console)?;
    }
    for (index, condition) in rule.conditions.iter().enumerate() {
        console.line("")?;
        let title = match &condition.step {
            Some(step) => format!("step {}: {step}", index + 1),
            None => "condition".to_owned(),
        };
        let title = console.paint(Style::Heading, title).to_string();
        console.line(format_args!("  {title}"))?;
        console.line(lay_out(&condition.condition, 4, WIDTH))?;
        console.line("")?;
        print_branches(condition, verbose, console)?;
    }
    Ok(())
}

fn row(key: &str, value: &str, console: &mut Console) -> io::Result<()> {
    for (index, line) in wrapped(value, WIDTH - 14).into_iter().enumerate() {
        let key = if index == 0 { key } else { "" };
        console.line(format_args!("  {key:10}  {line}"))?;
    }
    Ok(())
}

fn facts(rule: &RuleReport<'_>) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(kind) = rule.policy.kind {
        let namespace = rule.policy.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
        rows.push(("policy", format!("{} {namespace}{}", kind.as_str(), rule.policy.name)));
        if kind == PolicyKind::SecurityPolicy || !rule.scope.is_everything() {
            rows.push(("applies to", scope(rule)));
        }
    }
    rows.push(("does", action(rule)));
    if !rule.tags.is_empty() {
        rows.push(("tags", rule.tags.join(", ")));
    }
    let all = rule.system_calls.len() + rule.sensor_events.len() == EventType::ALL.len();
    if all {
        rows.push(("events", "every event: the condition names no evt.type".to_owned()));
    } else {
        if !rule.system_calls.is_empty() {
            rows.push(("calls", rule.system_calls.join(", ")));
        }
        if !rule.sensor_events.is_empty() {
            rows.push(("events", rule.sensor_events.join(", ")));
        }
    }
    match &rule.correlation {
        None => {}
        Some(CorrelationReport::Threshold { count, distinct, window }) => {
            let what = match distinct {
                Some(field) => format!("{count} different values of {field}"),
                None => format!("{count} events"),
            };
            rows.push(("needs", format!("{what} within {}", with_key(window))));
        }
        Some(CorrelationReport::Sequence { window }) => {
            let steps = count(rule.conditions.len(), "step");
            rows.push(("needs", format!("{steps} in order within {}", with_key(window))));
        }
    }
    if let Some(throttle) = &rule.throttle {
        rows.push(("throttle", format!("one alert, then a summary every {}", with_key(throttle))));
    }
    rows.push(("kernel", kernel(rule)));
    rows.push(("fields", names(rule, true)));
    rows.push(("missing", names(rule, false)));
    rows.push(("output", rule.output.clone()));
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

fn names(rule: &RuleReport<'_>, filled: bool) -> String {
    let wanted = rule.fields.iter().filter(|f| f.filled == filled);
    let names: Vec<_> = wanted.map(|f| f.name.as_str()).collect();
    match filled {
        true => names.join(", "),
        false if names.is_empty() => String::new(),
        false => format!("{} (the sensor does not fill this yet)", names.join(", ")),
    }
}

fn with_key(interval: &Interval) -> String {
    let length = duration(interval.seconds);
    if interval.by.is_empty() { length } else { format!("{length}, for each {}", interval.by.join(" and ")) }
}

/// `2m`, `1m30s`, `500ms`.
fn duration(seconds: f64) -> String {
    let millis = (seconds * 1000.0).round() as u64;
    let mut text = String::new();
    let mut rest = millis;
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

fn scope(rule: &RuleReport<'_>) -> String {
    let mut parts = Vec::new();
    let selectors = [
        ("pods", &rule.scope.pod_selector),
        ("namespaces", &rule.scope.namespace_selector),
        ("nodes", &rule.scope.node_selector),
    ];
    if let Some(namespace) = &rule.scope.namespace {
        parts.push(format!("the namespace {namespace}"));
    }
    for (what, selector) in selectors {
        let Some(selector) = selector else { continue };
        let mut labels: Vec<_> = selector.match_labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        labels.extend(selector.match_expressions.iter().map(|e| {
            let values =
                if e.values.is_empty() { String::new() } else { format!(" ({})", e.values.join(", ")) };
            format!("{} {:?}{values}", e.key, e.operator)
        }));
        parts.push(if labels.is_empty() {
            format!("all {what}")
        } else {
            format!("{what} with {}", labels.join(", "))
        });
    }
    if !rule.scope.containers.is_empty() {
        parts.push(format!("containers {}", rule.scope.containers.join(", ")));
    }
    parts.join("; ")
}

fn action(rule: &RuleReport<'_>) -> String {
    let does = match rule.action {
        Action::Alert => "raises an alert",
        Action::Kill => "raises an alert and kills the process",
        Action::Deny => "raises an alert and refuses the operation",
    };
    match rule.mode {
        _ if !rule.enabled => format!("nothing: the rule is off; on, it {does}"),
        Mode::Disabled => format!("nothing: the policy is Disabled; enforced, it {does}"),
        Mode::Audit if rule.action != Action::Alert => {
            "raises an alert that says what it would have done (mode Audit)".to_owned()
        }
        Mode::Audit | Mode::Enforce => does.to_owned(),
    }
}

fn kernel(rule: &RuleReport<'_>) -> String {
    if rule.exact {
        return "decides the rule alone, so it may deny".to_owned();
    }
    let branches = || rule.conditions.iter().flat_map(|c| &c.branches);
    // A branch that it can exclude by nothing but the event type lets every event of that type through.
    let open = branches().filter(|b| b.dimensions.is_empty()).count();
    let mut by: Vec<Dimension> = branches().flat_map(|b| b.dimensions.iter().copied()).collect();
    by.sort_unstable();
    by.dedup();
    let by: Vec<_> = by.into_iter().map(dimension).collect();
    match (open, by.as_slice()) {
        (_, []) => "drops events of other types only; user space decides the rest".to_owned(),
        (0, by) => format!("drops events by {}; user space decides the rest", by.join(", ")),
        (open, by) => format!(
            "drops events by {}, but {} can be true for every event of its types; user space decides the rest",
            by.join(", "),
            count(open, "branch").replace("branchs", "branches"),
        ),
    }
}

fn print_branches(condition: &ConditionExplanation, verbose: bool, console: &mut Console) -> io::Result<()> {
    let branches = &condition.branches;
    let title = match branches.len() {
        0 => "no branch: it can never be true".to_owned(),
        1 => "1 branch".to_owned(),
        n => format!("{n} branches, one of which must hold"),
    };
    let title = console.paint(Style::Heading, title).to_string();
    console.line(format_args!("  {title}"))?;
    if condition.truncated {
        console.line("    (some parts have too many branches and stand as one)")?;
    }
    let common = common(branches);
    if !common.is_empty() {
        console.line("       in each of them")?;
        print_literals(&common, verbose, console)?;
    }
    let shown = if verbose { branches.len() } else { BRANCHES.min(branches.len()) };
    for (index, branch) in branches.iter().take(shown).enumerate() {
        print_heading(index + 1, branch, verbose, console)?;
        let own = branch.literals.iter().filter(|l| !common.iter().any(|c| c.text == l.text));
        print_literals(&own.collect::<Vec<_>>(), verbose, console)?;
    }
    if shown < branches.len() {
        let more = branches.len() - shown;
        console.line(format_args!("    and {more} more; --verbose shows them"))?;
    }
    Ok(())
}

/// The comparisons that stand in every branch, if there are several branches.
fn common(branches: &[BranchExplanation]) -> Vec<&LiteralExplanation> {
    let [first, rest @ ..] = branches else { return Vec::new() };
    if rest.is_empty() {
        return Vec::new();
    }
    let in_all = |text: &str| rest.iter().all(|b| b.literals.iter().any(|l| l.text == text));
    first.literals.iter().filter(|l| in_all(&l.text)).collect()
}

fn print_heading(
    number: usize,
    branch: &BranchExplanation,
    verbose: bool,
    console: &mut Console,
) -> io::Result<()> {
    let types: Vec<_> = branch.event_types.iter().map(|t| t.name()).collect();
    let types = match types.len() {
        n if n == EventType::ALL.len() => "every event".to_owned(),
        n if n > 12 && !verbose => format!("{} and {} more types", types[..8].join(", "), n - 8),
        _ => types.join(", "),
    };
    let verdict = match (branch.exact, branch.dimensions.as_slice()) {
        (true, _) => console.paint(Style::Good, "exact: the kernel decides it".to_owned()),
        (false, []) => console.paint(Style::Unsure, "the kernel looks at the event type only".to_owned()),
        (false, by) => {
            let by: Vec<_> = by.iter().map(|d| dimension(*d)).collect();
            console.paint(Style::Unsure, format!("the kernel drops events by {}", by.join(", ")))
        }
    };
    let verdict = verdict.to_string();
    console.line(format_args!("  {number:3}  {types}: {verdict}"))
}

/// What the kernel decides first, then what it masks, then the rest.
fn print_literals(literals: &[&LiteralExplanation], verbose: bool, console: &mut Console) -> io::Result<()> {
    for (decision, word, style) in [
        (Decision::Exactly, "decided", Style::Good),
        (Decision::Mask, "masked", Style::Unsure),
        (Decision::No, "user space", Style::Faint),
    ] {
        for literal in literals.iter().filter(|l| l.decision == decision) {
            // Padded before it is painted: colour codes take no room.
            let who = console.paint(style, format!("{word:10}")).to_string();
            let what = if decision == Decision::No { "" } else { dimension(literal.dimension) };
            let text = if verbose { literal.text.clone() } else { cut(&literal.text, LITERAL) };
            console.line(format_args!("       {who}  {what:8}  {text}"))?;
            if !literal.also.is_empty() {
                let also = literal.also.join(", ");
                let also = if verbose { also } else { cut(&also, LITERAL) };
                console.line(format_args!("       {:10}  {:8}  also {also} (merged spelling)", "", ""))?;
            }
        }
    }
    Ok(())
}

fn dimension(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Event => "event",
        Dimension::Identity => "identity",
        Dimension::Subject => "subject",
        Dimension::Path => "path",
        Dimension::Flags => "flags",
        Dimension::Address => "address",
        Dimension::Port => "port",
        Dimension::Argument => "argument",
        Dimension::UserSpace => "",
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width - 1).collect();
    format!("{kept}…")
}

/// Lines of at most `width` characters, broken at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (seconds, text) in [(0.5, "500ms"), (90.0, "1m30s"), (86_400.0, "1d"), (3661.5, "1h1m1s500ms")] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn lines_are_broken_at_blanks() {
        assert_eq!(wrapped("a bc  def\ng", 4), ["a bc", "def", "g"]);
        assert_eq!(wrapped("toolong a", 4), ["toolong", "a"]);
        assert_eq!(wrapped("", 4), Vec::<String>::new());
    }
}
