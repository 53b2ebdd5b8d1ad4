//! Why a condition does not hold for an event: the comparisons that would have to go otherwise.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;

use crate::check::{Cond, Test};
use crate::evaluator::Evaluator;
use crate::facts::Facts;
use crate::output::{Output, OutputPart};
use crate::resolve::Resolver;
use crate::rule::{Condition, Detection, Mode, Rule};
use crate::set::PolicySet;
use crate::term::Term;

/// A comparison as it went for an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtomTrace {
    /// The comparison.
    pub text: String,
    /// Whether it held. It stands in the way by that, so it would have to be the other way round.
    pub holds: bool,
    /// What it read: `null` if there was no value.
    pub value: Json,
}

/// How a condition went for an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConditionTrace {
    /// Whether it held.
    pub holds: bool,
    /// The comparisons that kept it from holding; empty if it held.
    pub blame: Vec<AtomTrace>,
}

/// Evaluates the conditions of a rule comparison by comparison, with the evaluator that rules run in.
///
/// It is for explanations: it costs far more than the rule.
#[derive(Debug)]
pub struct Tracer {
    conditions: Vec<Cond>,
    /// The comparisons of all conditions, in order.
    atoms: Vec<String>,
    evaluator: Evaluator,
}

impl Tracer {
    /// A tracer for a rule, even if it is off.
    pub fn new(rule: &Rule, resolver: Arc<dyn Resolver>) -> Self {
        let conditions: Vec<Cond> = rule.conditions().into_iter().map(|c| c.cond.clone()).collect();
        let mut atoms = Vec::new();
        let mut rules = Vec::new();
        for atom in conditions.iter().flat_map(Cond::atoms) {
            atoms.push(atom.text.clone());
            rules.push(single(rule, Cond::Atom(Arc::clone(atom)), Vec::new()));
            // What it reads, by a rule that always matches.
            let mut read = vec![atom.term.clone()];
            if let Test::NumberField(_, term) | Test::TextField(_, term) | Test::InField(term) = &atom.test {
                read.push(term.clone());
            }
            rules.push(single(rule, Cond::And(Vec::new()), read));
        }
        let evaluator = Evaluator::new(Arc::new(PolicySet::of_rules(rules))).with_resolver(resolver);
        Self { conditions, atoms, evaluator }
    }

    /// How each condition of the rule goes for an event: one, or those of the steps of a sequence.
    pub fn trace<F: Facts>(&mut self, facts: &F) -> Vec<ConditionTrace> {
        let mut held = vec![false; self.atoms.len()];
        let mut values = vec![Json::Null; self.atoms.len()];
        self.evaluator.evaluate(facts, |matched| {
            let atom = matched.rule_index / 2;
            if matched.rule_index % 2 == 0 {
                held[atom] = true;
            } else {
                values[atom] = one_or_all(matched.output_fields);
            }
        });
        let mut first = 0;
        let conditions = self.conditions.iter().map(|cond| {
            let mut walk = Walk { held: &held, next: first, blame: Vec::new() };
            let holds = walk.truth(cond);
            if !holds {
                walk.next = first;
                walk.blame(cond, true);
            }
            first = walk.next;
            let mut blame: Vec<AtomTrace> = Vec::new();
            for index in walk.blame {
                let text = &self.atoms[index];
                // The same comparison in several branches is one reason.
                if !blame.iter().any(|b| b.text == *text) {
                    let value = values[index].clone();
                    blame.push(AtomTrace { text: text.clone(), holds: held[index], value });
                }
            }
            ConditionTrace { holds, blame }
        });
        conditions.collect()
    }
}

fn single(rule: &Rule, cond: Cond, read: Vec<Term>) -> Rule {
    let parts = read.into_iter().map(|term| OutputPart::Value { name: term.to_string(), term, width: None });
    Rule {
        detection: Detection::Single(Condition { text: String::new(), cond }),
        output: Output { parts: parts.collect() },
        throttle: None,
        enabled: true,
        mode: Mode::Enforce,
        ..rule.clone()
    }
}

fn one_or_all(mut fields: Vec<(String, Json)>) -> Json {
    match fields.len() {
        1 => fields.pop().map_or(Json::Null, |(_, value)| value),
        _ => fields.into_iter().collect(),
    }
}

/// A walk over the comparisons of a condition, in their order.
struct Walk<'h> {
    held: &'h [bool],
    next: usize,
    blame: Vec<usize>,
}

impl Walk<'_> {
    fn truth(&mut self, cond: &Cond) -> bool {
        match cond {
            Cond::Atom(_) => {
                self.next += 1;
                self.held[self.next - 1]
            }
            Cond::Not(inner) => !self.truth(inner),
            // No short cut: every comparison has its number.
            Cond::And(parts) => self.truths(parts).into_iter().all(|truth| truth),
            Cond::Or(parts) => self.truths(parts).into_iter().any(|truth| truth),
        }
    }

    fn truths(&mut self, parts: &[Cond]) -> Vec<bool> {
        parts.iter().map(|part| self.truth(part)).collect()
    }

    /// Collects the comparisons for which the condition is not what is wanted. It is known not to be.
    fn blame(&mut self, cond: &Cond, wanted: bool) {
        match (cond, wanted) {
            (Cond::Atom(_), _) => {
                self.blame.push(self.next);
                self.next += 1;
            }
            (Cond::Not(inner), _) => self.blame(inner, !wanted),
            // Each part that is not as wanted stands in the way; of the others nothing is to be said.
            (Cond::And(parts) | Cond::Or(parts), _) => {
                for part in parts {
                    let start = self.next;
                    let as_wanted = self.truth(part) == wanted;
                    if !as_wanted {
                        self.next = start;
                        self.blame(part, wanted);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::MapFacts;
    use crate::resolve::NoResolver;
    use crate::source::Source;

    fn blame(condition: &str, event: &Json) -> Vec<(String, bool, Json)> {
        let text =
            format!("- {{rule: r, desc: d, output: o, priority: info, condition: {}}}", json!(condition));
        let set = PolicySet::load([Source::new("r.yaml", text)]).set.unwrap();
        let fields = event.as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v));
        let facts = MapFacts::from_json(fields).unwrap();
        let mut traces = Tracer::new(&set.rules()[0], Arc::new(NoResolver)).trace(&facts);
        let trace = traces.pop().unwrap();
        assert_eq!(trace.holds, trace.blame.is_empty());
        trace.blame.into_iter().map(|a| (a.text, a.holds, a.value)).collect()
    }

    #[test]
    fn only_what_stands_in_the_way_is_named() {
        let condition = "evt.type = execve and proc.name in (sh, bash) and not (user.uid = 0 and proc.tty != 0) \
                         and (proc.pname = a or proc.pname = b or proc.pid > 1)";
        let event = json!({
            "evt.type": "execve", "proc.name": "zsh", "user.uid": 0, "proc.tty": 1, "proc.pname": "c", "proc.pid": 2
        });
        let expected = [
            ("proc.name in (sh, bash)", false, json!("zsh")),
            ("user.uid = 0", true, json!(0)),
            ("proc.tty != 0", true, json!(1)),
        ];
        assert_eq!(blame(condition, &event), expected.map(|(t, h, v)| (t.to_owned(), h, v)));
    }

    #[test]
    fn an_absent_value_is_null_and_two_fields_are_both_shown() {
        let condition = "evt.type = execve and proc.name exists and proc.name = val(proc.pname)";
        let expected = [
            ("proc.name exists", false, json!(null)),
            ("proc.name = val(proc.pname)", false, json!({"proc.name": null, "proc.pname": "x"})),
        ];
        let event = json!({"evt.type": "execve", "proc.pname": "x"});
        assert_eq!(blame(condition, &event), expected.map(|(t, h, v)| (t.to_owned(), h, v)));
        let event = json!({"evt.type": "execve", "proc.name": "x", "proc.pname": "x"});
        assert_eq!(blame(condition, &event), []);
    }
}
