//! Falco rule files to a native policy that means the same.
//!
//! What the files say after all overrides becomes one `ClusterSecurityPolicy`: its lists with the lists in them
//! resolved, its macros in an order in which each is defined before its use, its rules with their exceptions. The
//! result is loaded again and every rule compared with the original; what differs is an error, not a surprise.

use std::collections::BTreeSet;

use crate::check::{Definitions, Lists, Macros};
use crate::diagnostic::Diagnostic;
use crate::document::item::{Entry, ExceptionItem};
use crate::document::native::{API_VERSION, Action, Mode, PolicyKind};
use crate::document::{self, Document};
use crate::rule::{Detection, Rule};
use crate::set::PolicySet;
use crate::source::{Source, SourceMap};
use crate::spec::{
    ExceptionSpec, ListSpec, MacroSpec, Metadata, OneOrMany, PolicyDocument, PolicySpec, RuleSpec,
};

/// Why files cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The files have errors.
    #[error("the rule files have errors")]
    Errors {
        /// All findings.
        diagnostics: Vec<Diagnostic>,
        /// The sources, to print them.
        sources: SourceMap,
    },
    /// The result cannot be written as YAML.
    #[error("the policy cannot be written: {0}")]
    Write(String),
    /// A rule would not mean the same.
    #[error("the rule `{rule}` would not mean the same: {reason}")]
    Differs {
        /// The rule.
        rule: String,
        /// What differs.
        reason: String,
    },
}

/// Converts rule files to one native policy of that name, as YAML.
///
/// # Errors
/// Files that do not load, or a rule that would not mean the same.
pub fn to_native(sources: &[Source], name: &str) -> Result<String, ConvertError> {
    let original = PolicySet::load(sources.iter().cloned());
    let Some(set) = original.set else {
        return Err(ConvertError::Errors { diagnostics: original.diagnostics, sources: original.sources });
    };
    let document = PolicyDocument {
        api_version: API_VERSION.to_owned(),
        kind: PolicyKind::ClusterSecurityPolicy,
        metadata: Metadata { name: valid_name(name), namespace: None },
        spec: spec(&original.sources, set.rules()),
    };
    let yaml = serde_saphyr::to_string(&document).map_err(|e| ConvertError::Write(e.to_string()))?;
    verify(set.rules(), &yaml)?;
    Ok(yaml)
}

/// A name as Kubernetes takes it: small letters, digits and dashes.
fn valid_name(name: &str) -> String {
    let dashed: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let trimmed = dashed.trim_matches('-');
    if trimmed.is_empty() { "converted".to_owned() } else { trimmed.chars().take(63).collect() }
}

fn spec(sources: &SourceMap, loaded: &[Rule]) -> PolicySpec {
    let mut definitions = Definitions::default();
    let mut ignored = Vec::new();
    for (id, _) in sources.iter() {
        for document in document::read_source(sources, id, &mut ignored) {
            if let Document::Falco(items) = document {
                items.into_iter().for_each(|item| definitions.add(item, &mut ignored));
            }
        }
    }
    let lists = definitions
        .lists
        .keys()
        .map(|name| ListSpec { name: name.clone(), items: Lists::items(&definitions.lists, name) });
    let resolved = Lists::resolve(&definitions.lists);
    let macros = Macros::parse(&definitions.macros, &resolved, &mut ignored);
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in definitions.macros.keys() {
        in_order(&macros, name, &mut seen, &mut order);
    }
    let text_of = |name: &String| definitions.macros.get(name).map(|m| one_line(m.condition.as_str()));
    let macros =
        order.iter().filter_map(|name| Some(MacroSpec { name: name.clone(), condition: text_of(name)? }));
    let rules = definitions.rules.iter().filter(|(name, _)| loaded.iter().any(|r| r.name == **name));
    let rules = rules.map(|(name, rule)| RuleSpec {
        name: name.clone(),
        desc: (!rule.desc.is_empty()).then(|| one_line(&rule.desc)),
        condition: Some(one_line(rule.condition.as_str())),
        output: Some(rule.output.as_str().trim().to_owned()),
        priority: Some(rule.priority),
        enabled: (!rule.enabled).then_some(false),
        tags: rule.tags.clone(),
        action: Action::Alert,
        exceptions: rule.exceptions.iter().filter_map(exception).collect(),
        ..RuleSpec::default()
    });
    PolicySpec {
        lists: lists.collect(),
        macros: macros.collect(),
        rules: rules.collect(),
        mode: Mode::Enforce,
        ..PolicySpec::default()
    }
}

/// Text whose line breaks came from folding reads as one line, unless it has quotes in which a break may count.
fn one_line(text: &str) -> String {
    let text = text.trim();
    if text.contains(['"', '\'']) {
        text.to_owned()
    } else {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A macro after those it uses.
fn in_order(macros: &Macros<'_>, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
    if !seen.insert(name.to_owned()) {
        return;
    }
    for used in macros.used_by(name) {
        in_order(macros, used, seen, order);
    }
    order.push(name.to_owned());
}

fn exception(item: &ExceptionItem) -> Option<ExceptionSpec> {
    Some(ExceptionSpec {
        name: item.name.value.clone(),
        fields: entry(item.fields.as_ref()?),
        comps: item.comps.as_ref().map(entry),
        values: item.values.iter().map(entry).collect(),
    })
}

fn entry(item: &Entry) -> OneOrMany {
    match item {
        Entry::One(word) => OneOrMany::One(word.value.clone()),
        Entry::Many(entries, _) => OneOrMany::Many(entries.iter().map(entry).collect()),
    }
}

/// Loads the result and compares each rule.
fn verify(originals: &[Rule], yaml: &str) -> Result<(), ConvertError> {
    let converted = PolicySet::load([Source::new("converted", yaml)]);
    let differs = |rule: &str, reason: String| ConvertError::Differs { rule: rule.to_owned(), reason };
    let Some(set) = converted.set else {
        let first = converted.diagnostics.iter().find(|d| d.severity == crate::Severity::Error);
        let reason = first.map(|d| d.to_line(&converted.sources)).unwrap_or_default();
        let rule = first.and_then(|d| d.subject.clone()).unwrap_or_default();
        return Err(differs(&rule, reason));
    };
    for original in originals {
        let Some(rule) = set.rule(&original.name) else {
            return Err(differs(&original.name, "it is missing".to_owned()));
        };
        let text = |rule: &Rule| match &rule.detection {
            Detection::Single(condition) => condition.text.clone(),
            _ => String::new(),
        };
        for (what, before, after) in [
            ("condition", text(original), text(rule)),
            ("output", original.output.to_template(), rule.output.to_template()),
            ("priority", original.priority.as_str().to_owned(), rule.priority.as_str().to_owned()),
            ("enabled", original.enabled.to_string(), rule.enabled.to_string()),
            ("tags", original.tags.join(" "), rule.tags.join(" ")),
        ] {
            if before != after {
                return Err(differs(&original.name, format!("its {what} was `{before}` and is `{after}`")));
            }
        }
    }
    Ok(())
}
