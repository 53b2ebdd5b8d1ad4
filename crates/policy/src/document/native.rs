//! Native policies: `SecurityPolicy` and `ClusterSecurityPolicy` documents.

mod correlation;
mod guide;
mod selector;

pub use correlation::{Distinct, SequenceItem, StepItem, ThresholdItem, ThrottleItem, parse_duration};
pub use guide::{BenignItem, GuideItem};
pub use selector::{Expression, LabelSelector, MAX_EXPRESSIONS, Scope, SelectorOperator};

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use vedette_event::alert::Level;

use super::item::{At, Change, ExceptionItem, ListItem, MacroItem};
use super::reader::{Reader, key_span};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{MappedText, Span};

/// The API group and version of native policies.
pub const API_VERSION: &str = "vedette.dev/v1alpha1";

/// Most rules of one policy: what the Kubernetes API takes as well, which wants a bound for what it validates.
pub const MAX_RULES: usize = 1000;

/// The two kinds of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PolicyKind {
    /// Sees the pods of its own namespace only.
    SecurityPolicy,
    /// Sees everything, the host included.
    ClusterSecurityPolicy,
}

impl PolicyKind {
    /// The word for it, as in `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecurityPolicy => "SecurityPolicy",
            Self::ClusterSecurityPolicy => "ClusterSecurityPolicy",
        }
    }
}

/// What a policy does when a rule with an action matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Acts.
    #[default]
    Enforce,
    /// Says what it would have done.
    Audit,
    /// Is off.
    Disabled,
}

/// What a rule does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// Raises an alert.
    #[default]
    Alert,
    /// Kills the process as well.
    Kill,
    /// Refuses the operation as well.
    Deny,
}

/// A native policy as written.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its kind.
    pub kind: PolicyKind,
    /// Its name.
    pub name: At<String>,
    /// Its namespace, for a `SecurityPolicy`.
    pub namespace: Option<String>,
    /// What it does.
    pub mode: Mode,
    /// For whom its rules are, unless they say otherwise.
    pub level: Level,
    /// To whom it applies.
    pub scope: Scope,
    /// Its own lists.
    pub lists: Vec<ListItem>,
    /// Its own macros.
    pub macros: Vec<MacroItem>,
    /// Its rules.
    pub rules: Vec<NativeRule>,
}

/// A rule of a native policy as written.
#[derive(Debug, Clone)]
pub struct NativeRule {
    /// Its name.
    pub name: At<String>,
    /// Its condition; a sequence has conditions in its steps instead.
    pub condition: Option<At<MappedText>>,
    /// Its output template.
    pub output: Option<At<MappedText>>,
    /// What it is for.
    pub desc: Option<At<String>>,
    /// How urgent it is.
    pub priority: Option<At<String>>,
    /// Whether it is on.
    pub enabled: bool,
    /// Its tags; those that are ATT&CK ids are also data.
    pub tags: Vec<At<String>>,
    /// For whom it is; else as the policy says.
    pub level: Option<At<Level>>,
    /// The ids of the ATT&CK techniques that it is about.
    pub attack: Vec<At<String>>,
    /// What it says to who reads its alerts.
    pub guide: Option<GuideItem>,
    /// What it does.
    pub action: At<Action>,
    /// Its exceptions.
    pub exceptions: Vec<ExceptionItem>,
    /// A sequence of events.
    pub sequence: Option<SequenceItem>,
    /// A number of events.
    pub threshold: Option<ThresholdItem>,
    /// How often it may speak.
    pub throttle: Option<ThrottleItem>,
}

/// Reads a document that has an `apiVersion`.
pub fn read_policy(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Policy> {
    let mut reader = Reader { node, subject: String::new(), diagnostics };
    reader.known_keys(&["apiVersion", "kind", "metadata", "spec", "status"]);
    let version = reader.required("apiVersion")?;
    if version.value != API_VERSION {
        let hint = format!("this version reads {API_VERSION}");
        let message = format!("`{}` is not known here", version.value);
        reader.report(Diagnostic::error(Code::Shape, version.span, message).with_hint(hint));
        return None;
    }
    let kind = reader.required("kind")?;
    let kind = match kind.value.as_str() {
        "SecurityPolicy" => PolicyKind::SecurityPolicy,
        "ClusterSecurityPolicy" => PolicyKind::ClusterSecurityPolicy,
        other => {
            let message = format!("`{other}` is no policy");
            let hint = "SecurityPolicy or ClusterSecurityPolicy";
            reader.report(Diagnostic::error(Code::Shape, kind.span, message).with_hint(hint));
            return None;
        }
    };
    let Some(metadata) = reader.mapping("metadata") else {
        reader.required("metadata");
        return None;
    };
    let mut meta = Reader { node: metadata, subject: String::new(), diagnostics: &mut *reader.diagnostics };
    let name = meta.required("name")?;
    let namespace = meta.text("namespace").map(|n| n.value);
    if kind == PolicyKind::ClusterSecurityPolicy && namespace.is_some() {
        let span = key_span(metadata, "namespace");
        let message = "a ClusterSecurityPolicy has no namespace";
        let hint = "use a SecurityPolicy, or select namespaces with `namespaceSelector`";
        meta.report(Diagnostic::error(Code::Shape, span, message).with_hint(hint));
    }
    let Some(spec) = reader.mapping("spec") else {
        reader.required("spec");
        return None;
    };
    let mut reader =
        Reader { node: spec, subject: name.value.clone(), diagnostics: &mut *reader.diagnostics };
    reader.known_keys(&[
        "mode",
        "level",
        "podSelector",
        "namespaceSelector",
        "nodeSelector",
        "containers",
        "lists",
        "macros",
        "rules",
        "description",
    ]);
    let mode = match reader.text("mode") {
        None => Mode::Enforce,
        Some(mode) => match mode.value.as_str() {
            "Enforce" => Mode::Enforce,
            "Audit" => Mode::Audit,
            "Disabled" => Mode::Disabled,
            _ => {
                reader.error(Code::Shape, mode.span, "`mode` is Enforce, Audit or Disabled");
                Mode::Audit
            }
        },
    };
    let level = guide::read_level(&mut reader).map_or(Level::Default, |level| level.value);
    let scope = selector::read_scope(&mut reader, kind, namespace.as_deref());
    let lists = read_lists(&mut reader);
    let macros = read_macros(&mut reader);
    let mut rules: Vec<NativeRule> = Vec::new();
    let mut names = HashSet::new();
    let nodes = reader.mappings("rules");
    if nodes.len() > MAX_RULES {
        let message = format!("a policy has at most {MAX_RULES} rules, and this has {}", nodes.len());
        reader.report(
            Diagnostic::error(Code::Limit, key_span(spec, "rules"), message).with_hint("make several of it"),
        );
    }
    for node in nodes {
        let subject = node.get("name").and_then(Node::as_str).unwrap_or_default().to_owned();
        let mut inner = Reader { node, subject, diagnostics: &mut *reader.diagnostics };
        let Some(rule) = read_rule(&mut inner) else { continue };
        if !names.insert(rule.name.value.clone()) {
            inner.error(Code::Redefined, rule.name.span, "the policy has two rules of this name");
            continue;
        }
        rules.push(rule);
    }
    Some(Policy { kind, name, namespace, mode, level, scope, lists, macros, rules })
}

fn read_lists(reader: &mut Reader<'_, '_>) -> Vec<ListItem> {
    let mut lists = Vec::new();
    for node in reader.mappings("lists") {
        let mut inner =
            Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
        inner.known_keys(&["name", "items"]);
        let Some(name) = inner.required("name") else { continue };
        let items = match inner.get("items") {
            Some(node) if node.is_null() => Vec::new(),
            Some(_) => inner.texts("items").unwrap_or_default(),
            None => {
                inner.error(Code::Shape, name.span, "the key `items` is missing");
                continue;
            }
        };
        if lists.iter().any(|other: &ListItem| other.name.value == name.value) {
            inner.error(Code::Redefined, name.span, "the policy has two lists of this name");
            continue;
        }
        lists.push(ListItem { name, items, change: Change::Define });
    }
    lists
}

fn read_macros(reader: &mut Reader<'_, '_>) -> Vec<MacroItem> {
    let mut macros: Vec<MacroItem> = Vec::new();
    for node in reader.mappings("macros") {
        let mut inner =
            Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
        inner.known_keys(&["name", "condition"]);
        let Some(name) = inner.required("name") else { continue };
        if inner.required("condition").is_none() {
            continue;
        }
        let Some(condition) = inner.mapped("condition") else { continue };
        if macros.iter().any(|other| other.name.value == name.value) {
            inner.error(Code::Redefined, name.span, "the policy has two macros of this name");
            continue;
        }
        macros.push(MacroItem { name, condition, change: Change::Define });
    }
    macros
}

fn read_rule(reader: &mut Reader<'_, '_>) -> Option<NativeRule> {
    reader.known_keys(&[
        "name",
        "condition",
        "output",
        "desc",
        "priority",
        "enabled",
        "tags",
        "level",
        "attack",
        "guide",
        "action",
        "exceptions",
        "sequence",
        "threshold",
        "throttle",
    ]);
    let name = reader.required("name")?;
    let before = reader.diagnostics.len();
    let rule = NativeRule {
        condition: reader.mapped("condition"),
        output: reader.mapped("output"),
        desc: reader.text("desc"),
        priority: reader.text("priority"),
        enabled: reader.bool("enabled").is_none_or(|b| b.value),
        tags: reader.texts("tags").unwrap_or_default(),
        level: guide::read_level(reader),
        attack: guide::read_attack(reader),
        guide: guide::read_guide(reader),
        action: read_action(reader),
        exceptions: super::falco::read_exceptions(reader).unwrap_or_default(),
        sequence: correlation::read_sequence(reader),
        threshold: correlation::read_threshold(reader),
        throttle: correlation::read_throttle(reader),
        name,
    };
    if crate::diagnostic::has_errors(&reader.diagnostics[before..]) {
        return None;
    }
    let name = rule.name.span;
    match (&rule.condition, &rule.sequence) {
        (None, None) => {
            let hint = "add `condition:`, or `sequence:` with the conditions of its steps";
            reader.report(Diagnostic::error(Code::Shape, name, "the rule has no condition").with_hint(hint));
            None
        }
        (Some(condition), Some(_)) => {
            let message = "a sequence has its conditions in its steps";
            let hint = "move the condition into the steps";
            reader.report(Diagnostic::error(Code::Correlation, condition.span, message).with_hint(hint));
            None
        }
        (_, Some(_)) if rule.threshold.is_some() => {
            let span = key_span(reader.node, "threshold");
            reader.error(
                Code::Correlation,
                span,
                "`sequence` and `threshold` do not go together in one rule",
            );
            None
        }
        _ => Some(rule),
    }
}

fn read_action(reader: &mut Reader<'_, '_>) -> At<Action> {
    let Some(text) = reader.text("action") else { return At::new(Action::Alert, Span::default()) };
    let action = match text.value.as_str() {
        "Alert" => Action::Alert,
        "Kill" => Action::Kill,
        "Deny" => Action::Deny,
        _ => {
            reader.error(Code::Shape, text.span, "`action` is Alert, Kill or Deny");
            Action::Alert
        }
    };
    At::new(action, text.span)
}
