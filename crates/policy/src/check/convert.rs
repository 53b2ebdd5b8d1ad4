//! Falco rule files to native policies that mean the same.
//!
//! Overrides, appends and switches are carried out; lists, macros and exceptions stay, so that the result can be
//! maintained. Each file becomes one `ClusterSecurityPolicy`, with copies of what it uses of the others. Whoever writes
//! the result to YAML checks it with [`difference`], and falls back to [`Style::Expanded`] if there is any.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::Serialize;

use super::collect::{Definitions, FalcoRule};
use super::exceptions::with_exceptions;
use super::lists::{Lists, words};
use crate::diagnostic::Diagnostic;
use crate::document::item::{Entry, ExceptionItem};
use crate::document::native::{API_VERSION, PolicyKind};
use crate::document::{Document, read_source};
use crate::rule::Rule;
use crate::set::PolicySet;
use crate::source::SourceMap;
use crate::syntax::ast::{Expr, ExprKind};
use crate::syntax::parse_condition;

/// How conditions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As they are, with lists, macros and exceptions.
    Readable,
    /// With everything put in place: no lists, no macros, no exceptions.
    Expanded,
}

/// A native policy, to be written as YAML.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NativePolicy {
    /// The file it was made from.
    #[serde(skip)]
    pub file: String,
    api_version: &'static str,
    kind: PolicyKind,
    metadata: Metadata,
    spec: Spec,
}

impl NativePolicy {
    /// The name of the policy, which is also good for a file.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }
}

#[derive(Debug, Clone, Serialize)]
struct Metadata {
    name: String,
}

#[derive(Debug, Clone, Serialize, Default)]
struct Spec {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lists: Vec<NamedList>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    macros: Vec<NamedMacro>,
    rules: Vec<NamedRule>,
}

#[derive(Debug, Clone, Serialize)]
struct NamedList {
    name: String,
    items: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct NamedMacro {
    name: String,
    condition: String,
}

#[derive(Debug, Clone, Serialize)]
struct NamedRule {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    desc: String,
    condition: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exceptions: Vec<NamedException>,
    output: String,
    priority: &'static str,
    /// Only said of a rule that is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct NamedException {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Words>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comps: Option<Words>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<Words>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<Words>),
}

/// Converts the Falco rules among the sources of a good set. Rules that are skipped there are left out; native policies
/// are no concern of this.
pub fn convert(set: &PolicySet, sources: &SourceMap, style: Style) -> Vec<NativePolicy> {
    // What is wrong with the sources has been said when the set was loaded.
    let mut ignored: Vec<Diagnostic> = Vec::new();
    let mut definitions = Definitions::default();
    for (id, _) in sources.iter() {
        for document in read_source(sources, id, &mut ignored) {
            if let Document::Falco(items) = document {
                items.into_iter().for_each(|item| definitions.add(item, &mut ignored));
            }
        }
    }
    let lists = Lists::resolve(&definitions.lists);
    let converter = Converter { definitions: &definitions, lists: &lists, style };
    let mut policies: Vec<NativePolicy> = Vec::new();
    for (file, rules) in converter.groups(set, sources) {
        let name = unique(policy_name(&file), &policies);
        policies.push(converter.policy(file, name, &rules));
    }
    policies
}

/// The first difference in meaning between the Falco rules of one set and the rules of another, if there is any.
pub fn difference(falco: &PolicySet, native: &PolicySet) -> Option<String> {
    let before: Vec<&Rule> = falco.rules().iter().filter(|r| r.policy.kind.is_none()).collect();
    let after = native.rules();
    if let Some(missing) = before.iter().find(|r| native.rule(&r.name).is_none()) {
        return Some(format!("the rule `{}` is missing", missing.name));
    }
    if before.len() != after.len() {
        return Some(format!("there are {} rules instead of {}", after.len(), before.len()));
    }
    before.iter().zip(after).find_map(|(a, b)| {
        let condition = |r: &Rule| r.conditions().iter().map(|c| c.text.clone()).collect::<Vec<_>>();
        let what = match () {
            () if a.name != b.name => "order",
            () if condition(a) != condition(b) => "condition",
            () if a.output.to_template() != b.output.to_template() => "output",
            () if a.priority != b.priority => "priority",
            () if a.tags != b.tags => "tags",
            () if a.enabled != b.enabled => "state",
            () => return None,
        };
        Some(format!("the {what} of the rule `{}` differs", a.name))
    })
}

/// A rule as defined and as checked.
type Pair<'a> = (&'a FalcoRule, &'a Rule);

struct Converter<'a> {
    definitions: &'a Definitions,
    lists: &'a Lists,
    style: Style,
}

impl Converter<'_> {
    /// The rules by file. A rule stays in its place even if a later file defines it anew, so that the order is kept.
    fn groups<'s>(&'s self, set: &'s PolicySet, sources: &SourceMap) -> IndexMap<String, Vec<Pair<'s>>> {
        let checked = |name: &str| set.rules().iter().find(|r| r.policy.kind.is_none() && r.name == name);
        let pairs: Vec<Pair<'_>> =
            self.definitions.rules.iter().filter_map(|(name, rule)| Some((rule, checked(name)?))).collect();
        let mut files: Vec<_> = pairs.iter().map(|(rule, _)| rule.span.source).collect();
        for i in (1..files.len()).rev() {
            files[i - 1] = files[i - 1].min(files[i]);
        }
        let mut groups: IndexMap<String, Vec<Pair<'_>>> = IndexMap::new();
        for (pair, file) in pairs.into_iter().zip(files) {
            let name = sources.get(file).map(|s| s.name.clone()).unwrap_or_default();
            groups.entry(name).or_default().push(pair);
        }
        groups
    }

    fn policy(&self, file: String, name: String, rules: &[Pair<'_>]) -> NativePolicy {
        let mut spec = Spec { rules: rules.iter().map(|pair| self.rule(pair)).collect(), ..Spec::default() };
        let mut texts: Vec<String> = rules.iter().map(|pair| self.text(pair)).collect();
        if self.style == Style::Readable {
            let mut used = Vec::new();
            texts.iter().for_each(|text| self.macros_of(text, &mut used));
            for name in used {
                let condition = self.definitions.macros[name].condition.as_str().trim().to_owned();
                texts.push(condition.clone());
                spec.macros.push(NamedMacro { name: name.to_owned(), condition });
            }
        }
        spec.lists = self.lists_of(&texts);
        NativePolicy {
            file,
            api_version: API_VERSION,
            kind: PolicyKind::ClusterSecurityPolicy,
            metadata: Metadata { name },
            spec,
        }
    }

    /// The condition as it is parsed, exceptions included.
    fn text(&self, (rule, checked): &Pair<'_>) -> String {
        match self.style {
            Style::Expanded => checked.conditions().first().map(|c| c.text.clone()).unwrap_or_default(),
            Style::Readable if rule.exceptions.is_empty() => rule.condition.as_str().to_owned(),
            Style::Readable => with_exceptions(&rule.condition, &rule.exceptions)
                .map(|text| text.as_str().to_owned())
                .unwrap_or_default(),
        }
    }

    fn rule(&self, pair: &Pair<'_>) -> NamedRule {
        let (rule, checked) = pair;
        let (condition, exceptions) = match self.style {
            Style::Readable => {
                (rule.condition.as_str().trim().to_owned(), rule.exceptions.iter().map(exception).collect())
            }
            Style::Expanded => (self.text(pair), Vec::new()),
        };
        NamedRule {
            name: checked.name.clone(),
            desc: rule.desc.clone(),
            condition,
            exceptions,
            output: rule.output.as_str().trim().to_owned(),
            priority: rule.priority.as_str(),
            enabled: (!rule.enabled).then_some(false),
            tags: rule.tags.clone(),
        }
    }

    /// Adds the macros that a text uses, each after those that it uses itself.
    fn macros_of<'s>(&'s self, text: &str, used: &mut Vec<&'s str>) {
        let mut mapped = crate::source::MappedText::default();
        mapped.push_exact(text, crate::source::SourceId::default(), 0);
        let Ok(substituted) = self.lists.substitute(&mapped) else { return };
        let Ok(expr) = parse_condition(&substituted) else { return };
        let mut names = Vec::new();
        macro_names(&expr, &mut names);
        for name in names {
            let Some((name, item)) = self.definitions.macros.get_key_value(&name) else { continue };
            if !used.contains(&name.as_str()) {
                self.macros_of(item.condition.as_str(), used);
                used.push(name);
            }
        }
    }

    /// The lists that texts use, each after those that it uses itself.
    fn lists_of(&self, texts: &[String]) -> Vec<NamedList> {
        let named: BTreeSet<&str> = texts.iter().flat_map(|text| words(text)).collect();
        let mut found: Vec<NamedList> = Vec::new();
        if self.style == Style::Readable {
            for name in self.definitions.lists.keys().filter(|name| named.contains(name.as_str())) {
                self.add_list(name, &mut Vec::new(), &mut found);
            }
        }
        found
    }

    fn add_list<'s>(&'s self, name: &'s str, open: &mut Vec<&'s str>, found: &mut Vec<NamedList>) {
        let Some(list) = self.definitions.lists.get(name).filter(|_| !open.contains(&name)) else { return };
        if found.iter().any(|l| l.name == name) {
            return;
        }
        // Redefinitions can make a ring of lists.
        open.push(name);
        for item in &list.items {
            let inner = self.definitions.lists.get(&item.value);
            if inner.is_some_and(|inner| inner.index < list.visibility) {
                self.add_list(&item.value, open, found);
            }
        }
        open.pop();
        let items = list.items.iter().map(|i| i.value.clone()).collect();
        found.push(NamedList { name: name.to_owned(), items });
    }
}

fn macro_names(expr: &Expr, names: &mut Vec<String>) {
    match &expr.kind {
        ExprKind::And(parts) | ExprKind::Or(parts) => parts.iter().for_each(|p| macro_names(p, names)),
        ExprKind::Not(inner) => macro_names(inner, names),
        ExprKind::Macro(name) => names.push(name.clone()),
        ExprKind::Check(_) => {}
    }
}

/// An exception, to be written as YAML.
pub fn exception_of(item: &ExceptionItem) -> impl Serialize + use<> {
    exception(item)
}

fn exception(item: &ExceptionItem) -> NamedException {
    NamedException {
        name: item.name.value.clone(),
        fields: item.fields.as_ref().map(entry),
        comps: item.comps.as_ref().map(entry),
        values: item.values.iter().map(entry).collect(),
    }
}

fn entry(entry: &Entry) -> Words {
    match entry {
        Entry::One(word) => Words::One(word.value.clone()),
        Entry::Many(entries, _) => Words::Many(entries.iter().map(self::entry).collect()),
    }
}

/// The name of a policy for a file: small letters, digits and `-`, as Kubernetes wants it.
fn policy_name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    let stem = base.trim_end_matches(".yaml").trim_end_matches(".yml");
    let mut name: String =
        stem.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    let name: String = name.trim_matches('-').chars().take(63).collect();
    if name.is_empty() { "policy".to_owned() } else { name }
}

fn unique(name: String, taken: &[NativePolicy]) -> String {
    let is_free = |name: &str| taken.iter().all(|p| p.name() != name);
    if is_free(&name) {
        return name;
    }
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    numbered.into_iter().find(|name| is_free(name)).unwrap_or(name)
}
