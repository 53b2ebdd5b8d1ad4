//! Characters to tokens, one token at a time: what a word is depends on where it stands.

use super::SyntaxError;
use crate::source::{MappedText, Span};

/// A place in a text that is being read.
pub(super) struct Lexer<'t> {
    text: &'t MappedText,
    bytes: &'t [u8],
    /// Offset of the next byte.
    pub pos: usize,
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0x08)
}

/// Whether a byte can be part of a bare string: `[^()"'[:space:]=,]`.
pub(super) fn is_bare(b: u8) -> bool {
    !matches!(b, b'(' | b')' | b'"' | b'\'' | b'=' | b',' | b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t MappedText) -> Self {
        Self { text, bytes: text.as_str().as_bytes(), pos: 0 }
    }

    pub fn at_end(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    /// Skips blanks and says whether there were any.
    pub fn blanks(&mut self) -> bool {
        let start = self.pos;
        while self.peek().is_some_and(is_blank) {
            self.pos += 1;
        }
        self.pos > start
    }

    /// Takes that text if it is next.
    pub fn take(&mut self, text: &str) -> bool {
        let found = self.bytes[self.pos..].starts_with(text.as_bytes());
        if found {
            self.pos += text.len();
        }
        found
    }

    /// Takes that word if it is next and ends there.
    pub fn take_word(&mut self, word: &str) -> bool {
        let found = self.bytes[self.pos..].starts_with(word.as_bytes())
            && self
                .bytes
                .get(self.pos + word.len())
                .is_none_or(|&b| is_blank(b) || matches!(b, b'(' | b')' | b'"' | b'\''));
        if found {
            self.pos += word.len();
        }
        found
    }

    /// Takes `[a-zA-Z][a-zA-Z0-9_]*`.
    pub fn identifier(&mut self) -> Option<&'t str> {
        let start = self.pos;
        if !self.peek()?.is_ascii_alphabetic() {
            return None;
        }
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.pos += 1;
        }
        self.slice(start)
    }

    /// Takes `identifier(.identifier)+`; without a dot, nothing.
    pub fn field_name(&mut self) -> Option<&'t str> {
        let start = self.pos;
        self.identifier()?;
        let mut end = self.pos;
        while self.take(".") && self.identifier().is_some() {
            end = self.pos;
        }
        let dotted = self.bytes[start..end].contains(&b'.');
        self.pos = if dotted { end } else { start };
        dotted.then(|| self.slice(start)).flatten()
    }

    /// Takes what may stand bare between brackets: `[^][\"'[:space:]]+`.
    pub fn bare_argument(&mut self) -> Option<&'t str> {
        let start = self.pos;
        while self
            .peek()
            .is_some_and(|b| !is_blank(b) && !matches!(b, b'[' | b']' | b'"' | b'\'' | 0x0b | 0x0c))
        {
            self.pos += 1;
        }
        self.slice(start).filter(|s| !s.is_empty())
    }

    /// Takes a bare string.
    pub fn bare(&mut self) -> Option<&'t str> {
        let start = self.pos;
        while self.peek().is_some_and(is_bare) {
            self.pos += 1;
        }
        self.slice(start).filter(|s| !s.is_empty())
    }

    /// Takes a quoted string and resolves its escapes.
    pub fn quoted(&mut self) -> Result<Option<Vec<u8>>, SyntaxError> {
        let start = self.pos;
        let Some(quote @ (b'"' | b'\'')) = self.peek() else { return Ok(None) };
        self.pos += 1;
        let mut value = Vec::new();
        while let Some(b) = self.peek() {
            self.pos += 1;
            match b {
                b if b == quote => return Ok(Some(value)),
                b'\\' => self.escape(&mut value)?,
                b => value.push(b),
            }
        }
        let quote = quote as char;
        Err(self.error_at(
            start..start + 1,
            format!("this {quote} is never closed"),
            Some(format!("add a closing {quote}")),
        ))
    }

    /// What follows a backslash. An escape that is none keeps its backslash, so that `"\."` can be a pattern.
    fn escape(&mut self, value: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let start = self.pos - 1;
        let Some(b) = self.peek() else {
            return Err(self.error_at(start..start + 1, "the text ends after a backslash".into(), None));
        };
        self.pos += 1;
        match b {
            b'b' => value.push(0x08),
            b'f' => value.push(0x0c),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'\\' | b'/' | b'"' | b'\'' => value.push(b),
            b'x' => {
                let digits = self.bytes.get(self.pos..self.pos + 2).and_then(|d| std::str::from_utf8(d).ok());
                let Some(byte) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) else {
                    let hint = Some("write the byte as two hex digits, as in \\x7f".to_owned());
                    return Err(self.error_at(start..self.pos, "\\x needs two hex digits".into(), hint));
                };
                self.pos += 2;
                value.push(byte);
            }
            b => value.extend([b'\\', b]),
        }
        Ok(())
    }

    /// The text of a range.
    pub fn text_between(&self, start: usize, end: usize) -> &'t str {
        self.text.as_str().get(start..end).unwrap_or_default()
    }

    fn slice(&self, start: usize) -> Option<&'t str> {
        self.text.as_str().get(start..self.pos)
    }

    /// The word that is next, for messages.
    pub fn next_word(&self) -> &'t str {
        let rest = self.text.as_str().get(self.pos..).unwrap_or_default();
        let end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',')).unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        &rest[..end.max(first)]
    }

    /// Where the bytes from `start` to here are written.
    pub fn span_from(&self, start: usize) -> Span {
        self.text.span(start..self.pos)
    }

    pub fn error_at(
        &self,
        range: std::ops::Range<usize>,
        message: String,
        hint: Option<String>,
    ) -> SyntaxError {
        SyntaxError { message, span: self.text.span(range), hint }
    }

    /// An error about what is next.
    pub fn error_here(&self, message: String, hint: Option<String>) -> SyntaxError {
        let word = self.next_word().len();
        self.error_at(self.pos..self.pos + word, message, hint)
    }

    /// `‹word›`, or `the end of the condition`.
    pub fn found(&self) -> String {
        if self.at_end() { "the end of the condition".into() } else { format!("`{}`", self.next_word()) }
    }
}
