//! Reading a mapping key by key, with a finding for each key that is wrong, missing or unknown.

use std::collections::HashSet;

use super::item::{At, Entry};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::source::{MappedText, Span};

/// A mapping being read.
pub struct Reader<'n, 'd> {
    /// The mapping.
    pub node: &'n Node,
    /// The rule, macro, list or policy it describes.
    pub subject: String,
    /// Where findings go.
    pub diagnostics: &'d mut Vec<Diagnostic>,
}

impl<'n> Reader<'n, '_> {
    /// Says that something is wrong at `span`.
    pub fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, span, message));
    }

    /// Adds a finding about the subject.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        let diagnostic =
            if self.subject.is_empty() { diagnostic } else { diagnostic.about(self.subject.clone()) };
        self.diagnostics.push(diagnostic);
    }

    /// The value of a key, if the key is there.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key)
    }

    /// Warns of each key that is not among `known`, and of each that is there twice.
    pub fn known_keys(&mut self, known: &[&str]) {
        let entries = self.node.as_mapping().unwrap_or_default();
        let mut seen = HashSet::new();
        for (key, _) in entries {
            let Some(name) = key.as_str() else {
                self.error(Code::Shape, key.span, "a key is a word");
                continue;
            };
            if !seen.insert(name) {
                self.error(
                    Code::Shape,
                    key.span,
                    format!("the key `{name}` is there twice; the first counts"),
                );
            } else if !known.contains(&name) {
                let hint = nearest(name, known.iter().copied()).map(|n| format!("did you mean `{n}`?"));
                let message = format!("nobody reads the key `{name}`");
                self.report(Diagnostic::warning(Code::UnknownKey, key.span, message).with_some_hint(hint));
            }
        }
    }

    /// The text of a key that must be there.
    pub fn required(&mut self, key: &str) -> Option<At<String>> {
        if self.get(key).is_none_or(Node::is_null) {
            let span = self.node.as_mapping().and_then(|e| e.first()).map_or(self.node.span, |(k, _)| k.span);
            self.error(Code::Shape, span, format!("the key `{key}` is missing"));
            return None;
        }
        self.text(key)
    }

    /// The text of a key, if it is there.
    pub fn text(&mut self, key: &str) -> Option<At<String>> {
        self.mapped(key).map(|text| At::new(text.value.as_str().to_owned(), text.span))
    }

    /// The text of a key with its positions, if it is there.
    pub fn mapped(&mut self, key: &str) -> Option<At<MappedText>> {
        let node = self.get(key)?;
        match node.as_text() {
            Some(text) if !text.as_str().trim().is_empty() => Some(At::new(text.clone(), node.span)),
            Some(_) => {
                self.error(Code::Shape, key_span(self.node, key), format!("`{key}` says nothing"));
                None
            }
            None => {
                self.error(Code::Shape, node.span, format!("`{key}` is a text, not {}", node.what()));
                None
            }
        }
    }

    /// A truth value, if the key is there.
    pub fn bool(&mut self, key: &str) -> Option<At<bool>> {
        let node = self.get(key)?;
        match node.as_str() {
            Some("true" | "True" | "TRUE" | "yes" | "on") => Some(At::new(true, node.span)),
            Some("false" | "False" | "FALSE" | "no" | "off") => Some(At::new(false, node.span)),
            _ => {
                self.error(Code::Shape, node.span, format!("`{key}` is true or false"));
                None
            }
        }
    }

    /// A list of texts, if the key is there.
    pub fn texts(&mut self, key: &str) -> Option<Vec<At<String>>> {
        let node = self.get(key)?;
        let Some(items) = node.as_sequence() else {
            let hint = format!("write `{key}: [a, b]`");
            let message = format!("`{key}` is a list, not {}", node.what());
            self.report(Diagnostic::error(Code::Shape, node.span, message).with_hint(hint));
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.as_str() {
                Some(text) => texts.push(At::new(text.to_owned(), item.span)),
                None => self.error(
                    Code::Shape,
                    item.span,
                    format!("an entry of `{key}` is a value, not {}", item.what()),
                ),
            }
        }
        Some(texts)
    }

    /// The sub-mapping of a key, if it is there and is one.
    pub fn mapping(&mut self, key: &str) -> Option<&'n Node> {
        let node = self.get(key)?;
        if node.as_mapping().is_none() {
            self.error(Code::Shape, node.span, format!("`{key}` is a mapping, not {}", node.what()));
            return None;
        }
        Some(node)
    }

    /// The items of a list of mappings. Absent, or nothing, means none.
    pub fn mappings(&mut self, key: &str) -> Vec<&'n Node> {
        let Some(node) = self.get(key) else { return Vec::new() };
        if node.is_null() {
            return Vec::new();
        }
        let Some(items) = node.as_sequence() else {
            self.error(Code::Shape, node.span, format!("`{key}` is a list, not {}", node.what()));
            return Vec::new();
        };
        let mut mappings = Vec::with_capacity(items.len());
        for item in items {
            if item.as_mapping().is_some() {
                mappings.push(item);
            } else {
                self.error(
                    Code::Shape,
                    item.span,
                    format!("an entry of `{key}` is a mapping, not {}", item.what()),
                );
            }
        }
        mappings
    }
}

/// Where a key of a mapping is written.
pub fn key_span(node: &Node, key: &str) -> Span {
    let entries = node.as_mapping().unwrap_or_default();
    entries.iter().find(|(k, _)| k.as_str() == Some(key)).map_or(node.span, |(k, _)| k.span)
}

/// A value, or a list of values of lists.
pub fn entry(node: &Node) -> Option<Entry> {
    if let Some(text) = node.as_str() {
        return Some(Entry::One(At::new(text.to_owned(), node.span)));
    }
    let items = node.as_sequence()?;
    Some(Entry::Many(items.iter().map(entry).collect::<Option<_>>()?, node.span))
}
