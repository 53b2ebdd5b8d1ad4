//! Rules that another rule makes superfluous: whenever they match, so does the other.

use std::collections::{BTreeSet, HashMap};

use crate::check::Cond;
use crate::diagnostic::{Code, Diagnostic};
use crate::rule::{Detection, Rule};

/// What a rule demands: the texts of the parts of its condition that are joined by `and`.
fn demands(rule: &Rule) -> Option<BTreeSet<String>> {
    let Detection::Single(condition) = &rule.detection else { return None };
    let mut texts = BTreeSet::new();
    collect(&condition.cond, &mut texts);
    Some(texts)
}

fn collect(cond: &Cond, texts: &mut BTreeSet<String>) {
    match cond {
        Cond::And(parts) => parts.iter().for_each(|p| collect(p, texts)),
        other => {
            texts.insert(text(other));
        }
    }
}

fn text(cond: &Cond) -> String {
    let joined = |parts: &[Cond], word: &str| {
        let texts: BTreeSet<String> = parts.iter().map(text).collect();
        format!("({})", texts.into_iter().collect::<Vec<_>>().join(word))
    };
    match cond {
        Cond::And(parts) => joined(parts, " and "),
        Cond::Or(parts) => joined(parts, " or "),
        Cond::Not(inner) => format!("not {}", text(inner)),
        Cond::Atom(atom) => atom.text.clone(),
    }
}

pub(super) fn check(rules: &[Rule], diagnostics: &mut Vec<Diagnostic>) {
    let demands: Vec<_> = rules.iter().map(|r| if r.is_active() { demands(r) } else { None }).collect();
    // A rule shadows only rules that make all of its demands, so any one of its demands finds the candidates.
    let mut by_demand: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, texts) in demands.iter().enumerate() {
        let rarest = texts.iter().flatten().max_by_key(|t| t.len());
        if let Some(text) = rarest {
            by_demand.entry(text).or_default().push(index);
        }
    }
    for (index, texts) in demands.iter().enumerate() {
        let Some(texts) = texts else { continue };
        let candidates = texts.iter().filter_map(|t| by_demand.get(t.as_str())).flatten();
        let shadowing = candidates.copied().find(|other| {
            let wider = demands[*other].as_ref().is_some_and(|o| o.is_subset(texts));
            let equal = demands[*other].as_ref() == Some(texts);
            // Who is not to be woken by the wider rule may be by this one.
            let same_readers = rules[*other].level <= rules[index].level;
            *other != index && wider && same_readers && (!equal || *other < index)
        });
        let Some(other) = shadowing else { continue };
        let (rule, other_rule) = (&rules[index], &rules[other]);
        let finding = if demands[other].as_ref() == Some(texts) {
            let message = format!("this rule matches the same events as `{}`", other_rule.name);
            Diagnostic::warning(Code::Shadowed, rule.span, message)
        } else {
            let message = format!("whenever this rule matches, so does `{}`", other_rule.name);
            Diagnostic::note(Code::Shadowed, rule.span, message)
        };
        diagnostics.push(finding.about(&rule.name));
    }
}
