//! Tests on text, each with the structure that fits its operator: hash sets, sorted prefixes, Aho-Corasick.

use std::cmp::Ordering;

use aho_corasick::AhoCorasick;
use memchr::memmem;
use rustc_hash::FxHashSet;

use super::glob::Glob;
use crate::check::TextOp;

type Bytes = Box<[u8]>;

/// A compiled test on text.
#[derive(Debug)]
pub(crate) enum TextMatcher {
    /// Nothing passes.
    Never,
    Equal(Bytes),
    /// Few values: compared one by one.
    Few(Box<[Bytes]>),
    /// Many values: a hash set behind a mask of the lengths that occur.
    Set {
        lengths: u64,
        values: FxHashSet<Bytes>,
    },
    /// Prefixes of which none is a prefix of another, sorted.
    Prefixes(Box<[Bytes]>),
    /// Suffixes of which none is a suffix of another, sorted from their ends.
    Suffixes(Box<[Bytes]>),
    Contains(Box<memmem::Finder<'static>>),
    ContainsAny(AhoCorasick),
    Globs(Box<[Glob]>),
    /// Paths, without a slash at their ends.
    Below(Box<[Bytes]>),
}

const FEW: usize = 4;

impl TextMatcher {
    pub fn new(op: TextOp, values: &[Vec<u8>]) -> Self {
        let boxed = || values.iter().map(|v| v.clone().into_boxed_slice());
        match op {
            _ if values.is_empty() => Self::Never,
            TextOp::Equal => match values {
                [one] => Self::Equal(one.clone().into()),
                few if few.len() <= FEW => Self::Few(boxed().collect()),
                many => Self::Set {
                    lengths: many.iter().fold(0, |mask, v| mask | length_bit(v.len())),
                    values: boxed().collect(),
                },
            },
            TextOp::StartsWith => {
                Self::Prefixes(minimal(boxed().collect(), |a, b| a.cmp(b), |v, p| v.starts_with(p)))
            }
            TextOp::EndsWith => Self::Suffixes(minimal(boxed().collect(), from_end, |v, s| v.ends_with(s))),
            TextOp::Contains => match values {
                [one] => Self::Contains(Box::new(memmem::Finder::new(one).into_owned())),
                many => contains_any(many, false),
            },
            TextOp::IContains => contains_any(values, true),
            TextOp::Glob => Self::Globs(values.iter().map(|v| Glob::new(v, false)).collect()),
            TextOp::IGlob => Self::Globs(values.iter().map(|v| Glob::new(v, true)).collect()),
            TextOp::PMatch => Self::Below(values.iter().map(|v| without_end_slash(v).into()).collect()),
        }
    }

    #[inline]
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Never => false,
            Self::Equal(value) => **value == *text,
            Self::Few(values) => values.iter().any(|v| **v == *text),
            Self::Set { lengths, values } => lengths & length_bit(text.len()) != 0 && values.contains(text),
            Self::Prefixes(prefixes) => {
                // The only prefix of the text, if one is, is the last one not greater than it.
                let after = prefixes.partition_point(|p| **p <= *text);
                after.checked_sub(1).is_some_and(|i| text.starts_with(&prefixes[i]))
            }
            Self::Suffixes(suffixes) => {
                let after = suffixes.partition_point(|s| from_end(s, text) != Ordering::Greater);
                after.checked_sub(1).is_some_and(|i| text.ends_with(&suffixes[i]))
            }
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::ContainsAny(searcher) => searcher.is_match(text),
            Self::Globs(globs) => globs.iter().any(|g| g.matches(text)),
            Self::Below(paths) => paths.iter().any(|p| is_below(text, p)),
        }
    }

    /// A test against a value that is known only now.
    pub fn matches_once(op: TextOp, text: &[u8], value: &[u8]) -> bool {
        match op {
            TextOp::Equal => text == value,
            TextOp::StartsWith => text.starts_with(value),
            TextOp::EndsWith => text.ends_with(value),
            TextOp::Contains => memmem::find(text, value).is_some(),
            TextOp::IContains => {
                value.is_empty() || text.windows(value.len()).any(|w| w.eq_ignore_ascii_case(value))
            }
            TextOp::Glob => Glob::new(value, false).matches(text),
            TextOp::IGlob => Glob::new(value, true).matches(text),
            TextOp::PMatch => is_below(text, without_end_slash(value)),
        }
    }

    /// The chance that a text passes, as a guess.
    pub fn chance(&self) -> f32 {
        match self {
            Self::Never => 0.0,
            // A value of one or two letters is a class, such as `fd.typechar = f`.
            Self::Equal(value) if value.len() <= 2 => 0.5,
            Self::Equal(_) => 0.02,
            Self::Few(_) | Self::Contains(_) => 0.05,
            Self::Set { .. } | Self::Prefixes(_) | Self::Suffixes(_) | Self::Below(_) => 0.1,
            Self::ContainsAny(_) | Self::Globs(_) => 0.1,
        }
    }

    pub fn cost(&self) -> u32 {
        match self {
            Self::Never | Self::Equal(_) => 1,
            Self::Few(_) => 2,
            Self::Set { .. } => 4,
            Self::Prefixes(_) | Self::Suffixes(_) => 3,
            Self::Contains(_) => 10,
            Self::ContainsAny(_) => 20,
            Self::Globs(globs) => 20 * globs.len() as u32,
            Self::Below(paths) => 2 + paths.len() as u32,
        }
    }
}

fn length_bit(len: usize) -> u64 {
    1 << len.min(63)
}

/// Compares from the last byte to the first.
fn from_end(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().rev().cmp(b.iter().rev())
}

/// Sorted, and without those that a shorter one implies.
fn minimal(
    mut values: Vec<Bytes>,
    compare: impl Fn(&[u8], &[u8]) -> Ordering,
    implied: impl Fn(&[u8], &[u8]) -> bool,
) -> Box<[Bytes]> {
    values.sort_by(|a, b| compare(a, b));
    let mut kept: Vec<Bytes> = Vec::with_capacity(values.len());
    for value in values {
        if kept.last().is_none_or(|last| !implied(&value, last)) {
            kept.push(value);
        }
    }
    kept.into()
}

fn contains_any(values: &[Vec<u8>], ignore_case: bool) -> TextMatcher {
    match AhoCorasick::builder().ascii_case_insensitive(ignore_case).build(values) {
        Ok(searcher) => TextMatcher::ContainsAny(searcher),
        // Only for more patterns than fit in 2³¹ states, which no file that loads can hold.
        Err(_) => TextMatcher::Never,
    }
}

fn without_end_slash(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
    &path[..end]
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(op: TextOp, values: &[&str], text: &str) -> bool {
        let values: Vec<_> = values.iter().map(|v| v.as_bytes().to_vec()).collect();
        let fast = TextMatcher::new(op, &values).matches(text.as_bytes());
        let slow = values.iter().any(|v| TextMatcher::matches_once(op, text.as_bytes(), v));
        assert_eq!(fast, slow, "{op:?} {values:?} {text}");
        fast
    }

    #[test]
    fn sets_prefixes_suffixes() {
        let many = ["a", "bb", "ccc", "dddd", "eeeee", ""];
        assert!(matches(TextOp::Equal, &many, "ccc") && matches(TextOp::Equal, &many, ""));
        assert!(!matches(TextOp::Equal, &many, "cc"));
        let prefixes = ["/usr/bin", "/usr", "/etc/a", "/et"];
        for (text, expected) in
            [("/usr/x", true), ("/etc", true), ("/us", false), ("/var", false), ("", false)]
        {
            assert_eq!(matches(TextOp::StartsWith, &prefixes, text), expected, "{text}");
        }
        let suffixes = [".so", "x.so", "_history", "y"];
        for (text, expected) in
            [("a.so", true), ("bash_history", true), ("so", false), ("xy", true), ("", false)]
        {
            assert_eq!(matches(TextOp::EndsWith, &suffixes, text), expected, "{text}");
        }
        assert!(matches(TextOp::StartsWith, &["", "a"], "zzz"));
    }

    #[test]
    fn paths_by_whole_components() {
        let paths = ["/var/lib/", "/etc"];
        for (text, expected) in
            [("/var/lib", true), ("/var/lib/x", true), ("/var/library", false), ("/etc/", true)]
        {
            assert_eq!(matches(TextOp::PMatch, &paths, text), expected, "{text}");
        }
        assert!(matches(TextOp::PMatch, &["/"], "/anything"));
    }

    #[test]
    fn containing() {
        assert!(matches(TextOp::Contains, &["bc", "zz"], "abcd"));
        assert!(matches(TextOp::IContains, &["BC"], "abcd"));
        assert!(!matches(TextOp::IContains, &["x"], "abcd"));
        assert!(matches(TextOp::Contains, &[""], "abcd"));
    }
}
