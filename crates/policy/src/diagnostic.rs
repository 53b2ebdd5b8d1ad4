//! What is wrong with a policy, where, and what to do about it.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, renderer::DecorStyle};
use serde::Serialize;

use crate::source::{SourceMap, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Note,
    /// It loads, but probably does not do what was meant.
    Warning,
    /// It does not load.
    Error,
}

/// The kind of finding, stable for tools: `serde` and [`Code::as_str`] give it in kebab-case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file is not YAML.
    Yaml,
    /// A key, item or document has the wrong shape.
    Shape,
    /// A key nobody reads.
    UnknownKey,
    /// A condition does not parse.
    Syntax,
    /// An output template does not parse.
    Template,
    /// No field of that name.
    UnknownField,
    /// A field's argument is missing, or is not one it takes.
    FieldArgument,
    /// No event of that name.
    UnknownEvent,
    /// No macro of that name, or it is defined after its use.
    UnknownMacro,
    /// No list of that name.
    UnknownList,
    /// A macro that uses itself.
    RecursiveMacro,
    /// The operator does not go with the field's type, or the value is not of that type.
    Type,
    /// A regular expression or a glob that cannot be compiled.
    Pattern,
    /// A comparison, or a rule, that can never be true.
    Impossible,
    /// A comparison that is always true.
    AlwaysTrue,
    /// A rule that another makes superfluous.
    Shadowed,
    /// A list or macro that nothing uses.
    Unused,
    /// A pattern that costs far more than it looks.
    CostlyPattern,
    /// A rule that names no event type and so is evaluated for each event.
    NoEventType,
    /// Two definitions of the same name, where one silently replaces the other.
    Redefined,
    /// `override`, `append` or `enabled` for something not defined before.
    NothingToOverride,
    /// `override` and the keys of the item do not go together.
    Override,
    /// An exception is malformed.
    Exception,
    /// An old spelling that has a better one.
    Deprecated,
    /// The file asks for another engine version.
    EngineVersion,
    /// The file asks for a plugin.
    PluginVersion,
    /// Not a priority.
    Priority,
    /// Not a technique of ATT&CK.
    Attack,
    /// An event source that is not there.
    UnknownSource,
    /// Not a duration, a count or a key for a correlation.
    Correlation,
    /// `action: Deny` on a rule which the kernel cannot decide alone.
    NotDecidable,
    /// The sensor does not fill this field yet.
    NotFilled,
    /// Something is larger than the bound set for it.
    Limit,
}

impl Code {
    /// The code as tools see it, such as `unknown-field`.
    pub fn as_str(self) -> String {
        let mut text = String::new();
        for (i, c) in format!("{self:?}").chars().enumerate() {
            if c.is_uppercase() && i > 0 {
                text.push('-');
            }
            text.extend(c.to_lowercase());
        }
        text
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of finding it is.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, if it is in a file.
    pub span: Option<Span>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The rule (or macro, or list) concerned.
    pub subject: Option<String>,
}

/// A finding in the form that editors and CI read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagnosticRecord {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of finding it is.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column one past the end.
    pub end_column: u32,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The rule, macro or list concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: Some(span),
            hint: None,
            subject: None,
        }
    }

    /// A warning at a place.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// A note at a place.
    pub fn note(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, span, message) }
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint, if there is one.
    pub fn with_some_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// The same, said about that rule, macro or list.
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject.get_or_insert(subject.into());
        self
    }

    /// The finding with file, line and column, for machines.
    pub fn to_record(&self, sources: &SourceMap) -> DiagnosticRecord {
        let span = self.span.unwrap_or_default();
        let (start, end) = match self.span {
            Some(_) => (sources.position(span.source, span.start), sources.position(span.source, span.end)),
            None => (
                crate::source::Position { line: 1, column: 1 },
                crate::source::Position { line: 1, column: 1 },
            ),
        };
        DiagnosticRecord {
            severity: self.severity,
            code: self.code,
            message: self.message.clone(),
            file: self.file(sources),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            hint: self.hint.clone(),
            subject: self.subject.clone(),
        }
    }

    fn file(&self, sources: &SourceMap) -> String {
        self.span.and_then(|s| sources.get(s.source)).map(|s| s.name.clone()).unwrap_or_default()
    }

    /// `file:line:column: error[code]: message`, on one line.
    pub fn to_line(&self, sources: &SourceMap) -> String {
        let record = self.to_record(sources);
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let mut line = String::new();
        if !record.file.is_empty() {
            let _ = write!(line, "{}:{}:{}: ", record.file, record.line, record.column);
        }
        let _ = write!(line, "{severity}[{}]: {}", self.code.as_str(), self.message);
        line
    }

    /// The finding for people: message, file:line:column, the line with a caret, the hint.
    pub fn render(&self, sources: &SourceMap, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let message = match &self.subject {
            Some(subject) => format!("{}: {}", subject, self.message),
            None => self.message.clone(),
        };
        let code = self.code.as_str();
        let mut group = level
            .primary_title(message)
            .id(code)
            .elements(std::iter::empty::<Snippet<'_, annotate_snippets::Annotation<'_>>>());
        if let Some((span, source)) = self.span.and_then(|s| Some((s, sources.get(s.source)?))) {
            let start = floor(&source.text, span.start as usize);
            let end = floor(&source.text, span.end as usize).max(start);
            group = group.element(
                Snippet::source(source.text.as_str())
                    .line_start(1)
                    .path(source.name.as_str())
                    .annotation(AnnotationKind::Primary.span(start..end)),
            );
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Whether any of the findings stops the policies from loading.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}

/// The name among `known` that is nearest to `name`, if one is near enough to be what was meant. Of names equally
/// near, the one that begins the same for longest.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let same_start = |k: &str| name.bytes().zip(k.bytes()).take_while(|(a, b)| a == b).count();
    let limit = |k: &str| (name.len().max(k.len()) / 3).max(1);
    known
        .into_iter()
        // The distance is at least the difference in length, which costs nothing to find.
        .filter(|k| name.len().abs_diff(k.len()) <= limit(k))
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|&(distance, k)| distance <= limit(k))
        .min_by_key(|&(distance, k)| (distance, std::cmp::Reverse(same_start(k))))
        .map(|(_, k)| k)
}
