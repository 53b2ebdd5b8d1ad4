//! YAML as a tree in which every node knows its bytes in the file.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span as YamlSpan};
use serde_json::Value as Json;

use super::scalar::map_scalar;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{MappedText, SourceId, Span};

/// How many nodes a file may have once aliases are expanded.
const MAX_NODES: usize = 1_000_000;
/// How deeply nodes may nest.
const MAX_DEPTH: usize = 64;

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of nodes.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// Text, a number, a truth value: YAML leaves the difference to the reader.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in the order of the file.
    Mapping(Vec<(Node, Node)>),
}

/// A scalar.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// The decoded text and where each part is written.
    pub text: MappedText,
    /// Written without quotes, so that `null` and `~` mean nothing.
    pub plain: bool,
}

impl Node {
    /// The text, if it is a scalar.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar.text.as_str()),
            _ => None,
        }
    }

    /// The text with its positions, if it is a scalar.
    pub fn as_text(&self) -> Option<&MappedText> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn as_mapping(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            NodeKind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// Whether it says nothing: an empty plain scalar, `null` or `~`.
    pub fn is_null(&self) -> bool {
        match &self.kind {
            NodeKind::Scalar(scalar) => {
                scalar.plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// The word for it in messages.
    pub fn what(&self) -> &'static str {
        match self.kind {
            _ if self.is_null() => "nothing",
            NodeKind::Scalar(_) => "a value",
            NodeKind::Sequence(_) => "a list",
            NodeKind::Mapping(_) => "a mapping",
        }
    }

    /// The node as JSON: plain scalars are numbers, truth values or null where they look like it.
    pub fn to_json(&self) -> Json {
        match &self.kind {
            NodeKind::Sequence(items) => items.iter().map(Node::to_json).collect(),
            NodeKind::Mapping(entries) => entries
                .iter()
                .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), value.to_json()))
                .collect(),
            NodeKind::Scalar(_) if self.is_null() => Json::Null,
            NodeKind::Scalar(scalar) => {
                let text = scalar.text.as_str();
                let typed = match text {
                    "true" => Some(Json::Bool(true)),
                    "false" => Some(Json::Bool(false)),
                    _ => text
                        .parse::<i64>()
                        .map(Json::from)
                        .or_else(|_| text.parse::<u64>().map(Json::from))
                        .ok()
                        .or_else(|| text.parse::<f64>().ok().filter(|f| f.is_finite()).map(Json::from)),
                };
                typed.filter(|_| scalar.plain).unwrap_or_else(|| Json::String(text.to_owned()))
            }
        }
    }

    fn count(&self) -> usize {
        1 + match &self.kind {
            NodeKind::Scalar(_) => 0,
            NodeKind::Sequence(items) => items.iter().map(Node::count).sum(),
            NodeKind::Mapping(entries) => entries.iter().map(|(k, v)| k.count() + v.count()).sum(),
        }
    }
}

/// Parses a file into its documents.
///
/// # Errors
/// The first place that is not YAML.
pub fn parse(text: &str, source: SourceId) -> Result<Vec<Node>, Diagnostic> {
    let mut builder =
        Builder { text, source, nodes: 0, open: Vec::new(), anchors: HashMap::new(), documents: Vec::new() };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len()) as u32;
                let span = Span { source, start: at, end: at };
                return Err(Diagnostic::error(
                    Code::Yaml,
                    span,
                    format!("this is not YAML: {}", error.info()),
                ));
            }
        }
    }
    Ok(builder.documents)
}

struct Builder<'t> {
    text: &'t str,
    source: SourceId,
    nodes: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    documents: Vec<Node>,
}

/// A list or mapping that is not closed yet.
struct Open {
    start: Span,
    anchor: usize,
    items: Vec<Node>,
    is_mapping: bool,
}

impl Builder<'_> {
    fn span(&self, span: YamlSpan) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        let limit = |n: usize| n.min(self.text.len()) as u32;
        Span { source: self.source, start: limit(range.start), end: limit(range.end.max(range.start)) }
    }

    fn event(&mut self, event: Event<'_>, span: YamlSpan) -> Result<(), Diagnostic> {
        let span = self.span(span);
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let raw = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
                let text = map_scalar(&value, raw, style, span);
                let plain = style == ScalarStyle::Plain;
                self.finish(Node { kind: NodeKind::Scalar(Scalar { text, plain }), span }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(span, anchor, false),
            Event::MappingStart(_, anchor, _) => self.begin(span, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let end = open.items.last().map_or(span, |n| n.span);
                let kind = if open.is_mapping {
                    NodeKind::Mapping(pairs(open.items))
                } else {
                    NodeKind::Sequence(open.items)
                };
                self.finish(Node { kind, span: open.start.to(end) }, open.anchor)
            }
            Event::Alias(anchor) => {
                let Some(mut node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Diagnostic::error(
                        Code::Yaml,
                        span,
                        "this alias refers to a node that holds it",
                    ));
                };
                self.nodes += node.count();
                node.span = span;
                self.finish(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, start: Span, anchor: usize, is_mapping: bool) -> Result<(), Diagnostic> {
        self.open.push(Open { start, anchor, items: Vec::new(), is_mapping });
        if self.open.len() > MAX_DEPTH {
            return Err(Diagnostic::error(
                Code::Limit,
                start,
                format!("this nests deeper than {MAX_DEPTH} levels"),
            ));
        }
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("the file has more than {MAX_NODES} nodes");
            return Err(Diagnostic::error(Code::Limit, node.span, message));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }
}

fn pairs(items: Vec<Node>) -> Vec<(Node, Node)> {
    let mut entries = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        entries.push((key, value));
    }
    entries
}
