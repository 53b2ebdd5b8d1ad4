//! Policy files: YAML with source positions, and the two kinds of documents in it.
//!
//! A document that is a list holds Falco rule items; a mapping with `apiVersion: vedette.dev/v1alpha1` is a
//! `SecurityPolicy` or a `ClusterSecurityPolicy`. Both may lie in the same directory, several documents in a file.

pub mod falco;
pub mod item;
pub mod native;
pub mod reader;
mod scalar;
pub mod yaml;

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{SourceId, SourceMap};

/// One document, read.
#[derive(Debug, Clone)]
pub enum Document {
    /// A list of Falco items.
    Falco(Vec<item::Item>),
    /// A native policy.
    Native(Box<native::Policy>),
}

/// Reads all documents of a source. What is wrong goes to `diagnostics`; what can be read is read.
pub fn read_source(sources: &SourceMap, id: SourceId, diagnostics: &mut Vec<Diagnostic>) -> Vec<Document> {
    let Some(source) = sources.get(id) else { return Vec::new() };
    let documents = match yaml::parse(&source.text, id) {
        Ok(documents) => documents,
        Err(error) => {
            diagnostics.push(error);
            return Vec::new();
        }
    };
    let mut read = Vec::new();
    for node in documents {
        if node.is_null() {
            continue;
        }
        if let Some(items) = node.as_sequence() {
            read.push(Document::Falco(falco::read_items(items, diagnostics)));
        } else if node.as_mapping().is_some() && node.get("apiVersion").is_some() {
            read.extend(native::read_policy(&node, diagnostics).map(|p| Document::Native(Box::new(p))));
        } else {
            let hint =
                "a file holds a list of Falco rules, or documents with `apiVersion: vedette.dev/v1alpha1`";
            diagnostics.push(
                Diagnostic::error(Code::Shape, node.span, "this document is no policy").with_hint(hint),
            );
        }
    }
    read
}
