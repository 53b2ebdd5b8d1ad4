//! Substitution of lists in the text of a condition, before it is parsed.
//!
//! A name counts where blanks or one of `( ) , =` surround it, also inside quotes. Items are joined by commas; an item
//! with blanks is quoted; an empty list takes one comma with it.

use std::cell::Cell;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::item::At;
use crate::source::{MappedText, Span};

/// A list as it stands after all changes.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub items: Vec<At<String>>,
    /// Where it is defined.
    pub span: Span,
    /// Position of its definition among all definitions; a redefinition keeps it.
    pub index: usize,
    /// Position of its last change: it sees the lists defined before.
    pub visibility: usize,
    pub used: Rc<Cell<bool>>,
}

/// All lists, with the lists in their items resolved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    texts: IndexMap<String, (MappedText, Rc<Cell<bool>>)>,
}

/// How long a condition may be once lists are substituted, in bytes.
const MAX_TEXT: usize = 4 << 20;
/// How many items a list may have once the lists in it are resolved.
const MAX_ITEMS: usize = 200_000;

impl Lists {
    /// Resolves the lists in the items of lists.
    pub fn resolve(lists: &IndexMap<String, List>) -> Self {
        let mut resolved = Self::default();
        for (name, list) in lists {
            let mut items = Vec::new();
            collect_items(lists, list, 0, &mut items);
            let mut text = MappedText::default();
            for item in items {
                if !text.is_empty() {
                    text.push_for(", ", item.span);
                }
                push_item(&mut text, &item.value, item.span);
            }
            resolved.texts.insert(name.clone(), (text, Rc::clone(&list.used)));
        }
        resolved
    }

    /// Whether there is a list of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// The text with the names of lists replaced by their items.
    ///
    /// # Errors
    /// The text would grow beyond all use.
    pub fn substitute(&self, text: &MappedText) -> Result<MappedText, Diagnostic> {
        let all = text.as_str();
        let bytes = all.as_bytes();
        let mut out = MappedText::default();
        let mut done = 0;
        let mut at = 0;
        while at < bytes.len() {
            if is_delimiter(bytes[at]) {
                at += 1;
                continue;
            }
            let start = at;
            while at < bytes.len() && !is_delimiter(bytes[at]) {
                at += 1;
            }
            let Some((items, used)) = self.texts.get(&all[start..at]) else { continue };
            used.set(true);
            let origin = text.span(start..at);
            let (mut from, mut to) = (start, at);
            while from > done && is_blank(bytes[from - 1]) {
                from -= 1;
            }
            while to < bytes.len() && is_blank(bytes[to]) {
                to += 1;
            }
            if items.is_empty() {
                if from > done && bytes[from - 1] == b',' {
                    from -= 1;
                } else if bytes.get(to) == Some(&b',') {
                    to += 1;
                }
            }
            out.push_slice(text, done..from);
            if from > 0 {
                out.push_for(" ", origin);
            }
            out.push(items);
            if out.as_str().len() > MAX_TEXT {
                let message = format!("with its lists the condition is longer than {} MiB", MAX_TEXT >> 20);
                return Err(Diagnostic::error(Code::Limit, origin, message));
            }
            out.push_for(" ", origin);
            done = to;
            at = to;
        }
        out.push_slice(text, done..bytes.len());
        Ok(out)
    }
}

fn collect_items(lists: &IndexMap<String, List>, list: &List, depth: usize, out: &mut Vec<At<String>>) {
    for item in &list.items {
        if out.len() >= MAX_ITEMS {
            return;
        }
        match lists.get(&item.value) {
            // A list sees those defined before it, so this ends; the depth guards against redefinitions in a ring.
            Some(inner) if inner.index < list.visibility && depth < 32 && !std::ptr::eq(inner, list) => {
                inner.used.set(true);
                collect_items(lists, inner, depth + 1, out);
            }
            _ => out.push(item.clone()),
        }
    }
}

/// Appends an item of a list, quoted if it has blanks.
pub(super) fn push_item(text: &mut MappedText, item: &str, span: Span) {
    let quoted = item.starts_with(['"', '\'']);
    if item.is_empty() || item.contains(' ') && !quoted {
        text.push_for(&format!("\"{item}\""), span);
    } else {
        text.push_for(item, span);
    }
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// The words of a text that can be names of lists.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| u8::try_from(c).is_ok_and(is_delimiter)).filter(|word| !word.is_empty())
}

fn is_delimiter(b: u8) -> bool {
    is_blank(b) || matches!(b, b'(' | b')' | b',' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceId;

    fn list(index: usize, items: &[&str]) -> List {
        List {
            items: items.iter().map(|i| At::new((*i).to_owned(), Span::default())).collect(),
            span: Span::default(),
            index,
            visibility: index,
            used: Rc::default(),
        }
    }

    fn substitute(text: &str) -> String {
        let lists = IndexMap::from([
            ("shells".to_owned(), list(0, &["sh", "bash"])),
            ("none".to_owned(), list(1, &[])),
            ("all".to_owned(), list(2, &["shells", "two words", "\"(x)\"", "later"])),
            ("later".to_owned(), list(3, &["y"])),
        ]);
        let mut mapped = MappedText::default();
        mapped.push_exact(text, SourceId(0), 0);
        Lists::resolve(&lists).substitute(&mapped).unwrap().as_str().to_owned()
    }

    #[test]
    fn as_the_language_says() {
        assert_eq!(substitute("proc.name in (shells)"), "proc.name in ( sh, bash )");
        assert_eq!(
            substitute("proc.name in (all)"),
            "proc.name in ( sh, bash, \"two words\", \"(x)\", later )"
        );
        assert_eq!(substitute("a in (none, x)"), "a in (   x)");
        assert_eq!(substitute("a in (x, none)"), "a in (x  )");
        assert_eq!(substitute("a in (none)"), "a in (  )");
        assert_eq!(substitute("a = \"x shells y\""), "a = \"x sh, bash y\"");
        assert_eq!(substitute("a = \"shells\""), "a = \"shells\"");
        assert_eq!(substitute("myshells in (x.shells)"), "myshells in (x.shells)");
        assert_eq!(substitute("a=shells"), "a= sh, bash ");
    }
}
