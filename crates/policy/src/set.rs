//! A loaded set of policies.

use std::sync::Arc;

use crate::check::{self, Test};
use crate::compile::{self, Program};
use crate::diagnostic::{Diagnostic, has_errors};
use crate::document;
use crate::event_type::{EventType, EventTypes};
use crate::field::FieldName;
use crate::rule::{Level, Rule};
use crate::source::{Source, SourceMap};

/// The result of loading: the set, if nothing in it is wrong, and all findings.
#[derive(Debug)]
pub struct Loaded {
    /// The set; `None` if there is an error.
    pub set: Option<Arc<PolicySet>>,
    /// All findings, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// The sources, to print findings.
    pub sources: SourceMap,
    /// How many rules could be read, also when others are wrong and there is no set.
    pub rule_count: usize,
}

impl Loaded {
    /// All findings of at least that severity, rendered for people.
    pub fn render(&self, at_least: crate::diagnostic::Severity, colour: bool) -> String {
        let wanted = self.diagnostics.iter().filter(|d| d.severity >= at_least);
        wanted.map(|d| d.render(&self.sources, colour) + "\n\n").collect()
    }
}

/// Policies that have been parsed, checked and compiled.
#[derive(Debug)]
pub struct PolicySet {
    rules: Vec<Rule>,
    pub(crate) program: Program,
    /// For each rule, the event types for which it is evaluated.
    event_types: Vec<EventTypes>,
}

/// What the active rules need of the sensor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The event types for which there is anything to evaluate.
    pub event_types: EventTypes,
    /// The fields that conditions, outputs and keys read.
    pub fields: Vec<FieldName>,
    /// The host names that rules mention.
    pub hosts: Vec<String>,
}

impl PolicySet {
    /// Parses, checks and compiles policies, in the order given; rules of all levels are on.
    pub fn load(sources: impl IntoIterator<Item = Source>) -> Loaded {
        Self::load_at(sources, Level::Audit)
    }

    /// The same with the rules of a level, and of those before it. The other rules are checked, too, and are off.
    pub fn load_at(sources: impl IntoIterator<Item = Source>, level: Level) -> Loaded {
        let mut map = SourceMap::default();
        let ids: Vec<_> = sources.into_iter().map(|source| map.add(source)).collect();
        let mut diagnostics = Vec::new();
        let mut documents = Vec::new();
        for id in ids {
            documents.extend(document::read_source(&map, id, &mut diagnostics));
        }
        Self::of_documents(documents, map, diagnostics, level)
    }

    /// Checks and compiles documents; what was found when they were read is in `diagnostics`.
    pub(crate) fn of_documents(
        documents: Vec<document::Document>,
        map: SourceMap,
        mut diagnostics: Vec<Diagnostic>,
        level: Level,
    ) -> Loaded {
        let mut rules = check::check_documents(documents, &map, &mut diagnostics);
        rules.iter_mut().for_each(|rule| rule.selected = rule.level <= level);
        let set = Self::of_rules(rules);
        let rule_count = set.rules.len();
        check::lint_rules(&set.rules, |rule| set.event_types_of(rule), &mut diagnostics);
        tidy(&mut diagnostics);
        let set = (!has_errors(&diagnostics)).then(|| Arc::new(set));
        Loaded { set, diagnostics, sources: map, rule_count }
    }

    /// Compiles rules that have been checked.
    pub(crate) fn of_rules(rules: Vec<Rule>) -> Self {
        let program = compile::compile(&rules);
        let mut event_types = vec![EventTypes::NONE; rules.len()];
        for (event_type, roots) in EventType::ALL.iter().zip(&program.roots) {
            roots.iter().for_each(|root| event_types[root.rule as usize].insert(*event_type));
        }
        Self { rules, program, event_types }
    }

    /// The rules, in the order of the files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of that name, if there is one.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.name == name)
    }

    /// The event types for which a rule (by its position) is evaluated.
    pub fn event_types_of(&self, rule: usize) -> EventTypes {
        self.event_types.get(rule).copied().unwrap_or_default()
    }

    /// What the active rules need.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for event_type in EventType::ALL {
            if !self.program.roots[event_type.index()].is_empty() {
                needs.event_types.insert(*event_type);
            }
        }
        for rule in self.rules.iter().filter(|r| r.is_active()) {
            needs.fields.extend(rule.condition_fields().into_iter().chain(rule.output_fields()).cloned());
            for atom in rule.conditions().iter().flat_map(|c| c.cond.atoms()) {
                if let Test::Host(hosts) = &atom.test {
                    needs.hosts.extend(hosts.iter().cloned());
                }
            }
        }
        needs.fields.sort_unstable();
        needs.fields.dedup();
        needs.hosts.sort_unstable();
        needs.hosts.dedup();
        needs
    }
}

/// How many findings are worth reading.
const MAX_DIAGNOSTICS: usize = 1000;

/// In the order of files and lines, each finding once.
fn tidy(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|d| (d.span.map(|s| (s.source, s.start)), std::cmp::Reverse(d.severity)));
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len());
    for diagnostic in diagnostics.drain(..) {
        let same = |d: &Diagnostic| {
            d.span == diagnostic.span && d.code == diagnostic.code && d.message == diagnostic.message
        };
        // A macro that several rules use is reported once, for the first of them.
        let near = kept.iter().rev().take_while(|d| {
            d.span.map(|s| (s.source, s.start)) == diagnostic.span.map(|s| (s.source, s.start))
        });
        if diagnostic.span.is_none() || !near.into_iter().any(same) {
            kept.push(diagnostic);
        }
    }
    if kept.len() > MAX_DIAGNOSTICS {
        // Errors first: what is cut must not make a broken set look whole.
        kept.sort_by_key(|d| std::cmp::Reverse(d.severity));
        kept.truncate(MAX_DIAGNOSTICS);
    }
    *diagnostics = kept;
}
