//! Comparisons that can be made in one go are: `a contains x or a contains y` is one search for both, and
//! `not a contains x and not a contains y` is its negation.
//!
//! A value that is absent fails each comparison, and so fails the one that stands for all; the result is the same.

use std::sync::Arc;

use crate::check::{Atom, Cond, Test, TextOp};
use crate::field::Multiplicity;

/// The same condition, with comparisons brought together.
pub(super) fn merged(cond: &Cond) -> Cond {
    match cond {
        Cond::Atom(_) => cond.clone(),
        Cond::Not(inner) => Cond::Not(Box::new(merged(inner))),
        Cond::Or(parts) => Cond::Or(together(parts, atom, Cond::Atom)),
        Cond::And(parts) => {
            let negated = |part: &Cond| match part {
                Cond::Not(inner) => atom(inner),
                _ => None,
            };
            Cond::And(together(parts, negated, |atom| Cond::Not(Box::new(Cond::Atom(atom)))))
        }
    }
}

fn atom(cond: &Cond) -> Option<Arc<Atom>> {
    match cond {
        Cond::Atom(atom) => Some(Arc::clone(atom)),
        _ => None,
    }
}

/// Brings together the parts that `of` sees as comparisons; `wrap` makes a part of one again.
fn together(
    parts: &[Cond],
    of: impl Fn(&Cond) -> Option<Arc<Atom>>,
    wrap: impl Fn(Arc<Atom>) -> Cond,
) -> Vec<Cond> {
    let mut groups: Vec<(Arc<Atom>, usize)> = Vec::new();
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(next) = of(part).filter(|atom| operator(atom).is_some()) else {
            out.push(merged(part));
            continue;
        };
        match groups.iter_mut().find(|(first, _)| goes_with(first, &next)) {
            Some((first, at)) => {
                *first = Arc::new(union(first, &next));
                out[*at] = wrap(Arc::clone(first));
            }
            None => {
                groups.push((Arc::clone(&next), out.len()));
                out.push(wrap(next));
            }
        }
    }
    out
}

/// The operator of a comparison of one value with any of some texts; negated ones are another matter.
fn operator(atom: &Atom) -> Option<TextOp> {
    match &atom.test {
        Test::Text(op, _) if !atom.negated && atom.many == Multiplicity::One => Some(*op),
        _ => None,
    }
}

fn goes_with(one: &Atom, other: &Atom) -> bool {
    operator(one) == operator(other) && one.term == other.term && one.is_scope == other.is_scope
}

fn union(one: &Atom, other: &Atom) -> Atom {
    let mut both = one.clone();
    if let (Test::Text(_, values), Test::Text(_, more)) = (&mut both.test, &other.test) {
        values.extend(more.iter().cloned());
    }
    both.text = format!("{} or {}", one.text, other.text);
    both
}

#[cfg(test)]
mod tests {
    use crate::{PolicySet, Source};

    use super::*;

    fn of(condition: &str) -> String {
        let text = format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
        let set = PolicySet::load([Source::new("t.yaml", text)]).set.unwrap();
        fn show(cond: &Cond) -> String {
            match cond {
                Cond::Atom(atom) => format!("[{}]", atom.text),
                Cond::Not(inner) => format!("!{}", show(inner)),
                Cond::And(parts) => parts.iter().map(show).collect::<Vec<_>>().join("&"),
                Cond::Or(parts) => parts.iter().map(show).collect::<Vec<_>>().join("|"),
            }
        }
        show(&merged(&set.rules()[0].conditions()[0].cond))
    }

    #[test]
    fn what_reads_the_same_in_the_same_way_is_one_comparison() {
        let first = "evt.type = execve and";
        assert_eq!(
            of(&format!("{first} (proc.cmdline contains a or proc.name = x or proc.cmdline contains b)")),
            "[evt.type = execve]&[proc.cmdline contains a or proc.cmdline contains b]|[proc.name = x]"
        );
        assert_eq!(
            of(&format!(
                "{first} not proc.name = x and not proc.cmdline contains a and not proc.name in (y, z)"
            )),
            "[evt.type = execve]&![proc.name = x or proc.name in (y, z)]&![proc.cmdline contains a]"
        );
        assert_eq!(
            of(&format!("{first} (proc.name != x or proc.name != y or proc.name startswith z)")),
            "[evt.type = execve]&[proc.name != x]|[proc.name != y]|[proc.name startswith z]"
        );
        assert_eq!(
            of(&format!("{first} (proc.aname = x or proc.aname = y)")),
            "[evt.type = execve]&[proc.aname = x]|[proc.aname = y]"
        );
    }
}
