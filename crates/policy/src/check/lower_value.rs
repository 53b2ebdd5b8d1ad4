//! Literals to values of a type: numbers, truth values, addresses, networks, hex bytes, patterns.

use std::net::IpAddr;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::native::parse_duration;
use crate::field::FieldType;
use crate::syntax::ast::Literal;

/// A number as written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Fraction(f64),
}

type Value<T> = Result<T, Diagnostic>;

fn wrong(literal: &Literal, what: &str, hint: Option<String>) -> Diagnostic {
    Diagnostic::error(Code::Type, literal.span, format!("`{}` is no {what}", literal.text()))
        .with_some_hint(hint)
}

/// Ports that people know by name.
const SERVICES: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("ntp", 123),
    ("snmp", 161),
    ("ldap", 389),
    ("https", 443),
    ("ldaps", 636),
    ("mysql", 3306),
    ("postgresql", 5432),
];

pub(super) fn number(literal: &Literal, value_type: FieldType) -> Value<Number> {
    let text = literal.text();
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let whole = match hex {
        Some(hex) if !hex.starts_with(['+', '-']) => i128::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None if digits.starts_with(|c: char| c.is_ascii_digit()) => digits.parse::<i128>().ok(),
        None => None,
    };
    if let Some(whole) = whole.filter(|w| *w <= i128::from(u64::MAX)) {
        return Ok(Number::Whole(if negative { -whole } else { whole }));
    }
    let looks_like_number = digits.starts_with(|c: char| c.is_ascii_digit());
    if let Some(fraction) = text.parse::<f64>().ok().filter(|f| f.is_finite() && looks_like_number) {
        if value_type == FieldType::Float {
            return Ok(Number::Fraction(fraction));
        }
        if fraction.fract() == 0.0 && fraction.abs() < 1e18 {
            return Ok(Number::Whole(fraction as i128));
        }
        return Err(wrong(literal, "whole number", None));
    }
    if matches!(value_type, FieldType::Duration | FieldType::Time)
        && let Some(duration) = parse_duration(text)
    {
        return Ok(Number::Whole(duration.as_nanos() as i128));
    }
    if value_type == FieldType::Port
        && let Some((_, port)) = SERVICES.iter().find(|(name, _)| *name == text)
    {
        return Ok(Number::Whole(i128::from(*port)));
    }
    let hint = match value_type {
        FieldType::Duration => Some("a number of nanoseconds, or such as 5s".to_owned()),
        FieldType::Port => Some("a port number, or the name of a common service such as ssh".to_owned()),
        _ => None,
    };
    Err(wrong(literal, "number", hint))
}

pub(super) fn bool(literal: &Literal) -> Value<bool> {
    match literal.bytes.as_slice() {
        b"true" | b"True" | b"TRUE" | b"1" => Ok(true),
        b"false" | b"False" | b"FALSE" | b"0" => Ok(false),
        _ => Err(wrong(literal, "truth value", Some("true or false".to_owned()))),
    }
}

/// Networks that people know by name, and may be compared with by name.
const NAMED_NETWORKS: &[(&str, &[&str])] = &[
    ("rfc1918", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]),
    ("loopback", &["127.0.0.0/8", "::1/128"]),
    ("link_local", &["169.254.0.0/16", "fe80::/10"]),
    ("private_networks", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]),
];

/// The networks of literals: addresses, networks, and for a network field the names of well-known ones.
pub(super) fn networks(literals: &[Literal], value_type: FieldType, field: &str) -> Value<Vec<(IpAddr, u8)>> {
    let mut all = Vec::with_capacity(literals.len());
    for literal in literals {
        let named = NAMED_NETWORKS.iter().find(|(name, _)| name.as_bytes() == literal.bytes);
        let Some((_, members)) = named.filter(|_| value_type == FieldType::Net) else {
            all.push(network(literal, value_type, field)?);
            continue;
        };
        for member in *members {
            let member = Literal { bytes: member.as_bytes().to_vec(), span: literal.span };
            all.push(network(&member, value_type, field)?);
        }
    }
    Ok(all)
}

/// An address, or a network written as `address/bits` or `address/mask`.
fn network(literal: &Literal, value_type: FieldType, field: &str) -> Value<(IpAddr, u8)> {
    let text = literal.text();
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text.as_ref(), None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        let what = if value_type == FieldType::Net { "network" } else { "IP address" };
        let hint = match value_type {
            FieldType::Net => "such as 10.0.0.0/8 or fd00::/8".to_owned(),
            _ => format!("such as 10.1.2.3; for a host name use `{field}.name`"),
        };
        return Err(wrong(literal, what, Some(hint)));
    };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let Some(bits) = bits else { return Ok((address, width)) };
    if value_type == FieldType::Ip {
        let hint = format!("compare networks with `{}`", field.replace("ip", "net"));
        return Err(wrong(literal, "single address", Some(hint)));
    }
    let prefix = match bits.parse::<u8>() {
        Ok(prefix) if prefix <= width => Some(prefix),
        Ok(_) => None,
        Err(_) => bits.parse::<std::net::Ipv4Addr>().ok().filter(|_| address.is_ipv4()).and_then(|mask| {
            let mask = u32::from(mask);
            let ones = mask.leading_ones();
            (ones + mask.trailing_zeros() >= 32).then_some(ones as u8)
        }),
    };
    prefix
        .map(|prefix| (address, prefix))
        .ok_or_else(|| wrong(literal, "network", Some(format!("the bits after / are at most {width}"))))
}

/// Bytes in hex, as `bcontains` takes them.
pub(super) fn hex(literal: &Literal) -> Value<Vec<u8>> {
    let digits = &literal.bytes;
    let pairs = digits.chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok().filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u8::from_str_radix(text, 16).ok()
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    match bytes.filter(|b| !b.is_empty() && digits.len().is_multiple_of(2)) {
        Some(bytes) => Ok(bytes),
        None => Err(wrong(literal, "hex", Some("bytes as pairs of hex digits, such as 7f454c46".to_owned()))),
    }
}

/// How large a compiled pattern may be.
const REGEX_LIMIT: usize = 1 << 20;

/// A regular expression that must match the whole value.
pub(super) fn regex(literal: &Literal) -> Value<Arc<regex::bytes::Regex>> {
    let Ok(pattern) = std::str::from_utf8(&literal.bytes) else {
        return Err(wrong(literal, "regular expression", None));
    };
    let build = |unicode| {
        regex::bytes::RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
            .unicode(unicode)
            .multi_line(true)
            .size_limit(REGEX_LIMIT)
            .dfa_size_limit(REGEX_LIMIT)
            .nest_limit(64)
            .build()
    };
    // Bytes first: `.` is then any byte, so that paths that are no UTF-8 match too.
    match build(false).or_else(|_| build(true)) {
        Ok(regex) => Ok(Arc::new(regex)),
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = "this pattern grows too large";
            let hint = "smaller repeat counts, or several comparisons, do the same for less";
            Err(Diagnostic::error(Code::CostlyPattern, literal.span, message).with_hint(hint))
        }
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let message = "this is no regular expression";
            Err(Diagnostic::error(Code::Pattern, literal.span, message).with_hint(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    fn literal(text: &str) -> Literal {
        Literal { bytes: text.as_bytes().to_vec(), span: Span::default() }
    }

    #[test]
    fn numbers() {
        let number = |text: &str, of| number(&literal(text), of).ok();
        assert_eq!(number("0x1F", FieldType::Int), Some(Number::Whole(31)));
        assert_eq!(number("-1", FieldType::Int), Some(Number::Whole(-1)));
        assert_eq!(number("1.5", FieldType::Float), Some(Number::Fraction(1.5)));
        assert_eq!(number("1.5", FieldType::Int), None);
        assert_eq!(number("5s", FieldType::Duration), Some(Number::Whole(5_000_000_000)));
        assert_eq!(number("ssh", FieldType::Port), Some(Number::Whole(22)));
        for bad in
            ["", "x", "nan", "inf", "1x", "--1", "0x", "0x-1", "999999999999999999999999999999999999999999"]
        {
            assert!(!matches!(number(bad, FieldType::Int), Some(Number::Whole(_))), "{bad}");
        }
    }

    #[test]
    fn networks() {
        let network = |text: &str, of| network(&literal(text), of, "fd.sip").ok().map(|(_, bits)| bits);
        assert_eq!(network("10.0.0.0/8", FieldType::Net), Some(8));
        assert_eq!(network("10.0.0.0/255.255.0.0", FieldType::Net), Some(16));
        assert_eq!(network("10.0.0.0/255.0.255.0", FieldType::Net), None);
        assert_eq!(network("10.0.0.0/33", FieldType::Net), None);
        assert_eq!(network("10.0.0.0/8", FieldType::Ip), None);
        assert_eq!(network("::1", FieldType::Ip), Some(128));
    }

    #[test]
    fn patterns() {
        let matches = |p: &str, v: &[u8]| regex(&literal(p)).map(|r| r.is_match(v)).ok();
        assert_eq!(matches("[a-z]*/proc/[0-9]+", b"/proc/12"), Some(true));
        assert_eq!(matches("proc", b"/proc/12"), Some(false));
        assert_eq!(matches("a|b", b"ab"), Some(false));
        assert_eq!(matches("/t.p", b"/t\xffp"), Some(true));
        assert_eq!(matches("[[:alpha:]]+", b"abc"), Some(true));
        assert_eq!(matches("(", b""), None);
        assert_eq!(matches("((a{500}){500}){500}", b""), None);
    }
}
