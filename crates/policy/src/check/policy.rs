//! Documents to checked rules.

use std::collections::HashSet;
use std::rc::Rc;

use super::collect::{self, Definitions, FalcoRule};
use super::expand::Macros;
use super::lists::Lists;
use super::lower::{lower, lower_field, lower_operand};
use super::{Cond, amend, exceptions, lint};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::document::Document;
use crate::document::item::At;
use crate::document::native::{Action, GuideItem, Mode, NativeRule, Policy, Scope, StepItem};
use crate::output::{Output, OutputPart};
use crate::rule::{
    Benign, Condition, Detection, Guide, Level, PolicyRef, Priority, Rule, Sequence, Step, Threshold,
    Throttle, attack_ids,
};
use crate::source::{MappedText, SourceMap, Span};
use crate::syntax::ast::Expr;
use crate::syntax::template::{Part, parse_template};
use crate::term::Term;

/// Checks all documents, in the order of the files. Rules with errors are left out and reported.
pub fn check_documents(
    documents: Vec<Document>,
    sources: &SourceMap,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Rule> {
    let mut definitions = Definitions::default();
    let mut policies = Vec::new();
    for document in documents {
        match document {
            Document::Falco(items) => {
                for item in items {
                    if let Some(item) = amend::try_amend(item, &definitions, &mut policies, diagnostics) {
                        definitions.add(item, diagnostics);
                    }
                }
            }
            Document::Native(policy) => policies.push(*policy),
        }
    }
    let mut rules = Vec::new();
    let lists = Lists::resolve(&definitions.lists);
    let macros = Macros::parse(&definitions.macros, &lists, diagnostics);
    for (name, rule) in &definitions.rules {
        let mut checker = Checker::new(&macros, name, rule.skip_unknown);
        rules.extend(checker.falco_rule(name, rule, sources));
        diagnostics.append(&mut checker.diagnostics);
    }
    drop(macros);
    for policy in &policies {
        check_policy(policy, &definitions, &mut rules, diagnostics);
    }
    lint::unused(&definitions, diagnostics);
    rules
}

/// A native policy sees the lists and macros of the rule files; its own come after them and are its own only.
fn check_policy(
    policy: &Policy,
    shared: &Definitions,
    rules: &mut Vec<Rule>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut own = shared.clone();
    for list in &policy.lists {
        own.add_list(list.clone(), diagnostics);
        own.lists.get_mut(&list.name.value).into_iter().for_each(|l| l.used = Rc::default());
    }
    for item in &policy.macros {
        own.add_macro(item.clone(), diagnostics);
        own.macros.get_mut(&item.name.value).into_iter().for_each(|m| m.used = Rc::default());
    }
    let lists = Lists::resolve(&own.lists);
    let mut ignored = Vec::new();
    let before = diagnostics.len();
    let macros = Macros::parse(&own.macros, &lists, &mut ignored);
    // Errors in shared macros are reported already.
    diagnostics.extend(
        ignored
            .into_iter()
            .filter(|d| policy.macros.iter().any(|m| d.subject.as_ref() == Some(&m.name.value))),
    );
    for rule in &policy.rules {
        let mut checker = Checker::new(&macros, &rule.name.value, false);
        rules.extend(checker.native_rule(policy, rule));
        diagnostics.append(&mut checker.diagnostics);
    }
    drop(macros);
    let is_own = |span: Span| {
        policy
            .lists
            .iter()
            .map(|l| l.name.span)
            .chain(policy.macros.iter().map(|m| m.name.span))
            .any(|s| s == span)
    };
    lint::unused_where(&own, is_own, diagnostics);
    for diagnostic in &mut diagnostics[before..] {
        diagnostic.subject.get_or_insert_with(|| policy.name.value.clone());
    }
}

/// Checks one rule.
struct Checker<'a> {
    macros: &'a Macros<'a>,
    subject: &'a str,
    /// Unknown fields and events are warnings.
    skip_unknown: bool,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn new(macros: &'a Macros<'a>, subject: &'a str, skip_unknown: bool) -> Self {
        Self { macros, subject, skip_unknown, diagnostics: Vec::new() }
    }

    fn report(&mut self, mut diagnostic: Diagnostic) {
        let unknown = matches!(diagnostic.code, Code::UnknownField | Code::UnknownEvent);
        if unknown && self.skip_unknown && diagnostic.severity == Severity::Error {
            diagnostic.severity = Severity::Warning;
            diagnostic.message = format!("{}; the rule is skipped", diagnostic.message);
        }
        self.diagnostics.push(diagnostic.about(self.subject));
    }

    fn falco_rule(&mut self, name: &str, rule: &FalcoRule, sources: &SourceMap) -> Option<Rule> {
        let condition = match rule.exceptions.is_empty() {
            true => Some(rule.condition.clone()),
            false => self.with_exceptions(&rule.condition, &rule.exceptions),
        };
        let condition = condition.and_then(|text| self.condition(&text, &Scope::default()));
        let output = self.output(&rule.output);
        let file = sources.get(rule.span.source).map(|s| s.name.clone()).unwrap_or_default();
        Some(Rule {
            name: name.to_owned(),
            desc: rule.desc.clone(),
            priority: rule.priority,
            attack: attack_ids(&rule.tags),
            level: Level::Default,
            selected: true,
            guide: None,
            tags: rule.tags.clone(),
            source: rule.source.value.clone(),
            enabled: rule.enabled,
            action: Action::Alert,
            mode: Mode::Enforce,
            policy: PolicyRef { kind: None, name: file, namespace: None },
            scope: Scope::default(),
            detection: Detection::Single(condition?),
            output: output?,
            throttle: None,
            span: rule.span,
            warn_evttypes: rule.warn_evttypes,
        })
    }

    fn native_rule(&mut self, policy: &Policy, rule: &NativeRule) -> Option<Rule> {
        let output = match &rule.output {
            Some(output) => self.output(&output.value),
            None => Some(Output { parts: vec![OutputPart::Text(rule.name.value.clone())] }),
        };
        let priority = match &rule.priority {
            Some(text) => collect::priority(text, &mut self.diagnostics),
            None => Some(Priority::Warning),
        };
        let detection = self.detection(policy, rule);
        let throttle = match &rule.throttle {
            Some(item) => {
                let by = self.terms(&item.by);
                by.map(|by| Some(Throttle { by, interval: item.interval }))
            }
            None => Some(None),
        };
        let tags: Vec<String> = rule.tags.iter().map(|t| t.value.clone()).collect();
        let mut attack: Vec<String> = rule.attack.iter().map(|id| id.value.clone()).collect();
        attack.extend(attack_ids(&tags));
        let mut seen = HashSet::new();
        attack.retain(|id| seen.insert(id.clone()));
        let guide = rule.guide.as_ref().map(|guide| self.guide(guide, rule, policy));
        let meaning = guide.as_ref().map(|guide| guide.meaning.clone());
        let rule = Rule {
            name: rule.name.value.clone(),
            desc: rule.desc.as_ref().map(|d| d.value.trim().to_owned()).or(meaning).unwrap_or_default(),
            priority: priority?,
            attack,
            level: rule.level.as_ref().map_or(policy.level, |level| level.value),
            selected: true,
            guide,
            tags,
            source: "syscall".to_owned(),
            enabled: rule.enabled,
            action: rule.action.value,
            mode: policy.mode,
            policy: PolicyRef {
                kind: Some(policy.kind),
                name: policy.name.value.clone(),
                namespace: policy.scope.namespace.clone(),
            },
            scope: policy.scope.clone(),
            detection: detection?,
            output: output?,
            throttle: throttle?,
            span: rule.name.span,
            warn_evttypes: true,
        };
        Some(rule)
    }

    /// The guide, each of its exceptions tried on the rule: what is offered for pasting has to work.
    fn guide(&mut self, item: &GuideItem, rule: &NativeRule, policy: &Policy) -> Guide {
        let text = |text: &Option<At<String>>| {
            text.as_ref().map(|text| text.value.trim().to_owned()).unwrap_or_default()
        };
        for exception in item.benign.iter().filter_map(|benign| benign.exception.as_ref()) {
            if exception.values.is_empty() {
                let message = "the exception has no values";
                self.report(Diagnostic::error(Code::Exception, exception.name.span, message));
                continue;
            }
            let steps = rule.sequence.iter().flat_map(|s| s.steps.iter().map(|step| &step.condition));
            for condition in rule.condition.iter().chain(steps) {
                if let Some(text) = self.with_exceptions(&condition.value, std::slice::from_ref(exception)) {
                    self.condition(&text, &policy.scope);
                }
            }
        }
        let benign = item.benign.iter().map(|benign| Benign {
            cause: benign.cause.value.trim().to_owned(),
            exception: benign.exception.clone(),
        });
        Guide {
            meaning: text(&item.meaning),
            why: text(&item.why),
            response: text(&item.response),
            benign: benign.collect(),
        }
    }

    fn detection(&mut self, policy: &Policy, rule: &NativeRule) -> Option<Detection> {
        if let Some(sequence) = &rule.sequence {
            let by = self.terms(&sequence.by);
            let steps: Vec<_> = sequence
                .steps
                .iter()
                .enumerate()
                .map(|(i, s)| self.step(policy, rule, i, s, by.as_deref().unwrap_or_default()))
                .collect();
            let by = by?;
            return Some(Detection::Sequence(Sequence {
                steps: steps.into_iter().collect::<Option<_>>()?,
                by,
                within: sequence.within,
                any_order: sequence.any_order,
            }));
        }
        let text = &rule.condition.as_ref()?.value;
        let text = match rule.exceptions.is_empty() {
            true => text.clone(),
            false => self.with_exceptions(text, &rule.exceptions)?,
        };
        let condition = self.condition(&text, &policy.scope);
        let Some(threshold) = &rule.threshold else { return Some(Detection::Single(condition?)) };
        let by = self.terms(&threshold.by);
        let distinct = match &threshold.distinct {
            Some(field) => self.terms(std::slice::from_ref(field)).map(|mut terms| terms.pop()),
            None => Some(None),
        };
        Some(Detection::Threshold(Threshold {
            condition: condition?,
            count: threshold.count,
            distinct: distinct?,
            by: by?,
            within: threshold.within,
        }))
    }

    /// An exception of a sequence says which events are no step of it.
    fn step(
        &mut self,
        policy: &Policy,
        rule: &NativeRule,
        index: usize,
        step: &StepItem,
        by: &[Term],
    ) -> Option<Step> {
        let text = match rule.exceptions.is_empty() {
            true => step.condition.value.clone(),
            false => self.with_exceptions(&step.condition.value, &rule.exceptions)?,
        };
        let by = match &step.by {
            Some(fields) => self.terms(fields)?,
            None => by.to_vec(),
        };
        let condition = self.condition(&text, &policy.scope)?;
        let name = step.name.clone().unwrap_or_else(|| format!("step {}", index + 1));
        Some(Step { name, by, condition })
    }

    fn with_exceptions(
        &mut self,
        condition: &MappedText,
        items: &[crate::document::item::ExceptionItem],
    ) -> Option<MappedText> {
        match exceptions::with_exceptions(condition, items) {
            Ok(text) => Some(text),
            Err(errors) => {
                errors.into_iter().for_each(|e| self.report(e));
                None
            }
        }
    }

    /// Parses, expands and types a condition, and adds the scope of its policy.
    fn condition(&mut self, text: &MappedText, scope: &Scope) -> Option<Condition> {
        let expr: Expr = match self.macros.expand(text) {
            Ok(expr) => expr?,
            Err(error) => {
                self.report(error);
                return None;
            }
        };
        let mut found = Vec::new();
        let cond = lower(&expr, &mut found);
        found.into_iter().for_each(|d| self.report(d));
        let mut cond = cond?;
        if let Some(scope) = super::scope::condition(scope) {
            cond = Cond::And(vec![scope, cond]);
        }
        Some(Condition { text: expr.to_string(), cond })
    }

    fn output(&mut self, text: &MappedText) -> Option<Output> {
        // Falco cuts blanks at both ends; a folded scalar brings a line break.
        let all = text.as_str();
        let start = all.len() - all.trim_start().len();
        let mut trimmed = MappedText::default();
        trimmed.push_slice(text, start..start + all.trim().len());
        let template = match parse_template(&trimmed) {
            Ok(template) => template,
            Err(error) => {
                self.report(error.into_diagnostic(Code::Template));
                return None;
            }
        };
        let mut parts = Vec::with_capacity(template.parts.len());
        let mut good = true;
        for part in template.parts {
            match part {
                Part::Text(text) => parts.push(OutputPart::Text(text)),
                Part::Value { operand, width } => match lower_operand(&operand) {
                    Ok(term) => parts.push(OutputPart::Value { name: term.to_string(), term, width }),
                    Err(error) => {
                        self.report(error);
                        good = false;
                    }
                },
            }
        }
        good.then_some(Output { parts })
    }

    fn terms(&mut self, names: &[At<String>]) -> Option<Vec<Term>> {
        let mut terms = Vec::with_capacity(names.len());
        for name in names {
            let text = name.value.trim();
            let (base, arg) = match text.split_once('[') {
                Some((base, arg)) => (base, Some(arg.strip_suffix(']').unwrap_or(arg))),
                None => (text, None),
            };
            match lower_field(base, arg, name.span) {
                Ok(field) => terms.push(Term::Field(field)),
                Err(error) => self.report(error),
            }
        }
        (terms.len() == names.len()).then_some(terms)
    }
}
