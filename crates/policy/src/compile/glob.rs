//! Shell patterns as fnmatch(3) matches them without flags: `*` also matches `/`, a leading dot is nothing special.

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
    ignore_case: bool,
}

#[derive(Debug, Clone)]
enum Token {
    Byte(u8),
    Any,
    Star,
    Class(Box<[u64; 4]>),
}

impl Glob {
    pub fn new(pattern: &[u8], ignore_case: bool) -> Self {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut at = 0;
        while let Some(&b) = pattern.get(at) {
            at += 1;
            match b {
                b'*' => {
                    if !matches!(tokens.last(), Some(Token::Star)) {
                        tokens.push(Token::Star);
                    }
                }
                b'?' => tokens.push(Token::Any),
                b'\\' if at < pattern.len() => {
                    tokens.push(Token::Byte(fold(pattern[at], ignore_case)));
                    at += 1;
                }
                b'[' => match class(&pattern[at..], ignore_case) {
                    Some((class, len)) => {
                        tokens.push(Token::Class(Box::new(class)));
                        at += len;
                    }
                    // A bracket that is never closed is a bracket.
                    None => tokens.push(Token::Byte(b'[')),
                },
                b => tokens.push(Token::Byte(fold(b, ignore_case))),
            }
        }
        Self { tokens, ignore_case }
    }

    /// Whether the whole text matches. Never looks back further than the last star: no pattern is catastrophic.
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    token += 1;
                    if token == self.tokens.len() {
                        return true;
                    }
                    star = Some((token, at));
                    continue;
                }
                Some(other) if text.get(at).is_some_and(|b| self.accepts(other, *b)) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                None if at == text.len() => return true,
                _ => {}
            }
            match star {
                Some((after, from)) if from < text.len() => {
                    token = after;
                    at = from + 1;
                    star = Some((after, at));
                }
                _ => return false,
            }
        }
    }

    fn accepts(&self, token: &Token, byte: u8) -> bool {
        match token {
            Token::Byte(b) => *b == fold(byte, self.ignore_case),
            Token::Any => true,
            Token::Class(class) => class[usize::from(byte) / 64] & (1 << (byte % 64)) != 0,
            Token::Star => false,
        }
    }
}

fn fold(byte: u8, ignore_case: bool) -> u8 {
    if ignore_case { byte.to_ascii_lowercase() } else { byte }
}

/// A bracket expression after its `[`, and its length with the `]`.
fn class(pattern: &[u8], ignore_case: bool) -> Option<([u64; 4], usize)> {
    let mut set = [0u64; 4];
    let mut add = |b: u8| {
        let mut one = |b: u8| set[usize::from(b) / 64] |= 1 << (b % 64);
        one(b);
        if ignore_case {
            one(b.to_ascii_lowercase());
            one(b.to_ascii_uppercase());
        }
    };
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let start = at;
    loop {
        let b = *pattern.get(at)?;
        if b == b']' && at > start {
            break;
        }
        if b == b'['
            && pattern.get(at + 1) == Some(&b':')
            && let Some(end) = pattern[at + 2..].windows(2).position(|w| w == b":]")
        {
            let name = &pattern[at + 2..at + 2 + end];
            (0..=255u8).filter(|b| in_class(name, *b)).for_each(&mut add);
            at += end + 4;
            continue;
        }
        let (low, len) = member(pattern, at)?;
        at += len;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|b| *b != b']') {
            let (high, len) = member(pattern, at + 1)?;
            at += 1 + len;
            (low..=high).for_each(&mut add);
        } else {
            add(low);
        }
    }
    if negated {
        set = set.map(|w| !w);
    }
    Some((set, at + 1))
}

/// A byte of a bracket expression, escaped or not, and its length.
fn member(pattern: &[u8], at: usize) -> Option<(u8, usize)> {
    match pattern.get(at)? {
        b'\\' => pattern.get(at + 1).map(|b| (*b, 2)),
        b => Some((*b, 1)),
    }
}

fn in_class(name: &[u8], b: u8) -> bool {
    match name {
        b"alpha" => b.is_ascii_alphabetic(),
        b"digit" => b.is_ascii_digit(),
        b"alnum" => b.is_ascii_alphanumeric(),
        b"upper" => b.is_ascii_uppercase(),
        b"lower" => b.is_ascii_lowercase(),
        b"space" => b.is_ascii_whitespace() || b == 0x0b,
        b"blank" => b == b' ' || b == b'\t',
        b"punct" => b.is_ascii_punctuation(),
        b"xdigit" => b.is_ascii_hexdigit(),
        b"cntrl" => b.is_ascii_control(),
        b"graph" => b.is_ascii_graphic(),
        b"print" => b.is_ascii_graphic() || b == b' ',
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_fnmatch() {
        let yes = [
            ("/home/*/.ssh/*", "/home/a/b/.ssh/id"),
            ("*", ""),
            ("*.so*", "/lib/x.so.1"),
            ("a?c", "a/c"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]x]", "]"),
            ("[[:digit:]]*", "7up"),
            (r"a\*", "a*"),
            ("a[", "a["),
            ("*../*../*", "/x/../y/../z"),
        ];
        for (pattern, text) in yes {
            assert!(Glob::new(pattern.as_bytes(), false).matches(text.as_bytes()), "{pattern} {text}");
        }
        let no = [("a*", "ba"), ("a?c", "ac"), ("[a-c]x", "dx"), (r"a\*", "ab"), ("", "a"), ("A", "a")];
        for (pattern, text) in no {
            assert!(!Glob::new(pattern.as_bytes(), false).matches(text.as_bytes()), "{pattern} {text}");
        }
        assert!(Glob::new(b"A[B-C]*", true).matches(b"abX"));
    }
}
