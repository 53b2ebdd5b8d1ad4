//! Where text comes from: files, byte spans in them, and text that was put together from pieces of
//! several files but still knows where each byte was written.

use std::ops::Range;
use std::sync::Arc;

/// One policy file: what it is called and what it says.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name shown in diagnostics, usually the path.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A source of that name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// Which of the loaded sources, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SourceId(pub u32);

/// A range of bytes in one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span from the start of `self` to the end of `other`, if both are in the same source; else `self`.
    pub fn to(self, other: Span) -> Span {
        if self.source == other.source && other.end >= self.start {
            Span { end: other.end, ..self }
        } else {
            self
        }
    }
}

/// All loaded sources, to turn spans into lines and columns.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    sources: Vec<Arc<Source>>,
}

/// A place for people: both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl SourceMap {
    /// Takes a source in and gives its number.
    pub fn add(&mut self, source: Source) -> SourceId {
        self.sources.push(Arc::new(source));
        SourceId((self.sources.len() - 1) as u32)
    }

    /// The source of that number.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize).map(AsRef::as_ref)
    }

    /// All sources with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.sources.iter().enumerate().map(|(i, s)| (SourceId(i as u32), s.as_ref()))
    }

    /// Line and column of a byte. Past the end means the end.
    pub fn position(&self, id: SourceId, offset: u32) -> Position {
        let Some(source) = self.get(id) else { return Position { line: 1, column: 1 } };
        let mut offset = (offset as usize).min(source.text.len());
        while !source.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &source.text[..offset];
        let line = before.bytes().filter(|&b| b == b'\n').count() as u32 + 1;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        Position { line, column: before[start..].chars().count() as u32 + 1 }
    }
}

/// Text put together from pieces, each of which remembers where it was written.
///
/// A condition is decoded from YAML (folding, quotes), lists are substituted in it, other files append to it: the
/// parser sees one string, and a diagnostic still points at the right character of the right file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MappedText {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Offset of the piece in the text.
    at: u32,
    origin: Span,
    /// Byte n of the piece is byte n of the origin; otherwise the piece as a whole stands for the origin.
    exact: bool,
}

impl MappedText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Appends text that is written byte for byte at `source:start`.
    pub fn push_exact(&mut self, text: &str, source: SourceId, start: u32) {
        if text.is_empty() {
            return;
        }
        let at = self.text.len() as u32;
        let origin = Span { source, start, end: start + text.len() as u32 };
        if let Some(last) = self.pieces.last_mut()
            && last.exact
            && last.origin.source == source
            && last.origin.end == start
            && last.at + (last.origin.end - last.origin.start) == at
        {
            last.origin.end = origin.end;
        } else {
            self.pieces.push(Piece { at, origin, exact: true });
        }
        self.text.push_str(text);
    }

    /// Appends text that stands for `origin` as a whole.
    pub fn push_for(&mut self, text: &str, origin: Span) {
        if text.is_empty() {
            return;
        }
        self.pieces.push(Piece { at: self.text.len() as u32, origin, exact: false });
        self.text.push_str(text);
    }

    /// Appends text that is written at `origin`: byte for byte if the lengths agree, else as a whole.
    pub fn push_exact_for(&mut self, text: &str, origin: Span) {
        if (origin.end - origin.start) as usize == text.len() {
            self.push_exact(text, origin.source, origin.start);
        } else {
            self.push_for(text, origin);
        }
    }

    /// Appends `range` of another text, with its origins.
    pub fn push_slice(&mut self, other: &MappedText, range: Range<usize>) {
        let first = other.pieces.partition_point(|p| p.at as usize <= range.start).saturating_sub(1);
        for (index, piece) in other.pieces.iter().enumerate().skip(first) {
            if piece.at as usize >= range.end {
                break;
            }
            let next = other.pieces.get(index + 1).map_or(other.text.len(), |p| p.at as usize);
            let (start, end) = ((piece.at as usize).max(range.start), next.min(range.end));
            if start >= end {
                continue;
            }
            let Some(text) = other.text.get(start..end) else { continue };
            if piece.exact {
                let shift = start as u32 - piece.at;
                self.push_exact(text, piece.origin.source, piece.origin.start + shift);
            } else {
                self.push_for(text, piece.origin);
            }
        }
    }

    /// Appends another text whole.
    pub fn push(&mut self, other: &MappedText) {
        self.push_slice(other, 0..other.text.len());
    }

    /// Where the bytes `range` of this text were written.
    pub fn span(&self, range: Range<usize>) -> Span {
        let start = self.place(range.start);
        let last = self.place(range.end.saturating_sub(1).max(range.start));
        if range.is_empty() {
            return Span { end: start.start, ..start };
        }
        start.to(last)
    }

    /// The origin of one byte: of width 1 in an exact piece, the whole origin in another.
    fn place(&self, offset: usize) -> Span {
        let index = self.pieces.partition_point(|p| p.at as usize <= offset);
        let Some(piece) = index.checked_sub(1).and_then(|i| self.pieces.get(i)) else {
            return self.pieces.first().map_or_else(Span::default, |p| p.origin);
        };
        if !piece.exact {
            return piece.origin;
        }
        let start = (piece.origin.start + (offset as u32 - piece.at)).min(piece.origin.end);
        Span { source: piece.origin.source, start, end: (start + 1).min(piece.origin.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_survive_slicing_and_appending() {
        let mut text = MappedText::default();
        text.push_exact("proc.name in ", SourceId(0), 100);
        text.push_for("(sh, bash)", Span { source: SourceId(1), start: 7, end: 13 });
        text.push_exact(" and x", SourceId(0), 120);
        let mut cut = MappedText::default();
        cut.push_slice(&text, 5..text.as_str().len());
        assert_eq!(cut.as_str(), "name in (sh, bash) and x");
        assert_eq!(cut.span(0..4), Span { source: SourceId(0), start: 105, end: 109 });
        assert_eq!(cut.span(9..11), Span { source: SourceId(1), start: 7, end: 13 });
        assert_eq!(cut.span(23..24), Span { source: SourceId(0), start: 125, end: 126 });
    }

    #[test]
    fn positions_count_characters() {
        let mut map = SourceMap::default();
        let id = map.add(Source::new("a", "ä b\nc"));
        assert_eq!(map.position(id, 3), Position { line: 1, column: 3 });
        assert_eq!(map.position(id, 5), Position { line: 2, column: 1 });
        assert_eq!(map.position(id, 500), Position { line: 2, column: 2 });
    }
}
