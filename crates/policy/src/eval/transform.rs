//! The transformers.

use std::borrow::Cow;

use super::cache::{Cache, Range};
use crate::output::write_values;
use crate::syntax::ast::Function;
use crate::value::Value;

/// An argument of a transformer.
pub(super) enum Arg<'p> {
    Values(Range),
    Literal(&'p [u8]),
}

/// Whether a transformer turns each value into one by itself.
pub(super) fn is_simple(function: Function) -> bool {
    matches!(function, Function::ToLower | Function::ToUpper | Function::Basename | Function::B64)
}

/// What a simple transformer makes of a value; it is copied only if it changes.
pub(super) fn simple<'a>(function: Function, value: &Value<'a>) -> Option<Value<'a>> {
    let bytes = value.as_bytes()?;
    match function {
        Function::ToLower if bytes.iter().any(u8::is_ascii_uppercase) => {
            Some(owned(bytes.to_ascii_lowercase()))
        }
        Function::ToUpper if bytes.iter().any(u8::is_ascii_lowercase) => {
            Some(owned(bytes.to_ascii_uppercase()))
        }
        Function::ToLower | Function::ToUpper => Some(value.clone()),
        Function::Basename => basename(value),
        Function::B64 => decode_base64(bytes).map(owned),
        _ => None,
    }
}

/// The result: no value if the argument has none (but `len` of nothing is 0).
pub(super) fn apply<'a>(
    function: Function,
    args: &[Arg<'_>],
    index: Option<&str>,
    cache: &Cache<'a>,
) -> Vec<Value<'a>> {
    let values = |i: usize| match args.get(i) {
        Some(Arg::Values(range)) => cache.values(*range),
        _ => &[],
    };
    let literal = |i: usize| match args.get(i) {
        Some(Arg::Literal(bytes)) => *bytes,
        _ => &[],
    };
    match function {
        Function::ToLower | Function::ToUpper | Function::Basename | Function::B64 => {
            values(0).iter().filter_map(|value| simple(function, value)).collect()
        }
        Function::Len => match values(0) {
            [Value::Bytes(bytes)] => vec![Value::Uint(bytes.len() as u64)],
            many => vec![Value::Uint(many.len() as u64)],
        },
        Function::Join => {
            let texts: Vec<_> = values(0).iter().map(text).collect();
            if texts.is_empty() { Vec::new() } else { vec![owned(texts.join(literal(1)))] }
        }
        Function::Concat => {
            let mut all = Vec::new();
            for (i, arg) in args.iter().enumerate() {
                match (arg, values(i)) {
                    (Arg::Literal(bytes), _) => all.extend_from_slice(bytes),
                    (_, []) => return Vec::new(),
                    (_, values) => values.iter().for_each(|v| all.extend(text(v))),
                }
            }
            vec![owned(all)]
        }
        Function::GetOpt => {
            let line: Vec<u8> = values(0).iter().map(text).collect::<Vec<_>>().join(&b' ');
            getopt(&line, literal(1), index)
        }
    }
}

fn owned<'a>(bytes: Vec<u8>) -> Value<'a> {
    Value::Bytes(Cow::Owned(bytes))
}

fn text(value: &Value<'_>) -> Vec<u8> {
    match value.as_bytes() {
        Some(bytes) => bytes.to_vec(),
        None => {
            let mut text = String::new();
            write_values(&mut text, std::slice::from_ref(value));
            text.into_bytes()
        }
    }
}

fn basename<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    let after = |bytes: &[u8]| bytes.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
    match value {
        Value::Bytes(Cow::Borrowed(bytes)) => Some(Value::bytes(&bytes[after(bytes)..])),
        Value::Bytes(Cow::Owned(bytes)) => Some(owned(bytes[after(bytes)..].to_vec())),
        _ => None,
    }
}

/// Standard base64, with or without padding. Nothing if it is none.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut bits = 0u32;
        for (i, digit) in chunk.iter().enumerate() {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits |= u32::from(value) << (18 - 6 * i);
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

/// The option letters used in a command line, as getopt(3) reads them; with `index`, the value of one option.
fn getopt<'a>(line: &[u8], options: &[u8], index: Option<&str>) -> Vec<Value<'a>> {
    let takes_value = |letter: u8| {
        options.iter().position(|o| *o == letter && letter != b':').map(|i| options.get(i + 1) == Some(&b':'))
    };
    let mut words = line.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let mut found: Vec<(u8, Vec<u8>)> = Vec::new();
    while let Some(word) = words.next() {
        if word == b"--" {
            break;
        }
        let Some(letters) = word.strip_prefix(b"-").filter(|l| !l.is_empty() && l[0] != b'-') else {
            continue;
        };
        for (i, letter) in letters.iter().enumerate() {
            match takes_value(*letter) {
                None => {}
                Some(false) => found.push((*letter, Vec::new())),
                Some(true) => {
                    let rest = &letters[i + 1..];
                    let value = if rest.is_empty() { words.next().unwrap_or_default() } else { rest };
                    found.push((*letter, value.to_vec()));
                    break;
                }
            }
        }
    }
    match index.and_then(|i| i.bytes().next()) {
        Some(wanted) => {
            found.into_iter().find(|(l, _)| *l == wanted).map(|(_, v)| owned(v)).into_iter().collect()
        }
        None => found.into_iter().map(|(letter, _)| owned(vec![letter])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        assert_eq!(decode_base64(b"aGVsbG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode_base64(b"aGVsbG8").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode_base64(b"aGVsbG8h").as_deref(), Some(&b"hello!"[..]));
        assert_eq!(decode_base64(b""), Some(Vec::new()));
        assert_eq!(decode_base64(b"a"), None);
        assert_eq!(decode_base64(b"a b="), None);
    }

    #[test]
    fn options() {
        let letters = |line: &str| {
            let values = getopt(line.as_bytes(), b"nt:v", None);
            values
                .iter()
                .map(|v| String::from_utf8(v.as_bytes().unwrap().to_vec()).unwrap())
                .collect::<String>()
        };
        assert_eq!(letters("-n -t 5 file"), "nt");
        assert_eq!(letters("-vnt5 -x"), "vnt");
        assert_eq!(letters("-- -n"), "");
        assert_eq!(getopt(b"-n -t 5", b"nt:", Some("t")), vec![Value::str("5")]);
        assert_eq!(getopt(b"-t", b"nt:", Some("t")), vec![Value::str("")]);
        assert!(getopt(b"-n", b"nt:", Some("t")).is_empty());
    }
}
