//! Where each character of a decoded scalar is written in the file.

use granit_parser::ScalarStyle;

use crate::source::{MappedText, Span};

/// Lays the decoded text of a scalar beside its raw text and gives the decoded text with its positions.
///
/// Decoding only ever drops characters of the raw text (indentation, line breaks, quotes), turns a line break into a
/// blank or resolves an escape. So walking both side by side finds for each decoded character the next raw character
/// that is the same, or the blank or escape that stands for it; a slip at a blank is made good at the next word.
pub(super) fn map_scalar(decoded: &str, raw: &str, style: ScalarStyle, span: Span) -> MappedText {
    let at = match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        ScalarStyle::Literal | ScalarStyle::Folded => block_start(raw.as_bytes()),
        ScalarStyle::Plain => 0,
    };
    let mut walk = Walk { raw, at, span, text: MappedText::default() };
    for c in decoded.chars() {
        let mut buffer = [0; 4];
        let encoded = c.encode_utf8(&mut buffer);
        match style {
            ScalarStyle::DoubleQuoted => walk.double_quoted(c, encoded),
            ScalarStyle::SingleQuoted => {
                walk.unquoted(c, encoded);
                // A quote is written twice.
                if c == '\'' && walk.byte(0) == Some(b'\'') {
                    walk.at += 1;
                }
            }
            _ => walk.unquoted(c, encoded),
        }
    }
    walk.text
}

/// Both texts, side by side.
struct Walk<'r> {
    raw: &'r str,
    /// The next raw byte.
    at: usize,
    span: Span,
    text: MappedText,
}

impl Walk<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.raw.as_bytes().get(self.at + ahead).copied()
    }

    fn double_quoted(&mut self, c: char, encoded: &str) {
        while self.byte(0) == Some(b'\\') && matches!(self.byte(1), Some(b'\n' | b'\r')) {
            // A line that ends in a backslash goes on after the indentation of the next.
            self.at += 1;
            self.skip_blanks();
        }
        if self.byte(0) == Some(b'\\') {
            let digits = match self.byte(1) {
                Some(b'x') => 2,
                Some(b'u') => 4,
                Some(b'U') => 8,
                _ => 0,
            };
            self.stand_for(encoded, 2 + digits);
        } else {
            self.unquoted(c, encoded);
        }
    }

    fn unquoted(&mut self, c: char, encoded: &str) {
        let is_here = |walk: &Self| walk.raw.get(walk.at..).is_some_and(|rest| rest.starts_with(encoded));
        let blank = matches!(c, ' ' | '\n' | '\t');
        if blank && (c == '\n' || !is_here(self)) {
            self.fold(c, encoded);
            return;
        }
        if !is_here(self) {
            self.skip_blanks();
        }
        if is_here(self) {
            self.text.push_exact(encoded, self.span.source, self.span.start + self.at as u32);
            self.at += encoded.len();
        } else {
            self.stand_for(encoded, 0);
        }
    }

    /// A blank stands for a line break and the indentation after it; a line break for itself.
    fn fold(&mut self, c: char, encoded: &str) {
        let start = self.at;
        let mut len = 0;
        while let Some(b) = self.byte(len).filter(|b| is_blank(*b)) {
            len += 1;
            if b == b'\n' && c == '\n' {
                break;
            }
        }
        self.at = start;
        self.stand_for(encoded, len);
    }

    /// The decoded character stands for the next `len` raw bytes as a whole.
    fn stand_for(&mut self, encoded: &str, len: usize) {
        let limit = |n: usize| (self.span.start + n as u32).min(self.span.end);
        let origin = Span { source: self.span.source, start: limit(self.at), end: limit(self.at + len) };
        self.text.push_for(encoded, origin);
        self.at = (self.at + len).min(self.raw.len());
    }

    fn skip_blanks(&mut self) {
        while self.byte(0).is_some_and(is_blank) {
            self.at += 1;
        }
    }
}

/// The first line of a block scalar after its header `|-` or `>`, if the raw text begins with one.
fn block_start(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(b'|' | b'>') => bytes.iter().position(|&b| b == b'\n').map_or(bytes.len(), |i| i + 1),
        _ => 0,
    }
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use crate::document::yaml;
    use crate::source::{SourceId, Span};

    /// The decoded value of `condition`, and the raw text of a word in it.
    fn place_of(file: &str, word: &str) -> String {
        let documents = yaml::parse(file, SourceId(0)).unwrap();
        let text = documents[0].get("condition").unwrap().as_text().unwrap().clone();
        let at = text.as_str().find(word).unwrap_or_else(|| panic!("{:?}", text.as_str()));
        let Span { start, end, .. } = text.span(at..at + word.len());
        let raw = &file[start as usize..end as usize];
        let line = file[..start as usize].lines().count().max(1);
        format!("{raw}@{line}")
    }

    #[test]
    fn positions_in_every_style() {
        assert_eq!(place_of("condition: a and  bb\n", "bb"), "bb@1");
        assert_eq!(place_of("condition: >\n  a and\n   or\n\n  bb cc\n", "cc"), "cc@5");
        assert_eq!(place_of("condition: |\n    a and\n     bb\n", "bb"), "bb@3");
        assert_eq!(place_of("condition: >-\n    a\n    bb\n", "bb"), "bb@3");
        assert_eq!(place_of("condition: 'it''s\n   bb'\n", "bb"), "bb@2");
        assert_eq!(place_of("condition: \"x\\\"y\\x41 \\\n   \\ bb\"\n", "bb"), "bb@2");
        assert_eq!(place_of("condition: \"\\\\\\\\ bb\"\n", "bb"), "bb@1");
        assert_eq!(place_of("condition: a\n  and\n  bb\n", "bb"), "bb@3");
        assert_eq!(place_of("condition: >\n  ää \"ü\"\n  bb\n", "bb"), "bb@3");
        assert_eq!(place_of("x: &c a bb\ncondition: *c\n", "bb"), "bb@1");
    }
}
