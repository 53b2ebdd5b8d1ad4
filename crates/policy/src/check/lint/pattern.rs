//! Patterns that cost more than they look, and comparisons that no value can pass.

use crate::check::{Atom, NumberOp, Test, TextOp};
use crate::diagnostic::{Code, Diagnostic};
use crate::field::FieldType;

/// With so many stars, a pattern is tried at very many places.
const MANY_STARS: usize = 6;

pub(super) fn check(atom: &Atom, found: &mut Vec<Diagnostic>) {
    match &atom.test {
        Test::Text(TextOp::Glob | TextOp::IGlob, patterns) => {
            for pattern in patterns {
                let stars = pattern.iter().filter(|b| **b == b'*').count();
                if stars == pattern.len() && stars > 0 {
                    let hint = format!("`{} exists` says the same", atom.term);
                    let message = "this pattern matches every value";
                    found.push(Diagnostic::warning(Code::AlwaysTrue, atom.span, message).with_hint(hint));
                } else if stars >= MANY_STARS {
                    let message = format!("a pattern with {stars} stars is slow on long values");
                    let hint = "several comparisons with contains, joined by `and`, cost less";
                    found.push(Diagnostic::warning(Code::CostlyPattern, atom.span, message).with_hint(hint));
                }
            }
        }
        Test::Regex(_, patterns) => patterns.iter().for_each(|p| check_regex(atom, p, found)),
        Test::Number(op, _, number) => check_number(atom, *op, *number, found),
        _ => {}
    }
}

fn check_regex(atom: &Atom, pattern: &str, found: &mut Vec<Diagnostic>) {
    let any = |text: &str| matches!(text, ".*" | "^.*$" | "(.*)" | ".*.*");
    if any(pattern) {
        let hint = format!("`{} exists` says the same", atom.term);
        found.push(
            Diagnostic::warning(Code::AlwaysTrue, atom.span, "this pattern matches every value")
                .with_hint(hint),
        );
        return;
    }
    let inner = pattern.strip_prefix(".*").unwrap_or(pattern);
    let core = inner.strip_suffix(".*").unwrap_or(inner);
    let literal = !core.is_empty() && !core.contains(|c: char| r"\.+*?()|[]{}^$".contains(c));
    if !literal {
        return;
    }
    let op = match (inner.len() < pattern.len(), core.len() < inner.len()) {
        (true, true) => "contains",
        (true, false) => "endswith",
        (false, true) => "startswith",
        (false, false) => "=",
    };
    let hint = format!("write `{} {op} {core}`", atom.term);
    let message = "this regular expression is a plain comparison, which costs far less";
    found.push(Diagnostic::warning(Code::CostlyPattern, atom.span, message).with_hint(hint));
}

/// Comparisons of a number that cannot be negative, or of a port that is none.
fn check_number(atom: &Atom, op: NumberOp, number: i128, found: &mut Vec<Diagnostic>) {
    let (low, high) = match atom.term.value_type() {
        FieldType::Uint | FieldType::Time | FieldType::Duration => (0, i128::from(u64::MAX)),
        FieldType::Port => (0, 65535),
        _ => return,
    };
    let never = match op {
        NumberOp::Eq => number < low || number > high,
        NumberOp::Lt => number <= low,
        NumberOp::Le => number < low,
        NumberOp::Gt => number >= high,
        NumberOp::Ge => number > high,
    };
    if never {
        let message = format!("`{}` is never {}", atom.term, range_text(op, number));
        let code = if atom.negated { Code::AlwaysTrue } else { Code::Impossible };
        let hint = format!("its values go from {low} to {high}");
        found.push(Diagnostic::warning(code, atom.span, message).with_hint(hint));
    }
}

fn range_text(op: NumberOp, number: i128) -> String {
    match op {
        NumberOp::Eq => number.to_string(),
        NumberOp::Lt => format!("less than {number}"),
        NumberOp::Le => format!("{number} or less"),
        NumberOp::Gt => format!("more than {number}"),
        NumberOp::Ge => format!("{number} or more"),
    }
}
