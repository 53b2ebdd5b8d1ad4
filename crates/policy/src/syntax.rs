//! The text of conditions and output templates: syntax tree, parser, printer.

pub mod ast;
mod lexer;
mod parser;
mod print;
pub mod template;

pub use parser::{MAX_DEPTH, parse_condition};

use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

/// Why a text does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SyntaxError {
    /// The error as a finding.
    pub fn into_diagnostic(self, code: Code) -> Diagnostic {
        Diagnostic::error(code, self.span, self.message).with_some_hint(self.hint)
    }
}
