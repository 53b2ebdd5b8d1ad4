//! What the files say, before anything is resolved: lists, macros, rules, and changes to earlier ones.

use crate::source::{MappedText, Span};

/// A value with the place where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub span: Span,
}

impl<T> At<T> {
    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// One item of a Falco file.
#[derive(Debug, Clone)]
pub enum Item {
    /// A list, or a change to one.
    List(ListItem),
    /// A macro, or a change to one.
    Macro(MacroItem),
    /// A rule, or a change to one.
    Rule(Box<RuleItem>),
    /// `required_engine_version`.
    RequiredEngine(At<String>),
    /// One requirement of `required_plugin_versions`, with its alternatives: names and versions.
    RequiredPlugin(Vec<(At<String>, At<String>)>),
}

/// What an item does to an earlier one of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change {
    /// Defines it, or replaces it as a whole.
    #[default]
    Define,
    /// Adds to it.
    Append,
}

/// A list.
#[derive(Debug, Clone)]
pub struct ListItem {
    /// Its name.
    pub name: At<String>,
    /// Its values, or names of other lists.
    pub items: Vec<At<String>>,
    /// What happens to an earlier list of that name.
    pub change: Change,
}

/// A macro.
#[derive(Debug, Clone)]
pub struct MacroItem {
    /// Its name.
    pub name: At<String>,
    /// Its condition.
    pub condition: At<MappedText>,
    /// What happens to an earlier macro of that name.
    pub change: Change,
}

/// A rule as written.
#[derive(Debug, Clone)]
pub struct RuleItem {
    /// Its name.
    pub name: At<String>,
    /// The whole item.
    pub span: Span,
    /// What it defines.
    pub fields: RuleFields,
    /// What it does to an earlier rule.
    pub change: RuleChange,
}

/// What a rule item does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleChange {
    /// Defines a rule, or replaces one as a whole.
    Define,
    /// The old `append: true`: adds to condition and exceptions.
    Append,
    /// Only `enabled` is given: switches an earlier rule.
    Switch,
    /// `override`: these keys are appended, those replaced.
    Override {
        /// The keys appended to.
        append: Vec<String>,
        /// The keys replaced.
        replace: Vec<String>,
    },
}

/// The keys of a rule that are given.
#[derive(Debug, Clone, Default)]
pub struct RuleFields {
    /// The condition.
    pub condition: Option<At<MappedText>>,
    /// The output template.
    pub output: Option<At<MappedText>>,
    /// What the rule is for.
    pub desc: Option<At<String>>,
    /// How urgent it is.
    pub priority: Option<At<String>>,
    /// The event source.
    pub source: Option<At<String>>,
    /// Whether it is on.
    pub enabled: Option<At<bool>>,
    /// Its tags.
    pub tags: Option<Vec<At<String>>>,
    /// Its exceptions.
    pub exceptions: Option<Vec<ExceptionItem>>,
    /// Whether to warn when the condition names no event type.
    pub warn_evttypes: Option<bool>,
    /// Whether an unknown field makes the rule skipped instead of wrong.
    pub skip_if_unknown_filter: Option<bool>,
}

/// An exception of a rule as written.
#[derive(Debug, Clone)]
pub struct ExceptionItem {
    /// Its name.
    pub name: At<String>,
    /// The field or fields.
    pub fields: Option<Entry>,
    /// The comparison operators.
    pub comps: Option<Entry>,
    /// The values.
    pub values: Vec<Entry>,
    /// Whether there is a `values` key at all.
    pub has_values: bool,
}

/// A value, or a list of values of lists.
#[derive(Debug, Clone)]
pub enum Entry {
    /// One value.
    One(At<String>),
    /// A list.
    Many(Vec<Entry>, Span),
}

impl Entry {
    /// Where it is written.
    pub fn span(&self) -> Span {
        match self {
            Self::One(value) => value.span,
            Self::Many(_, span) => *span,
        }
    }
}
