//! Comparisons joined by `and` of which at most one can hold, and by `or` of which one always does.

use std::collections::{HashMap, HashSet};

use crate::check::{Atom, Cond, Test, TextOp};
use crate::diagnostic::{Code, Diagnostic};
use crate::field::Multiplicity;
use crate::term::Term;

/// How many comparisons of one field are held against each other.
const MAX_COMPARED: usize = 32;

/// The values a term of one value must have for a part of the condition to hold.
struct Wanted<'c> {
    term: &'c Term,
    values: Vec<Vec<u8>>,
    atom: &'c Atom,
}

pub(super) fn check(cond: &Cond, found: &mut Vec<Diagnostic>) {
    match cond {
        Cond::Atom(_) => {}
        Cond::Not(inner) => check(inner, found),
        Cond::And(_) => {
            let mut parts = Vec::new();
            conjuncts(cond, &mut parts);
            check_and(&parts, found);
            parts.iter().filter(|p| !matches!(p, Cond::And(_))).for_each(|p| check(p, found));
        }
        Cond::Or(parts) => {
            check_or(parts, found);
            parts.iter().for_each(|p| check(p, found));
        }
    }
}

fn conjuncts<'c>(cond: &'c Cond, out: &mut Vec<&'c Cond>) {
    match cond {
        Cond::And(parts) => parts.iter().for_each(|p| conjuncts(p, out)),
        other => out.push(other),
    }
}

fn check_and(parts: &[&Cond], found: &mut Vec<Diagnostic>) {
    let positive: HashSet<&str> = parts.iter().filter_map(|part| atom_text(part)).collect();
    let mut wanted: HashMap<&Term, Vec<Wanted<'_>>> = HashMap::new();
    for part in parts {
        if let Cond::Not(inner) = part
            && let Cond::Atom(atom) = inner.as_ref()
            && positive.contains(atom.text.as_str())
        {
            let message = format!("`{}` and `not {}` never hold together", atom.text, atom.text);
            found.push(Diagnostic::warning(Code::Impossible, atom.span, message));
        }
        let Some(new) = equality(part) else { continue };
        let wanted = wanted.entry(new.term).or_default();
        if wanted.len() >= MAX_COMPARED {
            continue;
        }
        let clash = wanted.iter().find(|w| !w.values.iter().any(|v| new.values.contains(v)));
        if let Some(clash) = clash {
            let message = format!("`{}` and `{}` never hold together", clash.atom.text, new.atom.text);
            let hint = format!("`{}` has one value; did you mean `or`?", new.term);
            found.push(Diagnostic::warning(Code::Impossible, new.atom.span, message).with_hint(hint));
        }
        wanted.push(new);
    }
}

fn atom_text(cond: &Cond) -> Option<&str> {
    match cond {
        Cond::Atom(atom) => Some(&atom.text),
        _ => None,
    }
}

/// `x != a or x != b`: whatever x is, one of them holds.
fn check_or(parts: &[Cond], found: &mut Vec<Diagnostic>) {
    let unequal = parts.iter().filter_map(|part| match part {
        Cond::Atom(atom) if atom.negated => Some((values(atom)?, atom)),
        _ => None,
    });
    let unequal: Vec<_> = unequal.take(MAX_COMPARED).collect();
    for (i, (values, atom)) in unequal.iter().enumerate() {
        let other = unequal[..i]
            .iter()
            .find(|(others, other)| other.term == atom.term && !others.iter().any(|v| values.contains(v)));
        if let Some((_, other)) = other {
            let message = format!("of `{}` and `{}` one always holds", other.text, atom.text);
            let hint = format!("write `{} … and {} …`, or `not {} in (…)`", atom.term, atom.term, atom.term);
            found.push(Diagnostic::warning(Code::AlwaysTrue, atom.span, message).with_hint(hint));
            return;
        }
    }
}

/// `x = a`, `x in (a, b)`, or several of them joined by `or`.
fn equality(cond: &Cond) -> Option<Wanted<'_>> {
    match cond {
        Cond::Atom(atom) if !atom.negated => Some(Wanted { term: &atom.term, values: values(atom)?, atom }),
        Cond::Or(parts) => {
            let mut all = parts.iter().map(equality);
            let mut first = all.next()??;
            for next in all {
                let next = next?;
                if next.term != first.term {
                    return None;
                }
                first.values.extend(next.values);
            }
            Some(first)
        }
        _ => None,
    }
}

/// The values with which a comparison for equality goes.
fn values(atom: &Atom) -> Option<Vec<Vec<u8>>> {
    if atom.many != Multiplicity::One {
        return None;
    }
    match &atom.test {
        // An empty list is how a tunable exception looks before it is tuned.
        Test::Text(TextOp::Equal, values) if !values.is_empty() => Some(values.clone()),
        Test::Number(crate::check::NumberOp::Eq, _, number) => Some(vec![number.to_string().into_bytes()]),
        Test::NumberIn(numbers) if !numbers.is_empty() => {
            Some(numbers.iter().map(|n| n.to_string().into_bytes()).collect())
        }
        Test::Bool(value) => Some(vec![value.to_string().into_bytes()]),
        _ => None,
    }
}
