//! Rust source without its comments and literals, so that a word in a sentence is no finding.

/// The text with every comment, string and character literal blanked out; line breaks stay.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => line_comment(bytes, at),
            [b'/', b'*', ..] => block_comment(bytes, at),
            [b'"', ..] => string(bytes, at + 1),
            [b'r', b'"' | b'#', ..] if !ends_in_identifier(&code) => raw_string(bytes, at).unwrap_or(at),
            [b'b' | b'c', b'r', b'"' | b'#', ..] if !ends_in_identifier(&code) => {
                raw_string(bytes, at + 1).unwrap_or(at)
            }
            [b'\'', ..] => character(bytes, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            // Whole characters, not bytes: identifiers and operators are copied as they are.
            let next = text[at..].chars().next().map_or(1, char::len_utf8);
            code.push_str(&text[at..at + next]);
            at += next;
        } else {
            let lines = bytes[at..end].iter().filter(|byte| **byte == b'\n').count();
            // A blank keeps apart what stood on both sides of a comment.
            code.push(' ');
            code.extend(std::iter::repeat_n('\n', lines));
            at = end;
        }
    }
    code
}

/// Where the word stands in the code, as byte offsets: not as a part of a longer identifier.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        // Only an end of the word that could go on as an identifier needs a boundary.
        let open_start = word.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let open_end = word.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !(open_start && joins(before) || open_end && joins(after))
    })
}

/// The 1-based line of a byte offset.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].bytes().filter(|byte| *byte == b'\n').count() + 1
}

fn ends_in_identifier(code: &str) -> bool {
    code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn line_comment(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Block comments nest in Rust.
fn block_comment(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// The end of a string whose content begins at `at`.
fn string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the raw string whose `r` is at `at`; `None` if it is none (`r#type` is an identifier).
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let start = at + 1 + hashes;
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.extend(std::iter::repeat_n(b'#', hashes));
    let rest = &bytes[start + 1..];
    let length = rest.windows(end.len()).position(|window| window == end);
    Some(length.map_or(bytes.len(), |length| start + 1 + length + end.len()))
}

/// The end of the character literal at `at`; `None` if the quote begins a lifetime.
fn character(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'\\' => {
            let escaped = at + 3;
            let length = bytes.get(escaped..)?.iter().position(|byte| *byte == b'\'')?;
            Some(escaped + length + 1)
        }
        // A character takes up to four bytes; a lifetime has no second quote that near behind one character.
        first => {
            let length = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0.. => 4,
            };
            (bytes.get(at + 1 + length) == Some(&b'\'')).then_some(at + length + 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, word: &str) -> bool {
        words(&code_only(text), word).next().is_some()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        for text in [
            "// unsafe",
            "/* a /* unsafe */ unsafe */",
            "let x = \"unsafe \\\" unsafe\";",
            "let x = r\"unsafe\";",
            "let x = r#\"\" unsafe \"#;",
            "let x = br#\"unsafe\"#;",
            "let x = b\"unsafe\";",
            "/// unsafe\nfn f() {}",
        ] {
            assert!(!has(text, "unsafe"), "{text}");
        }
    }

    #[test]
    fn code_after_literals_is_found() {
        for text in [
            "let q = '\"'; unsafe {}",
            "let q = '\\''; unsafe {}",
            "let q = '\\\\'; unsafe {}",
            "let q = '\\u{1f600}'; unsafe {}",
            "let q = 'é'; unsafe {}",
            "fn f<'a>(x: &'a str) { unsafe {} }",
            "let r#type = 1; unsafe {}",
            "let x = \"\\\\\"; unsafe {}",
            "/* */unsafe {}",
        ] {
            assert!(has(text, "unsafe"), "{text}");
        }
    }

    #[test]
    fn a_part_of_an_identifier_is_no_word() {
        assert!(!has("#![deny(unsafe_code)]", "unsafe"));
        assert!(!has("not_unsafe()", "unsafe"));
        assert!(!has("my_todo!()", "todo!"));
        assert!(has("todo!()", "todo!"));
        assert!(has("std::todo!()", "todo!"));
    }

    #[test]
    fn lines_stay_where_they_were() {
        let text = "/*\n\n*/\nlet a = \"\n\";\nunsafe {}";
        let code = code_only(text);
        let at = words(&code, "unsafe").next().unwrap();
        assert_eq!(line_of(&code, at), 6);
    }

    #[test]
    fn unfinished_input_is_no_panic() {
        for text in ["\"", "\"\\", "'", "'\\", "r#\"", "/*", "b", "br#", "r", "'é"] {
            code_only(text);
        }
    }
}
